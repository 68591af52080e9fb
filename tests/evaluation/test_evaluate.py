"""Samples against the ground truth: rows, best of K, intervals, the same by any batch size."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from reference.oracle import CLIPS, Oracle, tiny_model

from mcvd.data.datamodule import VideoData
from mcvd.data.video_clips import collect_clips
from mcvd.data.videos import AbstractVideos
from mcvd.evaluation.baselines import copy_last
from mcvd.evaluation.evaluate import _grey_levels, evaluate
from mcvd.evaluation.report import format_scores
from mcvd.evaluation.scores import Scores
from mcvd.evaluation.statistics import bootstrap_intervals
from mcvd.frames import FrameBlock
from mcvd.metrics.frame_metrics import PSNR, FrameMetric
from mcvd.metrics.frames import MAX_PSNR_DB, mean_squared_error, psnr, ssim
from mcvd.metrics.published import PUBLISHED_PSNR
from mcvd.runtime.numbers import NumbersError
from mcvd.samplers import DDIM


class Seen:
    """An accumulator that keeps the batches."""

    def __init__(self):
        self.batches = []

    def update(self, batch):
        self.batches.append(batch)


@pytest.mark.parametrize(
    ("task", "baselines"),
    [
        ("predict", ["copy_last", "extrapolate"]),
        ("backward", ["copy_first", "extrapolate"]),
        ("interpolate", ["copy_last", "blend"]),
    ],
)
def test_a_perfect_model_beats_the_baselines_of_every_task(task, baselines):
    rows = evaluate(Oracle(), CLIPS, task, num_frames=4, num_samples=1).rows
    assert list(rows) == [*baselines, "one_sample"]
    assert rows["one_sample"].scores["psnr"].mean == MAX_PSNR_DB
    assert rows["one_sample"].scores["ssim"].mean == pytest.approx(1, abs=1e-6)
    assert all(rows[name].scores["psnr"].mean < 30 and rows[name].scores["ssim"].mean < 0.9 for name in baselines)


def test_baselines_are_scored_on_the_frames_that_the_model_makes():
    row = evaluate(Oracle(), CLIPS, num_frames=4, num_samples=1).rows["copy_last"]
    video, truth = copy_last(CLIPS[:, :2], 4), CLIPS[:, 2:6]
    assert row.scores["psnr"].mean == pytest.approx(psnr(video, truth).mean().item())
    assert row.scores["ssim"].mean == pytest.approx(ssim(video, truth).mean().item())
    assert len(row.scores["psnr"].per_frame) == len(row.scores["ssim"].per_frame) == 4
    assert row.scores["psnr"].per_frame[1] == pytest.approx(psnr(video[:, 1:2], truth[:, 1:2]).mean().item())


def test_the_best_sample_is_found_and_one_sample_is_their_average():
    rows = evaluate(Oracle((30, 0, 60)), CLIPS, num_samples=3).rows
    assert rows["best_of_K"].scores["psnr"].mean == MAX_PSNR_DB
    alone = evaluate(Oracle((30,)), CLIPS, num_samples=1).rows["one_sample"].scores["psnr"].mean
    assert rows["one_sample"].scores["psnr"].mean > alone  # 100 dB is one of the three
    assert rows["one_sample"].scores["psnr"].mean < rows["best_of_K"].scores["psnr"].mean


def test_a_metric_of_which_less_is_better_has_its_best_row_and_sample():
    error = FrameMetric("error", "error", 3, mean_squared_error, higher_is_better=False)
    scores = evaluate(Oracle((30, 0)), CLIPS, num_samples=2, metrics=[error])
    assert list(scores.metrics) == ["error"] and not scores.metrics["error"].higher_is_better
    assert scores.rows["best_of_K"].scores["error"].mean == 0 < scores.rows["mean_of_K"].scores["error"].mean
    assert scores.best("error") == scores.rows["mean_of_K"].scores["error"].mean


def test_averaging_samples_lowers_their_error():
    rows = evaluate(Oracle((20,) * 8), CLIPS, num_samples=8).rows
    mean, best, one = (rows[name].scores["psnr"].mean for name in ("mean_of_K", "best_of_K", "one_sample"))
    assert mean > best > one


def test_diversity_is_the_distance_between_samples():
    diversity = evaluate(Oracle((8,) * 6), CLIPS, num_samples=6).diversity
    assert diversity.between_samples == pytest.approx(math.sqrt(2) * diversity.to_truth, rel=0.05)
    assert evaluate(Oracle((0, 0)), CLIPS, num_samples=2).diversity.between_samples == 0


def test_scores_do_not_depend_on_batches_but_on_the_seed():
    model, options = tiny_model(), {"num_frames": 4, "num_samples": 2, "sampler": DDIM(num_steps=2)}
    whole = evaluate(model, CLIPS, seed=1, **options)
    parts = evaluate(model, iter(CLIPS.split(2)), seed=1, batch_size=2, **options)
    whole_psnr, parts_psnr = (scores.rows["one_sample"].scores["psnr"].mean for scores in (whole, parts))
    assert parts_psnr == pytest.approx(whole_psnr, abs=0.02)  # pixels may differ by one grey level
    assert evaluate(model, CLIPS, seed=1, **options) == whole
    assert evaluate(model, CLIPS, seed=2, **options).rows["one_sample"] != whole.rows["one_sample"]


def test_the_batch_size_counts_samples_and_not_clips():
    seen = Seen()
    evaluate(Oracle((0, 8)), CLIPS, num_frames=4, num_samples=2, batch_size=4, accumulators=[seen])
    assert max(len(batch.target) for batch in seen.batches) == 2


def test_equal_clips_have_samples_of_their_own():
    seen, model = Seen(), tiny_model()
    evaluate(
        model,
        CLIPS[:1].repeat(2, 1, 1, 1, 1),
        num_frames=4,
        num_samples=1,
        accumulators=[seen],
        sampler=DDIM(1, eta=1.0),
    )
    samples = torch.cat([batch.samples for batch in seen.batches])
    assert len(samples) == 2 and not torch.equal(samples[0], samples[1])


def test_diversity_is_the_root_of_the_mean_square_over_clips():
    mse = [torch.tensor([0.01]), torch.tensor([0.09, 0.02])]
    assert _grey_levels(mse) == pytest.approx(255 * math.sqrt(0.04))


def test_videos_from_nothing_have_no_scores_of_frames():
    seen = Seen()
    options = {"num_samples": 2, "sampler": DDIM(num_steps=1), "accumulators": [seen]}
    scores = evaluate(tiny_model(), CLIPS, "generate", num_frames=6, **options)
    assert Scores.from_json(json.loads(json.dumps(scores.to_json(), allow_nan=False))) == scores
    assert scores.rows == scores.metrics == {} and scores.num_past == scores.num_future == 0
    (batch,) = seen.batches
    assert batch.samples.shape == (3, 2, 6, 1, 16, 16) and torch.equal(batch.target, CLIPS[:, :6])
    assert not batch.past.numel() and not batch.future.numel() and not batch.scores
    assert scores.diversity.between_samples > 0
    assert "6 frames generated from nothing, 3 clips" in format_scores(scores)


def test_published_metrics_see_floats_and_the_others_the_same_frames_rounded():
    model, seen = tiny_model(), Seen()
    options = {"num_frames": 4, "num_samples": 2, "sampler": DDIM(num_steps=1)}
    rounded = evaluate(model, CLIPS, **options)
    both = evaluate(
        model,
        CLIPS,
        metrics=[PUBLISHED_PSNR, replace(PSNR, name="rounded")],
        accumulators=[seen],
        **options,
    )
    assert seen.batches[0].samples.dtype == torch.uint8
    for name, row in both.rows.items():
        assert row.scores["rounded"].per_clip == rounded.rows[name].scores["psnr"].per_clip
        assert row.scores["psnr"].per_clip == pytest.approx(row.scores["rounded"].per_clip, abs=0.05)
    copied, alone = both.rows["copy_last"].scores["psnr"].mean, rounded.rows["copy_last"].scores["psnr"].mean
    assert copied == pytest.approx(alone, rel=1e-5)
    sample = both.rows["one_sample"].scores
    assert sample["psnr"].mean != sample["rounded"].mean
    assert both.metrics["psnr"].definition != both.metrics["rounded"].definition


def test_further_sampling_options_reach_the_model_and_the_result():
    class Listening(Oracle):
        def predict(self, *given, precision="float32", **options):
            heard.append(precision)
            return super().predict(*given, **options)

    heard = []
    scores = evaluate(Listening(), CLIPS, num_samples=1, precision="bf16")
    assert scores.sampling == {"precision": "bf16"} and heard == ["bf16"]


@pytest.mark.parametrize("task", ["predict", "backward", "interpolate"])
def test_a_real_model_is_scored_on_every_task_in_what_json_holds(task):
    scores = evaluate(tiny_model(), CLIPS, task, num_frames=4, num_samples=2, sampler=DDIM(num_steps=1))
    assert Scores.from_json(json.loads(json.dumps(scores.to_json(), allow_nan=False))) == scores
    assert scores.rows["best_of_K"].scores["psnr"].mean >= scores.rows["one_sample"].scores["psnr"].mean
    assert scores.num_clips == 3 and scores.size == (16, 16)


def test_the_interval_covers_the_true_mean_about_19_times_in_20():
    values = torch.randn(200, 40, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    covered = sum(low < 0 < high for low, high in bootstrap_intervals(values.T))
    assert 0.88 < covered / 200 <= 0.98


def test_a_single_clip_has_no_interval():
    scores = evaluate(Oracle(), CLIPS[:1], num_samples=1)
    assert scores.rows["one_sample"].scores["psnr"].interval is None
    assert "100.00" in format_scores(scores)


def test_the_table_stars_the_best_but_never_the_best_of_K():
    lines = format_scores(evaluate(Oracle((30, 0)), CLIPS, num_samples=2)).splitlines()
    stars = {line.split("  ")[0]: line.count("*") for line in lines}
    assert stars["model, best of 2"] == 0
    assert sum(stars.values()) == 4  # PSNR, SSIM; CRPS and energy score


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"task": "guess"}, "predict, backward, interpolate"),
        ({"num_frames": 20}, "longer clips"),
        ({"clips": CLIPS[:, :2]}, "longer clips"),
        ({"clips": CLIPS.float()}, "uint8"),
        ({"clips": []}, "no clips"),
        ({"num_samples": 0}, "1 or more"),
        ({"clips": [CLIPS, CLIPS[:, :6]]}, "same shape"),
    ],
)
def test_what_cannot_be_evaluated_is_refused(change, message):
    with pytest.raises(ValueError, match=message):
        evaluate(Oracle(), **({"clips": CLIPS, "num_samples": 1} | change))


def test_a_task_without_its_given_frames_is_refused():
    model = Oracle()
    model.block = FrameBlock(past=2, current=3)
    with pytest.raises(ValueError, match="cannot backward"):
        evaluate(model, CLIPS, "backward")


class Ramps(AbstractVideos):
    """Videos in which frame t of video i has the brightness 10 i + t."""

    channels = 1

    def __len__(self):
        return 3

    def name(self, index):
        return f"ramp {index}"

    def times_seconds(self, index):
        return np.arange(10) / 10

    def read(self, index, frames, cover):
        values = 10 * index + torch.tensor(frames, dtype=torch.uint8)
        return values.view(-1, 1, 1, 1).expand(-1, 1, *cover)


def test_validation_clips_are_collected_in_order_and_evenly_spread():
    data = VideoData(train=Ramps(), val=Ramps(), num_frames=8, size=16, channels=1, batch_size=2, num_workers=0)
    found = collect_clips(data)
    assert found.shape == (3, 8, 1, 16, 16)
    assert (found[:, 0, 0, 0, 0] // 10).tolist() == [0, 1, 2]
    assert torch.equal(collect_clips(data, 2), found[:2])
    assert torch.equal(collect_clips(data, 1), found[:1])
    assert torch.equal(collect_clips(data, 99), found)


def test_a_metric_that_is_not_finite_gives_no_score():
    unsure = FrameMetric("unsure", "unsure", 2, lambda video, target: mean_squared_error(video, target) * math.nan)
    with pytest.raises(NumbersError, match=r"scores: .* not finite.*unsure of copy_last"):
        evaluate(Oracle(), CLIPS, num_samples=1, metrics=[unsure])
