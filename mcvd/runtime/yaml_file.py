"""YAML files, read without constructing anything but plain values, with errors that name the file and the line."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from mcvd.runtime.error_text import one_line

MAX_BYTES = 1 << 20  # configurations are a few kilobytes; what is larger was named by mistake
MAX_VALUES = 100_000  # after aliases: a kilobyte of them can stand for more values than any memory holds
_MAX_MERGED = 100  # mappings that one takes over by <<


def read_yaml(path: str | Path, mapping_tags: Sequence[str] = ()) -> dict[str, Any]:
    """The mapping that a YAML file holds.

    Args:
        path: the file, at most `MAX_BYTES` long.
        mapping_tags: tags of other languages' objects that are read as plain mappings; any other tag is an error.

    Returns:
        Numbers, strings, booleans, None, dates, lists and dictionaries.

    Raises:
        ValueError: if it is no YAML, not a mapping, or its aliases (``*name``) hold themselves or more values than
            `MAX_VALUES`; in one line that names the file, and the line where known.
        FileNotFoundError: if it is not there.
    """
    with Path(path).open("rb") as file:
        text = file.read(MAX_BYTES + 1)
    if len(text) > MAX_BYTES:
        raise ValueError(f"{path}: has more than {MAX_BYTES} bytes, which no configuration needs; name another file")

    class Loader(yaml.SafeLoader):
        """Safe: knows no Python objects, and takes over (``<<``) no more than a configuration needs."""

        def flatten_mapping(self, node: yaml.MappingNode) -> None:
            """Refuse what grows with every mapping that takes over others."""
            taken = (value for key, value in node.value if key.tag == "tag:yaml.org,2002:merge")
            num_taken = sum(len(value.value) if isinstance(value, yaml.SequenceNode) else 1 for value in taken)
            if num_taken <= _MAX_MERGED:
                super().flatten_mapping(node)  # type: ignore[no-untyped-call]
            if num_taken > _MAX_MERGED or (num_taken and len(node.value) > _MAX_MERGED**2):
                raise yaml.MarkedYAMLError(problem="too much is taken over by <<", problem_mark=node.start_mark)

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
    if _num_values(content, {}) > MAX_VALUES:
        raise ValueError(
            f"{path}: its aliases (*name) hold themselves or more than {MAX_VALUES} values; write them out"
        )
    return content


def _num_values(value: Any, known: dict[int, int]) -> int:
    """How many values there are within, those behind an alias as often as it stands there; too many for a circle."""
    if not isinstance(value, dict | list):
        return 1
    if id(value) not in known:
        known[id(value)] = MAX_VALUES + 1  # while it is counted: met again inside itself it is a circle
        inner = value.values() if isinstance(value, dict) else value
        known[id(value)] = min(1 + sum(_num_values(each, known) for each in inner), MAX_VALUES + 1)
    return known[id(value)]


def _mapping(loader: yaml.SafeLoader, node: yaml.MappingNode) -> dict[Any, Any]:
    return loader.construct_mapping(node, deep=True)
