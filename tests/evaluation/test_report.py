"""Scores on a terminal and as a page."""

import re
from dataclasses import replace

from reference.html_reader import Reader

from mcvd.evaluation.report import add_scores
from mcvd.evaluation.row import Row, Score
from mcvd.evaluation.scores import Scores
from mcvd.metrics.frame_metrics import PSNR, SSIM
from mcvd.video.page import Page


def row(title, psnr, ssim=0.5, ranked=True):
    scores = {"psnr": Score(psnr, (19.0, 21.0), (psnr,), (21.0, 19.0)), "ssim": Score(ssim, None, (ssim,), (0.6, 0.4))}
    return Row(title, scores, ranked)


SCORES = Scores(
    task="predict",
    num_clips=7,
    num_past=2,
    num_frames=2,
    num_future=0,
    size=(16, 24),
    num_samples=5,
    sampler="DDIM(num_steps=3)",
    num_calls=3,
    guidance=1.0,
    sampling={},
    seed=0,
    metrics={"psnr": PSNR.info, "ssim": SSIM.info},
    rows={
        "copy_last": row("last frame repeated", 20.0),
        "one_sample": row("model, one sample", 22.5, 0.75),
        "best_of_K": row("model, best of 5", 30.0, 0.75, ranked=False),
    },
)


def test_scores_of_an_evaluation_become_a_table_and_a_chart():
    html = add_scores(Page("t"), SCORES).html()
    assert re.findall("<b>(.*?)</b>", html) == ["22.50", "0.750"]
    text = Reader(html).text
    assert "model, best of 5" in text and "7 clips of 16x24 pixels" in text and "DDIM with 3 network calls" in text
    assert "19.00 \N{EN DASH} 21.00" in text and "it cannot win" in text
    assert html.count("<polyline") == 6  # a chart for each metric, a line for each row
    assert html.count("stroke-dasharray") == 2 * 2  # of the baseline, and of its name below


def test_scores_without_rows_are_their_conditions():
    html = add_scores(Page("t"), replace(SCORES, task="generate", num_past=0, rows={}, metrics={})).html()
    assert "2 frames generated from nothing" in html and "<table" not in html
