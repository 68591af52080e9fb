"""Any frame of a video, in any order, exactly."""

import gc
import os
import re
import shutil
import sys
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from PIL import Image
from reference.as_nobody import folder_for_all, told_to_nobody
from reference.encoded_videos import KINDS, NUM_FRAMES, encode, numbers

from mcvd.video.decoders.base import VideoError
from mcvd.video.decoders.color import RGBConverter
from mcvd.video.open import open_video
from mcvd.video.read import read_video
from mcvd.video.timing import frames_at_rate
from mcvd.video.transforms import covering_size


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("videos")
    for name, (codec, b_frames, options) in KINDS.items():
        encode(folder / name, codec, b_frames, options)
    return folder


@pytest.mark.parametrize("name", KINDS)
def test_every_frame_is_the_one_asked_for(folder, name):
    with open_video(folder / name) as reader:
        assert reader.num_frames == NUM_FRAMES
        assert reader.size == (64, 64)
        assert reader.frame_rate_hz == pytest.approx(25, rel=1e-3)
        np.testing.assert_allclose(reader.times_seconds, np.arange(NUM_FRAMES) / 25, atol=2e-3)
        assert numbers(reader.read(range(NUM_FRAMES))) == list(range(NUM_FRAMES))


@pytest.mark.parametrize("name", KINDS)
def test_random_access_equals_sequential_bit_for_bit(folder, name):
    with open_video(folder / name) as reader:
        sequential = reader.read(range(NUM_FRAMES))
    order = np.random.default_rng(0).integers(NUM_FRAMES, size=25).tolist()
    with open_video(folder / name) as reader:
        assert torch.equal(reader.read(order), sequential[order])
        for number in order:
            assert torch.equal(reader.read([number])[0], sequential[number])


@pytest.mark.parametrize("name", ["transport_mpeg2.ts", "open_group.ts"])
def test_a_recording_cut_in_the_middle_begins_with_its_first_whole_frame(folder, tmp_path, name):
    packets = (folder / name).read_bytes()
    cut = tmp_path / "cut.ts"
    cut.write_bytes(packets[len(packets) // 188 // 3 * 188 :])
    with open_video(cut) as reader:
        shown = numbers(reader.read(range(reader.num_frames)))
        assert 0 < shown[0] < NUM_FRAMES - 1
        assert shown == list(range(shown[0], NUM_FRAMES))
        assert numbers(reader.read([reader.num_frames - 1])) == [NUM_FRAMES - 1]


def test_reading_on_does_not_seek_again(folder, monkeypatch):
    with open_video(folder / "long_group.mp4") as reader:
        reader.read([1])
        begin_again = []
        monkeypatch.setattr(reader, "_packets_from", begin_again.append)
        for number in range(2, NUM_FRAMES):
            assert numbers(reader.read([number])) == [number]
        assert begin_again == []


def resident_bytes():
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_pictures_leave_memory_as_soon_as_they_were_read(tmp_path):
    path = encode(tmp_path / "large.mp4", size=(480, 640))  # 0.46 MB a picture, 18 MB all of them

    def read_all():
        with open_video(path) as reader:
            for number in range(NUM_FRAMES):
                reader.read([number], cover=(32, 32))

    read_all()
    # Python collects circles when enough objects were made, and knows nothing of the pictures that hang on them.
    gc.collect()
    gc.disable()
    try:
        before = resident_bytes()
        for _ in range(10):
            read_all()
        assert resident_bytes() - before < 30e6
    finally:
        gc.enable()


def test_frames_shown_for_unequal_times_are_read_by_time(tmp_path):
    # Shown at 0, 2, 4, ... then, from the 20th, at every 25th of a second.
    times = [2 * number if number < 20 else 20 + number for number in range(NUM_FRAMES)]
    path = encode(tmp_path / "variable.mkv", times=times)
    with open_video(path) as reader:
        np.testing.assert_allclose(reader.times_seconds, np.array(times) / 25, atol=2e-3)
    video = read_video(path, frame_rate_hz=25)
    assert numbers(video)[:45] == [*np.arange(40) // 2, 20, 21, 22, 23, 24]
    assert numbers(read_video(path, frame_rate_hz=12.5))[:22] == [*range(20), 20, 22]


def test_a_covering_frame_keeps_its_aspect(tmp_path):
    path = encode(tmp_path / "wide.mp4", size=(64, 128))
    with open_video(path) as reader:
        assert reader.read([3, 3], cover=(32, 32)).shape == (2, 3, 32, 64)
        assert reader.read([3], cover=(32, 96)).shape == (1, 3, 48, 96)
        assert numbers(reader.read([3, 9], cover=(24, 24))) == [3, 9]
    assert covering_size((100, 60), (128, 128)) == (213, 128)


def test_size_crops_the_centre_and_channels_make_grey(tmp_path):
    path = encode(tmp_path / "wide.mp4", size=(64, 128))
    whole = read_video(path)
    assert torch.equal(read_video(path, size=64), whole[..., 32:96])
    grey = read_video(path, size=(32, 48), channels=1, start=5, num_frames=3)
    assert grey.shape == (3, 1, 32, 48) and grey.dtype == torch.uint8
    assert numbers(read_video(path, start=5, num_frames=3)) == [5, 6, 7]


@pytest.mark.parametrize("matrix", ["bt709", "bt470bg"])
@pytest.mark.parametrize("full_range", [False, True])
def test_the_declared_colours_are_used(tmp_path, matrix, full_range):
    colour = np.array([200, 60, 30], np.uint8)
    path = tmp_path / "colour.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"x264-params": f"crf=1:colormatrix={matrix}"})
        stream.codec_context.color_range = 2 if full_range else 1
        stream.width, stream.height, stream.pix_fmt = 32, 32, "yuv444p"
        luma_red, luma_blue = (0.2126, 0.0722) if matrix == "bt709" else (0.299, 0.114)
        red, green, blue = colour.astype(float)
        luma = luma_red * red + (1 - luma_red - luma_blue) * green + luma_blue * blue
        planes = [luma, (blue - luma) / (2 - 2 * luma_blue) + 128, (red - luma) / (2 - 2 * luma_red) + 128]
        if not full_range:
            planes = [16 + planes[0] * 219 / 255, *(128 + (plane - 128) * 224 / 255 for plane in planes[1:])]
        pixels = np.stack([np.full((32, 32), round(plane), np.uint8) for plane in planes])
        container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="yuv444p")))
        container.mux(stream.encode())
    shown = read_video(path).float().mean(dim=(0, 2, 3))
    assert (shown - torch.tensor(colour).float()).abs().max() < 4


