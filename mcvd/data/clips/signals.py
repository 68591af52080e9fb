"""What is told beside the frames of a clip, and what mirroring it does to that."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from mcvd.data.clips.augment import Augmentation
from mcvd.runtime.columns import check_columns, column_names, width_of
from mcvd.runtime.suggest import did_you_mean


@dataclass(frozen=True)
class ClipSignals:
    """Which numbers are read beside the frames.

    Args:
        names: of them; see `mcvd.diffusion.signals.Signals`.
        mirrored: those that change their sign when a clip is mirrored.
    """

    names: tuple[str, ...]
    mirrored: tuple[str, ...] = ()

    @classmethod
    def of(
        cls, names: list[str] | None, mirrored: list[str] | None, flip: bool, augment: Augmentation
    ) -> ClipSignals | None:
        """Check what a training asks for; None where nothing is told.

        Raises:
            ValueError: an augmentation would make what is told wrong, or a name does not fit.
        """
        if names is None:
            if mirrored:
                raise ValueError("data.mirrored_signals are for data with signals, and there are none")
            return None
        check_columns(names)
        for name in mirrored or ():
            if name not in names:
                raise ValueError(f"data.mirrored_signals: there is no {name}{did_you_mean(name, names)}")
        if flip and mirrored is None:
            raise ValueError(
                "data.flip mirrors clips: say in data.mirrored_signals which of the signals change their sign then, "
                "such as steering; [] if none does"
            )
        wrong = [what for what in ("reverse", "still") if getattr(augment, what)]
        wrong += ["max_speed"] if augment.max_speed > 1 else []
        if wrong:
            raise ValueError(
                f"data.augment.{wrong[0]} changes what happens, and the signals would tell something else: leave it out"
            )
        return cls(tuple(names), tuple(mirrored or ()))

    @property
    def signs(self) -> Tensor:
        """What mirroring multiplies each number by, float32 (A,)."""
        signs = [-1.0 if name in self.mirrored else 1.0 for name in self.names for _ in range(width_of(name))]
        return torch.tensor(signs)

    @property
    def columns(self) -> list[str]:
        """A name for each number."""
        return column_names(self.names)
