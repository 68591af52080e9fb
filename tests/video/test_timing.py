"""When frames are shown, from the first to the end of the last, whatever single time stamps say."""

from fractions import Fraction

import av
import numpy as np
import pytest
import torch
from PIL import Image
from reference.encoded_videos import NUM_FRAMES, encode, numbers

from mcvd.data.clips.spec import ClipSpec
from mcvd.data.probe import describe_probes, probe
from mcvd.data.sources.folder import VideoFolder
from mcvd.data.sources.split import VideoSubset
from mcvd.video.decoders.frame_index import rising
from mcvd.video.open import open_video
from mcvd.video.read import read_video
from mcvd.video.timing import FrameTimes, frames_around, frames_at_rate, rate_of_repeated
from mcvd.video.write import write_video


def with_stamps(path, ticks, tick=Fraction(1, 1000), durations=None, **options):
    """A video whose packets bear these time stamps, in the order of the frames."""
    encode(source := path.with_name("source.mkv"), **options)
    with av.open(str(source)) as given, av.open(str(path), "w") as container:
        stream = container.add_stream_from_template(given.streams.video[0])
        packets = [packet for packet in given.demux(video=0) if packet.size]
        for number, packet in enumerate(packets[: len(ticks)]):
            packet.stream, packet.time_base = stream, tick
            packet.pts = packet.dts = ticks[number]
            packet.duration = durations[number] if durations else 0
            container.mux(packet)
    return path


def test_the_last_frame_is_shown_as_long_as_the_file_says(tmp_path):
    pictures = [Image.new("RGB", (16, 8), (80 * number, 0, 0)) for number in range(3)]
    pictures[0].save(tmp_path / "a.gif", save_all=True, append_images=pictures[1:], duration=[100, 100, 3000])
    pictures[0].save(tmp_path / "one.gif", save_all=True, duration=[700])
    with open_video(tmp_path / "a.gif") as reader:
        assert reader.times.end == pytest.approx(3.2) and reader.frame_rate_hz == pytest.approx(3 / 3.2)
        assert frames_around(reader.times, 1, 10, range(-2, 4)) == [0, 1, 2, 2, 2]
    assert len(read_video(tmp_path / "a.gif", frame_rate_hz=10)) == 32
    assert len(read_video(tmp_path / "one.gif", frame_rate_hz=10)) == 7

    videos, spec = VideoFolder(tmp_path), ClipSpec(num_frames=10, size=(8, 8), frame_rate_hz=10)
    assert videos.frame_times(0).end == pytest.approx(3.2)
    assert spec.frames(videos.frame_times(0), 1) == [1] + 9 * [2]
    assert spec.count_starts(videos.frame_times(0)) == 3
    assert VideoSubset(videos, [(0, 1, 3)]).frame_times(0).end == pytest.approx(3.1)
    assert VideoSubset(videos, [(0, 0, 2)]).frame_times(0).end == pytest.approx(0.2)
    probes = [probe(tmp_path / "a.gif"), probe(tmp_path / "one.gif")]
    assert "durations: 0.70 to 3.20 s, median 1.95 s, 0.00 h in all" in describe_probes(probes, spec)


@pytest.mark.parametrize("fps", [3, 7, 12, 15, 24, 30, 33, 50])
def test_frames_written_as_gif_come_back_at_their_rate(tmp_path, fps):
    clip = torch.zeros(30, 3, 64, 64, dtype=torch.uint8)
    for number in range(30):
        for bit in range(8):
            clip[number, :, :, 8 * bit : 8 * bit + 8] = 255 * (number >> bit & 1)
    clip[20:25] = clip[20]  # frames that are equal
    clip[-3:] = clip[-1]
    write_video(tmp_path / "a.gif", clip, fps)
    assert numbers(read_video(tmp_path / "a.gif", frame_rate_hz=fps)) == numbers(clip)
    assert numbers(read_video(tmp_path / "a.gif")) == numbers(clip)
    with Image.open(tmp_path / "a.gif") as seen_by_another:
        assert seen_by_another.n_frames == 30
    videos = VideoFolder(tmp_path)
    assert frames_at_rate(videos.frame_times(0), fps).size == 30


def test_one_picture_that_stays_is_every_frame_of_its_gif(tmp_path):
    for size in ((8, 8), (65, 33)):
        write_video(tmp_path / "still.gif", torch.full((7, 1, *size), 130, dtype=torch.uint8), fps=10)
        video = read_video(tmp_path / "still.gif")
        assert len(video) == 7 and (video == 130).all()
        assert len(read_video(tmp_path / "still.gif", frame_rate_hz=10)) == 7


def test_a_last_frame_of_mp4_and_mkv_keeps_its_duration(tmp_path):
    ticks = [100 * number for number in range(10)]
    for name in ("long.mp4", "long.mkv"):
        with_stamps(tmp_path / name, ticks, durations=9 * [100] + [2500])
        with open_video(tmp_path / name) as reader:
            assert reader.times.end == pytest.approx(3.4, abs=2e-3)
            assert len(frames_at_rate(reader.times, 10)) == 34


