"""From a recipe, the ``data.yaml`` of a data set, or from folders of videos, to a `VideoData`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from jsonargparse import ArgumentError, ArgumentParser

from mcvd.data.datamodule import VideoData
from mcvd.runtime.error_text import one_line
from mcvd.runtime.yaml_file import read_yaml


def data_from_recipe(
    recipe: str | Path | None = None,
    root: str | Path | None = None,
    val_root: str | Path | None = None,
    **arguments: Any,
) -> VideoData:
    """The data of a ``data.yaml``, or of folders of videos, with the length and size of clips that a model needs.

    Args:
        recipe: a YAML file with a section ``data:``, the arguments of `VideoData`; None: only folders are named.
        root: a folder of videos that was trained on; a part of it is held out for validation.
        val_root: a folder of videos of which nothing was trained on: all of it is for validation.
        arguments: other arguments of `VideoData`, which go before those of the recipe; None for what is not known.

    Raises:
        ValueError: if nothing is named, or the recipe is not one; says where.
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
    parser.add_class_arguments(VideoData, "data")
    try:
        return parser.instantiate(parser.parse_object({"data": content | named})).data
    except ArgumentError as error:
        raise ValueError(f"{recipe or root}: {one_line(error)}") from error
