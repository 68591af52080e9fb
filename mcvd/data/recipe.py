"""From a recipe, the ``data.yaml`` of a data set, or from folders of videos, to a `VideoClips`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from jsonargparse import ArgumentError, ArgumentParser

from mcvd.data.video_clips import VideoClips
from mcvd.data.videos import AbstractVideos
from mcvd.runtime.error_text import one_line
from mcvd.runtime.named_classes import NotTrustedError, Slots, Trust, check_classes
from mcvd.runtime.parser_text import misfit, refusal
from mcvd.runtime.yaml_file import read_yaml

SLOTS: Slots = {
    AbstractVideos: (
        "mcvd.data.ArrayVideos",
        "mcvd.data.CachedVideos",
        "mcvd.data.ConcatVideos",
        "mcvd.data.DrivingScenes",
        "mcvd.data.Hdf5Videos",
        "mcvd.data.InMemoryVideos",
        "mcvd.data.LeRobotVideos",
        "mcvd.data.MemmapVideos",
        "mcvd.data.MovingStills",
        "mcvd.data.MovingStrokes",
        "mcvd.data.PictureFolder",
        "mcvd.data.RainFields",
        "mcvd.data.RldsVideos",
        "mcvd.data.ShardedVideos",
        "mcvd.data.StochasticMovingMNIST",
        "mcvd.data.VideoFolder",
        "mcvd.data.VideoSubset",
    )
}
"""The collections that a recipe may name; see `mcvd.runtime.named_classes.Slots`."""


def data_from_recipe(
    recipe: str | Path | None = None,
    root: str | Path | None = None,
    val_root: str | Path | None = None,
    trust: Trust = False,
    **arguments: Any,
) -> VideoClips:
    """The data of a ``data.yaml``, or of folders of videos, with the length and size of clips that a model needs.

    Args:
        recipe: a YAML file with a section ``data:``, the arguments of `VideoClips`; None: only folders are named.
        root: a folder of videos that was trained on; a part of it is held out for validation.
        val_root: a folder of videos of which nothing was trained on: all of it is for validation.
        trust: names of modules, beside mcvd, whose collections the recipe may name: their code runs; see `mcvd.load`.
        arguments: other arguments of `VideoClips`, which go before those of the recipe; None for what is not known.

    Raises:
        ValueError: if nothing is named, the recipe is not one, or it names classes that are not trusted; says where.
        FileNotFoundError: if the recipe, or a folder that it names, is not there.

    Examples:
        >>> data_from_recipe("datasets/driving_scenes/data.yaml", num_frames=12, size=64).spec.num_frames
        12
    """
    if recipe is None and root is None and val_root is None:
        raise ValueError("name the videos: --config data.yaml, --root FOLDER or --val-root FOLDER")
    content = {} if recipe is None else read_yaml(recipe).get("data")
    if not isinstance(content, dict):
        raise ValueError(f"{recipe}: has no section data:, the arguments of a VideoData; see datasets/own_videos")
    if recipe is None and root is None:
        root = val_root
    named = {
        name: value for name, value in {**arguments, "root": root, "val_root": val_root}.items() if value is not None
    }
    parser = ArgumentParser(exit_on_error=False)
    parser.add_class_arguments(VideoClips, "data")
    try:
        checked = check_classes(VideoClips, content | named, SLOTS, trust, "data")
        return parser.instantiate(parser.parse_object({"data": checked})).data
    except NotTrustedError as error:
        raise ValueError(f"{recipe or root}: {error}") from None
    except (ArgumentError, ArithmeticError, AttributeError, LookupError, TypeError) as error:
        text = one_line(error)
        raise ValueError(f"{recipe or root}: {misfit(text) or text}") from error
    except ValueError as error:
        if (reason := refusal(one_line(error))) is None:
            raise
        raise ValueError(f"{recipe or root}: {reason}") from error
