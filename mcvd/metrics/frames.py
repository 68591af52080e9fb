"""Frames against the ground truth: PSNR and SSIM of uint8 videos, and how far samples differ.

All functions take videos (..., T, C, H, W) with any leading axes, which broadcast, so that K samples are scored in
one call: ``psnr(samples, target[:, None])`` is (B, K); its ``.amax(1)`` is the best of K and its ``.mean(1)`` what one
sample can expect.
"""

from __future__ import annotations

import torch
from torch import Tensor

from mcvd.metrics.similarity import WINDOW_SIZE, of_pictures, similarity

MAX_PSNR_DB = 100.0


def mean_squared_error(video: Tensor, target: Tensor) -> Tensor:
    """Mean squared error of each frame, with black 0 and white 1.

    Args:
        video: uint8 (..., T, C, H, W).
        target: the same, leading axes broadcast.

    Returns:
        float64 (..., T), exact: squared differences of pixels are summed as integers.

    Raises:
        ValueError: dtypes or shapes do not fit.
    """
    _check(video, target)
    difference = video.short() - target.short()
    squares = difference.int().square().flatten(-3).sum(-1)  # sum() of int32 is int64
    return squares.double() / (target.shape[-3:].numel() * 255**2)


def psnr_from_mse(mse: Tensor) -> Tensor:
    """Peak signal-to-noise ratio in dB, ``10 log10(1 / MSE)``, no more than `MAX_PSNR_DB`.

    Identical frames would have infinitely many, which neither an average nor JSON can hold: what lies above 100 dB
    (one grey level in one of 150 thousand numbers) counts as 100.
    """
    return (-10 * mse.log10()).clamp(max=MAX_PSNR_DB)


def psnr(video: Tensor, target: Tensor) -> Tensor:
    """PSNR of each video in dB, of the error averaged over all its frames (MCVD, appendix; not the mean over frames).

    Args:
        video: uint8 (..., T, C, H, W).
        target: the same, leading axes broadcast.

    Returns:
        float64 (...).

    Examples:
        >>> black = torch.zeros(1, 2, 3, 8, 8, dtype=torch.uint8)
        >>> psnr(black + 51, black)  # a fifth of the range: 20 log10(5)
        tensor([13.9794], dtype=torch.float64)
    """
    return psnr_from_mse(mean_squared_error(video, target).mean(-1))


def psnr_per_frame(video: Tensor, target: Tensor) -> Tensor:
    """PSNR of each frame in dB, float64 (..., T); arguments and errors as of `mean_squared_error`."""
    return psnr_from_mse(mean_squared_error(video, target))


def ssim(video: Tensor, target: Tensor) -> Tensor:
    """Structural similarity of each video, the mean of its frames: 1 for identical ones, float64 (...).

    Arguments as in `ssim_per_frame`.

    Examples:
        >>> video = torch.randint(0, 256, (1, 2, 3, 16, 16), dtype=torch.uint8)
        >>> ssim(video, video)
        tensor([1.], dtype=torch.float64)
    """
    return ssim_per_frame(video, target).mean(-1)


def ssim_per_frame(video: Tensor, target: Tensor) -> Tensor:
    """Structural similarity of each frame (Wang et al. 2004), of the grey picture, as in published video results.

    Colour becomes 8-bit luma (Rec. 601, as Pillow's "L"); the window is a Gaussian of sigma 1.5 over 11 x 11 pixels,
    and only places where it lies wholly inside the frame count.

    Args:
        video: uint8 (..., T, C, H, W), C 1 or 3, H and W 11 or more.
        target: the same, leading axes broadcast.

    Returns:
        float64 (..., T).
    """
    _check(video, target)
    if min(video.shape[-2:]) < WINDOW_SIZE:
        size = "x".join(str(side) for side in video.shape[-2:])
        raise ValueError(f"SSIM needs frames of {WINDOW_SIZE}x{WINDOW_SIZE} pixels or more, got {size}")
    return of_pictures(_interior_similarity, luma(video), luma(target))


def mean_of_samples(samples: Tensor) -> Tensor:
    """The average of K videos: what minimises the squared error, and blurs where they differ.

    Args:
        samples: uint8 (B, K, T, C, H, W), or float (such as those in [0, 1] that were never rounded).

    Returns:
        (B, T, C, H, W) of the same dtype: pixels are rounded, floats are not.
    """
    mean = samples.double().mean(1)
    return (mean if samples.is_floating_point() else mean.round()).to(samples.dtype)


def squared_distance_of_samples(samples: Tensor) -> Tensor:
    """Mean squared difference between two different samples of the same video, over all pairs.

    A model that draws from the true distribution has the same expected distance between two samples as between a
    sample and the truth; a smaller one means that its samples are too much alike.

    Args:
        samples: uint8 (B, K, T, C, H, W), K 2 or more.

    Returns:
        float64 (B,), with black 0 and white 1.
    """
    num_samples = samples.shape[1]
    if num_samples < 2:
        raise ValueError(f"a distance between samples needs 2 or more of them, got {num_samples}")
    first, second = torch.triu_indices(num_samples, num_samples, offset=1)
    pairs = zip(first.tolist(), second.tolist(), strict=True)
    return torch.stack([mean_squared_error(samples[:, i], samples[:, j]).mean(-1) for i, j in pairs]).mean(0)


def _check(video: Tensor, target: Tensor) -> None:
    for name, frames in (("video", video), ("target", target)):
        if frames.dtype != torch.uint8 or frames.ndim < 4:
            raise ValueError(f"{name} must be uint8 (..., T, C, H, W), got {frames.dtype} {tuple(frames.shape)}")
    if video.shape[-4:] != target.shape[-4:] or 0 in video.shape[-4:]:
        raise ValueError(
            "video and target must have the same frames (T, C, H, W), 1 or more, "
            f"got {tuple(video.shape[-4:])} and {tuple(target.shape[-4:])}"
        )
    if video.shape[-3] not in (1, 3):
        raise ValueError(f"frames must have 1 or 3 channels, got {video.shape[-3]}")


def luma(video: Tensor) -> Tensor:
    """uint8 (..., C, H, W) -> grey pictures uint8 (..., H, W), to the last bit as Pillow converts "RGB" to "L"."""
    if video.shape[-3] == 1:
        return video[..., 0, :, :]
    red, green, blue = video.int().unbind(-3)
    return ((19595 * red + 38470 * green + 7471 * blue + 32768) >> 16).to(torch.uint8)


def _interior_similarity(a: Tensor, b: Tensor) -> Tensor:
    """uint8 (N, H, W) twice -> float64 (N,)."""
    return similarity(a, b, mirrored=False)[0].double().flatten(1).mean(1)
