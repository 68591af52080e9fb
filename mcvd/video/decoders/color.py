"""One decoded frame to upright RGB pixels of a wanted size."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import Any

import av
import numpy as np
from av.sidedata.sidedata import SideDataContainer
from av.sidedata.sidedata import Type as SideDataType
from av.video.reformatter import Colorspace, Interpolation, VideoReformatter

_BT709 = 1
_BT601 = 5
# FFmpeg's number of the matrix a file declares -> the matrix swscale knows; what is not declared is BT.601,
# as in FFmpeg's own tools.
_MATRIX = {1: 1, 4: 4, 5: 5, 6: 5, 7: 7, 9: 9, 10: 9}
_LIMITED, _FULL = 1, 2

_AV_MAJOR = int(av.__version__.split(".")[0])
# PyAV 17 scales with several threads unless told: for small frames that costs 2 to 13 times as much.
ONE_THREAD: dict[str, Any] = {"threads": 1} if _AV_MAJOR >= 17 else {}
_FILTER = Interpolation.BICUBIC
# Without the flag, swscale gives the RGB picture only half the colour resolution (mean error up to 6 levels, not
# 0.3); it can be asked for since PyAV 18. Planar RGB would avoid it too, but leaves the last columns of some
# widths unset.
SCALING = _FILTER | (Interpolation.FULL_CHR_H_INT if _AV_MAJOR >= 18 else 0)
_KNOWN_MATRICES = {int(matrix) for matrix in Colorspace}


@dataclass(frozen=True)
class Orientation:
    """What makes a stored picture upright: swap its axes, then mirror it left-right and top-bottom."""

    swap: bool = False
    mirror_x: bool = False
    mirror_y: bool = False

    def __call__(self, pixels: np.ndarray) -> np.ndarray:
        """Turn stored pixels (H, W, C) as they are to be displayed."""
        if self.swap:
            pixels = pixels.swapaxes(0, 1)
        return pixels[:: -1 if self.mirror_y else 1, :: -1 if self.mirror_x else 1]


UNTURNED = Orientation()


def _unknown_side_data(value: object) -> SideDataType:
    """A member for what FFmpeg can tell of a frame and PyAV has no name for yet, such as EXIF.

    Without it a frame that carries one has no side data at all, but an exception.
    """
    member: Any = object.__new__(SideDataType)
    member._name_, member._value_ = f"UNKNOWN_{value}", value
    return member


SideDataType._missing_ = _unknown_side_data  # type: ignore[method-assign, assignment]


def upright(frame: av.VideoFrame) -> Orientation:
    """How a frame is to be turned, from the display matrix that phones write; other angles than quarters are ignored.

    The matrix has rows (a b u), (c d v), (x y w) and sends a point to (a x + c y, b x + d y), y pointing down.
    """
    # Not frame.side_data: frame and side data would then hold each other, and the picture, memory that Python does not
    # see, would stay until a collection of garbage happens to come: minutes later, or hours.
    side_data = SideDataContainer(frame)  # type: ignore[call-arg]
    # Asking for what is not there costs most.
    matrix: Any = side_data.get("DISPLAYMATRIX") if side_data else None
    if matrix is None:
        return UNTURNED
    a, b, _, c, d, *_ = np.frombuffer(bytes(matrix), dtype=np.int32).tolist()
    if a == d == 0 and b and c:
        return Orientation(swap=True, mirror_x=c < 0, mirror_y=b < 0)
    if b == c == 0 and a and d:
        return Orientation(mirror_x=a < 0, mirror_y=d < 0)
    return Orientation()


def displayed_size(frame: av.VideoFrame, pixel_aspect: Fraction | None) -> tuple[int, int]:
    """(height, width) of a frame when upright and with square pixels; the stored height is kept.

    Args:
        frame: as decoded.
        pixel_aspect: width of a stored pixel over its height; None or 0: square.
    """
    height, width = frame.height, max(1, round(frame.width * (pixel_aspect or 1)))
    return (width, height) if upright(frame).swap else (height, width)


class RGBConverter:
    """Decoded frames as RGB pixels of a wanted size.

    Making swscale's filters takes ten times as long as using them: frames of one video share a converter.
    """

    def __init__(self) -> None:
        self._scaler, self._converter = VideoReformatter(), VideoReformatter()

    def __call__(self, frame: av.VideoFrame, size: tuple[int, int]) -> np.ndarray:
        """A frame as uint8 (H, W, 3) RGB, 0 to 255, upright, of ``size`` (height, width).

        The colour matrix and range are those the frame declares. Transparent pixels are laid on black.
        What is returned may be a view of the scaled frame.
        """
        turn = upright(frame)
        height, width = size[::-1] if turn.swap else size
        colours = _colours(frame.format.name, int(frame.colorspace), int(frame.color_range))
        if colours.scaled_as and (height, width) != (frame.height, frame.width):
            frame = self._scaler.reformat(
                frame, width, height, colours.scaled_as, interpolation=_FILTER, **colours.kept, **ONE_THREAD
            )
        rgb = self._converter.reformat(
            frame, width, height, colours.rgb_as, interpolation=SCALING, **colours.to_rgb, **ONE_THREAD
        )
        plane, channels = rgb.planes[0], len(colours.rgb_as.removesuffix("24"))
        stored: Any = plane  # a buffer, which PyAV's types do not tell
        pixels = np.ndarray((height, width, channels), np.uint8, stored, strides=(plane.line_size, channels, 1))
        if channels == 4:
            opacity = pixels[..., 3:].astype(np.uint16)
            pixels = ((pixels[..., :3] * opacity + 127) // 255).astype(np.uint8)
        return pixels if turn is UNTURNED else turn(pixels)


@dataclass(frozen=True)
class _Colours:
    """How swscale is to turn frames into RGB.

    Args:
        scaled_as: the format in which frames are scaled before they become RGB, or None: both at once.
        kept: matrix and range for scaling, which changes neither.
        rgb_as: the format of RGB.
        to_rgb: matrix and range for turning into RGB.
    """

    scaled_as: str | None
    kept: dict[str, Any]
    rgb_as: str
    to_rgb: dict[str, Any]


@lru_cache(maxsize=256)
def _colours(name: str, colorspace: int, color_range: int) -> _Colours:
    """For frames of the pixel format ``name`` that declare this matrix and range."""
    stored = av.VideoFormat(name)
    has_alpha = any(component.is_alpha for component in stored.components)
    is_full = stored.is_rgb or color_range == _FULL or name.startswith(("yuvj", "gray", "ya", "pal", "mono"))
    stored_range = _FULL if is_full else _LIMITED
    matrix = _MATRIX.get(colorspace, _BT601)
    matrix = matrix if matrix in _KNOWN_MATRICES else _BT709
    source = {"src_colorspace": matrix, "src_color_range": stored_range}
    # RGB of full colour resolution is filtered without vector instructions: scaling brightness and colour planes first,
    # to one size, takes half the time.
    halved = not stored.is_rgb and len(stored.components) == 3 and stored.chroma_width(16) < 16
    whole = "yuvj444p" if name.startswith("yuvj") else "yuv444p"
    return _Colours(
        scaled_as=whole if halved and all(component.bits == 8 for component in stored.components) else None,
        kept=source | {"dst_colorspace": matrix, "dst_color_range": stored_range},
        rgb_as="rgba" if has_alpha else "rgb24",
        # RGB has no matrix; another number than the source's makes every PyAV hand the source's to swscale.
        to_rgb=source | {"dst_colorspace": _BT601 if matrix == _BT709 else _BT709, "dst_color_range": _FULL},
    )
