"""The model at work: it predicts, interpolates and generates video. `mcvd.MCVD` is the same, trained by Lightning."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from numbers import Integral
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Adam, Optimizer

from mcvd.diffusion.denoiser import Denoiser, Prediction
from mcvd.diffusion.engine import GenerationEngine
from mcvd.diffusion.frame_noise import FrameNoise
from mcvd.diffusion.masking import Masking
from mcvd.diffusion.noise_colors import NoiseColors
from mcvd.diffusion.options import SamplingOptions
from mcvd.diffusion.reference import FLOOR
from mcvd.diffusion.references import Kind, reference_of
from mcvd.diffusion.signals import Given, Signals, check_told, told_signals
from mcvd.diffusion.super_resolution import SuperResolution, low_track
from mcvd.diffusion.task_samplers import TaskSamplers
from mcvd.diffusion.tasks import GENERATE, TASKS, Task, task_of
from mcvd.diffusion.told_times import ToldTimes, WindowTimes
from mcvd.frames import FrameBlock
from mcvd.models.checks import check_choices, check_frames, check_network, check_options, check_size
from mcvd.models.codecs.base import AbstractCodec
from mcvd.models.codecs.pixels import Pixels
from mcvd.models.config import config_of
from mcvd.models.enlarging import enlarged_stream
from mcvd.models.facts import REFERENCE_OPTIONS, ModelFacts, num_parameters, sampler_facts
from mcvd.models.pretrained import Pretrained
from mcvd.models.upsampling import upsampled_whole
from mcvd.nets import UNet
from mcvd.noise import AbstractNoiseSchedule, LinearBeta
from mcvd.runtime.arrays import OutputType, Video, as_output, as_tensor, check_output_type
from mcvd.runtime.named_classes import paths_of
from mcvd.runtime.rng import check_seed
from mcvd.samplers import AbstractSampler


class VideoModel(Pretrained):
    """Masked conditional video diffusion: one network that predicts, interpolates and generates video.

    Args:
        block: frames that the network sees at once, past | current | future.
        net: makes the network from the block and the number of channels.
        size: height and width of the frames.
        channels: 3 for colour, 1 for grey.
        schedule: noise over time.
        predicts: what the network's output means: noise (eps), clean frames (x0), velocity (v) or edm; see `Denoiser`.
        min_snr: weigh the loss by the signal-to-noise ratio, at most this; see `Denoiser`.
        reference: what is diffused: the frames themselves, or ("context") what they add to the nearest frames of the
            context, at a scale of each clip's own, which is better after much less training; see `ContextReference`.
            With ``masking.p_any`` ("given") to the nearest given frames wherever they are; see `GivenReference`.
        reference_floor: distance of neighbouring frames, range [-1, 1], that residuals reckon with where nothing moves.
        reference_memory: along a rollout, residuals keep to how much the given frames move, so that motion neither dies
            out nor grows; see `ContextReference`. Train with ``self_context``, which shows the network such blocks.
        reference_colors: residuals of grey and of two hues have scales of their own; see `ColorAxes`.
        reference_flow: what residuals refer to moves on along the optical flow of the context; see `MovingBase`.
        colored_noise: noise as alike between channels as the data is: fewer specks of colour; see `NoiseColors`.
        masking: how often past and future are hidden in training; it decides which tasks the model can do.
        context_noise: in half of the training the context carries noise of a random level up to this standard
            deviation (range of the frames: [-1, 1]), which the network is told; its conditioning needs ``tell_noise``.
        self_context: how often a training clip has context of the model's own; see `mcvd.diffusion.self_context`.
        gamma_noise: the scale of gamma noise in place of normal noise; see `mcvd.noise.gamma_noise`.
        diffuses_context: the context is diffused to the time of the frames, with noise of its own, in training and
            sampling (``noise_in_cond`` of the published code).
        frame_noise: how often the frames of a training clip have noise levels of their own; see `FrameNoise`.
        adversarial: weight of a discriminator that learns along with the training and takes clean estimates for true
            frames or not, beside the mean loss of a number; 0 is none; see `mcvd.diffusion.adversarial`.
        optimizer: makes the optimiser from the parameters.
        warmup_steps: the learning rate rises linearly from 0 over so many steps, then stays.
        cooldown_steps: it falls linearly towards 0 over the last so many steps of the training.
        frame_rate_hz: of the training clips; learned from the data when training starts.
        seed: of the random numbers of training.
        samplers: the model's own sampler for each task; see `TaskSamplers`.
        codec: what the numbers of a video mean: pixels, pixels that are diffused as latents
            (`mcvd.models.codecs.Latents`), or values with a unit (`mcvd.models.codecs.Scale`).
        signals: which numbers are told beside the frames, such as actions or labels; see `Signals`. The network takes
            as many (``num_signals``).
        super_resolution: for a model that makes frames larger: it is told each frame at a smaller size; see
            `mcvd.diffusion.super_resolution`. Its conditioning needs ``tell_low``; with ``reference: context`` the
            difference from these frames, enlarged, is diffused.
        times: which times the network was told in training; learned from the data when it starts; see `ToldTimes`.
    """

    not_in_config = ("optimizer",)
    not_exported = ("warmup_steps", "cooldown_steps", "seed", "adversarial", "self_context")

    def __init__(
        self,
        block: FrameBlock,
        net: Callable[[FrameBlock, int], nn.Module] = UNet,
        size: tuple[int, int] = (64, 64),
        channels: int = 3,
        schedule: AbstractNoiseSchedule = LinearBeta(),
        predicts: Prediction = "eps",
        min_snr: float | None = None,
        reference: Kind = "frames",
        reference_floor: float = FLOOR,
        colored_noise: bool = False,
        masking: Masking = Masking(),
        context_noise: float = 0.0,
        optimizer: Callable[[Iterable], Optimizer] = lambda parameters: Adam(parameters, lr=2e-4, fused=True),
        warmup_steps: int = 1000,
        cooldown_steps: int = 0,
        frame_rate_hz: float | None = None,
        seed: int = 0,
        samplers: TaskSamplers | None = None,
        codec: AbstractCodec = Pixels(),
        gamma_noise: float | None = None,
        diffuses_context: bool = False,
        frame_noise: FrameNoise = FrameNoise(),
        signals: Signals | None = None,
        adversarial: float = 0.0,
        super_resolution: SuperResolution | None = None,
        times: ToldTimes | None = None,
        self_context: float = 0.0,
        reference_memory: bool = False,
        reference_colors: bool = False,
        reference_flow: bool = False,
    ):
        super().__init__()
        check_seed(seed)
        if not isinstance(block, FrameBlock):
            raise ValueError(f"block must be an mcvd.FrameBlock, such as FrameBlock(2, 5, 2), got {block!r}")
        if not isinstance(size, Sequence) or len(size) != 2:
            raise ValueError(f"size must be (height, width), got {size!r}")
        self._remember(VideoModel, locals())
        self.block = block
        self.size: tuple[int, int] = (size[0], size[1])
        self.channels = channels
        self.masking = masking
        self.context_noise, self.self_context = context_noise, self_context
        self.frame_noise, self.adversarial = frame_noise, adversarial
        self.optimizer = optimizer
        self.warmup_steps, self.cooldown_steps = warmup_steps, cooldown_steps
        self.frame_rate_hz, self.seed = frame_rate_hz, seed
        self.samplers = samplers or TaskSamplers()
        self.codec, self.autoencoder = codec.with_network()
        self.net_block = block if self.codec.coding is None else self.codec.coding.block(block)  # as the network counts
        self.signals, self.super_resolution = signals, super_resolution
        self.reference, self.reference_colors = reference, reference_colors
        check_choices(self)
        bound, planes = self.codec.bound, self.codec.planes(channels)
        colors = reference_colors and channels == 3
        choices = reference_floor, bound, super_resolution, reference_memory, colors, reference_flow
        residuals = reference_of(reference, self.net_block, *choices)
        network = net(self.net_block, planes)
        kinds = {
            "reference": residuals,
            "gamma_noise": gamma_noise,
            "diffuses_context": diffuses_context,
            "bound": bound,
            "noise_colors": NoiseColors(planes) if colored_noise else None,
        }
        self.denoiser = Denoiser(network, schedule, predicts, min_snr=min_snr, **kinds)  # type: ignore[arg-type]
        check_size(self)
        self.times = times
        check_told(signals, masking, getattr(network, "num_signals", 0))
        check_network(self)

    @property
    def device(self) -> torch.device:
        """Where it is."""
        return next(self.parameters()).device

    @property
    def per_frame(self) -> bool:
        """Whether the network takes frame by frame what others take of a block: noise levels, given frames."""
        return getattr(self.denoiser.net, "per_frame", False)

    @property
    def takes_single_frames(self) -> bool:
        """Whether single frames can be given among those that it makes: keyframes, the first ones of a loop, all of a
        video that gets more frames. Codecs that code frames together have none."""
        return self.codec.coding is None

    @property
    def told_names(self) -> list[str] | None:
        """The names of its signals, as data take them; None without."""
        return None if self.signals is None else list(self.signals.names)

    # The four tasks

    def predict(
        self, past: Video, num_frames: int, *, backward: bool = False, output_type: OutputType = "pt", **options: Any
    ) -> Tensor:
        """The frames that follow the given ones, or with ``backward`` those that came before.

        Args:
            past: uint8 (B, T, C, H, W) or (T, C, H, W), tensor or numpy array, oldest first; the last ``block.past``
                frames count (for ``backward``: the frames that come after, of which the first ``block.future`` count).
                Of no frame (T = 0) B videos are made from nothing, as by `generate`.
            num_frames: how many to generate, any number.
            backward: generate what came before.
            output_type: "pt" a tensor, "np" an array of numpy with the same axes, "pil" a list of pictures for each
                video.
            **options: num_samples, sampler, steps, guidance, seed, batch_size and more, see `SamplingOptions`; in place
                of the seed ``generator``, a torch.Generator, which gives its next number.

        Returns:
            uint8 (B, num_frames, C, H, W) on the CPU in time order, or (B, K, num_frames, C, H, W) for K > 1 samples;
            float32 in [0, 1] with ``rounded=False``. A model with a scale takes and gives float32 in the unit of its
            data.

        Raises:
            ValueError: the frames do not fit the model, it was not trained for this task, or an option is out of range.
            TypeError: there is no such option.
        """
        before, after = (None, past) if backward else (past, None)
        return _collect(self.stream(before, num_frames, future=after, **options), num_frames, output_type)

    def interpolate(
        self, past: Video, future: Video, num_frames: int, *, output_type: OutputType = "pt", **options: Any
    ) -> Tensor:
        """The frames of a gap of any length between past and future; arguments and result as in `predict`."""
        return _collect(self.stream(past, num_frames, future=future, **options), num_frames, output_type)

    def generate(
        self, num_frames: int, *, num_samples: int = 1, output_type: OutputType = "pt", **options: Any
    ) -> Tensor:
        """Videos from nothing, uint8 (num_samples, num_frames, C, H, W); options as in `predict`."""
        if num_samples < 1:
            raise ValueError(f"num_samples must be at least 1, got {num_samples}")
        nothing = torch.empty(num_samples, 0, self.channels, *self.size, dtype=self.codec.dtype)
        return _collect(self.stream(nothing, num_frames, **options), num_frames, output_type)

    def upsample(self, video: Video, factor: int, *, output_type: OutputType = "pt", **options: Any) -> Tensor:
        """A whole video at ``factor`` times its frame rate: all gaps between its frames are filled, many at once.

        Args:
            video: as ``past`` in `predict`, T of 2 or more; all of its frames count.
            factor: 2 or more; see `mcvd.models.upsampling.Upsampling`.
            **options: as in `predict`; ``batch_size`` is how many gaps are filled at once.

        Returns:
            As in `predict`, (T - 1) * factor + 1 frames; every ``factor``-th is one that was given, unchanged.
        """
        check_output_type(output_type)
        return as_output(upsampled_whole(self, self._checked(as_tensor(video)), factor, **options), output_type)

    def enlarge(self, video: Video, *, output_type: OutputType = "pt", **options: Any) -> Tensor:
        """A whole video made larger, by a model that was trained for it (``super_resolution``).

        Args:
            video: as ``past`` in `predict`, of height and width `low_size`; all of its frames are made larger.
            **options: as in `predict`; ``low_noise`` is noise that is put on the frames before, up to what the model
                was trained with: more of it trusts them less.

        Returns:
            As in `predict`, as many frames as were given.
        """
        video = as_tensor(video)
        video = video[None] if video.ndim == 4 else video
        stream = self.stream_enlarged(video, SamplingOptions.of(**options))
        return _collect(stream, video.shape[1], output_type)

    def stream_enlarged(self, video: Tensor, options: SamplingOptions) -> Iterator[tuple[int, Tensor]]:
        """The same block by block; see `mcvd.models.enlarging.enlarged_stream`."""
        return enlarged_stream(self, video, options)

    @property
    def low_size(self) -> tuple[int, int] | None:
        """Height and width of the frames that it makes larger; None for a model that makes them from frames alone."""
        return None if self.super_resolution is None else self.super_resolution.low_size(self.size)

    def step(self, state: Video, action: Given, num_frames: int | None = None, **options: Any) -> Tensor:
        """What happens next when something is done: the model as a simulator of the world that it was trained on.

        Args:
            state: the frames so far, as in `predict`.
            action: as in `Signals.of`: (A,) is held for all new frames.
            num_frames: how many are new; None is one block.
            **options: as in `predict`.

        Returns:
            The new frames, as `predict` does. ``torch.cat([state, new], 1)`` is the next state.
        """
        return self.predict(state, self.block.current if num_frames is None else num_frames, signals=action, **options)

    def stream(
        self, past: Video | None, num_frames: int, *, future: Video | None = None, **options: Any
    ) -> Iterator[tuple[int, Tensor]]:
        """The same videos block by block as they are generated, for any length in the memory of a few blocks.

        Arguments as in `predict` and `interpolate`; with a future alone it goes backward.

        Yields:
            (start, frames): the place of the first of them among the ``num_frames`` generated, and uint8
            (B, n, C, H, W), or (B, K, n, C, H, W) for K > 1. Ascending forward, descending backward.
        """
        past, future = (None if side is None else as_tensor(side) for side in (past, future))
        context = past if past is not None else future
        if context is None:
            raise ValueError("nothing was given: stream needs past or future frames (generate needs none)")
        past, future = (
            self._checked(side if side is not None else context[..., :0, :, :, :]) for side in (past, future)
        )
        if not isinstance(num_frames, Integral):
            got = repr(num_frames) if isinstance(num_frames, float | str) else f"a {type(num_frames).__name__}"
            raise ValueError(f"num_frames must be a whole number, of the frames that are new, got {got}")
        if not len(past):
            raise ValueError("expected videos, got a batch of none")
        if len(past) != len(future):
            raise ValueError(f"past and future must hold equally many videos, got {len(past)} and {len(future)}")
        sampling = SamplingOptions.of(**options)
        known = past.shape[1], future.shape[1], num_frames, self.frame_noise, self.times, self.frame_rate_hz
        if reason := sampling.refusal(self.block, self.masking, self.context_noise, *known):
            raise ValueError(reason)
        check_options(self.codec, self.block, sampling, (past.shape[1], future.shape[1]))
        counts = (len(past), past.shape[1], num_frames, future.shape[1])
        signals = told_signals(self.signals, self.masking, sampling.signals, *counts)
        low = None if sampling.low is None else as_tensor(sampling.low)
        track = low_track(self.super_resolution, low, past, future, num_frames, self.codec.encode)
        most = self.super_resolution.noise if self.super_resolution else 0.0
        if not 0 <= sampling.low_noise <= most:
            levels = f"levels from 0 to {most:g} (model.super_resolution)"
            raise ValueError(f"low_noise {sampling.low_noise:g}: this model was trained with {levels}")
        is_guided = sampling.guidance != 1 and sampling.guidance_drops == "signals"
        if is_guided and not (signals and self.masking.p_signals):
            raise ValueError("guidance_drops 'signals': this model was not trained with signals hidden at times")
        if sampling.sampler is None and not sampling.rolling:
            sampling = replace(sampling, sampler=self.sampler_for(task_of(past.shape[1], future.shape[1])))
        if sampling.known_by is None:
            trained = self.masking.p_any > 0 and sampling.known_pixels is None
            sampling = replace(sampling, known_by="condition" if trained else "motion")
        codec = self.codec if self.codec.coding is None else Pixels()
        decode = partial(codec.decode, rounded=sampling.rounded)
        times = WindowTimes.of(self.times, self.frame_rate_hz, sampling.frame_rate_hz, sampling.keep_first)
        engine = GenerationEngine(self.denoiser, self.block, sampling, codec.encode, decode, times, self.codec.coding)
        return engine.stream(past, future, num_frames, signals, track)

    def sampler_for(self, task: Task, num_steps: int | None = None) -> AbstractSampler:
        """What samples a task if nothing else is asked for: the model's own, or the default; see `TaskSamplers.of`."""
        return self.samplers.of(task, num_steps)

    def _checked(self, video: Tensor) -> Tensor:
        """A user's frames as (B, T, C, H, W), checked against what the model works on."""
        check_frames(video, self.codec, (self.channels, *self.size))
        return video if video.ndim == 5 else video[None]

    # Keeping

    def facts(self) -> ModelFacts:
        """What this model is and what it can do."""
        block, net = self.block, self.denoiser.net
        tasks = {name: task.refusal(block, self.masking) for name, task in TASKS.items()}
        if (low := self.low_size) is not None:
            tasks = dict.fromkeys(TASKS, f"it makes frames of {low[0]}x{low[1]} larger: mcvd upsample --size")
        gamma = self.denoiser.gamma_noise
        return ModelFacts(
            block=block,
            size=self.size,
            channels=self.channels,
            frame_rate_hz=self.frame_rate_hz,
            parameters=num_parameters(self.denoiser),
            net=type(net).__name__,
            conditioning=repr(net.conditioning) + ", diffused with the frames" * self.denoiser.diffuses_context,
            schedule=repr(self.denoiser.schedule) + (f", gamma noise of scale {gamma:g}" if gamma else ""),
            predicts=self.denoiser.predicts,
            reference=self.reference,
            reference_options=tuple(name for name in REFERENCE_OPTIONS if self.config.get(name)),
            context_noise=self.context_noise,
            guidance=tasks[GENERATE.name] is None and block.num_context > 0,
            tasks=tasks,
            samplers=sampler_facts(self.samplers),
            codec=repr(self.codec),
            signals=() if self.signals is None else self.signals.names,
            frame_rates_hz=() if self.times is None else self.times.frame_rates_hz,
        )

    def trained_config(self) -> dict[str, Any]:
        """The config, with the frame rate of the training clips, the samplers of today and a codec that is whole."""
        own = config_of(TaskSamplers, vars(self.samplers)) if self.samplers else None
        told = None if self.signals is None else config_of(Signals, vars(self.signals))
        times = {"times": self.times and config_of(ToldTimes, vars(self.times)), "frame_rate_hz": self.frame_rate_hz}
        return self.config | {"samplers": own, "signals": told, **times} | self.codec_config()

    def codec_config(self) -> dict[str, Any]:
        """The codec as a model's config holds it, if that is not as the model was made: it names no other files."""
        arguments, kind = self.codec.init_args(), type(self.codec)
        if arguments is None:
            return {}
        return {"codec": {"class_path": next(paths_of(kind)), "init_args": config_of(kind, arguments)}}


def _collect(stream: Iterable[tuple[int, Tensor]], num_frames: int, output_type: OutputType) -> Any:
    """The blocks of `VideoModel.stream` as one video in time order, (..., num_frames, C, H, W)."""
    check_output_type(output_type)
    video = torch.empty(0)
    for number, (start, frames) in enumerate(stream):
        if number == 0:
            video = frames.new_empty(*frames.shape[:-4], num_frames, *frames.shape[-3:])
        video[..., start : start + frames.shape[-4], :, :, :] = frames
    return as_output(video, output_type)
