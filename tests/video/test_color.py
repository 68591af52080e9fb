"""What a file declares of its picture is what is read: matrix, range, transfer, window, turn and track."""

import io
from fractions import Fraction

import av
import numpy as np
import pytest
import torch
from PIL import Image
from reference.encoded_videos import encode, numbers

from mcvd.video.decoders.base import VideoError
from mcvd.video.decoders.color import RGBConverter
from mcvd.video.decoders.color_formula import HLG, PQ, tone_mapped
from mcvd.video.open import open_video
from mcvd.video.read import read_video
from mcvd.video.survey import survey
from mcvd.video.write import write_video

SHARES = {1: (0.2126, 0.0722), 5: (0.299, 0.114), 7: (0.212, 0.087), 9: (0.2627, 0.0593), 4: (0.3, 0.11)}
# name -> bits, columns and rows to a sample of colour (0: none), and the planar format with the same samples
LAYOUTS = {
    "yuv420p": (8, 2, 2, None),
    "yuv422p": (8, 2, 1, None),
    "yuv444p": (8, 1, 1, None),
    "yuv440p": (8, 1, 2, None),
    "yuv411p": (8, 4, 1, None),
    "yuv410p": (8, 4, 4, None),
    "nv12": (8, 2, 2, "yuv420p"),
    "yuyv422": (8, 2, 1, "yuv422p"),
    "yuv420p10le": (10, 2, 2, None),
    "p010le": (10, 2, 2, "yuv420p10le"),
    "yuv422p10le": (10, 2, 1, None),
    "yuv444p12le": (12, 1, 1, None),
    "yuv420p16le": (16, 2, 2, None),
    "gray": (8, 0, 0, None),
    "gray10le": (10, 0, 0, None),
    "gray12le": (12, 0, 0, None),
}


def scene(size=64):
    """A smooth picture in colour, float64 (H, W, 3), 0 to 1."""
    y, x = np.mgrid[:size, :size] / size
    waves = [120 + 90 * np.sin(4 * x + 1), 120 + 80 * np.cos(3 * y + 0.5), 110 + 90 * np.sin(2 * x + 3 * y)]
    return np.stack(waves, -1) / 255


def to_yuv(rgb, red, blue):
    y = rgb @ np.array([red, 1 - red - blue, blue])
    return [y, (rgb[..., 2] - y) / (2 - 2 * blue), (rgb[..., 0] - y) / (2 - 2 * red)]


def to_rgb(y, cb, cr, red, blue):
    r, b = y + (2 - 2 * red) * cr, y + (2 - 2 * blue) * cb
    return np.stack([r, (y - red * r - blue * b) / (1 - red - blue), b], -1).clip(0, 1)


def ranges(bits, is_full):
    """Offset and scale of brightness, and of colour."""
    if is_full:
        return (0, 2**bits - 1), (2 ** (bits - 1), 2**bits - 1)
    return (16 * 2 ** (bits - 8), 219 * 2 ** (bits - 8)), (128 * 2 ** (bits - 8), 224 * 2 ** (bits - 8))


def frame_of(planes, name, matrix, color_range):
    frame = av.VideoFrame(planes[0].shape[1], planes[0].shape[0], name)
    for plane, samples in zip(frame.planes, planes, strict=True):
        memory = np.ndarray((plane.height, plane.line_size), np.uint8, plane)
        content = samples.view(np.uint8).reshape(plane.height, -1)
        memory[:, : content.shape[1]] = content
    frame.colorspace, frame.color_range = matrix, color_range
    return frame


