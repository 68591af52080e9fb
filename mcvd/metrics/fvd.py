"""The Frechet distance between two sets of videos in the features of a network: FVD, where that is the trained I3D."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torchmetrics import Metric
from torchmetrics.utilities import dim_zero_cat

from mcvd.metrics.frechet import distance_of_features, frechet_distance
from mcvd.metrics.i3d import INPUT_SIZE, NUM_LOGITS, random_i3d
from mcvd.metrics.preprocessing import MIN_FRAMES, Preprocessing, check_preprocessing, prepare

FEW_VIDEOS = 256


class FrechetVideoDistance(Metric):
    """Frechet distance between real and generated videos, in the features of a network.

    With the trained I3D (`mcvd.metrics.i3d_weights.load_i3d`) it is FVD (Unterthiner et al. 2018). With any other
    network it is another quantity and needs another name.

    Videos pass through the network one by one, in float32 without TF32, so the value is the same whatever the batches
    and the number of processes. Their features are kept (1.6 kB a video): videos that a distributed sampler repeats
    count once, and `features` gives them for what else is of interest (`frechet_interval`,
    `mcvd.metrics.kernel.kernel_distance`). For the distance alone their sums are enough
    (``keep_features=False``), whose size does not depend on the number of videos.

    Args:
        extractor: float32 (1, 3, T, size, size) in [-1, 1] -> (1, num_features). A module is moved to the metric's
            device; its weights are not part of the metric's state dict.
        preprocessing: how pixels become what the extractor takes, see `mcvd.metrics.preprocessing.prepare`.
        size: side of the frames that the extractor sees, in pixels. FVD has 224.
        num_features: how many features the extractor gives.
        keep_features: False keeps only their number, sum and sum of outer products, in float64.
        options: of `torchmetrics.Metric`.

    Examples:
        >>> from mcvd.metrics.i3d_weights import load_i3d
        >>> fvd = FrechetVideoDistance(load_i3d("i3d_torchscript.pt"))  # doctest: +SKIP
        >>> for batch in loader:  # doctest: +SKIP
        ...     fvd.update(batch["video"], real=True, indices=batch["index"])
        ...     fvd.update(model.predict(batch["video"][:, :2], 14), real=False, indices=batch["index"])
        >>> fvd.compute()  # doctest: +SKIP
    """

    is_differentiable = False
    higher_is_better = False
    full_state_update = False
    plot_lower_bound = 0.0

    real_features: list[Tensor]
    real_indices: list[Tensor]
    fake_features: list[Tensor]
    fake_indices: list[Tensor]
    real_sums: Tensor
    fake_sums: Tensor
    brightest: Tensor

    def __init__(
        self,
        extractor: Callable[[Tensor], Tensor],
        preprocessing: Preprocessing = "mcvd",
        size: int = INPUT_SIZE,
        num_features: int = NUM_LOGITS,
        keep_features: bool = True,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        check_preprocessing(preprocessing)
        # In a tuple, so that torch does not find it: its weights do not belong in the checkpoints of a model.
        self._extractor = (extractor,)
        self.preprocessing = preprocessing
        self.size = size
        self.num_features = num_features
        self.keep_features = keep_features
        for side in ("real", "fake"):
            if keep_features:
                self.add_state(f"{side}_features", [], dist_reduce_fx="cat")
                self.add_state(f"{side}_indices", [], dist_reduce_fx="cat")
            else:
                blank = torch.zeros(num_features + 1, num_features + 1, dtype=torch.float64)
                self.add_state(f"{side}_sums", blank, dist_reduce_fx="sum")
        self.add_state("brightest", torch.tensor(0), dist_reduce_fx="max")
        self.reset()

    def reset(self) -> None:
        """Forget all videos."""
        super().reset()
        self._num_frames: int | None = None
        # A process without videos needs something of the right shape for the others.
        for side in ("real", "fake") if self.keep_features else ():
            getattr(self, f"{side}_features").append(torch.empty(0, self.num_features, device=self.device))
            getattr(self, f"{side}_indices").append(torch.empty(0, dtype=torch.int64, device=self.device))

    @torch.no_grad()
    def update(self, videos: Tensor, real: bool, indices: Sequence[int] | Tensor | None = None) -> None:
        """Add some videos.

        Args:
            videos: uint8 (B, T, C, H, W), T 10 or more and the same for all, C 1 or 3.
            real: whether they are real or generated.
            indices: their numbers, (B,) and 0 or more, each its own among the real or the fake ones. A video that
                comes twice under the same number, as from samplers that fill the last batch of each process, counts
                once. None: every video counts.

        Raises:
            ValueError: dtype, shape or number of frames, or indices without features; the message says what is
                expected.
        """
        self._check(videos)
        if indices is not None and not self.keep_features:
            raise ValueError("sums do not know which videos came twice: indices need keep_features=True")
        self._num_frames = videos.shape[1]
        if indices is None:
            numbers = torch.full((len(videos),), -1, device=self.device)
        else:
            numbers = torch.as_tensor(indices, dtype=torch.int64, device=self.device)
            if numbers.shape != (len(videos),) or (numbers < 0).any():
                raise ValueError(
                    f"one index of 0 or more for each of the {len(videos)} videos is needed, got {indices}"
                )
        if not len(videos):
            return
        features = torch.cat([self._extract(video) for video in videos])
        side = "real" if real else "fake"
        if self.keep_features:
            getattr(self, f"{side}_features").append(features)
            getattr(self, f"{side}_indices").append(numbers)
        else:
            # With a one before the features, one product holds their number, their sum and that of outer products.
            rows = nn.functional.pad(features.double(), (1, 0), value=1.0)
            getattr(self, f"{side}_sums").add_(rows.T @ rows)
        self.brightest = torch.maximum(self.brightest, videos.max().to(self.brightest))

    def compute(self) -> Tensor:
        """The distance, float64 scalar.

        Raises:
            ValueError: fewer than 2 real or fake videos, in all processes together.
        """
        if self.keep_features:
            real, fake = self._collect()
            numbers, value = (len(real), len(fake)), distance_of_features(real, fake)
        else:
            sums = self.real_sums.cpu(), self.fake_sums.cpu()
            numbers = int(sums[0][0, 0]), int(sums[1][0, 0])
            self._check_seen(*numbers)
            value = frechet_distance(*_moments(sums[0]), *_moments(sums[1]))
        for name, number in zip(("real", "fake"), numbers, strict=True):
            if number < FEW_VIDEOS:
                warnings.warn(
                    f"only {number} {name} videos: a Frechet distance of fewer than {FEW_VIDEOS} depends more on "
                    "their number than on their quality; compare it with values of the same numbers alone",
                    stacklevel=3,  # past torchmetrics' wrapper
                )
        return value

    def features(self) -> tuple[Tensor, Tensor]:
        """The features of the real and of the fake videos of all processes: float32 (N, D) and (M, D) on the CPU.

        In the order of their indices, or as they came where none were given.

        Raises:
            ValueError: only sums were kept, or there are fewer than 2 of a side.
        """
        if not self.keep_features:
            raise ValueError("this metric keeps only sums: features need keep_features=True")
        with self.sync_context(should_sync=self._to_sync and not self._is_synced):
            return self._collect()

    def _check(self, videos: Tensor) -> None:
        if videos.dtype != torch.uint8:
            raise ValueError(
                f"videos must be uint8 with values from 0 to 255, got {videos.dtype}: what lies in [0, 1] becomes so "
                "by (videos * 255).round().to(torch.uint8)"
            )
        if videos.ndim != 5 or videos.shape[2] not in (1, 3) or 0 in videos.shape[3:]:
            raise ValueError(f"videos must be (B, T, C, H, W) with 1 or 3 channels C, got {tuple(videos.shape)}")
        num_frames = videos.shape[1]
        if num_frames < MIN_FRAMES:
            raise ValueError(
                f"videos must have {MIN_FRAMES} frames or more, got {num_frames}: I3D reduces 8 frames to one and "
                "needs more than one; 16 is customary"
            )
        if self._num_frames not in (None, num_frames):
            raise ValueError(
                f"videos of {num_frames} frames after some of {self._num_frames}: all must have the same number, "
                "distances of different lengths are different measures"
            )

    def _extract(self, video: Tensor) -> Tensor:
        extractor = self._extractor[0]
        if isinstance(extractor, nn.Module):
            extractor.to(self.device)
        prepared = prepare(video.to(self.device), self.preprocessing, self.size)[None]
        with _without_tf32(), torch.autocast(self.device.type, enabled=False):
            features = extractor(prepared)
        if features.shape != (1, self.num_features) or not features.isfinite().all():
            raise ValueError(
                f"the extractor must give {self.num_features} finite features of a video, (1, {self.num_features}), "
                f"got {tuple(features.shape)}{'' if features.isfinite().all() else ' with NaN or infinity'}"
            )
        return features.float()

    def _collect(self) -> tuple[Tensor, Tensor]:
        real = _in_order(dim_zero_cat(self.real_features), dim_zero_cat(self.real_indices), "real")
        fake = _in_order(dim_zero_cat(self.fake_features), dim_zero_cat(self.fake_indices), "fake")
        self._check_seen(len(real), len(fake))
        return real, fake

    def _check_seen(self, num_real: int, num_fake: int) -> None:
        for name, found in (("real", num_real), ("fake", num_fake)):
            if found < 2:
                raise ValueError(f"a Frechet distance needs 2 or more {name} videos, got {found}")
        if self.brightest <= 1:
            raise ValueError(
                "no pixel of any video is brighter than 1 of 255: were frames in [0, 1] made uint8 without being "
                "multiplied by 255?"
            )


def random_i3d_distance(
    real: Tensor, fake: Tensor, seed: int = 0, preprocessing: Preprocessing = "mcvd", size: int = INPUT_SIZE
) -> Tensor:
    """Frechet distance in the logits of an I3D with random weights: needs no download, is **not** FVD.

    It separates gross faults (noise, blur, frozen or shuffled frames) from good videos; its scale is its own.

    Args:
        real: uint8 (N, T, C, H, W).
        fake: uint8 (M, T, C, H, W).
        seed: of the weights. Values of different seeds, preprocessings or sizes cannot be compared.
        preprocessing: see `mcvd.metrics.preprocessing.prepare`.
        size: side of the frames that the network sees, in pixels.

    Returns:
        float64 scalar.
    """
    metric = FrechetVideoDistance(random_i3d(seed), preprocessing, size, keep_features=False)
    metric.update(real, real=True)
    metric.update(fake, real=False)
    return metric.compute()


@contextmanager
def _without_tf32() -> Iterator[None]:
    """Convolutions in full float32 on GPUs too, where PyTorch's default is 10 bits of mantissa."""
    convolutions: Any = torch.backends.cudnn.conv  # type: ignore[attr-defined]
    before = convolutions.fp32_precision
    convolutions.fp32_precision = "ieee"
    try:
        yield
    finally:
        convolutions.fp32_precision = before


def _moments(sums: Tensor) -> tuple[Tensor, Tensor]:
    """Mean (D,) and covariance (D, D) from the sum of outer products of (1, features), (D + 1, D + 1)."""
    number = sums[0, 0]
    mean = sums[0, 1:] / number
    return mean, (sums[1:, 1:] - number * mean.outer(mean)) / (number - 1)


def _in_order(features: Tensor, indices: Tensor, name: str) -> Tensor:
    """Sorted by index, each index once."""
    features, indices = features.cpu(), indices.cpu()
    if (indices < 0).all():
        return features
    if (indices < 0).any():
        raise ValueError(f"all {name} videos need an index of 0 or more, or none of them any")
    indices, order = indices.sort(stable=True)
    features = features[order]
    again = indices[1:] == indices[:-1]
    difference = (features[1:] - features[:-1])[again].abs()
    if difference.numel() and difference.max() > 1e-3 * features.abs().max():
        number = indices[1:][again][difference.amax(1).argmax()].item()
        raise ValueError(f"different {name} videos have the same index {number}: each needs its own")
    return features[torch.cat([torch.ones(1, dtype=torch.bool), ~again])]
