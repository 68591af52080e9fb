"""Videos that carry all that FFmpeg knows beside the pictures: EXIF, SEI messages of every type, tags in any encoding.

Each shows in frame k the number k, as `reference.encoded_videos` does.
"""

import io
from fractions import Fraction

import av
import numpy as np
from PIL import Image, ImageCms

NUM_FRAMES = 6
SIZE = (48, 64)
_T35_USA, _ATSC = b"\xb5", b"\x00\x31"
# Payload type -> payloads as cameras, broadcasters and encoders write them; every other type is filled with noise.
_MESSAGES = {
    4: [
        _T35_USA + _ATSC + b"GA94\x03\xc1\xff\xfc\x80\x80\xff",  # closed captions
        _T35_USA + _ATSC + b"DTG1\x41\xf8",  # active format
        b"\xb5\x00\x3c\x00\x01\x04\x01" + bytes(60),  # HDR10+
        b"\xb5\x00\x3b\x00\x00\x08\x00" + bytes(60),  # Dolby Vision
        b"\x26\x00\x04\x00\x05\x01" + bytes(60),  # HDR Vivid
        b"\xb4\x00\x50\x00" + bytes(20),  # enhancement layer (LCEVC)
    ],
    5: [b"\xdc\x45\xe9\xbd\xe6\xd9\x48\xb7\x96\x2c\xd8\x20\xd9\x23\xee\xefx264 - \xff\xfe", b"short"],
    19: [b"\x80"],  # film grain: none from here on, as any would be painted over the frames
    45: [b"\x81\x86\x00\x00\x03\x00"],  # two pictures side by side
    47: [b"\x01\x00\x00\x20"],  # the display is turned
    136: [b"\x50\x00\x00\x00\x00"],  # time code
    137: [np.array([13250, 34500, 7500, 3000, 34000, 16000, 15635, 16450], ">u2").tobytes() + bytes(8)],  # mastering
    144: [b"\x03\xe8\x01\x90"],  # content light level
    148: [b"\x00\x01\x00\x00\x3d\x13\x40\x42"],  # ambient light
    181: [bytes(8)],  # alpha
}


def bars(number):
    """Frame ``number``: its bits as black and white bars."""
    bits = np.array([255 * (number >> bit & 1) for bit in range(8)], np.uint8)
    return np.ascontiguousarray(np.broadcast_to(bits.repeat(SIZE[1] // 8)[None, :, None], (*SIZE, 3)))


def write_motion_jpeg(path, orientation=1, tags=None):
    """Motion JPEG as cameras write it: every frame has EXIF, an ICC profile, XMP and a comment."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mjpeg", rate=10)
        stream.width, stream.height, stream.pix_fmt = SIZE[1], SIZE[0], "yuvj420p"
        for number in range(NUM_FRAMES):
            picture = Image.fromarray(bars(number))
            exif = picture.getexif()
            for tag, value in ({0x0112: orientation, 0x010F: "Maker"} | (tags or {})).items():
                exif[tag] = value
            content = io.BytesIO()
            picture.save(
                content,
                "jpeg",
                exif=exif,
                subsampling=2,
                quality=95,
                icc_profile=profile,
                comment=b"\xff\xfe",
                xmp=b"<x/>",
            )
            _mux(container, stream, content.getvalue(), number, Fraction(1, 10))
    return path


def write_messages(path, codec):
    """H.264 or HEVC with messages (SEI) of every type that there is, well-formed and not."""
    random = np.random.default_rng(0)
    options = {"x264-params": "bframes=0"} if codec == "libx264" else {"x265-params": "bframes=0:log-level=none"}
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=10, options=options)
        stream.width, stream.height, stream.pix_fmt = SIZE[1], SIZE[0], "yuv420p"
        number = 0
        for frame in [*range(NUM_FRAMES), None]:
            picture = None if frame is None else av.VideoFrame.from_ndarray(bars(frame), format="rgb24")
            for packet in stream.encode(picture):
                messages = b"".join(
                    _message(codec, kind, payload)
                    for kind in range(200)
                    for payload in _MESSAGES.get(kind, [random.bytes(24) if number % 2 else bytes(24)])
                    if kind not in (0, 1)  # timing that an encoder declares in its header
                )
                content = _before_picture(codec, bytes(packet), messages)
                _mux(container, stream, content, number, Fraction(1, 10), packet.is_keyframe)
                number += 1
    return path


def write_tags(path, codec="mpeg4"):
    """A video whose titles are in no encoding: found as ``TITLE`` in the file, and replaced there."""
    with av.open(str(path), "w") as container:
        container.metadata.update({"title": "TITLE of the film", "artist": "TITLE", "comment": "TITLE"})
        stream = container.add_stream(codec, rate=10)
        stream.width, stream.height, stream.pix_fmt = SIZE[1], SIZE[0], "yuv420p"
        stream.metadata["title"] = "TITLE"
        for number in range(NUM_FRAMES):
            frame = av.VideoFrame.from_ndarray(bars(number), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    path.write_bytes(path.read_bytes().replace(b"TITLE", b"\xff\xe9\xfe\x00\x80"))
    return path


def _mux(container, stream, content, number, time_base, is_key=True):
    packet = av.Packet(content)
    packet.stream, packet.time_base, packet.is_keyframe = stream, time_base, is_key
    packet.pts = packet.dts = number
    packet.duration = 1
    container.mux(packet)


def _message(codec, kind, payload):
    """One SEI message as a unit of its own, with the bytes that keep start codes out of it."""
    body = bytes([kind]) + bytes([255] * (len(payload) // 255) + [len(payload) % 255]) + payload + b"\x80"
    escaped = bytearray()
    for byte in body:
        if escaped[-2:] == b"\x00\x00" and byte <= 3:
            escaped.append(3)
        escaped.append(byte)
    return b"\x00\x00\x00\x01" + (b"\x06" if codec == "libx264" else b"\x4e\x01") + bytes(escaped)


def _before_picture(codec, content, messages):
    """Put messages before the first unit of an access unit that holds a picture."""
    place = 0
    while (place := content.find(b"\x00\x00\x01", place)) >= 0:
        header = content[place + 3]
        is_picture = header & 31 in (1, 5) if codec == "libx264" else (header >> 1) & 63 < 32
        if is_picture:
            begin = place - 1 if content[place - 1 : place] == b"\x00" else place
            return content[:begin] + messages + content[begin:]
        place += 3
    raise ValueError("holds no picture")
