"""The options of sampling, once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from numbers import Integral, Real
from typing import Any, Literal, get_args

from mcvd.diffusion.block_store import BlockStore
from mcvd.diffusion.denoiser import Dropped
from mcvd.diffusion.frame_noise import FrameNoise
from mcvd.diffusion.guidance import AbstractNoisyGuide, Guide
from mcvd.diffusion.masking import Masking
from mcvd.diffusion.signals import Given
from mcvd.diffusion.tasks import task_of
from mcvd.diffusion.told_times import ToldTimes, refused_times
from mcvd.frames import FrameBlock
from mcvd.nets.compiled import Compile
from mcvd.runtime.arrays import Video
from mcvd.runtime.numbers import NumbersError
from mcvd.runtime.rng import seeds_from
from mcvd.runtime.suggest import did_you_mean
from mcvd.samplers import AbstractSampler
from mcvd.samplers.select import default_sampler, sampler_by_name, with_steps

MAX_GUIDANCE = 100  # beyond, every pixel is black or white
# What other programs call it, in the form that `did_you_mean` compares.
_ELSEWHERE = {
    "num_inference_steps": "steps",
    "num_steps": "steps",
    "guidance_scale": "guidance",
    "cfg_scale": "guidance",
    "manual_seed": "seed",
    "scheduler": "sampler",
    "num_videos_per_prompt": "num_samples",
    "num_images_per_prompt": "num_samples",
    "return_dict": "the result itself, which is a uint8 tensor",
    "callback": "on_progress",
    "callback_on_step_end": "on_progress",
    "dtype": "precision",
    "torch_dtype": "precision",
    "num_inference_frames": "num_frames",
    "video_length": "num_frames",
}

Precision = Literal["float32", "bf16", "fp16"]
KnownBy = Literal["motion", "guidance", "replacement", "condition"]


@dataclass(frozen=True)
class SamplingOptions:
    """How to sample: the keywords of `MCVD.predict`, `interpolate`, `generate` and `stream`.

    Args:
        num_samples: K different videos for each given one.
        sampler: of `mcvd.samplers`; None is the model's own for the task, or else that of
            `mcvd.samplers.select.default_sampler`.
        steps: network calls for each block, instead of the sampler's own number.
        guidance: 1 is the model as trained; above 1, to 100, follows the context more strongly (see `Denoiser.bind`).
        guidance_drops: "both", "past" or "future": the side that guidance makes the result follow; or "signals".
        guidance_noise: guidance compares with the context under noise of this standard deviation, in the model's range
            [-1, 1], instead of without context (history guidance); for models trained with ``MCVD.context_noise``.
        context_noise: standard deviation of noise added to the context of every block that sees generated frames, in
            the model's range [-1, 1]; steadies long videos of models trained with ``MCVD.context_noise``.
        overlap: how many frames a block shares with what is known on each side; None is all that it has slots for.
        precision: of the network: "float32", "bf16" or "fp16"; the sampler's state is float32 whatever it is.
        compile: "auto" replays the network from CUDA graphs on a GPU, and compiles it for long work; "always" compiles
            it; "never" does neither.
        seed: same seed, same video; one number, or one per given video.
        first_video: the number of the first video, first_sample that of its first sample: generated in parts, on many
            machines, videos are the same as generated together.
        batch_size: videos generated at once at most, to bound memory; it does not change the result.
        progress: show a progress bar on a terminal or in a notebook.
        on_progress: called before each call of the network with the share of the work that is done, 0 to 1; what it
            raises ends the sampling, after which nothing more is yielded.
        claim_past_visible: only to repeat published numbers of models with ``past_embedding`` (see `Denoiser.bind`).
        block_store: where finished blocks are stored, and taken from when the same work is started again.
        rounded: False leaves the generated frames as they are before they become 8 bits: float32 in [0, 1], clamped.
            What published evaluations measure errors on.
        rolling: frames are made one after the other in a window whose later frames are noisier, instead of block by
            block: forward alone, by ancestral steps, with ``steps`` calls while a frame is in the window. For models
            trained with ``MCVD.frame_noise``; see `mcvd.diffusion.rolling`.
        frame_rate_hz: of the given frames and of those that are made, for models trained at several; None is the
            model's own.
        keep_first: every block sees the first frame of the video too, told how long ago it was: the first given one, or
            the first that was made. For models trained with frames from long before (``data.times``).
        known: keyframes: uint8 frames (C, H, W), or (B, C, H, W), by their place among the generated ones, from 0. They
            come out as they are and pull the frames beside them; given frames that a block covers again do so too.
        known_pixels: inpainting: bool (H, W), True where the known frames are known, or one for each place.
        known_by: "motion" tells the frames between two known ones what optical flow lets expect of them, and pulls
            others by gradients; "guidance" pulls all by gradients, at about twice the time; "replacement" only puts
            known frames in at each step; "condition" gives them to the network as context, for models trained with
            ``masking.p_any``. None is this where it can be done, else motion.
        signals: what is told beside the frames, for models that were trained with it; see
            `mcvd.diffusion.signals.Signals.of`. None: nothing, if the model was trained for that too.
        low: the frames to be generated at a smaller size, (B, num_frames, C, h, w) or one video for all, for models
            that make these larger; see `mcvd.diffusion.super_resolution`. low_noise is the standard deviation, in the
            model's range [-1, 1], of noise that is put on them: more of it trusts them less.
        loop: the video leads back to its first frame, a given one if there are any.
        guide: what the video should be like, of `mcvd.diffusion.guides` or your own, called for each block; see
            `mcvd.diffusion.guidance`. guide_weight is how strongly, 0 or more.

    Raises:
        ValueError: a value is out of range.
        NumbersError: guidance or context_noise is not finite, or so large that no video could come of it.
    """

    num_samples: int = 1
    sampler: AbstractSampler | None = None
    steps: int | None = None
    guidance: float = 1.0
    guidance_drops: Dropped = "both"
    guidance_noise: float | None = None
    context_noise: float = 0.0
    overlap: int | None = None
    precision: Precision = "float32"
    compile: Compile = "auto"
    seed: int | Sequence[int] = 0
    first_video: int = 0
    first_sample: int = 0
    batch_size: int | None = None
    progress: bool = True
    on_progress: Callable[[float], None] | None = None
    claim_past_visible: bool = False
    block_store: BlockStore | None = None
    rounded: bool = True
    rolling: bool = False
    frame_rate_hz: float | None = None
    keep_first: bool = False
    known: Mapping[int, Video] | None = field(default=None, repr=False, compare=False)
    known_pixels: Video | Mapping[int, Video] | None = field(default=None, repr=False, compare=False)
    known_by: KnownBy | None = None
    signals: Given | None = field(default=None, repr=False, compare=False)
    low: Video | None = field(default=None, repr=False, compare=False)
    low_noise: float = 0.0
    loop: bool = False
    guide: Guide | AbstractNoisyGuide | None = None
    guide_weight: float = 1.0

    def __post_init__(self) -> None:
        choices = {"precision": Precision, "guidance_drops": Dropped, "compile": Compile, "known_by": KnownBy}
        for name, kinds in choices.items():
            if getattr(self, name) not in get_args(kinds) and (name, getattr(self, name)) != ("known_by", None):
                *others, last = map(repr, get_args(kinds))
                raise ValueError(f"{name} must be {', '.join(others)} or {last}, got {getattr(self, name)!r}")
        if isinstance(self.sampler, str | type):
            name = self.sampler if isinstance(self.sampler, str) else self.sampler.__name__
            example = type(sampler_by_name(name)).__name__ if isinstance(self.sampler, str) else name
            raise ValueError(f"sampler must be one, such as mcvd.samplers.{example}(), got {self.sampler!r}")
        if self.sampler is not None and not isinstance(self.sampler, AbstractSampler):
            kind = type(self.sampler).__name__
            here = f"Diffusers.of({kind}(...))" if kind.endswith("Scheduler") else "UniPC()"
            raise ValueError(f"sampler must be one of mcvd.samplers, such as mcvd.samplers.{here}, got a {kind}")
        if isinstance(spacing := getattr(self.sampler, "spacing", None), str):
            raise ValueError(f"spacing must be one of mcvd.samplers.spacing, such as LogSNR(), got {spacing!r}")
        if not isinstance(num_steps := getattr(self.sampler, "num_steps", 1), Integral):
            raise ValueError(f"num_steps of the sampler must be a whole number, got {num_steps!r}")
        counts = {"num_samples": self.num_samples, "batch_size": self.batch_size, "steps": self.steps}
        for name, count in counts.items():
            if count is None and name != "num_samples":
                continue
            if not (isinstance(count, Integral) and count >= 1):
                raise ValueError(f"{name} must be a whole number of at least 1, got {count!r}")
        numbers = {"guidance": self.guidance, "context_noise": self.context_noise, "low_noise": self.low_noise}
        for name, number in numbers.items():
            if not (isinstance(number, Real) and abs(number) <= MAX_GUIDANCE):
                raise NumbersError(f"{name} must be a number from {-MAX_GUIDANCE} to {MAX_GUIDANCE}, got {number!r}")
        if not (isinstance(self.guide_weight, Real) and self.guide_weight >= 0):
            raise NumbersError(f"guide_weight must be a number of at least 0, got {self.guide_weight!r}")
        if not (isinstance(self.first_video, Integral) and self.first_video >= 0):
            raise ValueError(f"first_video must be a whole number of at least 0, got {self.first_video!r}")
        if self.guide is not None and not callable(self.guide):
            raise ValueError(f"guide must be one of mcvd.diffusion.guides or a function of yours, got {self.guide!r}")
        seeds = self.seed if isinstance(self.seed, Sequence) and not isinstance(self.seed, str) else [self.seed]
        if not all(isinstance(seed, Integral) and not isinstance(seed, bool) and seed >= 0 for seed in seeds):
            raise ValueError(f"seed must be a whole number of at least 0, or one for each video, got {self.seed!r}")

        if self.guidance_noise is not None and self.guidance == 1:
            raise ValueError("guidance_noise is what guidance compares with: set guidance too, above 1")
        if self.known is not None and not isinstance(self.known, Mapping):
            kind = type(self.known).__name__
            raise ValueError(f"known is a dictionary of frames by their place, such as {{4: frame}}, got a {kind}")
        if self.known_pixels is not None and self.known is None:
            raise ValueError("known_pixels says where known frames are known: give these too, known={place: frame}")
        others = (self.known, self.loop or None, self.guide, self.sampler, self.overlap)
        if self.rolling and any(each is not None for each in others):
            raise ValueError("rolling has its own steps, and takes no known frames, loop, guide, sampler or overlap")
        if self.known_by == "condition" and self.known_pixels is not None:
            raise ValueError("known_by='condition' takes whole frames: with known_pixels take 'motion'")
        if self.sampler is not None:
            self.sampler_for(from_nothing=False)

    @classmethod
    def of(cls, **options: Any) -> SamplingOptions:
        """The options by name; ``generator``, a torch.Generator or one for each video, gives its next number as seed.

        Raises:
            TypeError: there is none of a name; says which was meant, if that can be guessed.
            ValueError: a value is out of range.
        """
        if (generator := options.pop("generator", None)) is not None:
            if "seed" in options:
                raise TypeError("seed and generator both say which video it is: give one of them")
            options["seed"] = seeds_from(generator)
        known = [field.name for field in fields(cls)]
        for name in options:
            if name not in known:
                raise TypeError(
                    f"there is no option {name}{did_you_mean(name, known, _ELSEWHERE)} (see mcvd.diffusion.options)"
                )
        return cls(**options)

    @property
    def steers(self) -> bool:
        """Whether sampling follows gradients."""
        pulls = self.known_by in (None, "motion", "guidance") and (self.known is not None or self.loop)
        return pulls or self.guide is not None

    def sampler_for(self, from_nothing: bool) -> AbstractSampler:
        """The sampler with its number of steps, or the default one of the task.

        Raises:
            ValueError: it chooses its steps itself.
        """
        if self.sampler is None:
            return default_sampler(from_nothing, self.steps)
        return self.sampler if self.steps is None else with_steps(self.sampler, self.steps)

    def refusal(
        self,
        block: FrameBlock,
        masking: Masking,
        max_context_noise: float,
        num_past: int,
        num_future: int,
        num_frames: int,
        frame_noise: FrameNoise = FrameNoise(),
        times: ToldTimes | None = None,
        own_rate_hz: float | None = None,
    ) -> str | None:
        """Why a model cannot sample so, or None if it can: as `Task.refusal`, but for these options too.

        ``max_context_noise`` is the highest level of noise on the context that the model was trained with, and
        ``frame_noise`` how it was trained with noise levels of frames, ``times`` which times it was told, in frames of
        ``own_rate_hz``.
        """
        task = task_of(num_past, num_future)
        reason = task.refusal(block, masking, num_past, num_future, num_frames, self.overlap)
        drops_frames = self.guidance_noise is None and self.guidance_drops != "signals"
        if reason is None and self.guidance != 1 and drops_frames:
            shown = num_past * (self.guidance_drops == "future"), num_future * (self.guidance_drops == "past")
            reason = task_of(*shown).refusal(block, masking, *shown, num_frames=1)
        if reason is None and self.loop and (num_future or (not num_past and num_frames <= block.current)):
            reason = "a loop leads from given frames, forward, or from nothing and is then longer than a block: " + (
                "no frames after it can be given" if num_future else f"ask for more than {block.current} frames"
            )
        if reason is None and self.known_by == "condition" and not masking.p_any:
            reason = "known_by='condition': this model was never given frames among those it makes (masking.p_any)"
        if reason is None and not 0 <= (self.guidance_noise or 0.0) <= max_context_noise:
            reason = (
                f"guidance_noise {self.guidance_noise:g}: this model was trained with levels from 0 to "
                f"{max_context_noise:g} (model.context_noise)"
            )
        if reason is None and not 0 <= self.context_noise <= max_context_noise:
            reason = (
                f"context_noise {self.context_noise:g}: this model was trained with levels from 0 to "
                f"{max_context_noise:g} (model.context_noise)"
            )
        if reason is None:
            reason = refused_times(times, own_rate_hz, self.frame_rate_hz, self.keep_first, num_future)
        if reason is None and self.rolling:
            reason = self._rolling_refusal(block, masking, frame_noise, num_past, num_future)
        return reason

    def _rolling_refusal(
        self, block: FrameBlock, masking: Masking, frame_noise: FrameNoise, num_past: int, num_future: int
    ) -> str | None:
        if not frame_noise:
            return "rolling: this model never saw frames at noise levels of their own (model.frame_noise)"
        if num_future:
            return "rolling goes forward: no frames after can be given"
        if num_past < block.past and not max(masking.p_partial, masking.p_any):
            return f"rolling begins with fewer than {block.past} frames: it needs masking.p_partial or p_any"
        return None
