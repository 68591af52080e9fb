"""Batches of clips: a resumed training sees what an uninterrupted one sees; settings are checked before work starts."""

from types import SimpleNamespace

import pytest
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from reference.numbered_videos import NumberedVideos
from reference.recorder import every_step, fit, flat

from mcvd.data.datamodule import VideoData

SMALL = (4, 6)


def small_data(num_workers=0, batch_size=2, **options):
    videos = {"train": NumberedVideos([24, 10]), "val": NumberedVideos([12])} | options
    return VideoData(num_frames=3, size=SMALL, batch_size=batch_size, num_workers=num_workers, **videos)


@pytest.mark.filterwarnings("error:.*not resumable")
@pytest.mark.parametrize("num_workers", [0, 2])
@pytest.mark.parametrize("accumulate", [1, 2])
def test_a_resumed_training_sees_what_an_uninterrupted_one_sees(tmp_path, num_workers, accumulate):
    options = {"max_epochs": 3, "accumulate_grad_batches": accumulate}
    whole = fit(tmp_path, small_data(num_workers), callbacks=[every_step(tmp_path)], **options).seen
    assert flat(whole) == list(range(len(whole) * 2))
    per_epoch = len(whole) // 3
    steps_per_epoch = -(-per_epoch // accumulate)
    for step in (1, steps_per_epoch - 1, steps_per_epoch, steps_per_epoch + 1):
        epoch, inside = divmod(step, steps_per_epoch)
        resumed = fit(tmp_path, small_data(num_workers), ckpt_path=tmp_path / f"step-{step}.ckpt", **options).seen
        assert resumed == whole[epoch * per_epoch + inside * accumulate :], f"after step {step}"


def test_a_resumed_training_continues_after_the_end_of_an_epoch(tmp_path):
    at_end = ModelCheckpoint(tmp_path, "epoch-{epoch}", save_top_k=-1, auto_insert_metric_name=False)
    whole = fit(tmp_path, small_data(), 3, [at_end]).seen
    resumed = fit(tmp_path, small_data(), 3, ckpt_path=tmp_path / "epoch-0.ckpt").seen
    assert resumed == whole[len(whole) // 3 :]


@pytest.mark.parametrize("num_workers", [0, 2])
def test_a_training_that_broke_off_repeats_the_step_that_was_not_made(tmp_path, num_workers):
    whole = fit(tmp_path, small_data(), 2).seen
    rescue = ModelCheckpoint(tmp_path, "rescue", save_on_exception=True, every_n_epochs=100)
    with pytest.raises(RuntimeError, match="power cut"):
        fit(tmp_path, small_data(num_workers), 2, [rescue], fail_at=8)
    (saved,) = tmp_path.glob("*.ckpt")
    assert fit(tmp_path, small_data(num_workers), 2, ckpt_path=saved).seen == whole[8:]


def test_a_training_resumed_twice_still_sees_everything_once(tmp_path):
    whole = fit(tmp_path, small_data(), 2).seen
    rescue = ModelCheckpoint(tmp_path, "first", save_on_exception=True, every_n_epochs=100)
    with pytest.raises(RuntimeError):
        fit(tmp_path, small_data(), 2, [rescue], fail_at=2)
    (saved,) = tmp_path.glob("*.ckpt")
    second = fit(tmp_path, small_data(), 2, [every_step(tmp_path)], ckpt_path=saved).seen
    third = fit(tmp_path, small_data(), 2, ckpt_path=tmp_path / "step-4.ckpt").seen
    assert second == whole[2:]
    # Lightning keeps counting the step that broke off, so its second resumed epoch is a batch longer.
    assert third[: len(whole) - 4] == whole[4:]


def test_another_batch_size_continues_with_the_next_clip(tmp_path):
    fit(tmp_path, small_data(), 1, [every_step(tmp_path)])
    resumed = fit(tmp_path, small_data(batch_size=3), 1, ckpt_path=tmp_path / "step-2.ckpt").seen
    assert resumed[0] == [4, 5, 6]


def test_epochs_cut_short_continue_where_the_last_one_ended(tmp_path):
    seen = fit(tmp_path, small_data(), 3, limit_train_batches=2).seen
    assert flat(seen) == list(range(12))


def test_a_new_training_with_the_same_data_begins_at_the_first_clip(tmp_path):
    data = small_data()
    fit(tmp_path, data, 1, [every_step(tmp_path)])
    fit(tmp_path, data, 2, ckpt_path=tmp_path / "step-2.ckpt")
    assert fit(tmp_path, data, 1).seen[0] == [0, 1]


def test_the_number_of_workers_does_not_change_a_clip():
    def batches(num_workers):
        data = small_data(num_workers, crop="random", flip=True)
        data.setup("fit")
        return [batch["video"] for batch in data.train_dataloader()]

    assert all(torch.equal(a, b) for a, b in zip(batches(0), batches(2), strict=True))


def test_batches_are_uint8_videos_with_their_numbers():
    data = small_data(channels=1)
    data.setup("fit")
    batch = next(iter(data.train_dataloader()))
    assert batch["video"].shape == (2, 3, 1, *SMALL) and batch["video"].dtype == torch.uint8
    assert batch["index"].dtype == torch.int64


def test_processes_share_the_validation_clips_without_repeating_any():
    data = small_data(val=NumberedVideos([21]))
    data.setup("validate")
    seen = []
    for rank in range(2):
        data.trainer = SimpleNamespace(global_rank=rank, world_size=2)
        seen += [index for batch in data.val_dataloader() for index in batch["index"].tolist()]
    assert sorted(seen) == list(range(7))


def test_the_frame_rate_of_clips_is_the_median_of_the_videos_over_the_stride():
    data = small_data(train=NumberedVideos([30, 30, 30], rate_hz=[24, 25, 25]), val=NumberedVideos([9], 25), stride=2)
    data.setup("fit")
    assert data.frame_rate_hz == pytest.approx(12.5)


def test_a_rate_is_not_misled_by_times_rounded_to_milliseconds():
    class Rounded(NumberedVideos):
        def times_seconds(self, index):
            return super().times_seconds(index).round(3)

    data = small_data(train=Rounded([61], 30), val=Rounded([61], 30))
    data.setup("fit")
    assert data.frame_rate_hz == 30


def test_different_frame_rates_are_refused_until_one_is_named():
    videos = {"train": NumberedVideos([30, 30, 40], rate_hz=[10, 10, 20]), "val": NumberedVideos([9])}
    with pytest.raises(ValueError, match=r"10 Hz \(3\), 20 Hz \(1\).*--data.frame_rate_hz 10"):
        small_data(**videos).setup("fit")
    data = small_data(**videos, frame_rate_hz=10.0)
    data.setup("fit")
    assert data.frame_rate_hz == 10.0


def test_a_rate_above_that_of_the_videos_is_pointed_out():
    with pytest.warns(UserWarning, match="3 of 3 videos have fewer frames per second"):
        small_data(frame_rate_hz=20.0).setup("fit")


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"batch_size": 0}, "batch_size must be"),
        ({"num_workers": -1}, "num_workers must be"),
        ({"seed": -1}, "seed must be"),
        ({"root": "videos"}, "root or train"),
        ({"val_root": "videos"}, "val_root or val"),
    ],
)
def test_impossible_settings_are_refused_at_once(wrong, message):
    with pytest.raises(ValueError, match=message):
        small_data(**wrong)


def test_missing_and_too_short_videos_are_reported_before_training():
    with pytest.raises(ValueError, match=r"--data\.root"):
        VideoData().setup("fit")
    with pytest.raises(ValueError, match="no video is long enough"):
        small_data(train=NumberedVideos([2, 2])).setup("fit")
