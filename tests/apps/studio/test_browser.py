"""The studio in a real browser: real clicks, a real upload, on a real server. Few visits: each takes seconds."""

import re
import time
from pathlib import Path

import pytest
from reference.browser import chromium, opened, wait_until
from reference.tiny import pixels, tiny_model

import mcvd
from mcvd.models.classifier import LabelClassifier

sync_api = pytest.importorskip("playwright.sync_api", reason="no browser test without playwright")
pytest.importorskip("gradio", reason="no studio without Gradio: pip install 'mcvd[studio]'")


@pytest.fixture(scope="module")
def browser():
    with chromium() as browser:
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
            time.sleep(0.3)
            return super().end(files)

    model = tiny_model(past=2, current=3, future=2, channels=3)
    model.frame_rate_hz = 10.0
    classifier = LabelClassifier(["cat", "dog"], 3, (16, 16), 3, width=8, multipliers=(1, 2), head_channels=8).eval()
    studio = Studio(model, "tiny", Limits(megabytes=1, frames=200), classifier=classifier)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(studio_page, "_Answers", Slow)
        page, url = serve(studio, "127.0.0.1", None)
    yield url
    page.close(verbose=False)


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    path = tmp_path_factory.mktemp("videos") / "noise.mp4"
    mcvd.write_video(path, pixels(30, 3, 16, 16), fps=10)
    return str(path)


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


def place_of(page, selector):
    """Where an element begins in the page, however far it is scrolled."""
    return page.locator(selector).evaluate("e => Math.round(e.getBoundingClientRect().top + scrollY)")


def generate(page, num_frames):
    page.click("#generate")
    expect(page, "#status").to_contain_text(f"Done: {num_frames} frames")
    expect(page, "#generate").to_be_enabled()


def test_from_a_dropped_video_to_a_file_to_take_home(browser, url, video, tmp_path):
    with opened(browser, url) as page:
        upload(page, video)
        expect(page, "#strip .film button").to_have_count(30)
        expect(page, "#strip .context").to_have_count(2)
        assert frames_of(page, "context") == [8, 9] and frames_of(page, "generated") == [*range(10, 16)]

        drag(page, 3, 6)
        expect(page, "#strip .film button:nth-child(6)").to_have_class("context")
        assert frames_of(page, "context") == [5, 6]
        page.locator("#strip .film button").nth(4).focus()
        for key in ("Enter", "ArrowRight", "Shift+Enter"):  # the same with the keyboard
            page.keyboard.press(key)
        expect(page, "#strip .film button:nth-child(5)").to_have_class("context")
        expect(page, "#strip .context").to_have_count(2)  # Enter alone marks one
        assert frames_of(page, "context") == [4, 5]
        fill(page, "#length", 5)
        expect(page, "#strip .generated").to_have_count(5)

        page.locator("#marking label", has_text="keyframes").click()
        drag(page, 8, 8)
        expect(page, "#hint").to_contain_text("Keyframes: 8.")
        assert frames_of(page, "context") == [4, 5, 8] and frames_of(page, "generated") == [6, 7, 9, 10]

        page.locator("#wish input").click()
        page.get_by_role("option", name="dog").click()
        before = [place_of(page, each) for each in ("#strip", "#task", "#status", "#downloads", "#result")]
        expect(page, "#mp4").to_be_disabled()
        generate(page, 5)
        assert [place_of(page, each) for each in ("#strip", "#task", "#status", "#downloads", "#result")] == before
        expect(page, "#result video").to_have_count(6)  # the ground truth, three samples, and two maps
        assert "ground truth" in page.locator("#result .lanes figcaption").first.inner_text()
        expect(page, "#result .chart svg[role=img]").to_have_count(3)
        expect(page, "#result .clock").to_be_visible()
        page.wait_for_function("[...document.querySelectorAll('#result .lanes video')].every(v => v.videoWidth)")

        for button, ending in (("#mp4", "mp4"), ("#gif", "gif")):
            with page.expect_download() as download:
                page.click(button)
            download.value.save_as(tmp_path / f"saved.{ending}")
            assert mcvd.read_video(tmp_path / f"saved.{ending}").shape[0] == 7
        with page.expect_download() as download:
            page.click("#page")
        assert Path(download.value.path()).read_text().startswith("<!doctype html>")

        page.locator("#marking label", has_text="gap").click()
        choose_task(page, "interpolation")
        expect(page, "#length input").to_be_disabled()
        expect(page, "#strip .context").to_have_count(4)
        drag(page, 11, 14)
        expect(page, "#strip .film button:nth-child(10)").to_have_class("context")
        assert frames_of(page, "generated") == [11, 12, 13, 14] and frames_of(page, "context") == [9, 10, 15, 16]
        generate(page, 4)
        assert "cross-fade" in page.locator("#result").inner_text()
        assert not page.broken
        assert all(address.startswith(("http://127.0.0.1:", "data:", "blob:")) for address in page.asked)


