"""RGB pixels as the Y'CbCr frame that H.264 stores."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import av


def yuv420_frame(pixels: np.ndarray) -> av.VideoFrame:
    """A frame in BT.709 of limited range, yuv420p.

    The samples of colour lie above the left one of two columns and between two rows, as players expect of H.264;
    FFmpeg's scaler would put them between the columns, and all colours would come back shifted by half a column.

    Args:
        pixels: uint8 (H, W, 3) RGB, H and W even.
    """
    import av

    from mcvd.video.decoders.color import ONE_THREAD, SCALING

    height, width, _ = pixels.shape
    options: dict[str, Any] = {"src_colorspace": "ITU601", "dst_colorspace": "ITU709"}
    options |= {"src_color_range": "JPEG", "dst_color_range": "MPEG", "interpolation": SCALING}
    whole = av.VideoFrame.from_ndarray(pixels, format="rgb24").reformat(format="yuv444p", **options, **ONE_THREAD)
    frame = av.VideoFrame(width, height, "yuv420p")
    frame.colorspace, frame.color_range = 1, 1
    for number in range(3):
        samples = _samples(whole, number)
        if number:
            c = samples.astype(np.uint16)
            left = np.concatenate([c[:, :1], c[:, 1:-1:2]], axis=1)
            columns = left + 2 * c[:, ::2] + c[:, 1::2]
            eighths = columns[::2] + columns[1::2]
            samples = (eighths + 3 + (eighths >> 3 & 1)) >> 3  # halves to the even number, or all become brighter
        _samples(frame, number)[:] = samples
    return frame


def _samples(frame: av.VideoFrame, number: int) -> np.ndarray:
    """A view of a plane of 8 bits, (H, W)."""
    plane: Any = frame.planes[number]  # a buffer, which PyAV's types do not tell
    return np.ndarray((plane.height, plane.width), np.uint8, plane, strides=(plane.line_size, 1))
