"""Numbers of which no video can be made are an error, wherever they come from."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor


class NumbersError(ValueError, FloatingPointError):
    """Numbers that are not finite, or not floating point where they must be: never a video, never a score."""


def check_finite(tensors: Mapping[str, Tensor], what: str) -> None:
    """Refuse tensors with NaN or infinity.

    Args:
        tensors: by name, of any dtype and shape.
        what: how the message calls them.

    Raises:
        NumbersError: names the first.
    """
    wrong = [name for name, value in tensors.items() if not torch.isfinite(value).all()]
    if wrong:
        raise NumbersError(
            f"{what}: {len(wrong)} of {len(tensors)} are not finite (NaN or infinite), such as {wrong[0]}"
        )
