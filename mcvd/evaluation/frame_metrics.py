"""Which metrics of frames an evaluation reports: those that fit the frames and the protocol."""

from __future__ import annotations

from mcvd.evaluation.protocols import Protocol
from mcvd.metrics.frame_metrics import MS_SSIM, PSNR, SSIM, FrameMetric, num_scales
from mcvd.metrics.lpips import MIN_SIZE, lpips
from mcvd.metrics.published import PUBLISHED_BINARY_SSIM, PUBLISHED_PSNR, PUBLISHED_SSIM, published_lpips


def frame_metrics(
    height: int, width: int, protocol: Protocol | None, lpips_weights: str | None
) -> tuple[list[FrameMetric], dict[str, str]]:
    """The metrics of frames of a size, and the reason for each that cannot be had, by its title.

    Args:
        height, width: in pixels.
        protocol: says whose definitions they have. With one, the weights of LPIPS are downloaded if need be.
        lpips_weights: file of the weights of AlexNet.
    """
    is_published = False
    metrics = [PSNR, SSIM]
    if protocol is not None and protocol.frame_metrics == "mcvd-2022":
        is_published = True
        metrics = [PUBLISHED_PSNR, PUBLISHED_BINARY_SSIM if protocol.binary_ssim else PUBLISHED_SSIM]
    missing = {}
    if num_scales(height, width):
        metrics.append(MS_SSIM)
    else:
        missing["MS-SSIM"] = f"frames of {height}x{width} pixels are too small for two scales"
    if protocol is None and lpips_weights is None:
        missing["LPIPS"] = "not asked for: name a --protocol or the --lpips-weights"
    elif not is_published and min(height, width) < MIN_SIZE:
        missing["LPIPS"] = f"needs frames of {MIN_SIZE}x{MIN_SIZE} pixels or more, got {height}x{width}"
    else:
        try:
            metrics.append(published_lpips(lpips_weights) if is_published else lpips(lpips_weights))
        except (OSError, ValueError) as error:
            missing["LPIPS"] = str(error)
    return metrics, missing
