"""Distances between true clips and the samples of a model: FVD and KVD, or those of a random network."""

from __future__ import annotations

import hashlib
import warnings
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import nn

from mcvd.evaluation.batch import SampledBatch
from mcvd.evaluation.protocols import Protocol
from mcvd.evaluation.result_card import Distance
from mcvd.metrics.frechet import distances_of_samples, frechet_interval
from mcvd.metrics.i3d import random_i3d
from mcvd.metrics.i3d_weights import cached_i3d, identify, load_i3d
from mcvd.metrics.kernel import kernel_distance
from mcvd.metrics.preprocessing import MIN_FRAMES, Preprocessing
from mcvd.runtime.distributed import all_gather

if TYPE_CHECKING:
    from mcvd.metrics.fvd import FrechetVideoDistance


def distribution_metrics(
    num_frames: int,
    weights: str | None,
    seed: int | None,
    protocol: Protocol | None = None,
    device: torch.device | str = "cpu",
    from_nothing: bool = False,
) -> list[SampleDistance]:
    """The distances between true clips and samples: FVD, and ``random_i3d_distance`` if asked for.

    Args:
        num_frames: of the clips, context and generated ones together.
        weights: file of I3D weights for FVD.
        seed: of a random I3D; None leaves its distance out.
        protocol: says how frames are preprocessed. With one and no ``weights``, those of the cache are used, or
            downloaded.
        device: where the networks run.
        from_nothing: the samples continue nothing; all of them are independent.
    """
    preprocessing: Preprocessing = protocol.preprocessing if protocol else "mcvd"
    networks: list[tuple[Distance, nn.Module | None]] = []
    if num_frames < MIN_FRAMES:
        reason = (
            f"needs {MIN_FRAMES} frames or more, context and generated ones together, got {num_frames}: "
            f"generate {MIN_FRAMES - num_frames} more (--num-frames)"
        )
        names = ["FVD"] if seed is None else ["FVD", "random_i3d_distance"]
        networks = [(Distance(name, reason=reason), None) for name in names]
    else:
        networks.append(_fvd(weights, download=protocol is not None))
        if seed is not None:
            networks.append((Distance("random_i3d_distance", random_seed=seed), random_i3d(seed)))
    return [
        SampleDistance(replace(about, preprocessing=preprocessing), network, device, from_nothing)
        for about, network in networks
    ]


def _fvd(weights: str | None, download: bool) -> tuple[Distance, nn.Module | None]:
    """What is known of the network of FVD, or why there is none, and the network."""
    if weights is None and not download:
        return Distance("FVD", reason="not asked for: name a --protocol or the --weights of I3D"), None
    try:
        path = Path(weights) if weights else cached_i3d()
        network, known = load_i3d(path), identify(path)
        assert known is not None  # load_i3d takes none of another checksum
    except (OSError, ValueError) as error:
        return Distance("FVD", reason=str(error)), None
    with path.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    return Distance("FVD", weights=f"{known.name}, {known.what}", weights_digest=sha256), network


class SampleDistance:
    """The Frechet distance between true clips and samples, an `mcvd.evaluation.batch.Accumulator`: features stay alone.

    Context belongs to both sides, as published. All K samples of a clip enter together; beside that stand the
    distances of the first samples alone, of the second ones, and so on.

    Args:
        about: what is known before: name, weights, preprocessing, or the reason why there will be no value.
        network: see `FrechetVideoDistance`; None where there is a reason.
        device: where it runs.
        from_nothing: the samples continue nothing; all of them are independent.
    """

    def __init__(
        self,
        about: Distance,
        network: nn.Module | None,
        device: torch.device | str = "cpu",
        from_nothing: bool = False,
    ) -> None:
        self._about = about
        self._from_nothing = from_nothing
        self._metric: FrechetVideoDistance | None = None
        if network is not None and about.preprocessing is not None:
            from mcvd.metrics.fvd import FrechetVideoDistance

            self._metric = FrechetVideoDistance(network, about.preprocessing).to(device)

    def update(self, batch: SampledBatch) -> None:
        """Take in a batch of this process."""
        if self._metric is None:
            return
        num_samples = batch.samples.shape[1]
        self._metric.update(batch.real(), real=True, indices=range(batch.first, batch.first + len(batch)))
        numbers = range(batch.first * num_samples, (batch.first + len(batch)) * num_samples)
        self._metric.update(batch.fake().flatten(0, 1), real=False, indices=numbers)

    def compute(self) -> Distance:
        """The distance, or why there is none; the same in all processes."""
        reason = next((reason for reason in all_gather(self._about.reason) if reason), None)
        if reason or self._metric is None:
            return replace(self._about, reason=reason)
        sides = (self._metric.real_features, self._metric.fake_features)
        seen = all_gather([sum(map(len, features)) for features in sides])
        num_real, num_fake = (sum(counts) for counts in zip(*seen, strict=True))
        if min(num_real, num_fake) < 2:
            return replace(self._about, reason=f"needs 2 videos or more, got {num_real} real and {num_fake} generated")
        with warnings.catch_warnings(record=True) as cautions:
            warnings.simplefilter("always")
            value = self._metric.compute().item()
        real, fake = self._metric.features()
        num_samples = len(fake) // len(real)
        of_samples = distances_of_samples(real, fake, num_samples)
        is_random = self._about.random_seed is not None
        return replace(
            self._about,
            value=value,
            interval_95=frechet_interval(real, fake, samples_of_each=None if self._from_nothing else num_samples),
            mean_of_single_samples=sum(of_samples) / num_samples,
            of_single_samples=tuple(of_samples),
            kernel_distance=None if is_random else float(kernel_distance(real, fake)),
            num_real=len(real),
            num_fake=len(fake),
            cautions=tuple(str(caution.message) for caution in cautions),
        )
