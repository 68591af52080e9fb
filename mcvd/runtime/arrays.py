"""Videos as users bring them: tensors, or arrays of numpy."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

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
        raise ValueError(f"expected frames as a tensor or a numpy array, got {type(video).__name__}")
    try:
        return torch.tensor(np.ascontiguousarray(video))
    except TypeError as error:
        raise ValueError(f"expected frames of numbers, got an array of {video.dtype}") from error
