"""A result card: scores together with everything that fixes them."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from mcvd.evaluation.protocols import Protocol
from mcvd.metrics.frame_metrics import MS_SSIM, PSNR, TORCHMETRICS_SSIM, FrameMetric, num_scales
from mcvd.metrics.fvd import MIN_FRAMES, FrechetVideoDistance, distances_of_samples, frechet_interval
from mcvd.metrics.i3d import random_i3d
from mcvd.metrics.i3d_weights import cached_i3d, identify, load_i3d
from mcvd.metrics.kernel import kernel_distance
from mcvd.metrics.lpips import MIN_SIZE, lpips
from mcvd.metrics.preprocessing import Preprocessing
from mcvd.metrics.published import PUBLISHED_BINARY_SSIM, PUBLISHED_PSNR, PUBLISHED_SSIM, published_lpips
from mcvd.runtime.distributed import all_gather


def frame_metrics(
    height: int, width: int, protocol: Protocol | None, lpips_weights: str | None
) -> tuple[list[FrameMetric], dict[str, str]]:
    """The scores of frames of a size, and the reason of each that cannot be had, by its title.

    Args:
        height, width: in pixels.
        protocol: says whose definitions they have. With one, the weights of LPIPS are fetched if need be.
        lpips_weights: file of the weights of AlexNet.
    """
    is_published = False
    metrics = [PSNR, TORCHMETRICS_SSIM]
    if protocol is not None and protocol.frame_metrics == "mcvd-2022":
        is_published = True
        metrics = [PUBLISHED_PSNR, PUBLISHED_BINARY_SSIM if protocol.binary_ssim else PUBLISHED_SSIM]
    missing = {}
    if num_scales(height, width):
        metrics.append(MS_SSIM)
    else:
        missing["MS-SSIM"] = f"frames of {width}x{height} pixels are too small for two scales"
    if protocol is None and lpips_weights is None:
        missing["LPIPS"] = "not asked for: name a --protocol or the --lpips-weights"
    elif not is_published and min(height, width) < MIN_SIZE:
        missing["LPIPS"] = f"needs frames of {MIN_SIZE}x{MIN_SIZE} pixels or more, got {width}x{height}"
    else:
        try:
            metrics.append(published_lpips(lpips_weights) if is_published else lpips(lpips_weights))
        except (OSError, ValueError) as error:
            missing["LPIPS"] = str(error)
    return metrics, missing


def distribution_metrics(
    videos: dict[int, tuple[Tensor, Tensor]],
    weights: str | None,
    seed: int | None,
    protocol: Protocol | None = None,
    device: torch.device | str = "cpu",
    from_nothing: bool = False,
) -> list[dict[str, Any]]:
    """The distances between true and made videos: FVD, or why there is none, and `random_i3d_distance` if asked for.

    Args:
        videos: those of this process, by the number of the clip: uint8 (T, C, H, W), given and true frames, and
            (K, T, C, H, W), given and made ones. Where `torch.distributed` runs, all processes return the same rows.
        weights: file of I3D weights for FVD.
        seed: of a random I3D; None leaves its distance out.
        protocol: says how frames are prepared. With one and no ``weights``, those of the cache are taken, or fetched.
        device: where the network runs.
        from_nothing: the made videos continue nothing; all of them are independent.
    """
    preprocessing: Preprocessing = protocol.preprocessing if protocol else "mcvd"

    def measure(network: nn.Module) -> dict[str, Any]:
        return _measured(videos, network, preprocessing, device, from_nothing)

    reason = _too_little(videos)
    rows = [_missing("FVD", reason) if reason else _fvd(weights, protocol is not None, measure)]
    if seed is not None:
        row = _missing("random_i3d_distance", reason) if reason else measure(random_i3d(seed))
        row.pop("kernel_distance", None)
        rows.append({"name": "random_i3d_distance"} | row | {"random_seed": seed})
    return rows


def _fvd(weights: str | None, fetch: bool, measure: Callable[[nn.Module], dict[str, Any]]) -> dict[str, Any]:
    if weights is None and not fetch:
        return _missing("FVD", "not asked for: name a --protocol or the --weights of I3D")
    try:
        path = Path(weights) if weights else cached_i3d()
        network, known = load_i3d(path), identify(path)
        assert known is not None  # load_i3d takes none of another checksum
    except (OSError, ValueError) as error:
        return _missing("FVD", str(error))
    with path.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    row = {"name": "FVD", "weights": f"{known.name}, {known.what}", "weights_digest": sha256}
    return row | measure(network)


def _too_little(videos: dict[int, tuple[Tensor, Tensor]]) -> str | None:
    shapes = [shape for share in all_gather([fake.shape for _, fake in videos.values()]) for shape in share]
    num_fake, num_frames = sum(shape[0] for shape in shapes), shapes[0][1]
    if num_frames < MIN_FRAMES:
        return f"needs {MIN_FRAMES} frames or more, given and made together, got {num_frames}"
    if min(len(shapes), num_fake) < 2:
        return f"needs 2 videos or more, got {len(shapes)} real and {num_fake} made"
    return None


def _missing(name: str, reason: str) -> dict[str, Any]:
    return {"name": name, "value": None, "reason": reason}


def _measured(
    videos: dict[int, tuple[Tensor, Tensor]],
    network: nn.Module,
    preprocessing: Preprocessing,
    device: torch.device | str,
    from_nothing: bool,
) -> dict[str, Any]:
    metric = FrechetVideoDistance(network, preprocessing).to(device)
    for number, (real, fake) in videos.items():
        metric.update(real[None], real=True, indices=[number])
        metric.update(fake, real=False, indices=[number * len(fake) + k for k in range(len(fake))])
    with warnings.catch_warnings(record=True) as cautions:
        warnings.simplefilter("always")
        value = metric.compute().item()
    features = metric.features()
    num_samples = len(features[1]) // len(features[0])
    of_samples = distances_of_samples(*features, num_samples)
    return {
        "value": value,
        "interval_95": list(frechet_interval(*features, samples_of_each=None if from_nothing else num_samples)),
        "mean_of_single_samples": sum(of_samples) / num_samples,
        "of_single_samples": of_samples,
        "kernel_distance": float(kernel_distance(*features)),
        "preprocessing": preprocessing,
        "num_real": len(features[0]),
        "num_fake": len(features[1]),
        "cautions": [str(caution.message) for caution in cautions],
    }
