"""One augmentation for all frames of a clip, fixed by seed and sample number, whatever process asks."""

import numpy as np
import pytest
import torch
from reference.numbered_videos import NumberedVideos, frame_numbers

from mcvd.data.clips.augment import AppliedAugmentation, Augmentation
from mcvd.data.clips.dataset import ClipDataset
from mcvd.data.clips.sampling import RandomClips
from mcvd.data.clips.spec import ClipSpec, find_clips
from mcvd.data.datamodule import VideoData

SIZE = (4, 6)


def training_clips(videos, spec, **augmentation):
    augmentation = Augmentation(**augmentation)
    index = find_clips(videos, spec, augmentation.max_speed)
    return ClipDataset(videos, spec, RandomClips(index, spec, 0, augmentation))


def test_nothing_switched_on_changes_nothing():
    random = np.random.default_rng(0)
    assert {Augmentation().draw(random) for _ in range(20)} == {AppliedAugmentation()}


def test_colours_change_alike_in_all_frames():
    picture = torch.randint(0, 256, (1, 3, 8, 8), dtype=torch.uint8)
    change = Augmentation(brightness=0.4, contrast=0.4, saturation=0.4, hue=0.2).draw(np.random.default_rng(0))
    changed = change(picture.expand(5, -1, -1, -1))
    assert changed.dtype == torch.uint8 and not torch.equal(changed[0], picture[0])
    assert (changed == changed[0]).all()
    assert change(picture[:, :1]).shape == (1, 1, 8, 8)


def test_strengths_are_drawn_to_both_sides_up_to_themselves():
    augmentation, random = Augmentation(brightness=0.4, contrast=0.2, saturation=0.3, hue=0.1), np.random.default_rng(0)
    drawn = [augmentation.draw(random) for _ in range(200)]
    for name, middle, strength in [
        ("brightness", 1, 0.4),
        ("contrast", 1, 0.2),
        ("saturation", 1, 0.3),
        ("hue", 0, 0.1),
    ]:
        off = np.array([getattr(each, name) for each in drawn]) - middle
        assert -strength <= off.min() < -0.9 * strength and 0.9 * strength < off.max() <= strength


def test_reversed_clips_run_backwards_and_half_of_them_do():
    clips = training_clips(NumberedVideos([40]), ClipSpec(5, SIZE), reverse=True)
    steps = [np.diff(frame_numbers(clips[sample]["video"])).tolist() for sample in range(100)]
    assert all(step in ([1] * 4, [-1] * 4) for step in steps)
    assert 30 < sum(step[0] < 0 for step in steps) < 70


def test_a_share_of_the_clips_stands_still():
    clips = training_clips(NumberedVideos([40]), ClipSpec(5, SIZE), still=0.25)
    steps = [np.diff(frame_numbers(clips[sample]["video"])).tolist() for sample in range(100)]
    assert all(step in ([0] * 4, [1] * 4) for step in steps)
    assert 10 < steps.count([0] * 4) < 40
    video = torch.arange(5, dtype=torch.uint8)[:, None, None, None].expand(-1, 1, *SIZE)
    assert not AppliedAugmentation(still=True)(video).any()  # the first of them


@pytest.mark.parametrize("rate", [None, 10.0])
def test_every_speed_is_drawn_and_stays_inside_the_video(rate):
    clips = training_clips(NumberedVideos([14, 30]), ClipSpec(5, SIZE, frame_rate_hz=rate), max_speed=3)
    steps = [set(np.diff(frame_numbers(clips[sample]["video"]))) for sample in range(60)]
    assert {frozenset(step) for step in steps} == {frozenset({speed}) for speed in (1, 2, 3)}


@pytest.mark.parametrize("rate", [None, 10.0])
def test_a_short_video_is_played_as_fast_as_it_allows(rate):
    """It would have been left out: most clips that people film are short."""
    clips = training_clips(NumberedVideos([5, 9, 30]), ClipSpec(5, SIZE, frame_rate_hz=rate), max_speed=3)
    drawn = [clips.clips(sample) for sample in range(200)]
    found = {n: {each.augmentation.speed for each in drawn if each.video == n} for n in range(3)}
    assert found == {0: {1}, 1: {1, 2}, 2: {1, 2, 3}}
    assert all(
        np.diff(frame_numbers(clips[n]["video"])).tolist() == [drawn[n].augmentation.speed] * 4 for n in range(200)
    )


def test_the_speed_of_a_short_video_is_found_without_trying_them_all(monkeypatch):
    """A thousand speeds of a hundred thousand short videos took twenty minutes."""
    tried, at_speed = [], ClipSpec.at_speed
    monkeypatch.setattr(ClipSpec, "at_speed", lambda spec, speed: tried.append(speed) or at_speed(spec, speed))
    assert find_clips(NumberedVideos([4 * 300 + 1]), ClipSpec(5, SIZE), 1024).speed.tolist() == [300]
    assert len(tried) < 20


def test_speed_multiplies_the_stride():
    spec = ClipSpec(5, SIZE, stride=2)
    assert spec.at_speed(3).stride == 6 and spec.at_speed(1) == spec


def test_a_clip_depends_on_seed_and_sample_number_alone_not_on_workers():
    def batches(num_workers, seed=0):
        augment = Augmentation(brightness=0.3, reverse=True, max_speed=2)
        videos = {"train": NumberedVideos([24, 20]), "val": NumberedVideos([12])}
        data = VideoData(**videos, num_frames=3, size=SIZE, num_workers=num_workers, augment=augment, seed=seed)
        data.setup("fit")
        return torch.cat([batch["video"] for batch in data.train_dataloader()])

    torch.manual_seed(1)
    first = batches(0)
    torch.manual_seed(2)
    assert torch.equal(batches(2), first)
    assert not torch.equal(batches(0, seed=1), first)


def test_validation_is_never_changed():
    videos = {"train": NumberedVideos([24]), "val": NumberedVideos([12])}
    data = VideoData(**videos, num_frames=3, size=SIZE, augment=Augmentation(brightness=1.0, reverse=True, max_speed=2))
    data.setup("fit")
    assert frame_numbers(data.val_clips[0]["video"]) == [0, 1, 2]


@pytest.mark.parametrize("wrong", [{"brightness": 1.5}, {"hue": 0.6}, {"contrast": -0.1}, {"max_speed": 0}])
def test_impossible_changes_are_refused(wrong):
    with pytest.raises(ValueError, match=f"{next(iter(wrong))} must be"):
        Augmentation(**wrong)
