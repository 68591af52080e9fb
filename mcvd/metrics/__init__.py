"""How good videos are. Nothing here knows of models: metrics take tensors of pixels or of features."""

from mcvd.metrics.frames import MAX_PSNR_DB, mean_of_samples, psnr, psnr_per_frame, ssim, ssim_per_frame
from mcvd.metrics.frechet import frechet_distance

__all__ = [
    "MAX_PSNR_DB",
    "frechet_distance",
    "mean_of_samples",
    "psnr",
    "psnr_per_frame",
    "ssim",
    "ssim_per_frame",
]
