"""What users import: build and load models, read and write videos."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from jsonargparse import ArgumentParser
from torch import Tensor, nn

from mcvd.models.files import CONFIG, LAST, WEIGHTS, read_checkpoint, read_folder
from mcvd.models.mcvd import MCVD
from mcvd.video.read import read_video
from mcvd.video.write import write_video

__all__ = ["BOX", "build", "load", "read_video", "write_video"]

BOX = Path(__file__).parents[1] / "box"  # a small trained model that comes with the package; its README.md tells of it


def build(config: dict[str, Any]) -> MCVD:
    """Make an untrained model from a config of class paths, as config.json holds it.

    Args:
        config: the arguments of `MCVD`; classes as ``{"class_path": "mcvd.nets.UNet", "init_args": {...}}``, and of
            mcvd alone: nothing else is imported.

    Raises:
        ValueError: a key or a value does not fit; the message names it.

    Example:
        >>> model = build({"block": {"past": 1, "current": 2}, "size": [16, 16],
        ...     "net": {"class_path": "mcvd.nets.UNet", "init_args": {"width": 8, "multipliers": [1, 2],
        ...     "attention_levels": [1], "head_channels": 8}}})
        >>> model.block
        FrameBlock(past=1, current=2, future=0)
    """
    _refuse_foreign_classes(config, "config")
    parser = ArgumentParser(exit_on_error=False)
    parser.add_class_arguments(MCVD, "model", skip={"optimizer"})
    try:
        parsed = parser.parse_object({"model": config})
        model = parser.instantiate(parsed).model
    except (Exception, SystemExit) as error:  # the parser lets its many types of error through
        raise ValueError(f"this config does not make a model: {error}") from error
    model.config = config
    return model


def load(source: str | Path = BOX, revision: str | None = None) -> MCVD:
    """Open a trained model with its averaged (EMA) weights, ready to predict.

    Args:
        source: an exported folder, a training checkpoint (``.ckpt``), the folder of a training run, or the name of a
            model on the Hugging Face Hub, ``user/name`` or ``user/name@revision``; by default the small model that
            comes with the package.
        revision: branch, tag or commit on the Hub; a commit always gives the same weights.

    Raises:
        FileNotFoundError: there is no such model.
        ValueError: what is there is damaged, or is not a model of mcvd.
    """
    path = Path(source)
    if (path / LAST).is_file():
        config, weights = read_checkpoint(path / LAST)
    elif path.is_dir():
        config, weights = read_folder(path)
    elif path.suffix == ".ckpt" or path.is_file():
        config, weights = read_checkpoint(path)
    elif str(source).count("/") == 1 and not str(source).startswith((".", "/", "~")):
        name, _, pinned = str(source).partition("@")
        if revision and pinned:
            raise ValueError(f"{source} names a revision already: leave {revision!r} out, or the part from @ on")
        config, weights = read_folder(_download(name, revision or pinned or None))
    else:
        raise FileNotFoundError(
            f"no model at {source}: expected an exported folder, a .ckpt file or user/name on the Hub"
        )
    try:
        with torch.device(
            "meta"
        ):  # shapes without memory: a config that asks for more than the weights fill is refused
            check_weights(build(config), weights, source)
        model = build(config)
    except ValueError as error:
        raise error if str(source) in str(error) else ValueError(f"{source}: {error}") from error
    load_weights(model, weights, source)
    return model.eval().requires_grad_(False)


def load_weights(module: nn.Module, weights: dict[str, Tensor], source: str | Path) -> None:
    """Copy weights into a module that they fit exactly; see `check_weights`."""
    check_weights(module, weights, source)
    module.load_state_dict(weights)


def check_weights(module: nn.Module, weights: dict[str, Tensor], source: str | Path) -> None:
    """Compare names and shapes; the module may be on the meta device.

    Raises:
        ValueError: one is missing, left over or of another shape; the message names ``source`` and the weight.
    """
    expected = module.state_dict()
    for kind, names in (("missing", expected.keys() - weights.keys()), ("surplus", weights.keys() - expected.keys())):
        if names:
            raise ValueError(f"{source}: {len(names)} {kind} weights, such as {sorted(names)[0]}")
    wrong = [name for name, value in expected.items() if value.shape != weights[name].shape]
    if wrong:
        shapes = f"{tuple(weights[wrong[0]].shape)}, the config asks for {tuple(expected[wrong[0]].shape)}"
        raise ValueError(f"{source}: {len(wrong)} weights of another shape, such as {wrong[0]}: {shapes}")


def _refuse_foreign_classes(value: Any, where: str) -> None:
    if isinstance(value, dict):
        path = value.get("class_path", "mcvd.")
        if not isinstance(path, str) or not path.startswith("mcvd."):
            raise ValueError(f"{where} names the class {path!r}: only classes of mcvd are made from a model's config")
        for key, item in value.items():
            _refuse_foreign_classes(item, f"{where}.{key}")
    elif isinstance(value, list):
        for number, item in enumerate(value):
            _refuse_foreign_classes(item, f"{where}[{number}]")


def _download(name: str, revision: str | None) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(name, revision=revision, allow_patterns=[CONFIG, WEIGHTS]))
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError) as error:
        reason = str(error).strip().splitlines()[0]
        asked = f"{name}@{revision}" if revision else name
        raise FileNotFoundError(f"no folder {asked} here, and the Hub has none that can be had: {reason}") from error