def test_times_that_are_equal_are_spread_and_the_others_kept(tmp_path):
    ticks = [100 * number for number in range(20)] + [2000 + 30 * number for number in range(20)]
    ticks[25] = ticks[24]
    with open_video(with_stamps(tmp_path / "a.mkv", ticks)) as reader:
        expected = np.array(ticks) / 1000
        expected[25] = (ticks[24] + ticks[26]) / 2000
        np.testing.assert_allclose(reader.times_seconds, expected, atol=1e-9)
        assert numbers(reader.read(range(NUM_FRAMES))) == list(range(NUM_FRAMES))
        assert numbers(reader.read([39, 25, 24, 3])) == [39, 25, 24, 3]


def test_more_frames_than_ticks_are_spread_evenly(tmp_path):
    ticks = np.arange(NUM_FRAMES) // 4
    with open_video(with_stamps(tmp_path / "fast.mkv", ticks.tolist(), options={"g": "8"})) as reader:
        np.testing.assert_allclose(reader.times_seconds, np.arange(NUM_FRAMES) / 4000, atol=1e-9)
        for number in (39, 17, 2):
            assert numbers(reader.read([number])) == [number]
    assert rising([0, 10, 10, 30, 30]).tolist() == [0, 10, 20, 30, 37.5]
    assert rising([5, 5]).tolist() == [5, 5.5]


@pytest.mark.filterwarnings("ignore:.*its clock jumps")
@pytest.mark.parametrize("ahead", [1000, -1])
@pytest.mark.parametrize("b_frames", [0, 2])
def test_joined_recordings_follow_each_other_without_a_pause(tmp_path, ahead, b_frames):
    options = {"b_frames": b_frames, "options": {"g": "10"}}
    parts = []
    for name, start in (("a.ts", 25 * 10), ("b.ts", 25 * (10 + ahead))):
        times = [start + number for number in range(NUM_FRAMES)]
        parts.append(encode(tmp_path / name, times=times, **options).read_bytes())
    joined = tmp_path / "ab.ts"
    joined.write_bytes(b"".join(parts))
    with open_video(joined) as reader:
        assert reader.num_frames == 2 * NUM_FRAMES
        np.testing.assert_allclose(reader.times_seconds, np.arange(2 * NUM_FRAMES) / 25, atol=1e-3)
        assert reader.frame_rate_hz == pytest.approx(25)
        assert len(reader.notes) == 1 and f"before frame {NUM_FRAMES}" in reader.notes[0]
        assert numbers(reader.read(range(2 * NUM_FRAMES))) == 2 * list(range(NUM_FRAMES))
        assert numbers(reader.read([65, 12, 79, 40, 39])) == [25, 12, 39, 0, 39]
    with pytest.warns(UserWarning, match=r"ab\.ts: its clock jumps by"):
        VideoFolder(joined)


def test_a_pause_in_a_format_with_one_clock_stays(tmp_path):
    ticks = [40 * number for number in range(20)] + [60_000 + 40 * number for number in range(20)]
    with open_video(with_stamps(tmp_path / "pause.mkv", ticks)) as reader:
        assert reader.times_seconds[20] == pytest.approx(60) and reader.notes == ()


def test_frame_times_have_an_end():
    times = FrameTimes(np.array([0.0, 0.1, 0.2]), 0.5)
    assert (times.duration_seconds, times.part(1, 3).end, times.part(0, 1).end) == (0.5, 0.4, 0.1)
    assert times.last_seconds == pytest.approx(0.3) and times.rate_hz == pytest.approx(6)
    assert FrameTimes.of(np.arange(5) / 10).end == pytest.approx(0.5)
    assert FrameTimes.of(np.zeros(1), 4.0).end == 0.25
    with pytest.raises(ValueError, match="cannot end"):
        FrameTimes(np.array([0.0, 1.0]), 1.0)


def test_frames_are_repeated_by_videos_that_are_slower_not_by_pictures_that_stay():
    slow, steady = FrameTimes.of(np.arange(10) / 4), FrameTimes(np.array([0.0, 0.1, 0.2, 3.2]), end=3.3)
    assert rate_of_repeated(slow, 10.0, frames_at_rate(slow, 10.0).tolist()) == 4
    assert rate_of_repeated(slow, 4.0, frames_at_rate(slow, 4.0).tolist()) is None
    assert rate_of_repeated(slow, 10.0, [2, 4, 5]) is rate_of_repeated(slow, None, [1, 1]) is None
    assert rate_of_repeated(steady, 10.0, frames_at_rate(steady, 10.0).tolist()) is None


def test_reading_a_slower_video_warns(tmp_path):
    path = tmp_path / "slow.mp4"
    write_video(path, torch.zeros(8, 3, 16, 16, dtype=torch.uint8), fps=5)
    with pytest.warns(UserWarning, match=r"slow.mp4 has 5 frames per second and is read at 10: .* frame_rate_hz=None"):
        read_video(path, frame_rate_hz=10)
