"""Samples on a page: a fan for several, maps where they differ, nothing of both where it would say nothing."""

import pytest
import torch
from reference.html_reader import Reader
from reference.tiny import pixels

from mcvd.apps.result_page import ERROR, SPREAD, Result, add_psnr, add_result
from mcvd.video.page import Page

VIDEO = pixels(9, 3, 16, 16)
SAMPLES = torch.stack([VIDEO[2:7].roll(k, 0) for k in range(3)])


def page_of(samples, past, future, target):
    page = Page("t")
    add_result(page, Result(samples, past, future, target, 10.0))
    return page


@pytest.mark.parametrize("sides", [(2, 0), (0, 2), (2, 2)], ids=["predict", "backward", "interpolate"])
def test_several_samples_fan_out_from_the_frame_that_they_share(sides):
    past, future = VIDEO[: sides[0]], VIDEO[9 - sides[1] :]
    read = Reader(page_of(SAMPLES, past, future, VIDEO[2:7]).html())
    classes = [a.get("class") for _, a in read.elements]
    assert classes.count("root") == 1 and classes.count("maps") == 1
    assert ("last given frame" if sides[0] else "first given frame") in read.text
    videos = [a for tag, a in read.elements if tag == "video"]
    assert {a["data-frames"] for a in videos} == {str(sum(sides) + 5)}  # one clock: maps are as long as videos
    assert [a["aria-label"] for a in videos][-2:] == [SPREAD, ERROR]


def test_without_the_truth_there_is_no_map_of_errors():
    text = Reader(page_of(SAMPLES, VIDEO[:2], VIDEO[:0], None).html()).text
    assert SPREAD in text and ERROR not in text and "misses" not in text


def test_the_sentence_holds_the_numbers():
    samples = torch.stack([torch.full((4, 3, 16, 16), value, dtype=torch.uint8) for value in (90, 110)])
    target = torch.full((4, 3, 16, 16), 130, dtype=torch.uint8)
    text = Reader(page_of(samples, target[:1], target[:0], target).html()).text
    # The deviation of 90 and 110 is 14.1; times the root of 3/2 it is 17.3.
    assert "varies by 14.1 grey levels" in text and "by 30.0;" in text and "by 17.3." in text


@pytest.mark.parametrize(("samples", "num_given"), [(SAMPLES[:1], 2), (SAMPLES, 0)])
def test_one_sample_or_nothing_given_is_no_fan(samples, num_given):
    target = VIDEO[2:7] if num_given else None
    html = page_of(samples, VIDEO[:num_given], VIDEO[:0], target).html()
    assert 'class="root"' not in html and 'class="maps"' not in html and "<video" in html


def test_baselines_are_dashed_in_the_chart_of_scores():
    page = Page("t")
    add_psnr(page, SAMPLES, VIDEO[:2], VIDEO[:0], VIDEO[2:7])
    html = page.html()
    assert html.count("<polyline") == 4 and html.count("stroke-dasharray") == 2  # of the line and of its legend
