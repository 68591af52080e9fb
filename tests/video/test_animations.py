"""Animated pictures are videos of all their frames, at their times."""

import numpy as np
import pytest
from PIL import Image
from reference.pictures import numbered, numbers, write_animation, write_numbered

from mcvd.data.sources.folder import VideoFolder
from mcvd.video.decoders import animation
from mcvd.video.decoders.base import MAX_SIDE, VideoError
from mcvd.video.find import find_videos
from mcvd.video.open import open_video
from mcvd.video.read import read_video

KINDS = {
    "a.webp": {"lossless": True},
    "a.avif": {"quality": 95},
    "a.png": {},
    "a.apng": {"format": "PNG"},
    "a.tif": {},
    "a.tiff": {"compression": "tiff_lzw"},
}
DURATIONS = [100, 50, 200, 40, 300]


@pytest.mark.parametrize("name", KINDS)
def test_all_frames_are_read_in_any_order_at_their_times(tmp_path, name):
    timed = not name.startswith("a.tif")
    write_animation(tmp_path / name, [3, 1, 4, 1, 5], **({"milliseconds": DURATIONS} if timed else {}), **KINDS[name])
    with open_video(tmp_path / name) as reader:
        assert reader.size == (32, 64)
        assert numbers(reader.read(range(5))) == [3, 1, 4, 1, 5]
        assert numbers(reader.read([4, 0, 2, 2])) == [5, 3, 4, 4]
        assert reader.read([1], (16, 16)).shape == (1, 3, 16, 32)
        if timed:
            np.testing.assert_allclose(reader.times_seconds, np.cumsum([0, *DURATIONS[:-1]]) / 1000, atol=1e-3)
            assert reader.times.end == pytest.approx(0.69)
            assert numbers(read_video(tmp_path / name, frame_rate_hz=20))[:8] == [3, 3, 1, 4, 4, 4, 4, 1]
        else:
            assert reader.frame_rate_hz is None
            assert numbers(read_video(tmp_path / name, frame_rate_hz=20)) == [3, 1, 4, 1, 5]


def test_the_picture_that_stands_in_for_an_animation_is_none_of_its_frames(tmp_path):
    write_animation(tmp_path / "a.png", [9, 1, 2], default_image=True)
    assert numbers(read_video(tmp_path / "a.png")) == [1, 2]


def test_frames_behind_a_stand_in_are_read_again_in_any_order(tmp_path):
    write_animation(tmp_path / "a.png", [9, 1, 2, 3, 4], default_image=True)
    with open_video(tmp_path / "a.png") as reader:
        assert [numbers(reader.read([number])) for number in (3, 0, 2, 1, 3)] == [[4], [1], [3], [2], [4]]


def test_times_of_an_avif_do_not_run_away_by_their_rounding(tmp_path):
    av = pytest.importorskip("av")
    with av.open(str(tmp_path / "a.avif"), "w", format="avif") as container:
        stream = container.add_stream("libsvtav1", rate=30, options={"preset": "12", "svtav1-params": "lp=1"})
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
        for number in range(40):
            frame = av.VideoFrame.from_image(numbered(number, (64, 64)))
            frame.pts = number
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    with open_video(tmp_path / "a.avif") as reader:
        np.testing.assert_allclose(reader.times_seconds, np.arange(40) / 30, atol=6e-4)
        assert numbers(reader.read([39, 7])) == [39, 7]


def without_control_blocks(content):
    """A GIF of the same frames that says nothing of each, as in GIF87a."""
    first, *others = content.split(b"\x21\xf9\x04")
    return first + b"".join(part[5:] for part in others)


@pytest.mark.parametrize(
    "change", [without_control_blocks, lambda content: content[:-1] + b"\x21\xfe\x03end\x00;"], ids=["plain", "comment"]
)
def test_a_gif_that_ffmpeg_miscounts_has_all_its_frames(tmp_path, change):
    write_animation(tmp_path / "a.gif", [3, 1, 4, 1, 5], 50)
    (tmp_path / "a.gif").write_bytes(change((tmp_path / "a.gif").read_bytes()))
    assert numbers(read_video(tmp_path / "a.gif")) == [3, 1, 4, 1, 5]


@pytest.mark.parametrize(("milliseconds", "seconds"), [(10, 0.1), (20, 0.02), (0, 0.1)])
def test_what_a_gif_cannot_mean_is_a_tenth_of_a_second_whoever_reads_it(tmp_path, milliseconds, seconds):
    write_animation(tmp_path / "a.gif", [3, 1, 4], milliseconds)
    content = (tmp_path / "a.gif").read_bytes()
    (tmp_path / "b.gif").write_bytes(content[:-1] + b"\x21\xfe\x03end\x00;")
    for name in ("a.gif", "b.gif"):
        with open_video(tmp_path / name) as reader:
            np.testing.assert_allclose(reader.times_seconds, seconds * np.arange(3))


def test_animated_pictures_in_a_folder_are_videos_and_still_ones_beside_are_not(tmp_path):
    write_animation(tmp_path / "some/b.webp", [1, 2, 3], lossless=True)
    write_animation(tmp_path / "some/c.png", [1, 2, 3])
    numbered(7).save(tmp_path / "some/a1.png")
    write_numbered(tmp_path / "frames", [f"{number}.png" for number in range(4)])
    assert [path.relative_to(tmp_path).as_posix() for path in find_videos(tmp_path)] == [
        "frames",
        "some/b.webp",
        "some/c.png",
    ]
    videos = VideoFolder(tmp_path)
    assert numbers(videos.read(1, [2, 0], (32, 64))) == [3, 1]


def test_an_animated_picture_is_no_frame(tmp_path):
    write_numbered(tmp_path, [f"{number}.webp" for number in range(4)])
    write_animation(tmp_path / "2.webp", [1, 2, 3, 4])
    with pytest.raises(VideoError, match=r"2\.webp: is an animated picture of 4 frames"):
        read_video(tmp_path)


@pytest.mark.parametrize("name", ["a.webp", "a.avif", "a.png", "a.tif"])
def test_a_damaged_one_is_refused_in_one_line(tmp_path, name):
    write_animation(tmp_path / name, range(20))
    content = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(content[: len(content) // 2])
    with pytest.raises(VideoError, match=name) as fault:
        read_video(tmp_path / name)
    assert "\n" not in str(fault.value)


def test_a_size_that_no_frame_has_is_refused_before_it_is_decoded(tmp_path, monkeypatch):
    Image.new("L", (MAX_SIDE + 1, 1)).save(tmp_path / "0.png")
    with pytest.raises(VideoError, match=rf"0\.png: says that it is {MAX_SIDE + 1}x1 pixels"):
        read_video(tmp_path)
    write_animation(tmp_path / "a.webp", range(3))
    monkeypatch.setattr(animation, "_MAX_PIXELS", 100)
    with pytest.raises(VideoError, match=r"a\.webp: says that its frames are \d+x\d+ pixels"):
        read_video(tmp_path / "a.webp")


def test_a_sequence_of_heif_is_refused_with_its_reason(tmp_path):
    (tmp_path / "a.heics").write_bytes(b"\0\0\0\x1cftyphevc\0\0\0\0msf1hevciso8" + bytes(200))
    with pytest.raises(VideoError, match="sequence of HEIF"):
        read_video(tmp_path / "a.heics")
