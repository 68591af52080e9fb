"""The samples of an evaluation as an ensemble: in scores, cards of any age, on the terminal and as a page."""

import json

import pytest
import torch
from reference.html_reader import Reader
from reference.oracle import CLIPS, Oracle, tiny_model
from reference.result_card import CARD

from mcvd.evaluation.baselines import copy_last
from mcvd.evaluation.evaluate import evaluate
from mcvd.evaluation.report import add_scores, card_page, format_scores
from mcvd.evaluation.result_card import ResultCard
from mcvd.evaluation.scores import Scores
from mcvd.metrics.ensemble import crps
from mcvd.models.result_json import checked_result
from mcvd.samplers import DDIM
from mcvd.video.page import Page


def test_samples_and_baselines_are_scored_in_grey_levels():
    ensemble = evaluate(Oracle((10,) * 4), CLIPS, num_frames=4, num_samples=4, thresholds=[128]).ensemble
    assert list(ensemble.rows) == ["truth", "copy_last", "extrapolate", "samples"] and ensemble.unit == "grey levels"
    copied = crps(copy_last(CLIPS[:, :2], 4)[:, None], CLIPS[:, 2:6])
    assert ensemble.rows["copy_last"].scores["crps"].per_frame == pytest.approx(copied.mean(0).tolist())
    assert ensemble.rows["truth"].scores["crps"].mean == 0 and not ensemble.rows["truth"].ranked
    assert ensemble.rows["samples"].scores["crps"].mean < ensemble.rows["copy_last"].scores["crps"].mean
    assert ensemble.relative("motion") > 1 and ensemble.relative("sharpness") > 1  # of noise
    assert ensemble.relative("motion", "copy_last") == 0
    (event,) = ensemble.events
    assert list(event.rows) == ["copy_last", "extrapolate", "samples", "mean_of_K"]
    assert event.rows["samples"].csi > event.rows["copy_last"].csi and len(event.rows["samples"].csi_per_frame) == 4


def test_samples_around_the_truth_vary_too_much_and_equal_ones_too_little():
    around = evaluate(Oracle((10,) * 6), CLIPS, num_samples=6).ensemble.calibration
    equal = evaluate(Oracle((0.5,) * 6), CLIPS + 0, num_samples=6).ensemble.calibration
    assert around.spread_skill > 2 and around.outside < 2 / 7 and len(around.rank_histogram) == 7
    assert sum(around.rank_histogram) == pytest.approx(1) and equal.error[0] < around.error[0]


def test_scores_do_not_depend_on_batches():
    model, options = tiny_model(), {"num_frames": 4, "num_samples": 2, "sampler": DDIM(num_steps=2)}
    whole, parts = (evaluate(model, CLIPS, batch_size=size, **options).ensemble for size in (32, 2))
    assert parts.rows["samples"].scores["crps"].per_clip == pytest.approx(
        whole.rows["samples"].scores["crps"].per_clip, abs=0.02
    )
    assert parts.calibration.rank_histogram == pytest.approx(whole.calibration.rank_histogram, abs=0.01)


@pytest.mark.parametrize(("task", "num_samples"), [("backward", 2), ("interpolate", 1), ("generate", 2)])
def test_every_task_has_them_in_what_json_holds(task, num_samples):
    scores = evaluate(tiny_model(), CLIPS, task, num_frames=4, num_samples=num_samples, sampler=DDIM(num_steps=1))
    assert Scores.from_json(json.loads(json.dumps(scores.to_json(), allow_nan=False))) == scores
    if task == "backward":
        true = CLIPS[:, :5].float().diff(dim=1).abs().mean().item()  # the last to the first given one
        assert scores.ensemble.rows["truth"].scores["motion"].mean == pytest.approx(true)
    if task == "generate":
        assert list(scores.ensemble.rows) == ["truth", "samples"] and not scores.ensemble.events
        assert list(scores.ensemble.metrics) == ["motion", "sharpness"]
    assert (scores.ensemble.calibration is None) == (task != "backward")
    assert "times the motion" in format_scores(scores)
    Reader(add_scores(Page("t"), scores).html())


def test_a_card_of_before_there_were_ensemble_scores_is_read():
    old = json.loads(json.dumps(CARD.to_json()))
    del old["scores"]["ensemble"]
    card = ResultCard.from_json(checked_result(old))
    assert card.scores.ensemble is None and card.scores.rows == CARD.scores.rows
    assert "ensemble" not in format_scores(card.scores) + card_page(card, []).html()


def test_the_page_shows_ranks_and_reliability():
    read = Reader(card_page(CARD, []).html())
    for words in (
        "CRPS",
        "energy score",
        "Calibration",
        "rank of the truth among 2",
        "reliability",
        "CSI",
        "128 grey levels",
    ):
        assert words in read.text


@pytest.mark.parametrize(
    ("place", "value", "words"),
    [
        (("rows", "truth"), None, "lacks truth"),
        (("calibration", "rank_histogram"), [0.5, 0.5], "rank_histogram has 2 numbers, expected 3"),
        (("events", 0, "said"), [1.0], "events.0.said has 1 numbers"),
        (("events", 0, "rows", "samples", "csi_per_frame"), [], "csi_per_frame has 0 numbers"),
        (("events", 0, "rows", "samples", "csi"), "1", "csi"),
        (("events", 0, "rows"), {}, "events.0.rows lacks samples"),
        (("metrics",), {}, "rows.truth"),
        (("rows", "samples", "crps_per_clip"), [], "crps_per_clip has 0 numbers"),
        (("unit",), 3, "unit"),
    ],
    ids=str,
)
def test_ensemble_scores_that_are_none_are_refused_by_name(place, value, words):
    card = json.loads(json.dumps(CARD.to_json()))
    inner = card["scores"]["ensemble"]
    for name in place[:-1]:
        inner = inner[name]
    inner[place[-1]] = value
    if value is None:
        del inner[place[-1]]
    with pytest.raises(ValueError, match=words):
        checked_result(card)


def test_thresholds_are_finite_numbers():
    with pytest.raises(ValueError, match="thresholds must be finite"):
        evaluate(Oracle(), CLIPS, num_samples=1, thresholds=[float("nan")])
    scores = evaluate(Oracle(), torch.cat([CLIPS, CLIPS[:1]])[:3], num_samples=1, thresholds=[])
    assert scores.ensemble.events == ()