FORMATS = ("yuv420p", "yuvj420p", "yuv422p", "nv12", "yuv444p", "yuv420p10le", "gray", "rgb24")


@pytest.mark.parametrize("pixels", FORMATS)
@pytest.mark.parametrize("color_range", [1, 2])
def test_scaling_keeps_all_colours_in_every_format(pixels, color_range):
    down, right = np.mgrid[0:120, 0:160] / 25
    waves = [np.sin(down + 0.3 * right), np.cos(right - down), np.sin(2 * right) * np.cos(down)]
    picture = (127.5 + 100 * np.stack(waves if pixels != "gray" else waves[:1] * 3, axis=-1)).round().astype(np.uint8)
    frame = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format=pixels, dst_color_range=color_range)
    # swscale makes grey of full range, whatever it is asked for.
    frame.color_range = 2 if pixels == "gray" else color_range
    to_rgb, whole = RGBConverter(), torch.from_numpy(picture).permute(2, 0, 1)[None].double()
    for size in ((64, 85), (33, 47), (150, 201), (60, 80)):
        scaled = torch.nn.functional.interpolate(whole, size, mode="bicubic", antialias=True)[0].permute(1, 2, 0)
        error = (torch.from_numpy(to_rgb(frame, size).copy()) - scaled).abs()
        assert error.mean() < 1.5 and error.max() < 7


def test_frames_in_a_folder_come_in_natural_order(tmp_path):
    for number in (10, 9, 8, 7):
        Image.new("RGB", (8, 6), (number, 0, 0)).save(tmp_path / f"frame{number}.png")
    Image.new("RGBA", (8, 6), (255, 255, 255, 0)).save(tmp_path / "frame11.png")
    (tmp_path / "notes.txt").write_text("not a frame")
    with open_video(tmp_path, frame_rate_hz=5) as reader:
        assert reader.read(range(5))[:, 0, 0, 0].tolist() == [7, 8, 9, 10, 0]
        assert (reader.size, reader.frame_rate_hz) == ((6, 8), 5.0)
        assert reader.times_seconds.tolist() == pytest.approx([0, 0.2, 0.4, 0.6, 0.8])


