"""LPIPS (Zhang et al. 2018, version 0.1, AlexNet) of frames, with the weights that define it or not at all."""

from __future__ import annotations

import hashlib
import pickle
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from mcvd.metrics.frame_metrics import FrameMetric
from mcvd.runtime.download import Download, cache_folder, fetch, has_digest
from mcvd.runtime.error_text import first_line

ALEXNET = Download(
    name="alexnet-owt-7be5be79.pth",
    what="the file of weights (AlexNet of torchvision)",
    digest="sha256:7be5be79",
    mirrors=("https://download.pytorch.org/models/alexnet-owt-7be5be79.pth",),
)
MIN_SIZE = 32  # pixels of a side; the network needs that much
_CHUNK_FRAMES = 64


def lpips(path: str | Path | None = None, size: int | None = None) -> FrameMetric:
    """LPIPS as a metric of frames; lower is nearer to the ground truth. The network is that of torchmetrics.

    Args:
        path: file of the weights of AlexNet; None downloads it once.
        size: side of the square that frames are scaled to first (by Pillow, bilinear), in pixels, as in the published
            evaluation, where it is 128; None leaves frames as they are, `MIN_SIZE` or more.

    Raises:
        FileNotFoundError: there is no such file, or the download failed; says what to download.
        ValueError: the file is another one.

    Examples:
        >>> metric = lpips("alexnet-owt-7be5be79.pth")  # doctest: +SKIP
        >>> metric.per_video(samples, target)  # doctest: +SKIP
    """
    path = alexnet_file(path)
    with path.open("rb") as file:
        weights = f"{path.name}, sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"
    scaled = f"scaled to {size}x{size} pixels" if size else "of their own size"
    return FrameMetric(
        "lpips",
        "LPIPS",
        3,
        partial(lpips_per_frame, lpips_network(path), size=size),
        higher_is_better=False,
        definition=f"version 0.1, of frames rounded to 8 bits, {scaled}; mean over frames; {weights}",
    )


def alexnet_file(path: str | Path | None, option: str = "--lpips-weights") -> Path:
    """The file of the weights of AlexNet: this one, which is checked, or the published one, downloaded once.

    Args:
        path: None for the published one.
        option: by which a file is named, for the message if it cannot be downloaded.

    Raises:
        FileNotFoundError: there is no such file, or the download failed; says what to download.
        ValueError: the file is another one.
    """
    if path is None:
        return fetch(replace(ALEXNET, instead=f" or name it ({option} FILE)"), cache_folder())
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no file of AlexNet weights at {path}")
    if not has_digest(path, ALEXNET.digest):
        raise ValueError(f"{path} is not {ALEXNET.name} ({ALEXNET.digest}), which LPIPS is defined by")
    return path


def lpips_network(path: Path) -> nn.Module:
    """The network: pairs of float (N, 3, H, W) in [-1, 1] -> distances (N, 1, 1, 1)."""
    from torchmetrics.functional.image.lpips import _LPIPS

    # The backbone comes from the file: random until then, so that torchmetrics does not download it by itself.
    network = _LPIPS(net="alex", pnet_rand=True)
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        # "slice2.3.weight" is torchvision's "features.3.weight".
        names = {name: f"features.{name.split('.', 1)[1]}" for name in network.net.state_dict()}
        network.net.load_state_dict({name: state[published] for name, published in names.items()})
    except (RuntimeError, KeyError, TypeError, AttributeError, pickle.UnpicklingError) as fault:
        raise ValueError(f"{path} holds no weights of AlexNet: {first_line(fault)}") from fault
    return network.eval()


@torch.no_grad()
def lpips_per_frame(network: Any, video: Tensor, target: Tensor, size: int | None = None) -> Tensor:
    """The distances of frames, float64 (..., T).

    Args:
        network: of `lpips_network`.
        video: uint8 (..., T, C, H, W), C 1 or 3; grey frames are repeated three times.
        target: the same, leading axes broadcast; what the network sees in a frame is computed once for all samples.
        size: see `lpips`.
    """
    leading = torch.broadcast_shapes(video.shape[:-3], target.shape[:-3])
    frames, seen = (_frame_numbers(side.shape[:-3], leading) for side in (video, target))
    video, target = video.flatten(0, -4), target.flatten(0, -4)
    scores = torch.empty(len(seen), dtype=torch.float64, device=video.device)
    for part in seen.argsort(stable=True).split(_CHUNK_FRAMES):  # samples of one target beside each other
        once, place = seen[part].unique(return_inverse=True)
        of_target = _features(network, target[once], size)
        pairs = zip(network.lins, _features(network, video[frames[part]], size), of_target, strict=True)
        scores[part] = sum(head((a - b[place]).square_()).mean((1, 2, 3)) for head, a, b in pairs).double()
    return scores.unflatten(0, leading)


def _frame_numbers(shape: torch.Size, leading: torch.Size) -> Tensor:
    """Which frame of a video (..., T) stands at each place when it is broadcast, int64."""
    return torch.arange(shape.numel()).view(shape).expand(leading).flatten()


def _features(network: Any, frames: Tensor, size: int | None) -> list[Tensor]:
    """What the network sees in uint8 (N, C, H, W): of five layers (N, F, h, w), vectors of length 1."""
    layers = network.net(network.scaling_layer(2 * (_pixels(frames, size) / 255) - 1))
    return [layer / (layer.square().sum(1, keepdim=True) + 1e-8).sqrt() for layer in layers]


def _pixels(frames: Tensor, size: int | None) -> Tensor:
    """uint8 (N, C, H, W) -> whole numbers 0 to 255, float32 (N, 3, size, size)."""
    if size is not None and frames.shape[-2:] != (size, size):
        frames = torch.stack([_scaled(frame, size) for frame in frames])
    return frames.expand(-1, 3, -1, -1).float()


def _scaled(frame: Tensor, size: int) -> Tensor:
    """uint8 (C, H, W) -> (C, size, size). By Pillow, as PyTorch's own differs by one grey level here and there."""
    from PIL import Image

    planes = [
        Image.fromarray(plane.numpy(force=True)).resize((size, size), Image.Resampling.BILINEAR) for plane in frame
    ]
    return torch.stack([torch.from_numpy(np.asarray(plane).copy()) for plane in planes])
