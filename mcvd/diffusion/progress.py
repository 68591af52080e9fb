"""How much of the work of sampling is done."""

from __future__ import annotations

from collections.abc import Callable

from tqdm import tqdm


class SamplingProgress:
    """Counts blocks and, within a block, calls of the network, of which there are ``calls_per_block`` at most.

    The share that is done is shown on the bar and told ``on_progress`` before each call; what it raises ends the work.
    """

    def __init__(
        self, num_blocks: int, calls_per_block: int, bar: tqdm, on_progress: Callable[[float], None] | None = None
    ):
        self._num_blocks, self._calls_per_block = num_blocks, calls_per_block
        self._bar, self._on_progress = bar, on_progress
        self._blocks = self._calls = 0

    def before_call(self) -> None:
        """The network is about to be called."""
        done = self._show()
        if self._on_progress is not None:
            self._on_progress(done)
        self._calls += 1

    def finish_block(self) -> None:
        """A block is there, sampled or read."""
        self._blocks, self._calls = self._blocks + 1, 0
        self._show()

    def _show(self) -> float:
        done = (self._blocks + min(1.0, self._calls / self._calls_per_block)) / self._num_blocks
        self._bar.update(done * (self._bar.total or 0) - self._bar.n)
        return done
