"""How good videos are. Nothing here knows of models: metrics take tensors of pixels or of features."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from mcvd.metrics.frame_metrics import MS_SSIM, PSNR, SSIM, FrameMetric
from mcvd.metrics.frames import MAX_PSNR_DB, mean_of_samples, psnr, psnr_per_frame, ssim, ssim_per_frame
from mcvd.metrics.frechet import frechet_distance
from mcvd.metrics.kernel import kernel_distance

if TYPE_CHECKING:
    from mcvd.metrics.fvd import FrechetVideoDistance, frechet_interval, random_i3d_distance
    from mcvd.metrics.i3d_weights import load_i3d

_HOMES = {  # with torchmetrics, which takes long to import
    "FrechetVideoDistance": "mcvd.metrics.fvd",
    "frechet_interval": "mcvd.metrics.fvd",
    "load_i3d": "mcvd.metrics.i3d_weights",
    "random_i3d_distance": "mcvd.metrics.fvd",
}

__all__ = [
    "MAX_PSNR_DB",
    "MS_SSIM",
    "PSNR",
    "SSIM",
    "FrameMetric",
    "FrechetVideoDistance",
    "frechet_distance",
    "frechet_interval",
    "kernel_distance",
    "load_i3d",
    "mean_of_samples",
    "psnr",
    "psnr_per_frame",
    "random_i3d_distance",
    "ssim",
    "ssim_per_frame",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'mcvd.metrics' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
