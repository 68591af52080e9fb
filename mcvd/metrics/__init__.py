"""How good videos are. Nothing here knows of models: metrics take tensors of pixels or of features."""

from typing import TYPE_CHECKING

from mcvd.runtime.lazy import lazy_exports

if TYPE_CHECKING:
    from mcvd.metrics.calibration import EventCounts
    from mcvd.metrics.ensemble import crps, energy_score, motion, sharpness
    from mcvd.metrics.ensemble_metrics import Exceedance, RankHistogram, SpreadSkill
    from mcvd.metrics.frame_metrics import MS_SSIM, PSNR, SSIM, FrameMetric
    from mcvd.metrics.frames import MAX_PSNR_DB, mean_of_samples, psnr, psnr_per_frame, ssim, ssim_per_frame
    from mcvd.metrics.frechet import frechet_distance, frechet_interval
    from mcvd.metrics.fvd import FrechetVideoDistance, random_i3d_distance
    from mcvd.metrics.i3d_weights import load_i3d
    from mcvd.metrics.kernel import kernel_distance

_EXPORTS = {
    "calibration": ("EventCounts",),
    "ensemble": ("crps", "energy_score", "motion", "sharpness"),
    "ensemble_metrics": ("Exceedance", "RankHistogram", "SpreadSkill"),
    "frame_metrics": ("MS_SSIM", "PSNR", "SSIM", "FrameMetric"),
    "frames": ("MAX_PSNR_DB", "mean_of_samples", "psnr", "psnr_per_frame", "ssim", "ssim_per_frame"),
    "frechet": ("frechet_distance", "frechet_interval"),
    "fvd": ("FrechetVideoDistance", "random_i3d_distance"),
    "i3d_weights": ("load_i3d",),
    "kernel": ("kernel_distance",),
}

__getattr__, __dir__ = lazy_exports(
    __name__, {name: f"mcvd.metrics.{module}" for module, names in _EXPORTS.items() for name in names}
)
