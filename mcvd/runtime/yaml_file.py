"""YAML files, read without constructing anything but plain values, with errors that name the file and the line."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from mcvd.runtime.error_text import one_line

MAX_BYTES = 1 << 20  # configurations are a few kilobytes; what is larger was named by mistake


def read_yaml(path: str | Path, mapping_tags: Sequence[str] = ()) -> dict[str, Any]:
    """The mapping that a YAML file holds.

    Args:
        path: the file, at most `MAX_BYTES` long.
        mapping_tags: tags of other languages' objects that are read as plain mappings; any other tag is an error.

    Returns:
        Numbers, strings, booleans, None, dates, lists and dictionaries.

    Raises:
        ValueError: if it is no YAML, or not a mapping; in one line that names the file, and the line where known.
        FileNotFoundError: if it is not there.
    """
    with Path(path).open("rb") as file:
        text = file.read(MAX_BYTES + 1)
    if len(text) > MAX_BYTES:
        raise ValueError(f"{path}: has more than {MAX_BYTES} bytes, which no configuration needs; name another file")

    class Loader(yaml.SafeLoader):
        """Safe: knows no Python objects."""

    for tag in mapping_tags:
        Loader.add_constructor(tag, _mapping)
    try:
        content = yaml.load(text, Loader=Loader)
    except MemoryError:
        raise
    except Exception as error:  # damaged scalars, tags and nesting each raise a type of their own
        mark = getattr(error, "problem_mark", None)
        line = f"line {mark.line + 1}: " if mark else ""
        problem = one_line(getattr(error, "problem", None) or error)
        raise ValueError(f"{path}: {line}cannot be read as YAML ({problem}); correct the file") from error
    if not isinstance(content, dict):
        raise ValueError(f"{path}: must be a mapping of sections, such as data:, but is a {type(content).__name__}")
    return content


def _mapping(loader: yaml.SafeLoader, node: yaml.MappingNode) -> dict[Any, Any]:
    return loader.construct_mapping(node, deep=True)
