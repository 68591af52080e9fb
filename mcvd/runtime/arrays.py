"""Videos as users bring them: tensors, or arrays of numpy."""

from __future__ import annotations

import os
from collections.abc import Sequence
from numbers import Integral
from typing import Any, Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

OutputType = Literal["pt", "np", "pil"]
"""What videos are given back as: tensors, arrays of numpy, or lists of pictures."""

Video = Tensor | NDArray[np.uint8]
"""uint8 frames, 0 to 255; of which shape is said where one is taken."""


def as_tensor(video: Video) -> Tensor:
    """The video as a tensor; an array is copied, whatever its strides.

    Raises:
        ValueError: it is neither.
    """
    if isinstance(video, Tensor):
        return video
    if not isinstance(video, np.ndarray):
        hint = ""
        if isinstance(video, str | os.PathLike):
            hint = f"; mcvd.read_video({os.fspath(video)!r}, size=...) reads a file"
        elif isinstance(video, list | tuple):
            hint = "; numpy.stack(frames) makes one array of many"
        raise ValueError(f"expected frames as a tensor or a numpy array, got {type(video).__name__}{hint}")
    try:
        return torch.tensor(np.ascontiguousarray(video))
    except TypeError as error:
        raise ValueError(f"expected frames of numbers, got an array of {video.dtype}") from error


def height_and_width(size: int | Sequence[int]) -> tuple[int, int]:
    """The size of frames as users give it: (height, width), or one number for a square.

    Raises:
        ValueError: it is neither.

    Examples:
        >>> height_and_width(64), height_and_width((72, 128))
        ((64, 64), (72, 128))
    """
    sides: Any = (size, size) if isinstance(size, Integral) else size
    two = isinstance(sides, Sequence) and not isinstance(sides, str | bytes | bytearray) and len(sides) == 2
    if not two or not all(isinstance(side, Integral) and not isinstance(side, bool) for side in sides):
        raise ValueError(f"size must be (height, width) in pixels, or one number for a square, got {size!r}")
    return int(sides[0]), int(sides[1])


def check_output_type(output_type: str) -> None:
    """Check that it is one of `OutputType`.

    Raises:
        ValueError: it is not.
    """
    if output_type not in get_args(OutputType):
        raise ValueError(f"output_type must be 'pt', 'np' or 'pil', got {output_type!r}")


def as_output(video: Tensor, output_type: OutputType) -> Any:
    """Frames (..., C, H, W) as an `OutputType`; of pictures a list of each video, and a list of these for each axis.

    Raises:
        ValueError: pictures are asked for, and the frames are no uint8 of one or three channels.

    Examples:
        >>> as_output(torch.zeros(2, 5, 3, 8, 8, dtype=torch.uint8), "pil")[1][4].size
        (8, 8)
    """
    if output_type == "pt":
        return video
    if output_type == "np":
        return video.numpy(force=True)
    if video.dtype != torch.uint8 or video.shape[-3] not in (1, 3):
        raise ValueError(
            f"output_type 'pil' is for uint8 frames of 1 or 3 channels, and these are {video.dtype} of "
            f"{video.shape[-3]}: take 'np'"
        )
    if video.ndim > 3:
        return [as_output(each, output_type) for each in video]
    from PIL import Image

    return Image.fromarray(video.permute(1, 2, 0).squeeze(-1).numpy(force=True))
