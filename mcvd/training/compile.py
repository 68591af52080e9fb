"""Training with a compiled network, where that pays."""

from __future__ import annotations

from contextlib import ExitStack

from lightning import Callback, LightningModule, Trainer

from mcvd.models.mcvd import MCVD
from mcvd.nets.compiled import Compile, should_compile


class CompileCallback(Callback):
    """Compiles the network while it trains; what is saved and averaged is the network itself.

    Args:
        compile: "auto" on a GPU, for a training of at least `mcvd.nets.compiled.WORTH_CALLS` steps; "always", "never".
    """

    def __init__(self, compile: Compile = "auto"):
        self.compile = compile
        self._compiled = ExitStack()

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """From the first step on."""
        assert isinstance(pl_module, MCVD)
        steps_left = trainer.estimated_stepping_batches - trainer.global_step
        wanted = should_compile(self.compile, pl_module.device, steps_left)
        self._compiled.enter_context(pl_module.denoiser.calling(pl_module.denoiser.compiled() if wanted else None))

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """The network is called as it is again."""
        self._compiled.close()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """The network is called as it is again."""
        self._compiled.close()
