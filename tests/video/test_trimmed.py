"""Of a trimmed video, every frame that is shown is read, and right, wherever the cut lies."""

import av
import numpy as np
import pytest
from reference.edit_lists import show_parts
from reference.encoded_videos import NUM_FRAMES, encode, numbers

from mcvd.video.decoders.base import VideoError
from mcvd.video.open import open_video

KINDS = {
    "keys only": (0, {"g": "1"}),
    "no B-frames": (0, {"g": "7"}),
    "B-frames": (2, {"g": "12", "x264-params": "scenecut=0"}),
    "many B-frames": (4, {"g": "9", "x264-params": "scenecut=0:b-adapt=0"}),
    "open groups": (3, {"g": "12", "x264-params": "open-gop=1:scenecut=0:b-adapt=0"}),
    "one key": (3, {"g": "250", "x264-params": "scenecut=0"}),
}


@pytest.fixture(scope="module", params=KINDS)
def whole(request, tmp_path_factory):
    b_frames, options = KINDS[request.param]
    return encode(tmp_path_factory.mktemp("whole") / "whole.mp4", b_frames=b_frames, options=options)


def parts(whole, path, *shown):
    return show_parts(whole, path, shown, ticks_per_frame=12800 // 25, movie_ticks_per_frame=1000 // 25)


def part(whole, path, start, count):
    return parts(whole, path, (start, count))


def test_every_cut_equals_a_sequential_decode(whole, tmp_path):
    for start in range(NUM_FRAMES - 1):
        count = min(1 + start * 5 % 17, NUM_FRAMES - start)
        with open_video(part(whole, tmp_path / "cut.mp4", start, count)) as reader:
            shown = numbers(reader.read(range(reader.num_frames)))
            assert shown == list(range(start, start + count))
            np.testing.assert_allclose(reader.times_seconds, np.arange(count) / 25, atol=1e-6)
        with open_video(tmp_path / "cut.mp4") as reader:
            for frame in range(count - 1, -1, -3):
                assert numbers(reader.read([frame])) == [start + frame]


@pytest.mark.parametrize(
    "shown", [((5, 10), (25, 10)), ((25, 10), (5, 10)), ((5, 10), (5, 10)), ((30, 9), (31, 4), (0, 2))]
)
def test_parts_are_read_in_the_order_of_the_edit_list(whole, tmp_path, shown):
    path = parts(whole, tmp_path / "cut.mp4", *shown)
    expected = decoded_in_one_go(path)
    assert len(expected) >= sum(count for _, count in shown) - 2  # FFmpeg drops B-frames at a seam
    with open_video(path) as reader:
        assert reader.num_frames == len(expected) and (np.diff(reader.times_seconds) > 0).all()
        for frame in range(len(expected) - 1, -1, -4):
            assert numbers(reader.read([frame])) == [expected[frame]]
        assert numbers(reader.read(range(len(expected)))) == expected


def decoded_in_one_go(path):
    """The numbers that the frames show as FFmpeg alone decodes them from the start."""
    with av.open(str(path)) as container:
        pictures = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    return [int((picture[32, 4::8, 0] > 127) @ 2 ** np.arange(8)) for picture in pictures]


def test_a_cut_between_two_frames_is_where_ffmpeg_makes_it(whole, tmp_path):
    for start in (0.5, 6.25, 13.9, 24.5):
        path = part(whole, tmp_path / "cut.mp4", start, 10)
        expected = decoded_in_one_go(path)
        with open_video(path) as reader:
            assert numbers(reader.read(range(reader.num_frames))) == expected


@pytest.mark.parametrize("engine", ["decord", "torchcodec"])
def test_another_engine_reads_a_cut_right_or_refuses_it(whole, tmp_path, engine):
    pytest.importorskip(engine)
    for start in range(0, NUM_FRAMES - 1, 3):
        path = part(whole, tmp_path / "cut.mp4", start, min(11, NUM_FRAMES - start))
        count = min(11, NUM_FRAMES - start)
        try:
            with open_video(path, engine) as reader:
                for order in (range(count), range(count - 1, -1, -1)):
                    assert numbers(reader.read(order)) == [start + frame for frame in order]
        except VideoError as refusal:
            assert 'engine="pyav"' in str(refusal)
        except ImportError as missing:
            pytest.skip(str(missing))
