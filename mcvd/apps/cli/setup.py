"""What commands open before they work: the model on its device and its sampler."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from mcvd.models.load import BOX, load
from mcvd.models.mcvd import MCVD
from mcvd.runtime.device import resolve_device
from mcvd.samplers.select import default_sampler, sampler_by_name


def note_default_model(model: str | Path) -> None:
    """Tell whoever named no model which one works."""
    if model is BOX:
        print("mcvd: no model was named: taking the small one in the box", file=sys.stderr)


def ready(model: str | Path, sampling: dict[str, Any], from_nothing: bool = False) -> tuple[MCVD, dict[str, Any]]:
    """The model on its device, and the options of its verbs."""
    note_default_model(model)
    device = resolve_device(sampling.pop("device", None))
    name, num_steps = sampling.pop("sampler", None), sampling.pop("steps", None)
    sampler = sampler_by_name(name, num_steps) if name else default_sampler(from_nothing, num_steps)
    return load(model).to(device), {**sampling, "sampler": sampler}