@pytest.mark.parametrize("name", LAYOUTS)
@pytest.mark.parametrize("color_range", [1, 2])
def test_every_format_is_converted_by_the_formula(name, color_range):
    bits, columns, rows, planar = LAYOUTS[name]
    for matrix, (red, blue) in SHARES.items():
        scales = ranges(bits, color_range == 2)
        stored, values = [], []
        for number, plane in enumerate(to_yuv(scene(), red, blue)):
            offset, scale = scales[min(number, 1)]
            if number and not columns:
                values.append(np.zeros_like(plane))
                continue
            if number:
                plane = plane.reshape(64 // rows, rows, 64 // columns, columns).mean((1, 3))
            samples = np.rint(offset + scale * plane).astype(np.uint8 if bits == 8 else np.uint16)
            stored.append(samples)
            value = (samples - float(offset)) / scale
            values.append(value.repeat(rows, 0).repeat(columns, 1) if number else value)
        expected = 255 * to_rgb(*values, red, blue).mean((0, 1))
        frame = frame_of(stored, planar or name, matrix, color_range)
        if planar:
            options = {"src_colorspace": matrix, "dst_colorspace": matrix}
            options |= {"src_color_range": color_range, "dst_color_range": color_range}
            frame = frame.reformat(format=name, **options)
            frame.colorspace, frame.color_range = matrix, color_range
        for size in (64, 48, 100):
            error = RGBConverter()(frame, (size, size)).mean((0, 1)) - expected
            assert np.abs(error).max() < 0.1, (matrix, size)


def test_what_is_written_comes_back_as_bright_as_it_was(tmp_path):
    for size in (64, 96, 128):
        clip = torch.from_numpy(255 * scene(size)).round().to(torch.uint8).permute(2, 0, 1)[None].repeat(6, 1, 1, 1)
        write_video(tmp_path / "a.mp4", clip)
        error = (read_video(tmp_path / "a.mp4").double() - clip).mean((0, 2, 3))
        assert error.abs().max() < 0.4


def encoded(path, planes, pixel_format, codec="libx264", repeat=2, **options):
    """A video that stores exactly these samples."""
    with av.open(str(path), "w") as container:
        parameters = options.pop("parameters", "")
        key = "x265-params" if codec == "libx265" else "x264-params"
        lossless = {"qp": "0"} if codec == "libx264" else {}
        stream = container.add_stream(codec, rate=10, options={key: parameters} | lossless)
        stream.width, stream.height, stream.pix_fmt = planes[0].shape[1], planes[0].shape[0], pixel_format
        for name, value in options.items():
            setattr(stream.codec_context, name, value)
        for number in range(repeat):
            frame = frame_of(planes, pixel_format, 2, 0)
            frame.pts = number
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def flat(*values):
    return [np.full((32, 32), value, np.uint8) for value in values]


def test_grey_that_declares_limited_range_is_black_at_16(tmp_path):
    ramp = np.repeat(np.rint(16 + np.arange(64) * 219 / 63)[None].astype(np.uint8), 64, 0)
    # Without B-frames: in so short a video x265 gives packets decoding times at random, which no file can store.
    options = {"codec": "libx265", "color_range": 1, "parameters": "lossless=1:log-level=none:range=limited:bframes=0"}
    shown = read_video(encoded(tmp_path / "grey.mp4", [ramp], "gray", **options))[0, :, 30].float()
    assert (shown - torch.arange(64) * 255 / 63).abs().max() < 1.5


def test_ycgco_is_read_by_its_own_matrix(tmp_path):
    # Red: Y 1/4, Cg -1/4, Co 1/2; green: 1/2, 1/2, 0.
    for name, values, expected in (
        ("red", (1 / 4, -1 / 4, 1 / 2), (255, 0, 0)),
        ("green", (1 / 2, 1 / 2, 0), (0, 255, 0)),
    ):
        y, cg, co = values
        planes = flat(round(16 + 219 * y), round(128 + 224 * cg), round(128 + 224 * co))
        path = encoded(tmp_path / f"{name}.mkv", planes, "yuv444p", parameters="colormatrix=YCgCo:range=tv")
        shown = read_video(path)[0, :, 16, 16].tolist()
        assert np.abs(np.array(shown) - expected).max() <= 3
    pytest.importorskip("decord")
    with pytest.raises(VideoError, match=r"green\.mkv: decord .*colours"):
        open_video(path, engine="decord")


def test_an_unknown_matrix_is_refused_and_named(tmp_path):
    path = encoded(tmp_path / "odd.mkv", flat(100, 90, 140), "yuv444p", parameters="colormatrix=bt2020c")
    with pytest.raises(VideoError, match=r"odd\.mkv: .*matrix 10 of ITU-T H\.273"):
        read_video(path)


@pytest.mark.parametrize("transfer", ["smpte2084", "arib-std-b67"])
def test_hdr_is_mapped_to_sdr_and_told(tmp_path, transfer):
    # Red of BT.709 at the brightness of SDR's white (203 cd/m2), in BT.2020's primaries.
    red, green, blue = 203 * np.array([0.627404, 0.069097, 0.016391])
    if transfer == "smpte2084":
        power = (np.array([red, green, blue]) / 10000) ** 0.1593017578125
        signal = ((0.8359375 + 18.8515625 * power) / (1 + 18.6875 * power)) ** 78.84375
    else:
        light = np.array([red, green, blue]) / 1000
        light = light * (light @ [0.2627, 0.678, 0.0593]) ** (-0.2 / 1.2)
        log = 0.17883277 * np.log((12 * light - 0.28466892).clip(1e-9)) + 0.55991073
        signal = np.where(light <= 1 / 12, np.sqrt(3 * light), log)
    y, cb, cr = to_yuv(signal[None], *SHARES[9])
    planes = flat(round(16 + 219 * y.item()), round(128 + 224 * cb.item()), round(128 + 224 * cr.item()))
    parameters = f"transfer={transfer}:colorprim=bt2020:colormatrix=bt2020nc:range=tv"
    path = encoded(tmp_path / "hdr.mkv", planes, "yuv444p", parameters=parameters)
    with pytest.warns(UserWarning, match=r"hdr\.mkv: its colours are HDR"):
        shown = read_video(path)[0, :, 16, 16].tolist()
    assert shown[0] > 215 and max(shown[1:]) < 30


def test_hdr_that_only_the_container_declares_is_told_too_and_other_engines_refuse_it(tmp_path):
    with av.open(str(tmp_path / "hdr.mkv"), "w") as container:
        stream = container.add_stream("ffv1", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p10le"
        stream.codec_context.color_trc, stream.codec_context.color_primaries = PQ, 9
        stream.codec_context.colorspace, stream.codec_context.color_range = 9, 1
        for number in range(3):
            grey = np.full((64, 64, 3), 80 * number, np.uint8)
            container.mux(
                stream.encode(av.VideoFrame.from_ndarray(grey, format="rgb24").reformat(format="yuv420p10le"))
            )
        container.mux(stream.encode())
    with pytest.warns(UserWarning, match=r"hdr\.mkv: its colours are HDR \(PQ\)"):
        read_video(tmp_path / "hdr.mkv")
    assert survey(tmp_path / "hdr.mkv").transfer == "PQ"
    for engine in ("decord", "torchcodec"):
        with pytest.raises((VideoError, ImportError), match=r"unusual kind|install"):
            open_video(tmp_path / "hdr.mkv", engine)


def test_tone_mapping_keeps_order_hue_and_the_dark(tmp_path):
    for transfer in (PQ, HLG):
        ramp = np.linspace(0, 1, 200, dtype=np.float32)
        grey = tone_mapped(np.broadcast_to(ramp, (3, 1, 200)), transfer, 9)
        assert np.ptp(grey, axis=0).max() < 1e-3 and (np.diff(grey[0, 0]) > -1e-4).all()
        assert grey[0, 0, 0] < 1e-3 and grey[0, 0, -1] == pytest.approx(1, abs=1e-3)
    nits = 50 / 10000
    signal = ((0.8359375 + 18.8515625 * nits**0.1593017578125) / (1 + 18.6875 * nits**0.1593017578125)) ** 78.84375
    shown = tone_mapped(np.full((3, 1, 1), signal, np.float32), PQ, 9)
    assert shown[0, 0, 0] == pytest.approx((50 / 203) ** (1 / 2.4), abs=2e-3)


def test_a_window_that_begins_at_any_column_is_the_one_shown(tmp_path):
    columns = [np.repeat(np.arange(40, 104, dtype=np.uint8)[None], 32, 0), *([np.full((32, 64), 128, np.uint8)] * 2)]
    for left, right in ((8, 8), (20, 4), (2, 0)):
        parameters = f"crop-rect={left},4,{right},0:colormatrix=bt709"
        path = encoded(tmp_path / "window.mkv", columns, "yuv444p", parameters=parameters, color_range=2)
        video = read_video(path)
        assert video.shape[2:] == (28, 64 - left - right)
        assert video[0, 1, 10].tolist() == list(range(40 + left, 104 - right))


def test_colours_of_an_interlaced_frame_belong_to_its_fields(tmp_path):
    """Rows of colour samples belong to the upper and the lower field in turn, as rows of pixels do."""
    colors = [
        np.repeat(np.tile([[blue], [red]], (16, 1)), 32, 1).astype(np.uint8) for blue, red in ((90, 170), (160, 80))
    ]
    path = encoded(tmp_path / "fields.mkv", [np.full((64, 64), 128, np.uint8), *colors], "yuv420p", parameters="tff=1")
    shown = read_video(path)[0].float()
    for rows, (cb, cr) in (slice(0, None, 2), (90, 160)), (slice(1, None, 2), (170, 80)):
        values = np.array([112 / 219, (cb - 128) / 224, (cr - 128) / 224])
        expected = 255 * to_rgb(*values, *SHARES[5])
        assert np.abs(shown[:, rows].mean((1, 2)).numpy() - expected).max() < 1


def test_an_interlaced_frame_is_scaled_as_one_picture(tmp_path):
    y, cb, cr = (np.rint(255 * plane).astype(np.uint8) for plane in scene(96).transpose(2, 0, 1))
    planes = [y, cb[::2, ::2].copy(), cr[::2, ::2].copy()]
    for side in (24, 32, 100):
        whole, fields = (
            read_video(encoded(tmp_path / f"{name}.mkv", planes, "yuv420p", parameters=name), size=(side, side))
            for name in ("tff=0", "tff=1")
        )
        assert (whole.float() - fields.float()).abs().mean() < 0.5


def test_what_matroska_crops_is_not_shown(tmp_path):
    columns = [np.repeat(np.arange(40, 104, dtype=np.uint8)[None], 32, 0), *([np.full((32, 64), 128, np.uint8)] * 2)]
    path = encoded(tmp_path / "whole.mkv", columns, "yuv444p", parameters="colormatrix=bt709", color_range=2)
    content = path.read_bytes()
    unit, color = b"\x54\xb2\x81\x04", b"\x55\xb0\x84\x55\xb9\x81\x02"  # two elements that are not needed
    assert content.count(unit) == content.count(color) == 1
    for sides, (rows, first, last) in {
        (b"\x54\xcc\x81\x09", b"\x54\xbb\x81\x03"): (29, 49, 103),  # left and top
        (b"\x54\xdd\x81\x06", b"\x54\xaa\x81\x08"): (24, 40, 97),  # right and bottom
    }.items():
        cropped = tmp_path / "cropped.mkv"
        cropped.write_bytes(content.replace(unit, sides[0]).replace(color, sides[1] + b"\xec\x81\x00"))
        video = read_video(cropped)
        assert video.shape[2:] == (rows, last - first + 1)
        assert (video[0, 1, 5, 0], video[0, 1, 5, -1]) == (first, last)
        assert read_video(cropped, size=(12, 20)).shape[2:] == (12, 20)
        with pytest.raises(VideoError, match="the container crops"):
            pytest.importorskip("decord")
            open_video(cropped, engine="decord")


def test_the_clean_aperture_of_mp4_is_what_is_shown(tmp_path):
    columns = [np.repeat(np.arange(40, 104, dtype=np.uint8)[None], 32, 0), *([np.full((32, 64), 128, np.uint8)] * 2)]
    colors = {"color_primaries": 1, "color_trc": 1, "colorspace": 1, "color_range": 2}
    path = encoded(tmp_path / "whole.mp4", columns, "yuv444p", sample_aspect_ratio=Fraction(1), **colors)
    content = path.read_bytes()
    start, end = content.index(b"colrnclx") - 4, content.index(b"btrt") + 16
    room = end - start
    # 48 x 24 pixels, the centre 4 to the right and 2 up: columns 12 to 59, rows 2 to 25.
    clap = b"".join(number.to_bytes(4, signed=True) for number in (48, 1, 24, 1, 4, 1, -2, 1))
    boxes = (8 + len(clap)).to_bytes(4) + b"clap" + clap
    boxes += (room - len(boxes)).to_bytes(4) + b"free" + bytes(room - len(boxes) - 8)
    path.write_bytes(content[:start] + boxes + content[end:])
    video = read_video(path)
    assert video.shape[2:] == (24, 48) and video[0, 1, 5].tolist() == list(range(52, 100))


def test_the_track_that_is_switched_on_is_read(tmp_path):
    encode(tmp_path / "a.mp4")
    path = tmp_path / "two.mp4"
    with av.open(str(tmp_path / "a.mp4")) as given, av.open(str(path), "w") as container:
        template = given.streams.video[0]
        streams = [container.add_stream_from_template(template) for _ in range(2)]
        packets = [packet for packet in given.demux(template) if packet.size]
        for number, packet in enumerate(packets):
            for stream, data in zip(streams, (packets[0], packet), strict=True):
                copy = av.Packet(bytes(data))
                copy.stream, copy.time_base = stream, packet.time_base
                copy.pts, copy.dts, copy.duration, copy.is_keyframe = packet.pts, packet.dts, packet.duration, True
                if number == 0 or stream is streams[1]:
                    container.mux(copy)
    content = bytearray(path.read_bytes())
    assert len(read_video(path)) == 1
    content[content.index(b"tkhd") + 7] &= ~1
    content[content.rindex(b"tkhd") + 7] |= 1
    path.write_bytes(content)
    assert numbers(read_video(path)) == list(range(40))
    pytest.importorskip("decord")
    with pytest.raises(VideoError, match=r"two\.mp4: decord .*track"):
        open_video(path, engine="decord")


@pytest.mark.parametrize("suffix", ["avi", "mkv", "mov"])
@pytest.mark.parametrize("orientation", [None, 3, 6, 8])
def test_motion_jpeg_with_exif_is_read(tmp_path, suffix, orientation):
    path = tmp_path / f"film.{suffix}"
    picture = np.full((32, 64, 3), 60, np.uint8)
    picture[:8, :8] = 220  # the corner at the top left
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mjpeg", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 32, "yuvj420p"
        for number in range(3):
            image, content = Image.fromarray(picture), io.BytesIO()
            exif = image.getexif()
            exif[271] = "Maker"
            if orientation:
                exif[274] = orientation
            image.save(content, "jpeg", exif=exif, subsampling=2)
            packet = av.Packet(content.getvalue())
            packet.stream, packet.pts, packet.dts, packet.time_base = stream, number, number, Fraction(1, 10)
            container.mux(packet)
    video = read_video(path)
    place = {None: (4, 4), 3: (27, 59), 6: (4, 27), 8: (59, 4)}[orientation]
    assert video.shape == ((3, 3, 64, 32) if orientation in (6, 8) else (3, 3, 32, 64))
    assert video[2, 1, place[0], place[1]] > 200 and video[2].float().mean() < 80
