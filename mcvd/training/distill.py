"""The student of a model: the same network, taught to do with few calls what its teacher does with many."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from mcvd.diffusion.distillation import Distillation, Method
from mcvd.diffusion.frame_noise import FrameNoise
from mcvd.diffusion.guidance import conditioned
from mcvd.diffusion.parametrization import PARAMETRIZATIONS
from mcvd.diffusion.task_samplers import TaskSamplers
from mcvd.diffusion.tasks import TASKS
from mcvd.models.config import config_of
from mcvd.models.mcvd import MCVD, Batch
from mcvd.runtime.digests import digest
from mcvd.samplers import DDIM, AbstractSpacing
from mcvd.samplers.base import Denoise
from mcvd.samplers.spacing import UNIFORM
from mcvd.training.muon import Muon
from mcvd.training.resumed_options import BESIDE


class Student(MCVD):
    """A copy of a trained model, and its frozen teacher, from which it learns longer steps; see `Distillation`.

    Masks, times, noise and noise on the context are drawn as in the teacher's training, so the student keeps all its
    tasks, also those with given frames anywhere (``masking.p_any``). It learns steps that all frames of a block take
    together, so it forgets noise levels of their own (``frame_noise``, rolling). What is saved is the student alone, an
    ordinary model whose own sampler is the one that it was taught. Clean estimates are not clipped, neither the
    teacher's nor the student's, but where the noise is predicted or guided.

    Args:
        teacher: as `mcvd.load` takes it.
        calls: network calls of the student for a block.
        parts: how many steps of the teacher one of the student's is worth; the teacher then stands for
            ``calls * parts`` calls.
        method: "progressive" or "consistency"; see `Distillation`.
        order: of the teacher's steps, 1 (as published) or 2; see `Distillation`. None is 2, and 1 for "consistency" or
            where the teacher's own sampler is `DDIM`, as that of a student is.
        guidance: of the teacher, which the student learns: it then samples so with guidance 1.
        spacing: of the student's steps; None is that of the teacher's own sampler, which tells where its network is of
            use, or of uniform times, as published, if it has none.
        optimizer: makes the optimiser from the parameters.
        warmup_steps: the learning rate rises linearly from 0 over so many steps.
        cooldown_steps: it falls linearly towards 0 over the last so many; None is from the beginning, as published.
        seed: of the random numbers of training.
        trust: modules of the teacher's own classes; see `mcvd.load`.
    """

    def __init__(
        self,
        teacher: str,
        calls: int = 4,
        parts: int = 5,
        method: Method = "progressive",
        order: int | None = None,
        guidance: float = 1.0,
        spacing: AbstractSpacing | None = None,
        optimizer: Callable[[Iterable], Optimizer] = lambda parameters: Muon(parameters, lr=3e-3, adam_lr=3e-4),
        warmup_steps: int = 10,
        cooldown_steps: int | None = None,
        seed: int = 0,
        trust: Sequence[str] = (),
    ):
        model = MCVD.from_pretrained(teacher, trust=list(trust))
        if calls < 1:
            raise ValueError(f"calls must be 1 or more, got {calls}")
        if guidance != 1 and not model.facts().guidance:
            raise ValueError(f"guidance {guidance:g}: {teacher} was never trained with all context hidden")
        if model.denoiser.diffuses_context or model.denoiser.gamma_noise:
            raise ValueError(f"{teacher} diffuses its context, or with gamma noise: a student cannot follow it")
        # Bounds cut off one half of the errors at pixels that lie on them, which so move inwards with every call. Only
        # estimates that overshoot by far need them: from noise that hides the frames, and guided ones.
        clip = PARAMETRIZATIONS[model.denoiser.predicts].needs_signal or guidance != 1
        sampler = DDIM(num_steps=calls, clip=clip, spacing=spacing or _own_spacing(model.samplers))
        training = {
            "warmup_steps": warmup_steps,
            "cooldown_steps": cooldown_steps or 0,
            "seed": seed,
            "adversarial": 0.0,
            "self_context": 0.0,
        }
        able = [name for name, task in TASKS.items() if task.refusal(model.block, model.masking) is None]
        samplers = TaskSamplers(**dict.fromkeys(able, sampler))
        together = FrameNoise()
        chosen = {"optimizer": optimizer, "samplers": samplers, "frame_noise": together}
        super().__init__(**model._arguments | training | chosen)
        self.load_state_dict(model.state_dict())
        told = {"samplers": config_of(TaskSamplers, vars(samplers)), "frame_noise": asdict(together)}
        self.config = model.trained_config() | training | told
        self.frame_rate_hz = model.frame_rate_hz
        if order is None:
            order = 1 if method == "consistency" or _walks_by_ddim(model.samplers) else 2
        self.distillation = Distillation(sampler, parts, method, order)
        self.guidance = guidance
        told_apart = {"teacher": digest(dict(model.state_dict()))[:12], "guidance": guidance}
        self.options_beside = told_apart | {"parts": parts, "method": method, "order": order}
        self._cools_all_along = cooldown_steps is None
        self._teacher = _Frozen(model)

    def loss(self, batch: Batch) -> Tensor:
        """Half the squared error of the clean estimate, by the weight of its time, summed over pixels: float (B,)."""
        current, condition, uniform, noise, known, *_ = self.draw(self._numbered(batch))
        schedule, distillation = self.denoiser.schedule, self.distillation
        noise = self.denoiser.shaped(noise, uniform)

        def shown(denoise: Denoise) -> Denoise:
            """Given frames among those that are made are seen as they are, as in sampling."""
            return denoise if given is None else conditioned(denoise, clean, given)

        with torch.no_grad():
            bound, given = self._teacher.model.denoiser.bind(condition, self.guidance), condition.keep_given
            clean = current if bound.residual is None else bound.residual.from_frames(current)
            times = distillation.times(uniform, schedule)
            noisy, weight = distillation.start(clean, noise, times, schedule)
            teacher = shown(bound)
            own = shown(self.denoiser.bind(condition)) if distillation.method == "consistency" else teacher
            target = distillation.target(noisy, times, teacher, own, schedule)
        estimate = shown(lambda x, t: self.denoiser.estimate(x, t, condition))(noisy, times[:, 0].to(noisy))
        each = weight * (estimate - target).square()
        if given is not None:
            each = torch.where(given[..., None, None, None], 0.0, each)
        return 0.5 * (each if known is None else known * each).flatten(1).sum(1)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """How it is taught, which is no part of the model: a resumed run says what differs."""
        super().on_save_checkpoint(checkpoint)
        checkpoint[BESIDE] = self.options_beside

    def on_fit_start(self) -> None:
        """The teacher computes where the student does."""
        super().on_fit_start()
        self._teacher.model.to(self.device)

    def on_train_start(self) -> None:
        """What context tells was measured in the teacher's training."""

    def configure_optimizers(self) -> dict[str, Any]:  # type: ignore[override]
        """See `MCVD.configure_optimizers`."""
        if self._cools_all_along:
            self.cooldown_steps = int(self.trainer.estimated_stepping_batches)
        return super().configure_optimizers()


def _own_spacing(samplers: TaskSamplers) -> AbstractSpacing:
    """That of the first task whose sampler has one."""
    found = (getattr(getattr(samplers, name), "spacing", None) for name in TASKS)
    return next((spacing for spacing in found if spacing is not None), UNIFORM)


def _walks_by_ddim(samplers: TaskSamplers) -> bool:
    """Whether the network may have been taught to land: a student's samplers are such."""
    return any(isinstance(getattr(samplers, name), DDIM) for name in TASKS)


class _Frozen:
    """A model that is no part of what holds it: not trained, not saved, not copied with its averages."""

    def __init__(self, model: MCVD):
        self.model = model.eval().requires_grad_(False)

    def __deepcopy__(self, memo: dict[int, Any]) -> _Frozen:
        return self
