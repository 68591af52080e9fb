"""The clock of a page, in a real browser: what is seen shows one moment, at any width, in light and dark."""

import pytest
import torch
from reference.browser import chromium, opened, wait_until
from reference.tiny import pixels

from mcvd.video.page import Page

SEEN = "[...document.querySelectorAll('video')].map(v => Math.floor(v.currentTime * 10 + 1e-6))"
LOADED = "[...document.querySelectorAll('video')].every(v => v.videoWidth && !v.seeking)"


@pytest.fixture(scope="module")
def browser():
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    video = pixels(6, 3, 16, 16)
    page = Page("Futures", "Two of them.").section("Prediction")
    rows = [("ground truth", video, range(2), False), ("sample 1", video, range(2)), ("sample 2", video, range(2))]
    page.fan(rows, video[1], fps=10).maps({"spread": torch.rand(6, 16, 16) + 1}, "grey levels", 10, range(2, 6))
    page.strip(rows).curves({"sample 1": [1.0, 2.0, 3.0, 4.0]}, "PSNR in dB", at=2)
    return page.write(tmp_path_factory.mktemp("page") / "index.html").as_uri()


def frame_is(page, number):
    """Wait until the page and every video on it show a frame, then be sure that it is so."""
    wait_until(
        page,
        f"document.querySelector('.mcvd').dataset.frame === '{number}' && {LOADED} && "
        f"{SEEN}.every(n => n === {number})",
    )


def test_one_clock_steps_all_videos_and_marks_where_it_is(browser, url):
    with opened(browser, url, motion="reduce") as page:
        frame_is(page, 0)  # who wants less motion gets a page that stands still
        assert page.locator(".clock [data-do=play]").get_attribute("aria-label") == "Play"
        page.click("[data-do=on]")
        frame_is(page, 1)
        page.evaluate("document.activeElement.blur()")
        for _ in range(2):
            page.keyboard.press("ArrowRight")
        frame_is(page, 3)
        assert page.locator(".strip .now").inner_text() == "3"
        assert page.locator(".chart .cursor").last.evaluate("c => c.style.opacity") != "0"
        page.locator(".time").fill("5")
        frame_is(page, 5)
        page.click("[data-do=on]")  # behind the last one is the first
        frame_is(page, 0)

        assert page.locator(".over").count() == 0
        page.locator(".wipe input").fill("40")
        wait_until(page, f"document.querySelectorAll('.over').length === 2 && {LOADED}")
        page.click("[data-do=back]")
        frame_is(page, 5)
        clip = page.locator(".over").first.evaluate("v => getComputedStyle(v).clipPath")
        assert "60%" in clip

        page.locator(".strip img").nth(9).click()  # sample 1, frame 3
        dialog = page.locator("dialog")
        assert dialog.locator("b").inner_text() == "frame 3" and dialog.locator("img").count() == 3
        page.keyboard.press("ArrowRight")
        assert dialog.locator("b").inner_text() == "frame 4"
        page.keyboard.press("Escape")
        wait_until(page, "!document.querySelector('dialog').open")
        assert not page.broken and page.asked == [url, *[each for each in page.asked[1:] if each.startswith("data:")]]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_plays_by_itself_and_fits_a_phone(browser, url, scheme):
    with opened(browser, url, "phone", scheme) as page:
        for number in (2, 4):
            wait_until(page, f"document.querySelector('.mcvd').dataset.frame === '{number}'")
        page.keyboard.press(" ")
        wait_until(page, "[...document.querySelectorAll('video')].every(v => v.paused)")
        assert page.evaluate("document.documentElement.scrollWidth") == 390
        paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert (sum(map(int, paper[4:-1].split(","))) < 200) == (scheme == "dark")
        assert not page.broken


def test_a_strip_begins_where_frames_are_generated(browser, tmp_path):
    page = Page("A gap").strip([("sample", pixels(10, 3, 16, 16), range(7))])
    with opened(browser, page.write(tmp_path / "gap.html").as_uri(), "phone") as page:
        box = page.locator(".strip .generated").first.bounding_box()
        assert 100 < box["x"] < box["x"] + box["width"] < 390
