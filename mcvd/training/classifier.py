"""The training of a classifier of noisy clips, which then guides a model."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from lightning import LightningModule
from torch import Tensor
from torch.nn.functional import cross_entropy
from torch.optim import Adam, Optimizer

from mcvd.frames import model_from_pixels
from mcvd.models.classifier import LabelClassifier
from mcvd.models.files import read_model
from mcvd.models.learning_rate import scheduled
from mcvd.models.mcvd import MCVD
from mcvd.runtime.columns import key_of
from mcvd.runtime.rng import TrainingNoise, keyed_seed


class ClassifierFit(LightningModule):
    """A `LabelClassifier` in training: cross-entropy of clips under the noise that the model to be guided sees.

    Args:
        guides: the model that it is for, as `mcvd.load` takes it: its frames, its noise, and unless others are named
            its labels.
        labels: words of the labels, of ``label=WORD`` of the data; None takes those of the model.
        width, multipliers, num_blocks, attention_levels, head_channels, dropout: of the network, as `mcvd.nets.UNet`.
        optimizer: makes the optimiser from the parameters.
        warmup_steps: the learning rate rises linearly from 0 over so many steps.
        seed: of the random numbers of training.
        trust: modules of the model's own classes; see `mcvd.load`.

    Raises:
        ValueError: there are no labels, or the model's frames cannot be classified.
    """

    def __init__(
        self,
        guides: str,
        labels: Sequence[str] | None = None,
        width: int = 32,
        multipliers: Sequence[int] = (1, 2, 3),
        num_blocks: int = 1,
        attention_levels: Sequence[int] = (),
        head_channels: int = 32,
        dropout: float = 0.0,
        optimizer: Callable[[Iterable], Optimizer] = lambda parameters: Adam(parameters, lr=5e-4),
        warmup_steps: int = 100,
        seed: int = 0,
        trust: Sequence[str] = (),
    ):
        super().__init__()
        if min(warmup_steps, seed) < 0:
            raise ValueError(f"warmup_steps and seed must be 0 or more, got {warmup_steps} and {seed}")
        stored = read_model(guides)
        with torch.device("meta"):
            model = MCVD.from_config(stored.config, trust=list(trust))
        words = [*(labels or labels_of(stored.config))]
        if not words:
            raise ValueError(f"{guides} is told no labels: name those of the data, --labels '[archery, bowling]'")
        trunk = (width, multipliers, num_blocks, attention_levels, head_channels, dropout)
        self.classifier = LabelClassifier(words, model.block.current, model.size, model.channels, *trunk)
        self.classifier.check_guides(model)
        self.schedule = model.denoiser.schedule
        self.optimizer, self.warmup_steps, self.seed = optimizer, warmup_steps, seed
        self.config: dict[str, Any] = {}

    def logits(self, batch: dict[str, Any]) -> tuple[Tensor, Tensor, Tensor]:
        """Logits (B, L) of a batch under noise that its clips' numbers determine, what is right (B,), and where signal
        prevails, bool (B,)."""
        frames = model_from_pixels(batch["video"])
        draws = TrainingNoise(self.seed, self.device)(batch["index"], frames.shape[1:])
        num_steps = self.schedule.num_steps
        at = self.schedule(((draws.time * num_steps).floor() + 1) / num_steps)
        logits = self.classifier.under_noise(frames, draws.normal[0], at)
        return logits, self._targets(batch), at.alpha > at.sigma

    def training_step(self, batch: dict[str, Any], batch_idx: int) -> Tensor:
        """One step of Lightning's training loop."""
        torch.manual_seed(keyed_seed(self.seed, batch["index"][0]))  # of dropout, for resumed runs
        logits, targets, _ = self.logits(batch)
        loss = cross_entropy(logits, targets)
        self.log("train/accuracy", (logits.argmax(1) == targets).float().mean())
        self.log("train/loss", loss.detach(), prog_bar=True)
        return loss

    def validation_step(self, batch: dict[str, Any], batch_idx: int) -> None:
        """How many held-out clips are told right: under noise of all levels, and where signal prevails."""
        logits, targets, clean = self.logits(batch)
        right = (logits.argmax(1) == targets).float()
        options: dict[str, Any] = {"prog_bar": True, "sync_dist": True}
        self.log("val/loss", cross_entropy(logits, targets), batch_size=len(right), **options)
        self.log("val/accuracy", right.mean(), batch_size=len(right), **options)
        if clean.any():
            self.log("val/accuracy_little_noise", right[clean].mean(), batch_size=int(clean.sum()), **options)

    def configure_optimizers(self) -> dict[str, Any]:  # type: ignore[override]
        """Optimiser and warm-up."""
        return scheduled(self.optimizer(self.parameters()), self.warmup_steps)

    def transfer_batch_to_device(self, batch: Any, device: torch.device, dataloader_idx: int) -> dict[str, Any]:
        """Move frames and labels; the clip numbers stay here as a list."""
        moved = {name: batch[name].to(device, non_blocking=True) for name in ("video", "signals")}
        return moved | {"index": torch.as_tensor(batch["index"]).tolist()}

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Put the options beside the weights: a resumed run says what differs."""
        checkpoint["config"] = self.config

    def _targets(self, batch: dict[str, Any]) -> Tensor:
        told = batch["signals"][:, 0]  # (B, L) of 0 and 1
        wrong = told.sum(1) != 1
        if wrong.any():
            many, words = int(told[wrong][0].sum()), ", ".join(self.classifier.labels[:8])
            raise ValueError(f"a clip has {many} of the labels, and a classifier needs 1 of each clip: {words}")
        return told.argmax(1)


def labels_of(config: dict[str, Any]) -> list[str]:
    """The words of the labels that a model of this config is told, of the group ``label``."""
    names = (config.get("signals") or {}).get("names") or []
    return [name.partition("=")[2] for name in names if "=" in name and key_of(name) == "label"]
