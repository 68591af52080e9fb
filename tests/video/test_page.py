"""A page that shows videos, tables and charts."""

import re
from io import BytesIO

import numpy as np
import pytest
import torch
from reference.html_reader import Reader

from mcvd.video.chart import line_chart
from mcvd.video.heat_map import heat_map
from mcvd.video.page import Column, Page
from mcvd.video.page_template import content_hash, page_file
from mcvd.video.palette import CONTEXT, GENERATED, SERIES, TARGET

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


def test_its_own_script_alone_may_run():
    html = full_page().html()
    (script,) = re.findall("<script>(.*?)</script>", html, re.DOTALL)
    assert script == page_file("clock.js")
    assert f"script-src '{content_hash(script)}'" in html and "default-src 'none'" in html
    assert not re.search(r"<[^>]* on\w+=", html)


def test_the_same_page_has_the_same_bytes():
    assert full_page().html() == full_page().html()


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
    page.fan([(nasty, GREY)], NOISE[0], nasty).maps({nasty: GREY[:, 0].float()}, nasty).definitions({nasty: nasty})
    read = Reader(page.html())
    assert [tag for tag, _ in read.elements].count("script") == 1
    assert read.text.count(nasty) >= 18


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


def test_a_name_has_one_colour_on_a_page_and_baselines_none():
    page = Page("t").fan([("sample 1", NOISE), ("sample 2", NOISE)], NOISE[0])
    page.curves({"sample 2": [1, 2], "repeated": [2, 1]}, "PSNR", baselines=["repeated"])
    html = page.html()
    lines = re.findall(r'<polyline points="[^"]*" stroke="([^"]*)"( stroke-dasharray)?', html)
    assert lines == [(SERIES[1], ""), (TARGET, " stroke-dasharray")]
    assert html.count(f'--mark: {SERIES[1]}"></i>sample 2') == 1
    page.curves({"faded": [1, 2], "repeated": [2, 1]}, "SSIM", baselines=["faded", "repeated"])
    dashes = re.findall(r'<polyline [^>]*stroke-dasharray="([^"]*)"', page.html())
    assert dashes[0] == dashes[2] != dashes[1]  # so has a baseline one kind of dashes
    assert not {CONTEXT, GENERATED, TARGET} & {*SERIES}


def test_maps_share_a_scale_that_a_few_pixels_do_not_spoil():
    low, high = torch.full((3, 64, 64), 10.0), torch.full((3, 64, 64), 20.0)
    high[0, 0, 0] = 9999
    assert "20 grey levels or more" in Page("t").maps({"low": low, "high": high}, "grey levels").html()
    brightness = heat_map(torch.linspace(0, 30, 64).view(1, 1, 64), 20.0)[0, :, 0].float().mean(0)
    assert brightness.diff().min() >= 0 and brightness[-20:].unique().numel() == 1


def test_of_many_videos_the_first_play_without_the_script_and_the_others_wait():
    videos = [
        a for tag, a in Reader(Page("t").videos([(str(i), NOISE) for i in range(10)]).html()).elements if tag == "video"
    ]
    assert ["autoplay" in each for each in videos] == [True] * 8 + [False] * 2
    assert all(each.get("preload") == "none" and "controls" in each for each in videos[8:])


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
        places = line_chart({"flat": line}, "PSNR", "frame").lines[0].points
        assert len(places) == len(line) and all(0 <= x <= 480 and 0 <= y <= 220 for x, y in places)


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
