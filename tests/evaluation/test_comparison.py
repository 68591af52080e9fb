"""Two result cards beside each other."""

import json
from dataclasses import replace

import pytest
from reference.oracle import CLIPS, Oracle
from reference.result_card import CARD

from mcvd.apps.cli.main import main
from mcvd.evaluation.comparison import changes_as_text, changes_between
from mcvd.evaluation.evaluate import evaluate

WORSE = replace(CARD, model="worse", scores=evaluate(Oracle((60, 60)), CLIPS, num_samples=2, seed=1))


def test_the_better_model_is_named_whether_more_or_less_is_better():
    verdicts = {(change.row, change.metric.title): change.verdict for change in changes_between(CARD, WORSE)}
    assert verdicts["model, one sample", "PSNR dB"] == verdicts["model, 2 samples", "CRPS"] == "A"
    assert verdicts["model, 2 samples", "motion"] == ""  # neither more nor less is better
    turned = {(change.row, change.metric.title): change.verdict for change in changes_between(WORSE, CARD)}
    assert turned["model, one sample", "PSNR dB"] == turned["model, 2 samples", "CRPS"] == "B"


def test_a_card_is_not_better_than_itself():
    changes = changes_between(CARD, CARD)
    assert {change.interval for change in changes} == {(0.0, 0.0)}
    assert {change.verdict for change in changes} == {"neither is", ""}


def test_the_interval_is_that_of_the_differences_clip_by_clip():
    change = changes_between(CARD, WORSE)[0]
    pairs = zip(*(card.scores.rows["one_sample"].scores["psnr"].per_clip for card in (CARD, WORSE)), strict=True)
    each = [second - first for first, second in pairs]
    low, high = change.interval
    assert min(each) <= low <= sum(each) / len(each) == pytest.approx(change.second - change.first)
    assert sum(each) / len(each) <= high <= max(each)


def test_one_clip_gives_no_verdict():
    alone = replace(CARD, scores=evaluate(Oracle((30, 0)), CLIPS[:1], num_samples=2, seed=1))
    assert {change.verdict for change in changes_between(alone, alone)} == {""}
    assert len(changes_as_text(changes_between(alone, alone))) > 1


def test_the_command_shows_both_scores_and_their_difference(tmp_path, capsys):
    for name, card in {"a": CARD, "b": WORSE}.items():
        (tmp_path / f"{name}.json").write_text(json.dumps(card.to_json()))
    cards = [str(tmp_path / "a.json"), str(tmp_path / "b.json")]
    assert main(["evaluate", "--compare", *cards]) == 0
    out = capsys.readouterr().out
    (line,) = (line for line in out.splitlines() if line.startswith("model, one sample: PSNR dB"))
    assert line.endswith("A") and f"both on the same {len(CLIPS)} clips" in out
    assert main(["evaluate", "--compare", *cards, "--json"]) == 0
    (psnr, *_) = json.loads(capsys.readouterr().out)["scores"]
    assert psnr["row"] == "model, one sample" and psnr["second"] < psnr["first"] and psnr["verdict"] == "A"
