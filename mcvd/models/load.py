"""Build and load models: what `mcvd.build` and `mcvd.load` are."""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mcvd.models.files import BOX, CascadeError
from mcvd.models.video_model import VideoModel
from mcvd.runtime.named_classes import Trust

if TYPE_CHECKING:
    from mcvd.models.mcvd import MCVD


def build(config: dict[str, Any], trust: Trust = False) -> MCVD:
    """Make an untrained model from a config of class paths, as config.json holds it.

    Args:
        config: the arguments of `MCVD`; classes as ``{"class_path": "mcvd.nets.UNet", "init_args": {...}}``.
        trust: names of modules, beside mcvd, whose classes the config may name; True allows any. Opening a model
            imports them, which runs what stands in them.

    Raises:
        ValueError: a key or a value does not fit, or a class is not of mcvd and not trusted; the message names it.

    Examples:
        >>> model = build({"block": {"past": 1, "current": 2}, "size": [16, 16],
        ...     "net": {"class_path": "mcvd.nets.UNet", "init_args": {"width": 8, "multipliers": [1, 2],
        ...     "attention_levels": [1], "head_channels": 8}}})
        >>> model.block
        FrameBlock(past=1, current=2, future=0)
    """
    from mcvd.models.mcvd import MCVD

    return MCVD.from_config(config, trust=trust)


def load(
    source: str | Path = BOX,
    revision: str | None = None,
    trust: Trust = False,
    size: int | Sequence[int] | None = None,
) -> VideoModel:
    """Open a trained model with its averaged (EMA) weights, ready to predict.

    To train it further, open it with ``mcvd.MCVD.from_pretrained``, a module of Lightning.

    Args:
        source: an exported folder (also of a `mcvd.models.cascade.Cascade`), a training checkpoint (``.ckpt``), the
            folder of a training run, or the name of a model on the Hugging Face Hub, ``user/name`` or
            ``user/name@revision``; by default the bundled model, ``bundled``.
        revision: branch, tag or commit on the Hub; a commit always gives the same weights.
        trust: names of modules, beside mcvd, whose classes the model may be made of; True allows any. See `build`.
        size: (height, width) of the frames, or one number for a square: our networks are convolutional and work at
            sizes other than those that they were trained at, as well as that may be. None is the model's own.

    Raises:
        FileNotFoundError: there is no such model.
        ValueError: the source is no path or name; what is there is damaged, is not a model of mcvd, or names classes
            that are not trusted; or the network cannot have frames of this size.
    """
    if not isinstance(source, str | PathLike):
        kind = type(source).__name__
        raise ValueError(f"source is the path of a model or its name on the Hub, such as 'user/name', got {kind}")
    if revision is not None and not isinstance(revision, str):
        raise ValueError(f"revision is a branch, tag or commit on the Hub, got {revision!r}; a size goes by size=")
    try:
        return VideoModel.from_pretrained(source, revision=revision, trust=trust, size=size)
    except CascadeError:
        from mcvd.models.cascade import Cascade

        return Cascade.from_pretrained(source, revision=revision, trust=trust, size=size)
