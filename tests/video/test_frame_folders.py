"""Folders of pictures: which are frames of one video, at which rate, of which depth."""

import numpy as np
import pytest
from PIL import Image
from reference.pictures import numbered, numbers, write_numbered

from mcvd.data.clips.spec import ClipSpec
from mcvd.data.datamodule import VideoData
from mcvd.data.sources.cached import CachedVideos
from mcvd.data.sources.folder import VideoFolder
from mcvd.video.decoders.base import VideoError
from mcvd.video.find import find_videos
from mcvd.video.open import open_video
from mcvd.video.read import read_video
from mcvd.video.timing import frames_around, frames_at_rate
from mcvd.video.write import write_video


def steps(video):
    return set(np.diff(numbers(video)).tolist())


def grey_stack(folder, values):
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(3):
        Image.fromarray(values).save(folder / f"{number}.png")
    return folder


def test_a_rate_that_nobody_told_is_that_at_which_the_pictures_are_read(tmp_path):
    write_numbered(tmp_path / "a", [f"{number:04}.png" for number in range(20)])
    for rate in (10, 25, None):
        assert numbers(read_video(tmp_path / "a", frame_rate_hz=rate)) == list(range(20))
    with open_video(tmp_path / "a") as reader:
        assert reader.frame_rate_hz is None
        assert frames_at_rate(reader.times, 10.0).tolist() == list(range(20))
        assert frames_around(reader.times, 10, 7.0, range(-2, 3)) == [8, 9, 10, 11, 12]
    videos = VideoFolder(tmp_path)
    spec = ClipSpec(num_frames=5, size=(32, 64), frame_rate_hz=10)
    assert list(spec.frames(videos.frame_times(0), 3)) == [3, 4, 5, 6, 7]
    assert spec.count_clips(videos.frame_times(0)) == 4
    every_second = ClipSpec(num_frames=3, size=(32, 64), frame_rate_hz=10, stride=2)
    assert list(every_second.frames(videos.frame_times(0), 3)) == [3, 5, 7]


@pytest.mark.parametrize("rate", [None, 10])
def test_training_takes_every_picture_as_reading_does(tmp_path, rate):
    for name in "ab":
        write_numbered(tmp_path / name, [f"{number:04}.png" for number in range(20)])
    data = VideoData(tmp_path, num_frames=5, size=(32, 64), frame_rate_hz=rate, num_workers=0)
    if rate is None:
        with pytest.warns(UserWarning, match="2 of 2 videos tell no frame rate .*the model will not know one"):
            data.setup("fit")
    else:
        data.setup("fit")
    assert data.frame_rate_hz == rate
    assert steps(data.val_clips[0]["video"]) == {1}


@pytest.mark.parametrize("place", ["a/frames.yaml", "frames.yaml"])
def test_a_rate_that_is_stated_holds_at_every_door(tmp_path, place):
    write_numbered(tmp_path / "a", [f"{number:04}.png" for number in range(60)])
    (tmp_path / place).write_text("frame_rate_hz: 30")
    assert numbers(read_video(tmp_path / "a", frame_rate_hz=10)) == list(range(0, 60, 3))
    with open_video(tmp_path / "a", frame_rate_hz=7) as reader:
        assert reader.frame_rate_hz == pytest.approx(30)
    data = VideoData(tmp_path, num_frames=5, size=(32, 64), frame_rate_hz=10, num_workers=0)
    data.setup("fit")
    assert steps(data.val_clips[0]["video"]) == {3}


@pytest.mark.parametrize(
    "text", ["frame_rate_hz: -1", "frame_rate_hz: fast", "range: [5, 5]", "range: 7", "rate: 3", "7"]
)
def test_a_statement_that_cannot_hold_is_refused(tmp_path, text):
    write_numbered(tmp_path / "a", ["0.png", "1.png"])
    (tmp_path / "a/frames.yaml").write_text(text)
    with pytest.raises(ValueError, match=r"frames\.yaml"):
        read_video(tmp_path / "a")


def test_pictures_without_a_rate_follow_the_films_beside_them(tmp_path):
    write_numbered(tmp_path / "pictures", [f"{number:04}.png" for number in range(24)])
    for name in ("a.mp4", "b.mp4"):
        write_video(tmp_path / name, read_video(tmp_path / "pictures"), fps=20)
    data = VideoData(tmp_path, num_frames=5, size=32, num_workers=0)
    with pytest.warns(UserWarning, match=r"1 of 3 videos tell no frame rate \(pictures\): their frames count as 20 Hz"):
        data.setup("fit")
    assert data.frame_rate_hz == 20


def test_the_name_before_the_number_tells_the_video(tmp_path):
    write_numbered(tmp_path / "day", [f"{name}_{number:03}.png" for name in "BA" for number in (2, 0, 1)])
    write_numbered(tmp_path / "city", [f"u_0{place}_00{n}_left8.png" for place in (1, 2) for n in (1, 2, 3)])
    assert [path.relative_to(tmp_path).as_posix() for path in find_videos(tmp_path)] == [
        "city/u_01_*",
        "city/u_02_*",
        "day/A_*",
        "day/B_*",
    ]
    videos = VideoFolder(tmp_path)
    assert [numbers(videos.read(index, [0, 1, 2], (32, 64))) for index in (2, 3)] == [[4, 5, 3], [1, 2, 0]]
    assert numbers(read_video(tmp_path / "day/B_*")) == [1, 2, 0]
    assert videos.num_bytes(2) > 0
    with pytest.raises(VideoError, match=r"day: holds 2 sequences of pictures, A_\* \(3\), B_\* \(3\); name one"):
        read_video(tmp_path / "day")
    cached = CachedVideos(videos, tmp_path / "cache", size=(32, 64))
    cached.prepare()
    assert cached.num_cached == 4
    assert [numbers(cached.read(index, [0, 1, 2], (32, 64))) for index in (2, 3)] == [[4, 5, 3], [1, 2, 0]]


