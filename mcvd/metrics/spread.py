"""How far samples of one future lie apart, pixel by pixel, and how far their mean misses the truth."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor


def spread_map(samples: Tensor) -> Tensor:
    """The standard deviation of each pixel over samples, its root mean square over the channels.

    Args:
        samples: uint8 (K, T, C, H, W), K being 2 or more.

    Returns:
        float32 (T, H, W), grey levels; unbiased (a division by K - 1).

    Examples:
        >>> samples = torch.tensor([10, 14], dtype=torch.uint8).view(2, 1, 1, 1, 1)
        >>> round(spread_map(samples).item() ** 2, 3)
        8.0
    """
    if len(samples) < 2:
        raise ValueError(f"a spread needs 2 samples or more, got {len(samples)}")
    return _by_frame(lambda t: samples[:, t].float().var(0).mean(0).sqrt(), samples.shape[1])


def error_map(samples: Tensor, target: Tensor) -> Tensor:
    """The distance of the samples' mean from the truth in each pixel, its root mean square over the channels.

    Args:
        samples: uint8 (K, T, C, H, W), K being 1 or more.
        target: uint8 (T, C, H, W).

    Returns:
        float32 (T, H, W), grey levels.

    Examples:
        >>> samples = torch.tensor([10, 14], dtype=torch.uint8).view(2, 1, 1, 1, 1)
        >>> error_map(samples, samples[0]).item()
        2.0
    """
    return _by_frame(
        lambda t: (samples[:, t].float().mean(0) - target[t].float()).square().mean(0).sqrt(), samples.shape[1]
    )


def expected_error(spread: float, num_samples: int) -> float:
    """The root mean square error that the mean of samples has whose spread is as wide as that of the truth.

    The truth is then one more draw beside the K samples, and the squared error of their mean is (K + 1) / K times their
    variance (Fortin et al. 2014, "Why should ensemble spread match the RMSE of the ensemble mean?").

    Args:
        spread: root mean square of `spread_map`.
        num_samples: K.
    """
    return ((num_samples + 1) / num_samples) ** 0.5 * spread


def _by_frame(of_frame: Callable[[int], Tensor], num_frames: int) -> Tensor:
    """One frame at a time: all of them as floats would be four times the samples."""
    return torch.stack([of_frame(t) for t in range(num_frames)])
