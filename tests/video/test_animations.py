"""Animated pictures are videos of all their frames, at their times."""

import numpy as np
import pytest
from reference.pictures import numbered, numbers, write_animation, write_numbered

from mcvd.data.sources.folder import VideoFolder
from mcvd.video.decoders.base import VideoError
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


def test_a_sequence_of_heif_is_refused_with_its_reason(tmp_path):
    (tmp_path / "a.heics").write_bytes(b"\0\0\0\x1cftyphevc\0\0\0\0msf1hevciso8" + bytes(200))
    with pytest.raises(VideoError, match="sequence of HEIF"):
        read_video(tmp_path / "a.heics")
