"""A page that shows videos, tables and charts."""

import re
from io import BytesIO

import numpy as np
import pytest
import torch
from reference.html_reader import Reader

from mcvd.video.chart import line_chart
from mcvd.video.page import CONTEXT, GENERATED, TARGET, Column, Page

GREY = torch.full((6, 1, 16, 16), 128, dtype=torch.uint8)
NOISE = torch.randint(0, 256, (4, 3, 16, 16), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def full_page():
    page = Page("A title", "An intro").section("Prediction", "words").text("more words")
    page.videos([("truth", GREY, range(2), False), ("sample", GREY, range(2))], fps=5)
    page.strip([("truth", NOISE, range(2), False), ("sample", NOISE, range(2))])
    return page.table([Column("PSNR dB", 2, max)], [("one", [1.0]), ("two", [2.0])], caption="of nothing")


def test_the_page_opens_offline():
    html = full_page().html()
    page = Reader(html)
    links = [v for _, attributes in page.elements for k, v in attributes.items() if k in ("src", "href", "srcset")]
    assert links and all(link.startswith("data:") for link in links)
    assert "url(" not in html and "@import" not in html
    assert "script" not in {tag for tag, _ in page.elements}


def test_a_fragment_changes_nothing_in_the_page_that_it_stands_in():
    fragment = full_page().fragment()
    Reader(fragment)
    style = re.search("<style>(.*?)</style>", fragment, re.DOTALL).group(1)
    rules = re.sub(r"/\*.*?\*/|@media[^{]*{|{[^{}]*}", "", style).replace("}", "").split("\n")
    assert all(part.strip().startswith(".mcvd") for rule in rules if rule.strip() for part in rule.split(","))


def test_text_is_never_markup():
    nasty = '<script>alert("1")</script> & \'"'
    page = Page(nasty, nasty).section(nasty, nasty).text(nasty).videos([(nasty, GREY)]).strip([(nasty, NOISE)])
    page.table([Column(nasty, None)], [(nasty, [nasty])], caption=nasty).curves({nasty: [1, 2]}, nasty, nasty)
    read = Reader(page.html())
    assert "script" not in {tag for tag, _ in read.elements}
    assert read.text.count(nasty) >= 12


def test_videos_play_by_themselves_also_on_a_phone():
    videos = [attributes for tag, attributes in Reader(full_page().html()).elements if tag == "video"]
    assert len(videos) == 2
    assert all({"autoplay", "loop", "muted", "playsinline"} <= video.keys() for video in videos)


def test_borders_tell_context_from_generated_and_true_frames():
    import av

    for content, later in zip(Reader(full_page().html()).sources("video"), (TARGET, GENERATED), strict=True):
        with av.open(BytesIO(content)) as file:
            frames = [frame.to_ndarray(format="rgb24") for frame in file.decode(video=0)]
        assert len(frames) == 6
        for number, frame in enumerate(frames):
            expected = np.array(list(bytes.fromhex((CONTEXT if number < 2 else later)[1:])))
            assert np.abs(frame[2, 20:-20].mean(0) - expected).max() < 12  # mp4 is lossy
            assert np.abs(frame[60:-60, 60:-60].astype(int) - 128).max() < 12


def test_strips_hold_the_exact_pixels():
    from PIL import Image

    pictures = Reader(full_page().html()).sources("img")
    assert len(pictures) == 8
    for number, content in enumerate(pictures):
        pixels = torch.from_numpy(np.array(Image.open(BytesIO(content)))).permute(2, 0, 1)
        assert torch.equal(pixels, NOISE[number % 4])


def test_strips_mark_frames_too():
    kinds = [a["class"] for tag, a in Reader(full_page().html()).elements if tag == "img"]
    assert kinds == ["context"] * 2 + ["target"] * 2 + ["context"] * 2 + ["generated"] * 2


def test_the_best_of_a_column_is_bold_unless_not_ranked():
    columns = [Column("up", 1, max), Column("down", 1, min), Column("words", None)]
    rows = [("a", [1.0, 5.0, "x"]), ("b", [2.0, 6.0, "y"]), ("chosen", [9.0, 0.0, "z"])]
    html = Page("t").table(columns, rows, not_ranked=["chosen"]).html()
    assert re.findall("<b>(.*?)</b>", html) == ["5.0", "2.0"]


def test_a_chart_survives_a_flat_line_and_a_single_point():
    for line in ([3.0, 3.0, 3.0], [7.0]):
        assert "nan" not in line_chart({"flat": line}, "PSNR", "frame")


def test_files_are_embedded_as_they_are(tmp_path):
    path = tmp_path / "clip.mp4"
    path.write_bytes(b"a video")
    assert Reader(Page("t").videos([("clip", path)]).html()).sources("video") == [b"a video"]
    with pytest.raises(ValueError, match="choose one of"):
        Page("t").videos([("clip", tmp_path / "clip.xyz")])


@pytest.mark.parametrize("video", [NOISE.float(), NOISE[0], NOISE[:, :2]])
def test_what_is_no_video_is_refused_by_its_caption(video):
    with pytest.raises(ValueError, match="'odd one' must be uint8"):
        Page("t").videos([("odd one", video)])


def test_a_page_appears_whole_or_not_at_all(tmp_path, monkeypatch):
    path = Page("first").write(tmp_path / "new" / "index.html")
    assert path.read_text().startswith("<!doctype html>")

    def fail(self):
        raise RuntimeError("disk full")

    monkeypatch.setattr(Page, "html", fail)
    with pytest.raises(RuntimeError):
        Page("second").write(path)
    assert "first" in path.read_text()
    assert [file.name for file in path.parent.iterdir()] == ["index.html"]
