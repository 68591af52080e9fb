"""Bits per dimension of the true frames: how probable a model finds what really came."""

from __future__ import annotations

from math import log, log2

import numpy as np
import torch
from torch import Tensor

from mcvd.diffusion.block_sampler import evaluating
from mcvd.diffusion.likelihood import log_density
from mcvd.diffusion.tasks import Task
from mcvd.evaluation.batch import SampledBatch
from mcvd.evaluation.result_card import Likelihood
from mcvd.evaluation.statistics import bootstrap_intervals
from mcvd.frames import Condition
from mcvd.models.codecs.pixels import Pixels
from mcvd.models.video_model import VideoModel
from mcvd.runtime.distributed import all_gather
from mcvd.runtime.numbers import check_finite
from mcvd.runtime.rng import keyed_generator

NUM_STEPS = 100
GREY_LEVEL = 1 / 127.5  # in the model's range


class TrueLikelihood:
    """The likelihood of the true frames of one block, given their context: an `mcvd.evaluation.batch.Accumulator`.

    Pixels get noise of one grey level, uniform, so that a density says something of them (Theis et al. 2016), and the
    result is ``-log2`` of it in units of a grey level, divided by how many numbers the frames have: bits per dimension.
    For a longer prediction these are the frames of the first block (of the last one, where a past is generated).

    Args:
        model: of pixels, without a context that is diffused.
        task: what the model is given.
        seed: of the noise and of the probes of the trace, both of each clip's own.
        num_steps: see `log_density`.

    Raises:
        ValueError: the model has no likelihood of pixels.
    """

    def __init__(self, model: VideoModel, task: Task, seed: int = 0, num_steps: int = NUM_STEPS) -> None:
        if not isinstance(model.codec, Pixels):
            raise ValueError(f"bits per dimension are those of pixels of 8 bits, and this model has {model.codec!r}")
        if model.low_size is not None:
            raise ValueError("the likelihood is that of a model which makes frames from frames alone, not of a cascade")
        denoiser = model.denoiser
        if denoiser.diffuses_context or denoiser.gamma_noise:
            raise ValueError("the likelihood is that of a flow from normal noise, which this model does not begin with")
        self.model, self.task, self.seed, self.num_steps = model, task, seed, num_steps
        self._found: list[tuple[int, list[float]]] = []

    def update(self, batch: SampledBatch) -> None:
        """Take in a batch of this process."""
        block, device = self.model.block, self.model.device
        if self.task.gives_past and self.task.gives_future and batch.target.shape[1] != block.current:
            raise ValueError(
                f"the likelihood of interpolated frames is that of one block: take {block.current} new frames, "
                f"not {batch.target.shape[1]}"
            )
        if batch.target.shape[1] < block.current:
            raise ValueError(f"the likelihood is that of a block: take {block.current} new frames or more")
        backward = self.task.gives_future and not self.task.gives_past
        frames = batch.target[:, -block.current :] if backward else batch.target[:, : block.current]
        current = self.model.codec.encode(frames.to(device))
        sides = []
        for side, number in ((batch.past, block.past), (batch.future, block.future)):
            shown = self.model.codec.encode(side.to(device))
            blank = current.new_zeros(len(current), number, *current.shape[2:])
            sides.append((shown, torch.ones) if side.shape[1] else (blank, torch.zeros))
        (past, of_past), (future, of_future) = sides
        keep = (of_past(past.shape[:2], dtype=torch.bool), of_future(future.shape[:2], dtype=torch.bool))
        condition = Condition(past, future, *(each.to(device) for each in keep))
        noise, probe = (
            torch.stack([draw(keyed_generator((self.seed, number, kind)), current.shape[1:]) for number in clips])
            for kind, draw in enumerate((_uniform, _signs))
            for clips in [range(batch.first, batch.first + len(batch))]
        )
        bits = self._bits(current + GREY_LEVEL * noise.to(current), condition, probe.to(current))
        check_finite({"bits per dimension": bits}, "scores")
        self._found.append((batch.first, bits.tolist()))

    def _bits(self, frames: Tensor, condition: Condition, probe: Tensor) -> Tensor:
        """Bits per dimension of frames (B, N, C, H, W) in the model's range, float64 (B,)."""
        denoiser = self.model.denoiser
        with torch.no_grad(), evaluating(denoiser):
            bound, colors = denoiser.bind(condition), denoiser.noise_colors
            clean = bound.from_frames(frames)
            if colors is None:
                density = log_density(bound, clean, denoiser.schedule, probe, self.num_steps)
            else:  # the same flow, where its noise is white

                def denoise(noisy: Tensor, t: Tensor) -> Tensor:
                    return colors.white(bound(colors(noisy), t))

                density = log_density(denoise, colors.white(clean), denoiser.schedule, probe, self.num_steps)
                density = density - colors.log_volume * (frames[0].numel() // frames.shape[2])
            if bound.residual is not None:
                scale = bound.residual.scale.expand_as(frames)
                density = density - scale.double().log().flatten(1).sum(1)
        return (-density / frames[0].numel() / log(2) - log2(GREY_LEVEL)).cpu()

    def compute(self) -> Likelihood:
        """Mean and interval over all clips; the same in all processes."""
        parts = sorted(part for share in all_gather(self._found) for part in share)
        bits = torch.tensor([value for _, values in parts for value in values], dtype=torch.float64)
        return Likelihood(
            bits_per_dimension=bits.mean().item(),
            interval_95=bootstrap_intervals(bits[:, None])[0],
            per_clip=tuple(bits.tolist()),
            num_frames=self.model.block.current,
            num_calls=self.num_steps + 1,
            seed=self.seed,
        )


def _uniform(random: np.random.Generator, shape: torch.Size) -> Tensor:
    return torch.from_numpy(random.random(tuple(shape))) - 0.5


def _signs(random: np.random.Generator, shape: torch.Size) -> Tensor:
    return torch.from_numpy(random.choice([-1.0, 1.0], size=tuple(shape)))
