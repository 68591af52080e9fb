"""The model in training: a module of Lightning, of one's own trainer as well as of `mcvd fit`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from typing import Any, NamedTuple

import torch
from lightning import LightningModule
from torch import Tensor
from torch.nn.utils import clip_grad_norm_, get_total_norm
from torch.optim import Optimizer

from mcvd.diffusion.adversarial import Adversary, loss_and_frames
from mcvd.diffusion.measuring import measure, measured_parts, unmeasured
from mcvd.diffusion.reference import MEASURED_STEPS
from mcvd.diffusion.self_context import (
    OwnContext,
    at_true_scale,
    drawn,
    motion_before,
    moved,
    showing_own,
    ways_of,
    with_own_context,
)
from mcvd.diffusion.signals import Signals
from mcvd.frames import Condition, FrameBlock
from mcvd.models.learning_rate import scheduled
from mcvd.models.video_model import VideoModel
from mcvd.runtime.fsdp import full_tensor, shard, unshard
from mcvd.runtime.rng import TrainingNoise, keyed_seed

Batch = Tensor | Mapping[str, Any]
"""Clips to train on: uint8 (B, T, C, H, W), or a dictionary with them as ``video`` and, if known, ``index``; of a
latent model the video may be float16 (B, T, c, h, w), latents that its codec made before; for
a model with signals also ``signals``, float (B, T, A) in their own units; for one that is told them ``times``, float
(B, T), seconds."""

MAX_BATCH = 1 << 20  # so many clips of a batch have numbers of their own


class Drawn(NamedTuple):
    """What a training step needs of its clips.

    Args:
        current: the true current frames, float (B, N, C, H, W).
        condition: the frames around them, masked.
        time: uniform numbers for the time, (B,) in [0, 1).
        noise: of the current frames.
        weight: of each number of them, or None.
        context_noise: of a context that is diffused, or None.
        frame_times: where frames have times of their own: uniform numbers for these, (B, N), -1 for given frames.
    """

    current: Tensor
    condition: Condition
    time: Tensor
    noise: Tensor
    weight: Tensor | None
    context_noise: Tensor | None
    frame_times: Tensor | None


class MCVD(VideoModel, LightningModule):  # type: ignore[misc]  # load_from_checkpoint
    """`VideoModel`, and how it is trained: made of the same arguments, it fits into a Lightning trainer.

    `mcvd.build` and `MCVD.from_pretrained` make one; `mcvd.load` opens a model for sampling alone, without Lightning,
    which takes longer to import than all else together.
    """

    _num_batches = 0  # that came without numbers and without a trainer
    _measured: list[str] | None = None  # of `mcvd.diffusion.measuring.measured_parts`, in this training

    def loss(self, batch: Batch) -> Tensor:
        """Loss of each clip of a batch, summed over pixels as published (see `Denoiser.loss`).

        Args:
            batch: uint8 (B, T, C, H, W), or a dictionary with it as ``video``. There ``index`` may number each clip in
                the whole training: its masks, its time and its noise are drawn from that. Without it clips are
                numbered as they come. ``unrelated``, bool (B,), tells clips of pictures that have nothing to do with
                each other, for networks that see frame by frame.

        Returns:
            float (B,).
        """
        return self.denoiser.loss(*self._loss_arguments(self._numbered(batch)))

    def _loss_arguments(self, batch: dict[str, Any]) -> tuple[Any, ...]:
        """Of `Denoiser.loss`, for a batch of numbered clips."""
        drawn = self.draw(batch)
        num_steps = self.denoiser.schedule.num_steps
        uniform = drawn.time if drawn.frame_times is None else drawn.frame_times
        t = ((uniform * num_steps).floor() + 1).clamp(min=0) / num_steps
        return drawn.current, drawn.condition, t, drawn.noise, drawn.weight, drawn.context_noise

    @cached_property
    def adversary(self) -> Adversary:
        """The discriminator of a training with ``adversarial``: no part of the model."""
        planes = self.block.num_frames * self.codec.planes(self.channels)
        size = self.codec.frame_size(self.size)
        adversary = Adversary(planes, size, self.denoiser.bound, self.seed)
        adversary.to(self.device)
        return adversary

    def adversarial_loss(self, batch: Batch) -> Tensor:
        """`loss` with the discriminator's share, float (B,), after a step of the discriminator itself."""
        arguments = self._loss_arguments(self._numbered(batch))
        loss, frames = loss_and_frames(self.denoiser, *arguments)
        current, condition, *_, weight, _ = arguments
        if weight is not None:  # what is unknown looks the same on both sides, and tells them not apart
            current, frames = (torch.where(weight > 0, each, 0.0) for each in (current, frames))
        of_adversary = self.adversary.learn(current, frames, condition)
        judged = self.adversary.loss(frames, condition)
        if self._trainer is not None:
            self.log_dict({"train/adversarial": judged.detach().mean(), "train/discriminator": of_adversary})
        return loss + self.adversarial * current[0].numel() * judged

    def draw(self, batch: dict[str, Any]) -> Drawn:
        """What a step needs of a batch of numbered clips, with its random numbers drawn."""
        clips, weight, own, motion = self._clips(batch)
        past, current, future = self.net_block.split(clips)
        if weight is not None:
            _, weight, _ = self.net_block.split(weight)
        condition_shape = (self.net_block.num_context, *current.shape[2:])
        shapes = [current.shape[1:]] + (
            [condition_shape] if self.context_noise or self.denoiser.diffuses_context else []
        )
        shapes += [(1,)] if self.signals is not None else []
        low = None if self.super_resolution is None else self.super_resolution.reduced(current)
        shapes += [] if low is None else [low.shape[1:], (1,)]
        num_more = [(1 + self.block.num_frames) * (self.masking.p_any > 0)]
        num_more += [(1 + self.block.current) * bool(self.frame_noise)]
        draws = TrainingNoise(self.seed, current.device)(batch["index"], *shapes, num_more=sum(num_more))
        noise, *others = draws.normal
        of_masks, of_times = draws.more.split(num_more, dim=1)
        frame_times, shown = None, None
        if self.frame_noise:
            frame_times = self.frame_noise.times(draws.time, of_times)
        if self.masking.p_any:
            is_any, context, given = self.masking.given(self.block, of_masks)
            shown = is_any, context
            frame_times = draws.time[:, None].expand(-1, self.block.current) if frame_times is None else frame_times
            frame_times = torch.where(given, -1.0, frame_times)
        masked = self.masking.condition(past, future, torch.cat([draws.hidden, draws.part], dim=1), shown)
        condition = showing_own(replace(masked, motion=motion), own, past, future)
        if low is not None and self.super_resolution is not None:
            level = torch.special.ndtr(others.pop()[:, 0])  # uniform, of a normal number
            level = (2 * level - 1).clamp(min=0) * self.super_resolution.noise  # half of the clips stay clean
            condition = replace(condition, low=low).low_noised(level, others.pop())
        if self.signals is not None:
            told = torch.special.ndtr(others.pop()[:, 0]) >= self.masking.p_signals  # a coin of a normal number
            signals = self.signals.normalised(self._signals_of(batch, len(past)))
            condition = replace(condition, signals=signals, keep_signals=told)
        if "times" in batch:
            condition = replace(condition, times=self._times_of(batch, len(past)))
        alone = self._unrelated(batch)
        if shown is not None:
            condition = condition.showing(current, given if alone is None else given & ~alone[:, None])
        if alone is not None:
            shows = ~alone[:, None]
            keep_past, keep_future = condition.keep_past & shows, condition.keep_future & shows
            condition = replace(condition, keep_past=keep_past, keep_future=keep_future, alone=alone)
            if frame_times is not None:  # none of them is given
                frame_times = torch.where(alone[:, None] & (frame_times < 0), draws.time[:, None], frame_times)
        if self.context_noise:
            level = (2 * draws.context_noise - 1).clamp(min=0) * self.context_noise  # half of the clips stay clean
            condition = condition.noised(level, others[0])
        diffusing = others[0] if self.denoiser.diffuses_context else None
        return Drawn(current, condition, draws.time, noise, weight, diffusing, frame_times)

    def _clips(self, batch: dict[str, Any]) -> tuple[Tensor, Tensor | None, list[OwnContext], Tensor | None]:
        """What is trained on, float (B, P + N + F, C, H, W), the weight of each number if they differ, which clips
        have context of the model's own making, and their `Condition.motion` if there are such."""
        clips, weight = self._encoded(batch["video"]), self.codec.weight(batch["video"])
        if not self.self_context or not self.training:  # as dropout: a held-out loss compares with that of others
            return clips, weight, [], None
        unrelated = self._unrelated(batch)
        alone = [] if unrelated is None else unrelated.tolist()
        own = drawn(self.self_context, ways_of(self.block, self.masking), self.seed, batch["index"], alone)
        weight = moved(torch.ones_like(clips) if weight is None else weight, own, self.block)
        made = with_own_context(self.denoiser, self.block, clips, own, self.seed, batch["index"])
        if own:
            current = slice(self.block.past, self.block.past + self.block.current)
            weight[[each.row for each in own], current] *= at_true_scale(self.denoiser, self.block, clips, made, own)
        return made, weight, own, motion_before(clips, own, self.block)

    def _encoded(self, clips: Tensor) -> Tensor:
        """Clips as what is diffused: frame by frame or, by a codec that codes frames together, part by part."""
        if self.codec.coding is None:
            return self.codec.encode(clips)
        return torch.cat([self.codec.encode(part) for part in self.block.split(clips)], 1)

    def _signals_of(self, batch: dict[str, Any], num_clips: int) -> Tensor:
        assert self.signals is not None
        shape = (num_clips, self.block.num_frames, self.signals.size)
        if "signals" not in batch or tuple(batch["signals"].shape) != shape:
            found = tuple(batch["signals"].shape) if "signals" in batch else "none"
            raise ValueError(f"this model trains on signals, float {shape} in each batch, got {found} (data.signals)")
        return batch["signals"]

    def _times_of(self, batch: dict[str, Any], num_clips: int) -> Tensor:
        """When frames are, as the network is told it: (B, P + N + F)."""
        seconds, shape = batch["times"], (num_clips, self.block.num_frames)
        if tuple(seconds.shape) != shape or self.frame_rate_hz is None:
            raise ValueError(
                f"times in a batch are seconds, float {shape}, for a model with a frame_rate_hz: got "
                f"{tuple(seconds.shape)}, frame_rate_hz {self.frame_rate_hz}"
            )
        return (seconds - seconds[:, self.block.past, None]) * self.frame_rate_hz

    @property
    def _num_values(self) -> int:
        """How many a block of generated frames has, as users have them."""
        return self.block.current * self.channels * self.size[0] * self.size[1]

    def on_train_start(self) -> None:
        """A new training measures how far frames lie from what the context tells, unless its weights came with that; a
        discriminator that came with a checkpoint is brought to the device."""
        if self.adversarial:
            self.adversary.to(self.device)
        if self.trainer.global_step == 0:
            self._measured = unmeasured(self.denoiser)
        elif self._measured is None:  # a checkpoint that does not tell
            self._measured = [*measured_parts(self.denoiser)]

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """One step of Lightning's training loop; batches as in `loss`."""
        batch = self._numbered(batch)
        if self._measured and self.trainer.global_step < MEASURED_STEPS:
            alone = self._unrelated(batch)
            films = batch["video"] if alone is None else batch["video"][~alone]
            if "times" in batch:  # of frames from long before nothing is to be learned
                apart = batch["times"].diff(dim=1)
                even = (apart - apart[:, -1:]).abs() < 1e-3 * apart[:, -1:]
                films = batch["video"][even.all(1) if alone is None else even.all(1) & ~alone]
            measure(self.denoiser, self._measured, *self.net_block.split(self._encoded(films)))
        # Dropout draws from the global generators: named by the batch, it is the same in a resumed run.
        torch.manual_seed(keyed_seed(self.seed, batch["index"][0]))
        loss = (self.adversarial_loss(batch) if self.adversarial else self.loss(batch)).mean()
        self.log("train/loss", loss.detach() / self._num_values, prog_bar=True)
        return loss

    def on_before_optimizer_step(self, optimizer: Optimizer) -> None:
        """Log the norm of the gradients before clipping, and the learning rate, in steps that are logged."""
        if (self.trainer.global_step + 1) % self.trainer.log_every_n_steps == 0:  # type: ignore[attr-defined]
            norm = full_tensor(get_total_norm([each.grad for each in self.parameters() if each.grad is not None]))
            self.log_dict({"train/gradient_norm": norm, "train/learning_rate": optimizer.param_groups[0]["lr"]})

    def configure_gradient_clipping(
        self,
        optimizer: Optimizer,
        gradient_clip_val: int | float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        """Clip, also for a fused optimiser in bf16, which Lightning refuses though nothing is scaled there."""
        if self.trainer.precision == "bf16-mixed" and gradient_clip_algorithm in (None, "norm"):
            if gradient_clip_val:
                clip_grad_norm_(self.parameters(), gradient_clip_val)
        elif gradient_clip_val and self.trainer.precision == "16-mixed" and optimizer.defaults.get("fused"):
            raise ValueError(
                "16-mixed cannot clip the gradients of a fused optimiser: take --trainer.precision bf16-mixed, or give "
                "model.optimizer the init_args {fused: false}"
            )
        else:
            self.clip_gradients(optimizer, gradient_clip_val, gradient_clip_algorithm)

    def on_validation_epoch_start(self) -> None:
        """Weights that are shared out are fetched once, together: not all processes have equally many clips."""
        unshard(self)

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """The loss on held-out clips, with the same draws each time; batches as in `loss`."""
        batch = self._numbered(batch, batch_idx)
        loss = self.loss(batch) / self._num_values
        self.log("val/loss", loss.mean(), prog_bar=True, sync_dist=True, batch_size=len(loss))

    def configure_model(self) -> None:
        """Under `mcvd.runtime.fsdp.FSDP2Strategy`, share out the weights."""
        if self.device_mesh is not None and self.self_context:
            raise ValueError("self_context is not for weights that are shared out: take --trainer.strategy ddp")
        if self.device_mesh is not None:
            shard(self.denoiser, self.device_mesh["data_parallel"], "loss")

    def configure_optimizers(self) -> dict[str, Any]:  # type: ignore[override]
        """Optimiser and learning rate, which rises at first, and falls at the end if there are ``cooldown_steps``."""
        optimizer = self.optimizer([each for each in self.parameters() if each.requires_grad])
        return scheduled(
            optimizer, self.warmup_steps, self.cooldown_steps, lambda: self.trainer.estimated_stepping_batches
        )

    def transfer_batch_to_device(self, batch: Any, device: torch.device, dataloader_idx: int) -> dict[str, Any]:
        """Move the video; the clip numbers stay here as a list, so that no step waits for the device."""
        batch = _as_dictionary(batch)
        moved = {"video": batch["video"].to(device, non_blocking=True)}
        for name in {"signals", "times"} & batch.keys():
            moved[name] = batch[name].to(device, non_blocking=True)
        if "unrelated" in batch and bool(batch["unrelated"].any()):
            moved["unrelated"] = batch["unrelated"].to(device, non_blocking=True)
        return moved | ({"index": torch.as_tensor(batch["index"]).tolist()} if "index" in batch else {})

    def _unrelated(self, batch: dict[str, Any]) -> Tensor | None:
        """Which clips are pictures that have nothing to do with each other, bool (B,), or None if none is.

        Raises:
            ValueError: some are, and the network sees a block as one.
        """
        unrelated = batch.get("unrelated")
        if unrelated is None or not unrelated.any():
            return None
        if not self.per_frame:
            raise ValueError(
                "pictures that have nothing to do with each other (mcvd.data.PictureFolder) need a network that sees "
                f"frame by frame, mcvd.nets.SpaceTimeUNet, got {type(self.denoiser.net).__name__}; for this one "
                "mcvd.data.MovingStills makes clips of pictures"
            )
        if self.codec.coding is not None:
            raise ValueError(f"{self.codec!r} codes frames together, and these are pictures (mcvd.data.PictureFolder)")
        return unrelated

    def _are_latents(self, video: Tensor) -> bool:
        """Whether clips are latents that the codec of this model may have made before."""
        if self.autoencoder is None or self.codec.coding is not None or video.dtype != torch.float16:
            return False
        return tuple(video.shape[2:]) == (self.codec.planes(self.channels), *self.codec.frame_size(self.size))

    def _numbered(self, batch: Batch, batch_number: int | None = None) -> dict[str, Any]:
        """The batch with a number for each clip, which none shares with another of the training.

        A batch without numbers gets them from its own, the number of batches before it: a resumed training draws what
        the undisturbed one would have drawn, and every process something else.
        """
        batch = _as_dictionary(batch)
        if not len(batch["video"]):
            raise ValueError("an empty batch: nothing can be learned from it")
        if not self._are_latents(batch["video"]):
            self._checked(batch["video"])
        if "index" in batch:
            return batch
        trainer, place = self._trainer, (0, 1)
        if trainer is not None:
            place = (trainer.global_rank, trainer.world_size)
            if batch_number is None:
                batch_number = trainer.fit_loop.epoch_loop.total_batch_idx
        if batch_number is None:  # a loop of one's own
            batch_number = self._num_batches
            self._num_batches += 1
        first = (batch_number * place[1] + place[0]) * MAX_BATCH
        return batch | {"index": [*range(first, first + len(batch["video"]))]}

    # Checkpoints

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """The config, what is measured, and the discriminator if there is one."""
        super().on_save_checkpoint(checkpoint)
        checkpoint["measured"] = self._measured
        if self.adversarial:
            checkpoint["adversary"] = self.adversary.state_dict()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """A resumed run keeps the frame rate, and what signals are measured by, that it was started with.

        Raises:
            ValueError: it was started with another block, which these weights cannot make.
        """
        config = checkpoint.get("config", {})
        if "block" in config and (trained := FrameBlock(**config["block"])) != self.block:
            raise ValueError(
                f"this checkpoint was trained for {trained}, and now model.block is {self.block}: resume with the same "
                "block, or start a new training from its weights with --init_from"
            )
        self.frame_rate_hz = config.get("frame_rate_hz", self.frame_rate_hz)
        self._measured = checkpoint.get("measured")
        if self.adversarial and "adversary" in checkpoint:
            self.adversary.load_state_dict(checkpoint["adversary"])
        self.keep_signals_of(config)

    def keep_signals_of(self, config: Mapping[str, Any]) -> None:
        """Measure signals as another model does, if it is told the same."""
        signals = config.get("signals")
        if signals and self.signals is not None and tuple(signals["names"]) == self.signals.names:
            self.signals = Signals(**signals)


def _as_dictionary(batch: Any) -> dict[str, Any]:
    """A batch as ``{"video": ...}``, whether it is that, the videos alone, or what `TensorDataset` makes of them."""
    if isinstance(batch, list | tuple) and len(batch) == 1:
        (batch,) = batch
    if isinstance(batch, Tensor):
        return {"video": batch}
    if isinstance(batch, dict) and "video" in batch:
        return batch
    raise ValueError(
        'a batch is uint8 videos (B, T, C, H, W), or a dictionary with them as "video", '
        f"got {'a dictionary without' if isinstance(batch, dict) else type(batch).__name__}"
    )
