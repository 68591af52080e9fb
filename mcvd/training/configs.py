"""The words of a training with the files of the configs that they name, and what is wrong with one, in one line."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from importlib import import_module
from inspect import signature
from pkgutil import resolve_name
from typing import Any

from mcvd.models.config import SLOTS
from mcvd.models.files import read_model
from mcvd.models.mcvd import MCVD
from mcvd.runtime.error_text import one_line
from mcvd.runtime.named_classes import check_classes
from mcvd.runtime.parser_text import key_of, lacks_class, misfit, place_of
from mcvd.runtime.suggest import did_you_mean
from mcvd.runtime.yaml_file import read_yaml
from mcvd.training.class_words import wrong_class
from mcvd.training.named_configs import DEFAULT_CONFIG, FINE_TUNE, find_config
from mcvd.training.option_words import no_such_option
from mcvd.training.words import ConfigError, check_names_data, names_a_model, option_names, value_of, values_of

_CONFIG = ("--config", "-c")
# An option of the data that takes over one of the model, which was given as well.
_LINKED = re.compile(r'Linked "([\w.]+)" must be given via "([\w.]+)"|argument ([\w.]+) --> ([\w.]+): ')
_FAILED_LINK = re.compile(r"^Call to compute_fn of link .* failed: ")
_ARGUMENT = re.compile(r"Problem with given class_path '([\w.]+)': Option '([\w.]+)' is not accepted")
_GROUP = re.compile(r'^Parser key "([\w.]+)": Unable to load config \'([^\']*)\'')


def with_configs(words: list[str]) -> tuple[list[str], str | None]:
    """The words of ``mcvd fit`` with paths for the names of configs, and a config before them where none says which
    model: that of `FINE_TUNE` with the model of ``--init_from``, or the default one.

    Returns:
        The words, and what the user should know.

    Raises:
        ValueError: nothing says what to train on what, or a config only how a model is trained.
        FileNotFoundError: a config is not there.
    """
    found = []
    for place, word in enumerate(words):
        option, equals, value = word.partition("=")
        if option in _CONFIG and equals:
            found.append(f"--config={find_config(value)}")
        elif place and words[place - 1] in _CONFIG:
            found.append(str(find_config(word)))
        else:
            found.append(word)
    options, configs = option_names(words), [value for option in _CONFIG for value in values_of(option, found)]
    if names_a_model([each for each in options if each not in _CONFIG]):
        return found, None
    named = "no config was named"
    if configs:
        sections = {path: _model_in(path) for path in configs}
        if any("block" in section for section in sections.values()):
            return found, None
        parts = [path for path, section in sections.items() if section]
        if parts and "--init_from" not in options:
            _check_names(parts[0], sections[parts[0]])  # a block of another name comes first
            raise ConfigError(
                f"{parts[0]} says how a model is trained, and no config says which (model.block): name one that does, "
                f"such as --config {DEFAULT_CONFIG}, before it, or a trained one, --init_from MODEL"
            )
        named = "no config says which model"
    else:
        check_names_data(options)
    if "--init_from" in options:
        source = value_of("--init_from", words)
        return [f"--config={find_config(FINE_TUNE)}", f"--model={json.dumps(_model_of(source))}", *found], (
            f"{named}: training the model of {source} further (--config {FINE_TUNE})"
        )
    told = f"{named}: training {DEFAULT_CONFIG} (--config {DEFAULT_CONFIG}), a small model of all tasks"
    return [f"--config={find_config(DEFAULT_CONFIG)}", *found], told


def _model_in(path: str) -> dict[str, Any]:
    """The section of the model in a config, empty where there is none; what is wrong with the file is told later."""
    try:
        section = read_yaml(path).get("model")
    except (ValueError, OSError):
        return {"block": None}
    return section if isinstance(section, dict) else {}


def _check_names(path: str, section: dict[str, Any]) -> None:
    try:
        check_classes(MCVD, section, SLOTS, True, where="model")
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def _model_of(source: str) -> dict[str, Any]:
    """The model section that makes the model of a folder or file anew, without what a training chooses.

    The samplers that belong to it stay: what was best for its weights is so for those that come of them, as long as
    nobody measures. Those of a student do not: few calls are what an ordinary training makes it forget.
    """
    config = check_classes(MCVD, read_model(source).config, SLOTS, False)
    chosen_anew = {*MCVD.not_in_config, *MCVD.not_exported, "frame_rate_hz", "times"}
    samplers = (config.get("samplers") or {}).values()
    if any(sampler and sampler["class_path"] == "mcvd.samplers.DDIM" for sampler in samplers):
        chosen_anew.add("samplers")
    return {name: value for name, value in config.items() if name not in chosen_anew}


def explain(error: Exception, known: Iterable[str], words: Sequence[str], sections: Mapping[str, type]) -> str:
    """What a parser's error says, in one line for people.

    Args:
        error: of jsonargparse.
        known: the options that there are.
        words: that it read.
        sections: the class of each section of the config.
    """
    text = one_line(error)
    if linked := _LINKED.search(text):
        data, model = linked[1] or linked[4], linked[2] or linked[3]
        return f"{data} follows {model}: set --{model} and leave {data} out"
    if group := _GROUP.search(text):
        inside = [each for each in known if each.startswith(f"--{group[1]}.") and not each.endswith(".help")]
        few = f", such as {inside[0]}" if inside else ""
        return f"--{group[1]} {group[2]}: this is a group of options: set those in it{few}, or name a file of them"
    text = _FAILED_LINK.sub("", text)
    if unknown := re.search(r"[Uu]nrecognized arguments: (\S+)", text):
        option = unknown[1].partition("=")[0]
        return no_such_option(option, known)
    key = key_of(text)
    if missing := re.search(r"module '([\w.]+)' has no attribute '(\w+)'", text):
        module, name = missing.groups()
        guess = did_you_mean(name, [each for each in dir(import_module(module)) if each[0] != "_"])
        return f"{key + ': ' if key else ''}there is no {module}.{name}{guess}"
    if key and (wrong := wrong_class(words, key, sections)):
        return wrong
    if key and lacks_class(text):
        place = place_of(text)
        return f"--{place}: an argument was given of it, and no class that takes it: name one first, --{place} CLASS"
    if argument := _ARGUMENT.search(text):
        cls = resolve_name(argument[1])
        names = [each for each in signature(cls).parameters if each != "self"]
        return f"{key}: {argument[1]} has no argument {argument[2]}{did_you_mean(argument[2], names)}"
    return misfit(text) or text
