"""The options of sampling, once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypedDict

from mcvd.diffusion.block_store import BlockStore
from mcvd.diffusion.denoiser import Dropped
from mcvd.nets.compiled import Compile
from mcvd.samplers import AbstractSampler

Precision = Literal["float32", "bf16", "fp16"]


class SamplingOptions(TypedDict, total=False):
    """How to sample, in all of `MCVD.predict`, `interpolate`, `generate` and `stream`.

    Args:
        num_samples: K different videos for each given one.
        sampler: of `mcvd.samplers`; None or absent is `mcvd.samplers.select.default_sampler`'s.
        guidance: 1 is the model as trained; above 1 follows the context more strongly (see `Denoiser.bind`).
        guidance_drops: "both", "past" or "future": the side that guidance makes the result follow.
        context_noise: standard deviation of noise added to the context of every block that follows frames made before,
            in the model's range [-1, 1]; steadies long videos of models trained with ``MCVD.context_noise``.
        overlap: how many frames a block shares with what is known on each side; None is all that it has slots for.
        precision: of the network: "float32", "bf16" or "fp16"; the sampler's state is float32 whatever it is.
        compile: "auto" replays the network from CUDA graphs on a GPU, and compiles it for long work; "always" compiles
            it; "never" does neither.
        seed: same seed, same video; one number, or one per given video.
        first_video: the number of the first video, first_sample that of its first sample: made in parts, on many
            machines, videos are the same as made together.
        batch_size: videos made at once at most, to bound memory; it does not change the result.
        progress: show a progress bar on a terminal or in a notebook (default True).
        claim_past_visible: only to repeat published numbers of models with ``past_embedding`` (see `Denoiser.bind`).
        kept: where finished blocks are kept, and taken from when the same work is begun again.
        rounded: False leaves the made frames as they are before they become 8 bits: float32 in [0, 1], clamped. What
            published evaluations measure errors on.
    """

    num_samples: int
    sampler: AbstractSampler | None
    guidance: float
    guidance_drops: Dropped
    context_noise: float
    overlap: int | None
    precision: Precision
    compile: Compile
    seed: int | Sequence[int]
    first_video: int
    first_sample: int
    batch_size: int | None
    progress: bool
    claim_past_visible: bool
    kept: BlockStore | None
    rounded: bool
