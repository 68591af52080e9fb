"""The studio in a real browser: real clicks, a real upload, on a real server."""

import re
import shutil
import time
from contextlib import contextmanager
from pathlib import Path

import pytest
from reference.tiny import pixels, tiny_model

import mcvd

sync_api = pytest.importorskip("playwright.sync_api", reason="no browser test without playwright")
pytest.importorskip("gradio", reason="no studio without Gradio: pip install 'mcvd[studio]'")

PATIENCE_MS = 60_000  # on a busy machine


@contextmanager
def a_browser():
    with sync_api.sync_playwright() as playwright:
        installed = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
        if installed is None and not Path(playwright.chromium.executable_path).exists():
            pytest.skip("no Chromium here: apt-get install chromium, or playwright install chromium")
        browser = playwright.chromium.launch(executable_path=installed, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def browser():
    with a_browser() as browser:
        yield browser


@pytest.fixture(scope="module")
def url():
    """A studio that takes its time after each job, as on a busy machine: nobody may click what is not there yet."""
    from mcvd.apps.studio import page as studio_page
    from mcvd.apps.studio.clip import Limits
    from mcvd.apps.studio.page import serve
    from mcvd.apps.studio.service import Studio

    class Slow(studio_page._Answers):
        def end(self, files):
            time.sleep(1)
            return super().end(files)

    model = tiny_model(past=2, current=3, future=2, channels=3)
    model.frame_rate_hz = 10.0
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(studio_page, "_Answers", Slow)
        page, url = serve(Studio(model, "tiny", Limits(megabytes=1, frames=200)), "127.0.0.1", None)
    yield url
    page.close(verbose=False)


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    path = tmp_path_factory.mktemp("videos") / "noise.mp4"
    mcvd.write_video(path, pixels(30, 3, 16, 16), fps=10)
    return str(path)


@pytest.fixture
def page(browser, url):
    with opened(browser, url) as page:
        yield page


@contextmanager
def opened(browser, url):
    context = browser.new_context(viewport={"width": 1360, "height": 1000})
    page = context.new_page()
    page.set_default_timeout(PATIENCE_MS)
    sync_api.expect.set_options(timeout=PATIENCE_MS)
    page.asked, page.broken = [], []
    page.on("request", lambda request: page.asked.append(request.url))
    page.on("pageerror", lambda error: page.broken.append(str(error)))
    page.goto(url)
    page.wait_for_selector("#generate")
    yield page
    context.close()


def upload(page, path):
    page.set_input_files("#upload input[type=file]", path)


def expect(page, selector):
    return sync_api.expect(page.locator(selector))


def frames_of(page, kind):
    labels = page.locator(f"#strip .{kind}").evaluate_all("cells => cells.map(c => c.getAttribute('aria-label'))")
    return [int(re.search(r"\d+", label).group()) for label in labels]


def drag(page, first, last):
    cells = page.locator("#strip .film button")
    for place in (first, last):  # what is dragged over has to be seen
        cells.nth(place).scroll_into_view_if_needed()
    boxes = [cells.nth(place).bounding_box() for place in (first, last)]
    (x, y), (to_x, to_y) = ((box["x"] + box["width"] / 2, box["y"] + box["height"] / 2) for box in boxes)
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(to_x, to_y, steps=6)
    page.mouse.up()


def fill(page, selector, number):
    field = page.locator(f"{selector} input[type=number]")
    field.fill(str(number))
    field.press("Tab")


def choose_task(page, title):
    page.locator("#task label", has_text=title).click()


def test_from_a_dropped_video_to_a_file_to_take_home(page, video, tmp_path):
    upload(page, video)
    expect(page, "#strip .film button").to_have_count(30)
    expect(page, "#strip .context").to_have_count(2)
    assert frames_of(page, "context") == [8, 9] and frames_of(page, "generated") == [*range(10, 22)]

    drag(page, 3, 6)
    expect(page, "#strip .film button:nth-child(6)").to_have_class("context")
    assert frames_of(page, "context") == [5, 6]
    fill(page, "#length", 6)
    expect(page, "#strip .generated").to_have_count(6)

    page.click("#generate")
    expect(page, "#status").to_contain_text("Done: 6 frames")
    expect(page, "#result video").to_have_count(3)  # the ground truth and two samples
    assert "ground truth" in page.locator("#result figcaption").first.inner_text()
    expect(page, "#result .chart svg").to_have_count(2)
    page.wait_for_function("[...document.querySelectorAll('#result video')].every(v => !v.paused && v.videoWidth)")
    page.set_viewport_size({"width": 390, "height": 844})  # a phone: nothing sticks out at its right
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    page.set_viewport_size({"width": 1360, "height": 1000})

    for button, ending in (("#mp4", "mp4"), ("#gif", "gif")):
        with page.expect_download() as download:
            page.click(button)
        download.value.save_as(tmp_path / f"saved.{ending}")
        assert mcvd.read_video(tmp_path / f"saved.{ending}").shape[0] == 8
    with page.expect_download() as download:
        page.click("#page")
    assert Path(download.value.path()).read_text().startswith("<!doctype html>")
    assert not page.broken
    assert all(address.startswith(("http://127.0.0.1:", "data:", "blob:")) for address in page.asked)


def test_a_gap_is_marked_and_filled(page, video):
    upload(page, video)
    expect(page, "#strip .context").to_have_count(2)
    choose_task(page, "interpolation")
    expect(page, "#length").to_be_hidden()
    expect(page, "#strip .context").to_have_count(4)
    drag(page, 11, 14)
    expect(page, "#strip .film button:nth-child(10)").to_have_class("context")
    assert frames_of(page, "generated") == [11, 12, 13, 14] and frames_of(page, "context") == [9, 10, 15, 16]
    page.click("#generate")
    expect(page, "#status").to_contain_text("Done: 4 frames")
    assert "cross-fade" in page.locator("#result").inner_text()


def test_marks_can_be_set_with_the_keyboard(page, video):
    upload(page, video)
    expect(page, "#strip .context").to_have_count(2)
    page.locator("#strip .film button").nth(4).focus()
    for key in ("Enter", "ArrowRight", "Shift+Enter"):
        page.keyboard.press(key)
    expect(page, "#strip .film button:nth-child(6)").to_have_class("context")
    assert frames_of(page, "context") == [4, 5]


def test_frames_appear_while_the_model_works_and_cancel_ends_it(page):
    choose_task(page, "generation from nothing")
    fill(page, "#length", 200)
    expect(page, "#cancel").to_be_disabled()
    page.click("#generate")
    expect(page, "#status").to_contain_text("of 200 frames")
    expect(page, "#result img").not_to_have_count(0)
    page.click("#cancel")
    expect(page, "#status").to_contain_text("Cancelled after")
    expect(page, "#generate").to_be_enabled()
    expect(page, "#mp4").to_be_hidden()


def test_a_street_is_at_hand(page):
    page.click("#synthetic")
    expect(page, "#strip .film button").to_have_count(60)
    expect(page, "#hint").to_contain_text("Synthetic street 0")


def test_what_is_no_video_or_too_large_is_refused_in_words(page, tmp_path):
    (tmp_path / "no.mp4").write_bytes(b"not a video")
    upload(page, str(tmp_path / "no.mp4"))
    expect(page, "body").to_contain_text(re.compile(r"no\.mp4: .*"))
    page.reload()
    page.wait_for_selector("#generate")
    (tmp_path / "big.mp4").write_bytes(bytes(1_500_000))
    upload(page, str(tmp_path / "big.mp4"))
    expect(page, "body").to_contain_text(re.compile("maximum allowed size|exceeds", re.IGNORECASE))
    expect(page, "#strip .film button").to_have_count(0)


def test_a_second_visitor_waits_until_the_first_is_done(browser, url, page):
    with opened(browser, url) as other:
        for visitor, length in ((page, 200), (other, 3)):
            choose_task(visitor, "generation from nothing")
            fill(visitor, "#length", length)
            visitor.click("#generate")
            if visitor is page:
                expect(page, "#status").to_contain_text("of 200 frames")
        expect(other, "#status").to_contain_text("queue")
        assert "Done" not in other.locator("#status").inner_text()
        page.click("#cancel")
        expect(other, "#status").to_contain_text("Done: 3 frames")
        expect(page, "#status").to_contain_text("Cancelled after")