def test_frames_at_rate_are_those_on_display():
    milliseconds = np.round(np.arange(30) / 30, 3)
    assert frames_at_rate(milliseconds, 30.0).tolist() == list(range(30))
    assert frames_at_rate(milliseconds, 15.0, start=1).tolist() == list(range(1, 30, 2))
    assert frames_at_rate(milliseconds, 10.0, num_frames=4).tolist() == [0, 3, 6, 9]
    assert frames_at_rate(np.array([0.0, 0.1]), 20.0).tolist() == [0, 0, 1, 1]
    assert frames_at_rate(np.array([0.0, 0.5, 0.6]), 10.0, num_frames=6).tolist() == [0, 0, 0, 0, 0, 1]
    assert frames_at_rate(np.zeros(1), 25.0).tolist() == [0]


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="counts descriptors in /proc")
def test_no_descriptor_is_left_open(folder, tmp_path):
    bad = tmp_path / "bad.mp4"
    bad.write_bytes((folder / "long_group.mp4").read_bytes()[:200])
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(25):
        with open_video(folder / "transport.ts") as reader:
            reader.read([30, 3], cover=(8, 8))
        with pytest.raises(VideoError):
            open_video(bad)
    assert len(os.listdir("/proc/self/fd")) == before


def test_faults_are_one_line_that_names_the_file(folder, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"absent\.mp4"):
        read_video(tmp_path / "absent.mp4")
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "text.mp4").write_text("this is no video\n" * 50)
    (tmp_path / "frameless").mkdir()
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "0.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    os.mkfifo(tmp_path / "pipe.mp4")
    for name in ("empty.mp4", "text.mp4", "frameless", "broken", "pipe.mp4"):
        with pytest.raises(VideoError, match=name) as fault:
            read_video(tmp_path / name)
        assert "\n" not in str(fault.value)
    with (
        pytest.raises(VideoError, match=r"long_group\.mp4: there is no frame 40"),
        open_video(folder / "long_group.mp4") as reader,
    ):
        reader.read([0, 40])
    with pytest.raises(VideoError, match="30 frames from frame 20 were asked for, it has 20"):
        read_video(folder / "long_group.mp4", start=20, num_frames=30)
    with pytest.raises(ValueError, match="engine must be one of pyav, decord"):
        open_video(folder / "long_group.mp4", engine="gstreamer")


def test_of_a_truncated_file_each_frame_is_that_of_its_time(folder, tmp_path):
    # B-frames are stored after frames that are shown later: of the last ones some are there and some are not.
    content = (folder / "open_group.mkv").read_bytes()
    (tmp_path / "truncated.mkv").write_bytes(content[: len(content) * 2 // 3])
    with open_video(tmp_path / "truncated.mkv") as reader:
        shown = numbers(reader.read(range(reader.num_frames)))
        assert 0 < len(shown) < NUM_FRAMES
        assert shown == np.round(reader.times_seconds * 25).astype(int).tolist()


def test_damage_tells_how_many_frames_are_readable(folder, tmp_path):
    content = bytearray((folder / "long_group.mp4").read_bytes())
    begin = content.index(b"mdat")
    size = int.from_bytes(content[begin - 4 : begin], "big")
    content[begin + size * 3 // 4 : begin + size - 4] = bytes([255]) * (size - 4 - size * 3 // 4)
    (tmp_path / "damaged.mp4").write_bytes(content)
    with pytest.raises(VideoError, match=r"damaged\.mp4: .* of 40 frames are readable") as fault:
        read_video(tmp_path / "damaged.mp4")
    readable = int(re.search(r"only the first (\d+) of", str(fault.value))[1])
    assert 0 < readable < NUM_FRAMES
    assert numbers(read_video(tmp_path / "damaged.mp4", num_frames=readable)) == list(range(readable))


def test_permission_denied_is_a_video_error(folder):
    with folder_for_all() as root:
        locked = shutil.copy(folder / "long_group.mp4", root / "locked.mp4")
        os.chmod(locked, 0)
        told = told_to_nobody(lambda: open_video(locked))
        assert told.startswith("VideoError") and "locked.mp4: permission denied" in told


def test_odd_names_are_only_names(folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("-dash.mp4", "12:30 %03d.mp4", "https:x.mp4"):
        shutil.copy(folder / "long_group.mp4", tmp_path / name)
        assert numbers(read_video(name, num_frames=2)) == [0, 1]


def test_decord_gives_the_same_frames_or_refuses(folder):
    pytest.importorskip("decord")
    with open_video(folder / "long_group.mp4", engine="decord") as reader:
        assert numbers(reader.read([39, 0, 17, 17])) == [39, 0, 17, 17]
        assert reader.read([5], cover=(16, 16)).shape == (1, 3, 16, 16)
    for name in ("transport.ts", "wrong_times.avi"):
        with pytest.raises(VideoError, match=r'decord .* engine="pyav"'):
            open_video(folder / name, engine="decord")
