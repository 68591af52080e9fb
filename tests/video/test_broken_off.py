"""Files that break off, begin in the middle, or have no times: what is in them is read, and the rest is told."""

import av
import pytest
from reference.encoded_videos import NUM_FRAMES, encode, numbers

from mcvd.data.probe import probe
from mcvd.video.decoders.frame_index import FrameIndex, Packet
from mcvd.video.open import open_video
from mcvd.video.read import read_video
from mcvd.video.survey import survey

_PACKET_HEADS_BYTES = 32  # of GXF, before the content of a packet


@pytest.fixture(scope="module")
def broken_off(tmp_path_factory):
    """A file in whose middle the demultiplexer fails, after 22 packets, while the decoder still holds a frame."""
    path = encode(tmp_path_factory.mktemp("broken") / "film.gxf", "mpeg2video", 2, {"g": "12"}, size=(576, 720))
    with av.open(str(path)) as container:
        places = [packet.pos for packet in container.demux(container.streams.video[0]) if packet.size]
    content, end = path.read_bytes(), places[22] - _PACKET_HEADS_BYTES
    path.write_bytes(content[:end] + bytes(len(content) - end))
    return path


def test_what_the_decoder_still_holds_where_a_file_breaks_off_is_read(broken_off):
    with av.open(str(broken_off)) as container, pytest.raises(av.FFmpegError):
        sequential = 0
        for frame in container.decode(container.streams.video[0]):
            sequential += frame.width == 720
    assert sequential == 21
    with pytest.warns(UserWarning, match=r"film\.gxf: it breaks off \(.+\): read as far as its packet 22"):
        reader = open_video(broken_off)
    with reader:
        assert numbers(reader.read(range(reader.num_frames))) == list(range(22))
        assert numbers(reader.read([21, 0, 20])) == [21, 0, 20]


def test_a_file_that_breaks_off_is_looked_through_as_it_is_read(broken_off):
    assert survey(broken_off).sizes == ((576, 720),)
    found = probe(broken_off)
    assert (found.fault, len(found.times)) == ("", 22)


def test_pictures_before_the_first_key_frame_are_left_out_and_counted(tmp_path):
    path = encode(tmp_path / "film.ts", "mpeg2video", 0, {"g": "12"})
    with av.open(str(path)) as container:
        places = [packet.pos for packet in container.demux(container.streams.video[0]) if packet.size]
    tables, content = path.read_bytes()[: 188 * 3], path.read_bytes()
    path.write_bytes(tables + content[places[5] :])
    with pytest.warns(UserWarning, match=r"film\.ts: pictures before its first key frame .*: 7 left out"):
        assert numbers(read_video(path)) == list(range(12, NUM_FRAMES))


def test_frames_of_raw_streams_follow_each_other_without_a_gap():
    """FATE's sony-ct3: pictures of two and three fields, in units of 1/60 s; FFmpeg 8 has the last one at 16."""
    facts = [(2, 0, 2), (4, 2, 3), (9, 4, 3), (7, 7, 2), (16, 9, 2), (12, 12, 2), (14, 14, 3)]
    packets = [Packet(pts, dts, duration, 100, place == 0, True) for place, (pts, dts, duration) in enumerate(facts)]
    index = FrameIndex.of(packets, 1 / 60, closes_jumps=False, are_counted=True)
    assert index.ticks.tolist() == [2, 4, 7, 9, 12, 14, 17] and index.labels == (2, 4, 7, 9, 12, 14, 16)
    assert FrameIndex.of(packets, 1 / 60, closes_jumps=False).ticks.tolist() == [2, 4, 7, 9, 12, 14, 16]
