"""Opening lists packets and decodes nothing, unless they leave in doubt with which frame the video begins."""

import shutil
from fractions import Fraction

import av
import numpy as np
import pytest
from reference.encoded_videos import KINDS, encode, numbers

from mcvd.data.sources.folder import VideoFolder
from mcvd.video.decoders.base import VideoError
from mcvd.video.decoders.packet_list import _is_hidden_vp9
from mcvd.video.open import open_reader, open_video

CLEAN = {"long_group.mp4", "open_group.mp4", "open_group.mkv", "intra_refresh.mkv", "motion_jpeg.avi"}


@pytest.mark.parametrize("name", [name for name in KINDS if name != "alternate_references.webm"])
def test_what_is_told_before_decoding_is_what_decoding_finds(tmp_path, name):
    codec, b_frames, options = KINDS[name]
    with open_reader(encode(tmp_path / name, codec, b_frames, options), "pyav") as reader:
        assert reader._has_begun is (name not in CLEAN)
        told, notes = reader.times, reader.notes
        assert reader.size == (64, 64) and reader.notes == notes
        np.testing.assert_array_equal(reader.times.starts, told.starts)
        assert (reader.times.end, reader.times.tick_seconds) == (told.end, told.tick_seconds)
        assert numbers(reader.read(range(reader.num_frames))) == list(range(40))


def cut_behind_the_start(path, out):
    """The file from its second key packet on, as `ffmpeg -ss ... -c copy` cuts it."""
    with av.open(str(path)) as source, av.open(str(out), "w") as target:
        packets = [packet for packet in source.demux(video=0) if packet.size]
        stream = target.add_stream_from_template(source.streams.video[0])
        first = [place for place, packet in enumerate(packets) if packet.is_keyframe][1]
        for packet in packets[first:]:
            packet.stream = stream
            target.mux(packet)
    return len(packets) - first


@pytest.mark.parametrize("name", ["intra_refresh.mkv", "open_group.mkv"])
def test_a_key_frame_that_is_none_is_decoded_on_opening(tmp_path, name):
    codec, b_frames, options = KINDS[name]
    left = cut_behind_the_start(encode(tmp_path / name, codec, b_frames, options), tmp_path / "cut.mkv")
    with open_reader(tmp_path / "cut.mkv", "pyav") as reader:
        assert reader._has_begun
        count = reader.num_frames
        assert 0 < count <= left
        shown = numbers(reader.read(range(count)))
        assert shown == list(range(40 - count, 40))
        assert [numbers(reader.read([frame]))[0] for frame in range(count - 1, -1, -5)] == shown[::-5]


def test_a_film_of_which_nothing_can_be_decoded_is_refused_by_open_video(tmp_path):
    content = encode(tmp_path / "a.avi", "mjpeg").read_bytes()
    (tmp_path / "a.avi").write_bytes(content.replace(b"\xff\xdb", b"\xff\x00").replace(b"\xff\xc0", b"\xff\x00"))
    with pytest.raises(VideoError, match=r"a\.avi.*no frame of 40 can be decoded"), open_video(tmp_path / "a.avi"):
        pass


def test_a_file_that_has_changed_since_it_was_looked_at_is_told(tmp_path):
    encode(tmp_path / "a.mp4")
    videos = VideoFolder(tmp_path)
    encode(tmp_path / "b.mkv", times=range(0, 80, 2), options={"g": "5"})
    with av.open(str(tmp_path / "b.mkv")) as source, av.open(str(tmp_path / "c.mp4"), "w") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in list(source.demux(video=0))[:20]:
            packet.stream = stream
            target.mux(packet)
    shutil.move(tmp_path / "c.mp4", tmp_path / "a.mp4")
    with pytest.raises(VideoError, match=r"a\.mp4: has 20 frames, other than when it was looked at"):
        videos.read(0, [0, 1], (16, 16))


def remuxed(source_path, path, packets):
    """Write packets, (content, time in frames) each, as the film of another file; all but the first need others."""
    with av.open(str(source_path)) as source, av.open(str(path), "w") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for place, (content, time) in enumerate(packets):
            packet = av.Packet(content)
            packet.pts = packet.dts = time
            packet.time_base, packet.stream, packet.is_keyframe = Fraction(1, 25), stream, place == 0
            target.mux(packet)
    return path


