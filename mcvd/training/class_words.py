"""What is wrong with a class that the words of a training name, or with its arguments, where a parser did not say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from mcvd.data.recipe import SLOTS as DATA_SLOTS
from mcvd.models.config import SLOTS as MODEL_SLOTS
from mcvd.runtime.named_classes import check_classes
from mcvd.runtime.yaml_file import read_yaml
from mcvd.training.words import values_of

_OF_OBJECTS = {"class_path", "init_args", "dict_kwargs"}


def wrong_class(words: Sequence[str], key: str, sections: Mapping[str, type]) -> str | None:
    """What is said of the objects that an option takes, of the config files and the words together; None if they fit.

    Args:
        words: of a training, paths for the names of configs, such as ``["--model.net", "UNett"]``.
        key: the option that a parser refused, such as ``model.net``.
        sections: the class of each section of the config.
    """
    section, _, name = key.partition(".")
    if section not in sections or not name.isidentifier():
        return None
    found = None
    for config in (*values_of("--config", words), *values_of("-c", words)):
        of_file = read_yaml(config).get(section)
        if isinstance(of_file, dict) and name in of_file:
            found = of_file[name]
    for option, value in _named(words, key):
        found = _put(found, option, value)
    try:
        check_classes(sections[section], {name: found}, {**MODEL_SLOTS, **DATA_SLOTS}, trust=True, where=section)
    except ValueError as error:
        return str(error)
    return None


def _named(words: Sequence[str], key: str) -> list[tuple[list[str], Any]]:
    """What the words set in an option: the names below it, and the value."""
    options = dict.fromkeys(word.partition("=")[0] for word in words if word.startswith(f"--{key}"))
    inside = {option: option.removeprefix(f"--{key}") for option in options}
    return [
        (rest.split(".")[1:], _value(text))
        for option, rest in inside.items()
        if rest[:1] in ("", ".")
        for text in values_of(option, words)
    ]


def _value(text: str) -> Any:
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError:
        return text


def _put(found: Any, names: list[str], value: Any) -> Any:
    """An object with an argument set, which may be named without ``init_args``."""
    if not names:
        return value
    found = {"class_path": found} if isinstance(found, str) else dict(found) if isinstance(found, dict) else {}
    if "class_path" in found and names[0] not in _OF_OBJECTS:
        names = ["init_args", *names]
    return found | {names[0]: _put(found.get(names[0]), names[1:], value)}