@pytest.mark.parametrize(
    "names",
    [
        ["1305031102.175304.png", "1305031103.005304.png", "1305031103.205304.png"],
        ["2011-09-26_13-02-59.png", "2011-09-26_13-03-00.png", "2011-09-26_13-03-01.png"],
        ["frame1_t0.00.png", "frame2_t0.03.png", "frame10_t0.06.png"],
    ],
)
def test_times_within_names_are_one_number(tmp_path, names):
    assert numbers(read_video(write_numbered(tmp_path / "a", names))) == [0, 1, 2]
    assert list(find_videos(tmp_path)) == [tmp_path / "a"]


@pytest.mark.parametrize("other", ["{}.png", "{}_mask.jpg"])
def test_two_pictures_of_one_number_are_refused_until_one_kind_is_named(tmp_path, other):
    folder = write_numbered(tmp_path / "clip", [f"{number:05}.jpg" for number in range(4)])
    for number in range(4):
        numbered(255).save(folder / other.format(f"{number:05}"))
    with pytest.raises(
        VideoError, match=r"00000.* have the same number \(frames and masks\?\).* name one kind: .*\*\.jpg"
    ):
        read_video(folder)
    with (
        pytest.warns(UserWarning, match="left out: .*same number"),
        pytest.raises(ValueError, match="no readable video"),
    ):
        VideoFolder(tmp_path)
    assert numbers(read_video(folder / other.format("*"))) == [255] * 4


def test_numbers_that_are_left_out_are_told(tmp_path):
    write_numbered(tmp_path / "a", [f"{number}.png" for number in (0, 2, 4, 6, 12, 14)])
    with pytest.warns(UserWarning, match="numbers of its pictures jump from 6 to 12"):
        assert numbers(read_video(tmp_path / "a")) == list(range(6))


def test_pictures_of_another_kind_beside_the_frames_are_told(tmp_path):
    write_numbered(tmp_path / "a", ["0.png", "1.png", "2.png", "cover.png", "poster1.png"])
    with (
        pytest.warns(UserWarning, match=r"cover\.png: left out"),
        pytest.warns(UserWarning, match=r"poster1\.png: left out"),
    ):
        assert numbers(read_video(tmp_path / "a")) == [0, 1, 2]


def test_pictures_of_two_sizes_are_refused_on_opening(tmp_path):
    write_numbered(tmp_path / "a", [f"{number}.png" for number in range(5)])
    numbered(1, (16, 64)).save(tmp_path / "a/3.png")
    with pytest.raises(VideoError, match=r"3\.png: is 64x16, the first frame of the folder is 64x32"):
        open_video(tmp_path / "a")


def test_pictures_of_phones_are_turned_upright(tmp_path):
    for number in range(3):
        exif = Image.Exif()
        exif[0x0112] = 6  # a quarter to the right
        numbered(number).save(tmp_path / f"{number}.jpg", exif=exif, quality=95)
    with open_video(tmp_path) as reader:
        assert reader.size == (64, 32)
        assert numbers(reader.read(range(3)).permute(0, 1, 3, 2)) == [0, 1, 2]


def test_sixteen_bits_keep_their_content_where_their_range_is_stated(tmp_path):
    values = np.linspace(0, 4000, 32 * 32).reshape(32, 32).astype(np.uint16)
    folder = grey_stack(tmp_path / "a", values)
    with pytest.warns(
        UserWarning, match=r"values from 0 to 4000, of which 16 grey levels are left.*range: \[0, 4000\]"
    ):
        assert len(read_video(folder)[0, 0].unique()) == 16
    (folder / "frames.yaml").write_text("range: [0, 4000]")
    expected = np.round(255.0 * values / 4000.0)
    assert np.array_equal(read_video(folder, channels=1)[1, 0].numpy(), expected)
    full = np.linspace(0, 65535, 32 * 32).reshape(32, 32).astype(np.uint16)
    assert np.array_equal(read_video(grey_stack(tmp_path / "b", full))[0, 0].numpy(), full >> 8)


def test_sixteen_bits_of_colour_are_scaled_too(tmp_path):
    import av

    values = np.stack([np.linspace(0, top, 32 * 32).reshape(32, 32) for top in (4000, 2000, 1000)], -1).astype(
        np.uint16
    )
    for name in ("0.png", "1.png"):
        with av.open(str(tmp_path / name), "w", format="image2", options={"update": "1"}) as container:
            stream = container.add_stream("png", rate=1)
            stream.width, stream.height, stream.pix_fmt = 32, 32, "rgb48be"
            frame = av.VideoFrame.from_ndarray(values, format="rgb48le").reformat(format="rgb48be")
            container.mux(stream.encode(frame))
            container.mux(stream.encode())
    with pytest.warns(UserWarning, match="16 grey levels are left"):
        read_video(tmp_path)
    (tmp_path / "frames.yaml").write_text("range: [0, 4000]")
    assert np.array_equal(read_video(tmp_path)[0].permute(1, 2, 0).numpy(), np.round(255.0 * values / 4000.0))


def test_a_tiff_that_declares_its_range_needs_no_statement(tmp_path):
    values = np.linspace(0, 4095, 32 * 32).reshape(32, 32).astype(np.uint16)
    for number in range(2):
        Image.fromarray(values).save(tmp_path / f"{number}.tif", tiffinfo={281: 4095})
    assert np.array_equal(read_video(tmp_path, channels=1)[0, 0].numpy(), np.round(255.0 * values / 4095.0))
