"""What commands open before they work: the model on its device, its sampler, the data to score on."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import yaml
from jsonargparse import ArgumentError, ArgumentParser

from mcvd.data.datamodule import VideoData
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


def scoring_data(config: str | None, root: str | None, facts: dict[str, Any], val_root: str | None = None) -> VideoData:
    """The data of a data.yaml, or of a folder of videos, fitted to a model.

    Args:
        config: the data.yaml.
        root: the folder that was trained on; a part of it is held out.
        facts: other arguments of `VideoData`, None for what is not known.
        val_root: a folder of which nothing was trained on: all of it is for validation.
    """
    if config is None and root is None and val_root is None:
        raise ValueError("say what to score on: --config data.yaml, --root FOLDER or --val-root FOLDER")
    try:
        content = {"data": {}} if config is None else yaml.safe_load(Path(config).read_text())
    except yaml.YAMLError as error:
        raise ValueError(f"{config} is not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(content, dict) or not isinstance(content.get("data"), dict):
        raise ValueError(f"{config} has no section data:")
    if root is not None:
        facts = facts | {"root": root}
    if val_root is not None:
        facts = ({} if config else {"root": val_root}) | facts | {"val_root": val_root}
    parser = ArgumentParser(exit_on_error=False)
    parser.add_class_arguments(VideoData, "data")
    known = {name: value for name, value in facts.items() if value is not None}
    try:
        return parser.instantiate(parser.parse_object({"data": content["data"] | known})).data
    except ArgumentError as error:
        raise ValueError(f"{config}: {' '.join(str(error).split())}") from error
