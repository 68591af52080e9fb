"""Single pictures: a file, or a frame of an animated one, as upright RGB, whatever its depth."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import av
import numpy as np
from PIL import Image, ImageOps

from mcvd.runtime.error_text import one_line
from mcvd.video.decoders.base import MAX_SIDE, VideoError

# Fewer grey levels than this left of a deeper picture are a loss that nobody can have meant.
_ENOUGH_LEVELS = 128
# Tags of TIFF: the smallest and the largest value, of all samples or of each channel.
_TIFF_RANGES = ((280, 281), (340, 341))


@contextmanager
def opened_picture(file: Path) -> Iterator[Image.Image]:
    """A picture file, open.

    Raises:
        VideoError: if it cannot be read; also of what fails inside the ``with``, in one line that names the file.
    """
    with picture_faults(file), Image.open(file) as stored:
        check_sides(file, stored)
        yield stored


@contextmanager
def picture_faults(file: Path) -> Iterator[None]:
    """Turn what Pillow raises of a file into one `VideoError` that names it."""
    try:
        yield
    except VideoError:
        raise
    except PermissionError:
        raise VideoError(f"{file}: permission denied") from None
    except (OSError, SyntaxError, ValueError, LookupError, EOFError, Image.DecompressionBombError) as error:
        of_system = error.strerror if isinstance(error, OSError) else None  # without [Errno 21]
        fault = of_system or one_line(error).replace(f" '{file}'", "")
        raise VideoError(f"{file}: cannot be read as a picture ({fault})") from None


def check_sides(file: Path, picture: Image.Image) -> None:
    """Raise `VideoError` if an open picture claims a size that no frame has."""
    if max(picture.size) > MAX_SIDE:
        width, height = picture.size
        raise VideoError(f"{file}: says that it is {width}x{height} pixels; a side has at most {MAX_SIDE}")


def count_frames(picture: Image.Image) -> int:
    """How many frames an open picture holds; the second picture of a phone's JPEG, which is no frame, not counted."""
    # Only the formats of Pillow that can hold several have the attribute.
    return 1 if picture.format == "MPO" else int(getattr(picture, "n_frames", 1))


def check_still(file: Path, picture: Image.Image) -> None:
    """Raise `VideoError` if an open picture is animated."""
    if count_frames(picture) > 1:
        raise VideoError(
            f"{file}: is an animated picture of {count_frames(picture)} frames, not one frame of a video; "
            "take it out of this folder and read it as a video of its own"
        )


def load_picture(file: Path, levels: tuple[float, float] | None = None) -> Image.Image:
    """A picture file as upright RGB; transparent pixels are laid on black.

    Args:
        file: of one picture; one that holds several frames is refused.
        levels: the values of more than 8 bits that become black and white, see `to_rgb`.

    Raises:
        VideoError: if it cannot be read as one picture.
    """
    with opened_picture(file) as stored:
        check_still(file, stored)
        deep = _deep_colour(file, stored) if levels else None
        if deep is not None:
            return Image.fromarray(_scaled(deep, *levels))  # type: ignore[misc]
        stored.load()
        return to_rgb(ImageOps.exif_transpose(stored), levels or declared_levels(stored))


def to_rgb(picture: Image.Image, levels: tuple[float, float] | None = None) -> Image.Image:
    """A loaded picture as 8 bits of RGB.

    Args:
        picture: of any mode of Pillow.
        levels: the values of a picture of more than 8 bits that become black (0) and white (255), those between in
            proportion, those outside clipped. None: the upper 8 of 16 bits; floating point values are grey levels as
            they stand.
    """
    if picture.mode.startswith("I") or picture.mode == "F":
        values = np.asarray(picture)
        if levels is not None:
            grey = _scaled(values, *levels)
        elif picture.mode == "F":
            grey = np.nan_to_num(values).round().clip(0, 255).astype(np.uint8)
        else:  # Pillow's own conversion would clip at 255
            grey = (values.astype(np.int64) >> 8).clip(0, 255).astype(np.uint8)
        return Image.fromarray(grey).convert("RGB")
    if picture.has_transparency_data:
        black = Image.new("RGBA", picture.size, (0, 0, 0, 255))
        return Image.alpha_composite(black, picture.convert("RGBA")).convert("RGB")
    return picture.convert("RGB")


def declared_levels(picture: Image.Image) -> tuple[float, float] | None:
    """The smallest and largest value that a TIFF of more than 8 bits says its pixels can have; None: it says none."""
    tags = getattr(picture, "tag_v2", None)  # only TIFF has it
    if not tags or (picture.mode not in ("I", "F") and not picture.mode.startswith("I;")):
        return None
    for low, high in _TIFF_RANGES:
        ends = [float(np.max(tags[tag])) if tag in tags else 0.0 for tag in (low, high)]
        if ends[1] > ends[0]:
            return ends[0], ends[1]
    return None


def lost_levels(files: Sequence[Path]) -> str:
    """What is lost of pictures of more than 8 bits whose range nobody states, in words; empty if little is.

    Args:
        files: some pictures of one video, which are looked at together.

    Raises:
        VideoError: if one cannot be read.
    """
    lows, highs, kind = [], [], ""
    for file in files:
        with opened_picture(file) as stored:
            if declared_levels(stored):
                return ""
            deep = _deep_colour(file, stored)
            if deep is None and not stored.mode.startswith("I") and stored.mode != "F":
                return ""
            values = np.asarray(stored) if deep is None else deep
            kind = "floating point" if stored.mode == "F" else "more than 8 bits"
            lows.append(float(np.nanmin(values)))
            highs.append(float(np.nanmax(values)))
    return _loss(min(lows), max(highs), kind)


def _loss(low: float, high: float, kind: str) -> str:
    scale = 1 if kind == "floating point" else 256
    top = 255 * scale + scale - 1
    num_levels = int(min(high, top) // scale) - int(max(low, 0) // scale) + 1
    if low >= 0 and high <= top and (num_levels >= _ENOUGH_LEVELS or low == high):
        return ""
    return (
        f"its pictures are of {kind}, with values from {low:g} to {high:g}, of which {max(1, num_levels)} grey levels "
        f"are left; say in a file frames.yaml beside them which values are black and white, for example "
        f"range: [{low:g}, {high:g}]"
    )


def _scaled(values: np.ndarray, low: float, high: float) -> np.ndarray:
    """uint8: ``low`` becomes 0 and ``high`` 255."""
    shares = (np.nan_to_num(values.astype(np.float64), nan=low) - low) / (high - low)
    return (255 * shares).round().clip(0, 255).astype(np.uint8)


def _deep_colour(file: Path, stored: Image.Image) -> np.ndarray | None:
    """(H, W, 3) of the 16 bits a channel of a coloured picture, which Pillow cuts to 8; None where it has no more."""
    tiles = getattr(stored, "tile", None)  # of picture files, not of pictures made in memory
    stored_as = str(tiles[0][3]) if tiles else ""
    if not any(mode in stored_as for mode in ("RGB;16", "RGBA;16", "RGBX;16")):
        return None
    try:
        with av.open(f"file:{file}", options={"protocol_whitelist": "file"}) as container:
            return next(container.decode(video=0)).to_ndarray(format="rgb48le")
    except (av.FFmpegError, StopIteration) as error:
        raise VideoError(f"{file}: cannot be read as a picture ({one_line(error)})") from None
