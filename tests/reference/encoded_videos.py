"""Videos of every kind of seeking, time stamps and groups of pictures, each frame of which shows its own number."""

import av
import numpy as np
import torch

NUM_FRAMES = 40
# name of the file, encoder, B-frames, options: seeks, time stamps and groups of pictures of every kind.
KINDS = {
    "long_group.mp4": ("libx264", 3, {"g": "250"}),
    "open_group.mp4": ("libx264", 3, {"g": "12", "x264-params": "open-gop=1:scenecut=0"}),
    "open_group.mkv": ("libx264", 3, {"g": "12", "x264-params": "open-gop=1:scenecut=0"}),
    "intra_refresh.mkv": ("libx264", 0, {"g": "12", "x264-params": "intra-refresh=1"}),
    "transport.ts": ("libx264", 2, {"g": "12"}),
    "open_group.ts": ("libx264", 2, {"g": "12", "x264-params": "open-gop=1:scenecut=0"}),
    "transport_mpeg2.ts": ("mpeg2video", 2, {"g": "12"}),
    "program.mpg": ("mpeg2video", 2, {"g": "12"}),
    "motion_jpeg.avi": ("mjpeg", 0, {}),
    "mpeg4.avi": ("mpeg4", 2, {"g": "12"}),
    "wrong_times.avi": ("libx264", 2, {"g": "12"}),
    "no_times.h264": ("libx264", 2, {"g": "12"}),
    "alternate_references.webm": ("libvpx", 0, {"g": "12", "auto-alt-ref": "1", "lag-in-frames": "16", "b": "100k"}),
    "animation.gif": ("gif", 0, {}),
}


def encode(path, codec="libx264", b_frames=0, options=None, times=None, rate=25, size=(64, 64)):
    """A video of which frame k shows the number k as black and white bars, the lowest bit on the left."""
    pixel_format = {"gif": "rgb8", "mjpeg": "yuvj420p"}.get(codec, "yuv420p")
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate, options=options or {})
        stream.width, stream.height, stream.pix_fmt = size[1], size[0], pixel_format
        stream.codec_context.max_b_frames = b_frames
        for number in range(NUM_FRAMES):
            bits = np.array([255 * (number >> bit & 1) for bit in range(8)], np.uint8)
            pixels = np.broadcast_to(bits.repeat(size[1] // 8)[None, :, None], (*size, 3))
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")
            frame.pts = number if times is None else times[number]
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def numbers(video):
    """The numbers that frames made by `encode` show."""
    bits = video[:, 0, video.shape[2] // 2, video.shape[3] // 16 :: video.shape[3] // 8] > 127
    return (bits * 2 ** torch.arange(8)).sum(dim=1).tolist()