def contents(path):
    """What the packets of a film hold."""
    with av.open(str(path)) as container:
        return [bytes(packet) for packet in container.demux(video=0) if packet.size]


def test_references_of_vp8_that_are_never_shown_are_no_frames(tmp_path):
    films = contents(encode(tmp_path / "a.webm", "libvpx", options={"g": "40", "lag-in-frames": "0"}))
    packets, expected = [], []
    for number, content in enumerate(films):
        hidden = number in (7, 8, 21)
        # As encoders write them: at the time of the frame that comes next.
        packets.append((bytes([content[0] & ~0x10]) + content[1:] if hidden else content, len(expected)))
        expected += [] if hidden else [number]
    for order in (range(37), range(36, -1, -1)):
        with open_reader(remuxed(tmp_path / "a.webm", tmp_path / "b.webm", packets), "pyav") as reader:
            np.testing.assert_allclose(reader.times_seconds, np.arange(37) / 25, atol=1e-3)
            assert [numbers(reader.read([frame]))[0] for frame in order] == [expected[frame] for frame in order]
            assert not reader._index_is_decoded


@pytest.mark.parametrize(
    ("content", "hidden"),
    [
        (b"\x86\0\0", False),  # profile 0, no key frame, shown
        (b"\x84\0\0", True),
        (b"\x80\0\0", True),  # a key frame
        (b"\x88\0\0", False),  # shows an earlier one
        (b"\xb3\0\0", False),  # profile 3, which has a bit more
        (b"\xb2\0\0", True),
        (b"\x84\0\xc1", False),  # several frames in one packet
    ],
)
def test_references_of_vp9_are_told_from_frames(content, hidden):
    assert _is_hidden_vp9(av.Packet(content)) is hidden


def not_coded(increment):
    """A packet of MPEG-4 at 25 Hz which says that the picture stays as it is (ISO 14496-2, vop_coded 0)."""
    bits = f"0101{increment:05b}10"  # P, no whole second, marker, hundredths, marker, not coded
    bits += "0" + "1" * (-(len(bits) + 1) % 8)
    return b"\0\0\1\xb6" + int(bits, 2).to_bytes(len(bits) // 8)


def test_packets_that_leave_the_picture_as_it_is_repeat_it_at_their_time(tmp_path):
    packets, expected = [], []
    for number, content in enumerate(contents(encode(tmp_path / "a.avi", "mpeg4", options={"g": "40"}))):
        for each in [content, *[not_coded(number % 25)] * (3 if number in (5, 20) else 0)]:
            packets.append((each, len(packets)))
            expected.append(number)
    remuxed(tmp_path / "a.avi", tmp_path / "b.mkv", packets)
    for order in (range(46), range(45, -1, -1)):
        with open_video(tmp_path / "b.mkv") as reader:
            assert reader.num_frames == 46
            np.testing.assert_allclose(reader.times_seconds, np.arange(46) / 25, atol=1e-3)
            assert [numbers(reader.read([frame]))[0] for frame in order] == [expected[frame] for frame in order]


@pytest.mark.parametrize("codec", ["rawvideo", "smc", "msrle"])  # in MOV the palette comes with the first packet
def test_a_palette_that_comes_once_colours_every_frame(tmp_path, codec):
    palette = np.array([[0, 0, 0, 255], [255, 220, 10, 40]], np.uint8)  # alpha, red, green, blue
    palette = np.concatenate([palette, np.zeros((254, 4), np.uint8)])
    with av.open(str(tmp_path / "a.mov"), "w") as container:
        stream = container.add_stream(codec, rate=10, options={"g": "1"})
        stream.width, stream.height, stream.pix_fmt = 32, 16, "pal8"
        for number in range(6):
            indices = np.zeros((16, 32), np.uint8)
            indices[:, : 4 * number + 4] = 1
            container.mux(stream.encode(av.VideoFrame.from_ndarray((indices, palette), format="pal8")))
        container.mux(stream.encode())
    with open_video(tmp_path / "a.mov") as reader:
        for number in (5, 0, 3, 2):
            frame = reader.read([number])[0]
            assert frame[:, 8, 0].tolist() == [220, 10, 40] and (frame[0, 8] > 0).sum() == 4 * number + 4
