"""One decoded frame to upright RGB pixels of a wanted size: here what a file declares becomes the picture."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import Any, Protocol

import av
import numpy as np
from av.sidedata.sidedata import SideDataContainer
from av.sidedata.sidedata import Type as SideDataType
from av.video.reformatter import Interpolation, VideoReformatter

from mcvd.video.decoders.color_formula import HLG, LUMA_SHARES, PQ, YCGCO, Formula
from mcvd.video.decoders.container_crop import Crop

_BT709, _BT601 = 1, 5
# What is not declared is BT.601, as in FFmpeg's own tools.
_UNDECLARED = 2
_LIMITED, _FULL = 1, 2
# Transfers of SDR video: BT.709 and its like, pure gammas, sRGB.
_SDR_TRANSFERS = frozenset({0, 1, 2, 4, 5, 6, 7, 11, 12, 13, 14, 15})
_SDR_PRIMARIES = frozenset({0, 1, 2, 4, 5, 6, 7, 8, 22})
_NO_CROP = Crop()

# PyAV 17 scales with several threads unless told: for small frames that costs 2 to 13 times as much.
ONE_THREAD: dict[str, Any] = {"threads": 1}
# Without the flags swscale truncates (mean error 0.5 to 1.5 levels) and gives RGB only half the colour resolution.
# To planar RGB it is ten times as fast as to packed RGB.
SCALING = Interpolation.BICUBIC | Interpolation.FULL_CHR_H_INT | Interpolation.ACCURATE_RND


class ColorError(ValueError):
    """A frame declares colours that cannot be turned into RGB."""


@dataclass(frozen=True)
class Orientation:
    """What makes a stored picture upright: swap its axes, then mirror it left-right and top-bottom."""

    swap: bool = False
    mirror_x: bool = False
    mirror_y: bool = False

    def __call__(self, pixels: np.ndarray) -> np.ndarray:
        """Turn stored pixels (H, W, ...) as they are to be displayed."""
        if self.swap:
            pixels = pixels.swapaxes(0, 1)
        return pixels[:: -1 if self.mirror_y else 1, :: -1 if self.mirror_x else 1]


UNTURNED = Orientation()


class HasColors(Protocol):
    """A frame, or a decoder before its first one: how colours are stored."""

    @property
    def format(self) -> Any:
        """The pixel format."""

    color_trc: Any
    color_primaries: Any
    colorspace: Any
    color_range: Any


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


def displayed_size(frame: av.VideoFrame, pixel_aspect: Fraction | None, crop: Crop = _NO_CROP) -> tuple[int, int]:
    """(height, width) of a frame when upright and with square pixels; the stored height is kept.

    Args:
        frame: as decoded.
        pixel_aspect: width of a stored pixel over its height; None or 0: square.
        crop: what the container cuts off.
    """
    height = frame.height - crop.top - crop.bottom
    width = max(1, round((frame.width - crop.left - crop.right) * (pixel_aspect or 1)))
    return (width, height) if upright(frame).swap else (height, width)


def color_notes(frame: HasColors) -> tuple[str, ...]:
    """What a frame, or a decoder before its first, declares that is only taken approximately, a sentence each.

    Raises:
        ColorError: if its colours cannot be turned into RGB.
    """
    _route_of(frame)
    transfer, primaries = int(frame.color_trc), int(frame.color_primaries)
    if transfer in (PQ, HLG):
        name = "PQ" if transfer == PQ else "HLG"
        return (f"its colours are HDR ({name}): mapped to SDR by the curve of BT.2390, see docs/datasets.md",)
    if transfer not in _SDR_TRANSFERS:
        return (f"its transfer curve (number {transfer} of ITU-T H.273) is not known: taken for that of BT.709",)
    if primaries not in _SDR_PRIMARIES:
        return (f"its primaries (number {primaries} of ITU-T H.273) are taken for those of BT.709: colours are pale",)
    return ()


def is_usual(frame: av.VideoFrame) -> bool:
    """Whether every library turns the frame into about the same RGB: SDR of a usual matrix, or grey of full range."""
    formula = _route_of(frame).formula
    if formula is None:
        return True
    return formula.transfer == 0 and formula.matrix in LUMA_SHARES and not formula.is_rgb and not formula.is_grey


class RGBConverter:
    """Decoded frames as RGB pixels of a wanted size.

    Making swscale's filters takes ten times as long as using them: frames of one video share a converter.

    Args:
        crop: what the container cuts off of each frame.
    """

    def __init__(self, crop: Crop = _NO_CROP) -> None:
        self._crop = crop
        self._converter, self._unsampler = VideoReformatter(), VideoReformatter()

    def __call__(self, frame: av.VideoFrame, size: tuple[int, int]) -> np.ndarray:
        """A frame as uint8 (H, W, 3) of ``size`` (height, width); see `into`."""
        pixels = np.empty((3, *size), np.uint8)
        self.into(frame, pixels)
        return pixels.transpose(1, 2, 0)

    def into(self, frame: av.VideoFrame, pixels: np.ndarray) -> None:
        """Write red, green and blue of a frame, 0 to 255, upright, into uint8 (3, H, W), contiguous.

        Matrix, range and transfer are those that the frame declares. Transparent pixels are laid on black.

        Raises:
            ColorError: if its colours cannot be turned into RGB.
        """
        turn, route, scaled = self._scaled(frame, pixels.shape[1:])
        if turn is UNTURNED and route.pixel_format == "gbrp" and route.formula is None:
            green, blue, red = scaled.planes
            if green.line_size == scaled.width:  # whole planes are copied in a third of the time
                memory, size = pixels.data.cast("B"), green.buffer_size
                memory[:size], memory[size : 2 * size], memory[2 * size :] = red, green, blue
                return
        for channel, plane in enumerate(_rgb_planes(turn, route, scaled)):
            pixels[channel] = plane

    def _scaled(self, frame: av.VideoFrame, size: tuple[int, ...]) -> tuple[Orientation, _Route, av.VideoFrame]:
        """How a frame is to be turned and converted, and the frame as swscale is asked for it, not yet turned."""
        turn, route = upright(frame), _route_of(frame)
        height, width = size[::-1] if turn.swap else size
        options = route.options
        # FFmpeg's scaler takes the fields of an interlaced frame each by itself, as the samples of their colours lie
        # apart; to scale each by itself too would make pairs of nearly equal rows.
        if self._crop != _NO_CROP or (frame.interlaced_frame and height != frame.height):
            frame, options = self._window(frame, route), route.kept
        return (
            turn,
            route,
            self._converter.reformat(
                frame, width, height, route.pixel_format, interpolation=SCALING, **options, **ONE_THREAD
            ),
        )

    def _window(self, frame: av.VideoFrame, route: _Route) -> av.VideoFrame:
        """What the container shows of a frame, in the format of the route: there every plane is of full size."""
        whole = self._unsampler.reformat(
            frame, frame.width, frame.height, route.pixel_format, interpolation=SCALING, **route.options, **ONE_THREAD
        )
        left, right, top, bottom = self._crop
        window = av.VideoFrame(frame.width - left - right, frame.height - top - bottom, route.pixel_format)
        for target, source in zip(*(_planes(each, route.pixel_format) for each in (window, whole)), strict=True):
            target[:] = source[top : top + len(target), left : left + target.shape[1]]
        return window


def _rgb_planes(turn: Orientation, route: _Route, scaled: av.VideoFrame) -> list[np.ndarray]:
    """Red, green and blue, upright, perhaps views, of a frame that swscale has brought into its route's format."""
    planes = _planes(scaled, route.pixel_format)
    pixels, opaque = planes[:3], 255
    if route.formula is not None:
        rgb = route.formula(np.stack(pixels).astype(np.float32))
        pixels, opaque = list((rgb * 255 + 0.5).astype(np.uint8)), 2**route.formula.bits - 1
    if route.has_alpha:
        opacity = planes[3].astype(np.uint32)
        pixels = [((plane * opacity + opaque // 2) // opaque).astype(np.uint8) for plane in pixels]
    return pixels if turn is UNTURNED else [turn(plane) for plane in pixels]


def _planes(frame: av.VideoFrame, pixel_format: str) -> list[np.ndarray]:
    """Views of the planes, (H, W) each, uint8 or uint16; of planar RGB in the order R, G, B.

    Args:
        frame: in the format of a route, of which all planes have full size.
        pixel_format: its name, which costs time to ask for.
    """
    dtype, order = _layout(pixel_format)
    shape, stored = (frame.height, frame.width), frame.planes
    planes: list[Any] = [stored[place] for place in order]  # buffers, which PyAV's types do not tell
    return [np.ndarray(shape, dtype, plane, 0, (plane.line_size, dtype.itemsize)) for plane in planes]


@lru_cache(maxsize=64)
def _layout(pixel_format: str) -> tuple[np.dtype, tuple[int, ...]]:
    """Type of the samples, and in which order to take the planes."""
    stored = av.VideoFormat(pixel_format)
    order = tuple(range(len(stored.components)))
    return np.dtype(np.uint16 if stored.components[0].bits > 8 else np.uint8), (
        (2, 0, 1, *order[3:]) if stored.is_rgb else order
    )


@dataclass(frozen=True)
class _Route:
    """How frames become RGB: by swscale alone, or by a formula from what swscale has scaled.

    Args:
        pixel_format: what swscale is asked for: planar RGB, or for a formula the samples as stored, all of full size.
        options: matrix and range for that.
        kept: matrix and range for scaling what is in that format.
        formula: from there to RGB; None: it is RGB.
        has_alpha: whether the last plane is opacity.
    """

    pixel_format: str
    options: dict[str, Any]
    kept: dict[str, Any]
    formula: Formula | None
    has_alpha: bool


def _route_of(frame: HasColors) -> _Route:
    transfer = int(frame.color_trc)
    is_hdr = transfer in (PQ, HLG)
    return _route(
        frame.format.name,
        int(frame.colorspace),
        int(frame.color_range),
        transfer if is_hdr else 0,
        int(frame.color_primaries) if is_hdr else 0,
    )


@lru_cache(maxsize=256)
def _route(name: str, matrix: int, color_range: int, transfer: int, primaries: int) -> _Route:
    """For frames of the pixel format ``name`` that declare this; transfer and primaries 0 where they are SDR."""
    stored = av.VideoFormat(name)
    colors = [component for component in stored.components if not component.is_alpha]
    has_alpha = stored.has_palette or len(colors) < len(stored.components)
    bits = max(component.bits for component in colors)
    is_odd = stored.has_palette or name.startswith(("mono", "xyz", "bayer")) or bits > 16
    is_grey = not stored.is_rgb and len(colors) == 1 and not is_odd
    # RGB and grey are full unless told otherwise. Of packed RGB the range is not believed: containers make it up.
    tells_range = name.startswith("gbr") or not (stored.is_rgb or is_odd)
    is_full = color_range == _FULL or name.startswith("yuvj")
    is_full |= not tells_range or ((stored.is_rgb or is_grey) and color_range != _LIMITED)
    if stored.is_rgb or is_grey or is_odd or matrix == _UNDECLARED:
        matrix = _BT601
    elif matrix not in LUMA_SHARES and matrix != YCGCO:
        raise ColorError(f"its colours are stored by matrix {matrix} of ITU-T H.273, which is not known here")

    by_formula = not is_odd and (
        transfer != 0
        or matrix == YCGCO
        or (is_grey and not has_alpha and (bits > 8 or not is_full))
        or (stored.is_rgb and not is_full)
        or (not stored.is_rgb and not is_grey and bits > 8 and is_full)
    )
    stored_range = _FULL if is_full else _LIMITED
    scaler_matrix = _BT709 if matrix == YCGCO else _BT601 if matrix == 6 else matrix
    source = {"src_colorspace": scaler_matrix, "src_color_range": stored_range}
    kept = source | {"dst_colorspace": scaler_matrix, "dst_color_range": stored_range}
    if not by_formula:
        # RGB has no matrix; another number than the source's makes every PyAV hand the source's to swscale.
        to_rgb = source | {"dst_colorspace": _BT601 if matrix == _BT709 else _BT709, "dst_color_range": _FULL}
        return _Route("gbrap" if has_alpha else "gbrp", to_rgb, to_rgb | {"src_color_range": _FULL}, None, has_alpha)
    depth = next(depth for depth in (8, 9, 10, 12, 16) if bits <= depth)
    if is_grey and not has_alpha:
        base = "gray"
    elif stored.is_rgb:
        base = "gbrap" if has_alpha else "gbrp"
        depth = 16 if has_alpha and depth == 9 else depth
    else:
        base, is_grey = "yuva444p" if has_alpha else "yuv444p", False
    formula = Formula(depth, stored.is_rgb, is_grey, is_full, matrix, transfer, primaries)
    return _Route(base if depth == 8 else f"{base}{depth}le", kept, kept, formula, has_alpha)
