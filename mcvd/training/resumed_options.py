"""The options of a resumed run: those of today hold, and what differs from before is told."""

from __future__ import annotations

import json
from collections.abc import Callable
from inspect import signature
from typing import Any

from lightning import Callback, LightningModule, Trainer
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

# How it is computed, not what: a resumed run keeps it with the optimiser's state.
_MEANS = {"foreach", "fused", "capturable", "differentiable"}
_UNSTATED = {"frame_rate_hz", "times"}  # learned from the data
_NAMES = {"initial_lr": "learning rate"}
_MAX_TOLD = 12
BESIDE = "options_beside"
"""In a checkpoint, and an attribute of a model that has some: options that its config, which makes the model, does not
hold."""


class ResumedOptions(Callback):
    """Lets the optimiser's options, the learning rate and its schedule of a resumed run be those it is given today.

    Lightning takes them from the checkpoint, without a word.

    Args:
        log: called with one line that says what differs from the checkpoint.
    """

    def __init__(self, log: Callable[[str], object]):
        self._tell = log  # `log` is taken by Lightning
        self._before: dict[str, Any] | None = None  # the model's options when the checkpoint was written
        self._beside: dict[str, Any] = {}  # and those beside its config
        self._asked: list[list[dict[str, Any]]] = []  # of each optimiser, its groups
        self._num_groups: list[int] = []  # of each optimiser of the checkpoint

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Remember what the model was trained with; options that are newer than the checkpoint had their defaults."""
        self._before = _plain_defaults(type(pl_module)) | (checkpoint.get("config") or {})
        self._beside = checkpoint.get(BESIDE) or {}
        self._num_groups = [len(state["param_groups"]) for state in checkpoint.get("optimizer_states", [])]

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Remember what is asked for, before the optimiser's state is restored.

        Raises:
            ValueError: the run was trained with another kind of optimiser.
        """
        self._asked = [
            [{name: value for name, value in group.items() if name != "params"} for group in optimizer.param_groups]
            for optimizer in trainer.optimizers
        ]
        for optimizer, number in zip(trainer.optimizers, self._num_groups, strict=False):
            if len(optimizer.param_groups) != number:
                raise _other_optimizer(optimizer, "")

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Set them again.

        Raises:
            ValueError: the run was trained with another kind of optimiser.
        """
        if self._before is None:
            return
        changes = _differences(self._before, getattr(pl_module, "config", {}), "model.")
        changes |= _differences(self._beside, getattr(pl_module, BESIDE, {}), "model.")
        for optimizer, asked in zip(trainer.optimizers, self._asked, strict=True):
            changes |= _set_options(optimizer, asked)
        for each in trainer.lr_scheduler_configs:
            if isinstance(each.scheduler, LambdaLR):
                changes |= _set_rate(each.scheduler)
        self._before = None
        if changes and trainer.is_global_zero:
            told = [f"{name} {_text(old)} -> {_text(new)}" for name, (old, new) in changes.items()]
            more = f" and {len(told) - _MAX_TOLD} more" if len(told) > _MAX_TOLD else ""
            self._tell(
                f"resumed with other options, which hold from step {trainer.global_step} on: "
                f"{', '.join(told[:_MAX_TOLD])}{more}"
            )


def _plain_defaults(kind: type) -> dict[str, Any]:
    """The defaults of a model's options that are numbers, words or switches."""
    defaults = {name: each.default for name, each in signature(kind).parameters.items()}
    return {name: value for name, value in defaults.items() if isinstance(value, bool | int | float | str)}


def _set_options(optimizer: Optimizer, asked: list[dict[str, Any]]) -> dict[str, tuple[Any, Any]]:
    changes: dict[str, tuple[Any, Any]] = {}
    for group, wanted in zip(optimizer.param_groups, asked, strict=True):
        other = (group.keys() ^ wanted.keys()) - _MEANS - {"params", "initial_lr"}
        if other:
            raise _other_optimizer(optimizer, f" (they differ in {', '.join(sorted(other))})")
        for name in wanted.keys() - _MEANS - {"lr"}:
            before = group.get(name)
            if before != wanted[name]:
                changes[_NAMES.get(name, name)] = (before, wanted[name])
                group[name] = wanted[name]
    return changes


def _other_optimizer(optimizer: Optimizer, how: str) -> ValueError:
    return ValueError(
        f"this run was trained by another kind of optimiser than {type(optimizer).__name__}{how}: resume with that, "
        "--model.optimizer, or start a new run from its weights with --init_from"
    )


def _set_rate(scheduler: LambdaLR) -> dict[str, tuple[Any, Any]]:
    """The learning rate of the next step, by the schedule of today."""
    groups = scheduler.optimizer.param_groups
    before = [group["lr"] for group in groups]
    scheduler.base_lrs = [group["initial_lr"] for group in groups]
    rates = [
        base * share(scheduler.last_epoch) for base, share in zip(scheduler.base_lrs, scheduler.lr_lambdas, strict=True)
    ]
    for group, rate in zip(groups, rates, strict=True):
        group["lr"] = rate
    scheduler._last_lr = rates
    return {"learning rate of the next step": (before[0], rates[0])} if before != rates else {}


def _differences(before: Any, now: Any, name: str) -> dict[str, tuple[Any, Any]]:
    """What differs between two configs, by the name of the option."""
    before, now = (json.loads(json.dumps(value, default=str)) for value in (before, now))
    if not (isinstance(before, dict) and isinstance(now, dict)):
        return {} if before == now else {name.rstrip("."): (before, now)}
    found: dict[str, tuple[Any, Any]] = {}
    for key in before.keys() & now.keys() - _UNSTATED:
        found |= _differences(before[key], now[key], f"{name}{key}.")
    return dict(sorted(found.items()))


def _text(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