def test_examples_show_all_tasks_on_a_phone_in_the_dark(browser, url):
    with opened(browser, url, "phone", "dark") as page:
        examples = page.locator("#examples button")
        sync_api.expect(examples).to_have_count(6)
        for number, (task, frames) in enumerate(
            (("predict", 60), ("backward", 60), ("interpolate", 60), ("generate", 0))
        ):
            examples.nth(number + 1).click()
            expect(page, f"#task input[value={task}]").to_be_checked()
            expect(page, "#strip .film button").to_have_count(frames)
            if frames:
                expect(page, "#strip .generated").not_to_have_count(0)
        generate(page, 6)
        expect(page, "#result video").to_have_count(3)
        wait_until(page, "document.documentElement.scrollWidth === 390")  # once all answers are there
        page.locator("#result .clock [data-do=on]").click()
        wait_until(page, "[...document.querySelectorAll('#result video')].every(v => v.paused)")
        assert not page.broken


def test_a_stretch_of_an_upload_gets_more_frames_a_second(browser, url, tmp_path):
    mcvd.write_video(tmp_path / "fast.mp4", pixels(30, 3, 16, 16), fps=20)
    with opened(browser, url, "phone") as page:
        upload(page, str(tmp_path / "fast.mp4"))
        expect(page, "#strip .film button").to_have_count(15)  # those at the model's rate
        page.locator("#marking label", has_text="keyframes").click()
        choose_task(page, "more frames a second")
        expect(page, "#strip .film button").to_have_count(30)  # every frame
        expect(page, "#strip .context").to_have_count(12)
        expect(page, "#length").to_have_count(0)
        expect(page, "#marking input[value^=the]").to_be_checked()
        drag(page, 1, 3)
        expect(page, "#strip .context").to_have_count(3)
        fill(page, "#factor", 4)
        expect(page, "#hint").to_contain_text("3 frames become 9, 20 Hz become 80 Hz.")
        generate(page, 9)
        expect(page, "#result video").to_have_count(5)  # given, cross-faded, three samples
        expect(page, "#result .wipe span").to_have_text("cross-fade")
        wait_until(page, "document.documentElement.scrollWidth === 390")
        choose_task(page, "generation from nothing")
        expect(page, "#strip .film button").to_have_count(15)
        expect(page, "#length input").to_be_visible()
        assert not page.broken


def test_cancel_ends_a_job_and_lets_the_next_visitor_in(browser, url):
    with opened(browser, url) as first, opened(browser, url) as other:
        for visitor, length in ((first, 200), (other, 3)):
            choose_task(visitor, "generation from nothing")
            fill(visitor, "#length", length)
            if visitor is first:
                expect(first, "#cancel").to_be_disabled()
            visitor.click("#generate")
            if visitor is first:  # frames appear while the model works
                expect(first, "#status").to_contain_text("of 200 frames")
                expect(first, "#result img").not_to_have_count(0)
        expect(other, "#status").to_contain_text("queue")
        assert "Done" not in other.locator("#status").inner_text()
        first.click("#cancel")
        expect(other, "#status").to_contain_text("Done: 3 frames")
        expect(first, "#status").to_contain_text("Cancelled after")
        expect(first, "#generate").to_be_enabled()
        expect(first, "#mp4").to_be_disabled()


def test_what_is_no_video_or_too_large_is_refused_in_words(browser, url, tmp_path):
    with opened(browser, url) as page:
        (tmp_path / "no.mp4").write_bytes(b"not a video")
        page.wait_for_selector("#generate")
        upload(page, str(tmp_path / "no.mp4"))
        expect(page, "body").to_contain_text(re.compile(r"no\.mp4: .*"))
        page.reload()
        page.wait_for_selector("#generate")
        (tmp_path / "big.mp4").write_bytes(bytes(1_500_000))
        upload(page, str(tmp_path / "big.mp4"))
        expect(page, "body").to_contain_text(re.compile("maximum allowed size|exceeds", re.IGNORECASE))
        expect(page, "#strip .film button").to_have_count(0)
