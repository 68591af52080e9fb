"""How a model is made, written down: constructor arguments <-> a config of class paths, as config.json holds it.

A config may come from anybody. Before anything of it is imported or called, every class that it names must be on the
list of its slot (`SLOTS`), or in a module that the user trusts.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from functools import partial
from numbers import Integral, Real
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from jsonargparse import ArgumentParser
from torch import nn

from mcvd.models.codecs.base import AbstractCodec
from mcvd.nets import AbstractConditioning
from mcvd.noise import AbstractNoiseSchedule
from mcvd.runtime.error_text import one_line
from mcvd.runtime.named_classes import NotTrustedError, Slots, Trust, check_classes, is_within, paths_of
from mcvd.runtime.parser_text import misfit, refusal
from mcvd.samplers import AbstractSampler, AbstractSpacing
from mcvd.samplers.select import sampler_names

SLOTS: Slots = {
    nn.Module: ("mcvd.nets.UNet", "mcvd.nets.UNet3D", "mcvd.nets.SpaceTimeUNet"),
    AbstractConditioning: ("mcvd.nets.Concat", "mcvd.nets.SPATIN"),
    AbstractNoiseSchedule: tuple(
        f"mcvd.noise.{name}" for name in ("LinearBeta", "Cosine", "Geometric", "SubVP", "ZeroTerminalSNR")
    ),
    AbstractSampler: tuple(f"mcvd.samplers.{name}" for name in sampler_names()),
    AbstractCodec: tuple(f"mcvd.models.codecs.{name}" for name in ("Latents", "Pixels", "Scale")),
    AbstractSpacing: tuple(f"mcvd.samplers.{name}" for name in ("Uniform", "LogSNR", "Karras")),
}
"""The classes that a model's config may name, by what an argument is annotated with; a dataclass is its own slot."""

UNFIT = "this config does not make a model: "
Model = TypeVar("Model")


def model_from_config(
    cls: type[Model], config: dict[str, Any], skip: Iterable[str] = (), trust: Trust = False
) -> Model:
    """Make an object of a class from a config of its arguments.

    Args:
        cls: the class; the annotations and defaults of its constructor are the schema.
        config: the arguments, objects as ``{"class_path": ..., "init_args": {...}}``.
        skip: arguments that a config may not hold.
        trust: see `Trust`.

    Raises:
        ValueError: a class is neither on the list of its slot (`SLOTS`) nor trusted, or a key or a value does not fit.
    """
    config = check_classes(cls, config, SLOTS, trust)
    parser = _parser(cls, skip)
    try:
        parsed = parser.parse_object({"model": config})
        # Once more: for what tells no type the parser finds class paths in texts and by short names too.
        check_classes(cls, parsed.as_dict()["model"], SLOTS, trust)
        return parser.instantiate(parsed).model
    except NotTrustedError:
        raise
    except (Exception, SystemExit) as error:  # the parser lets its many types of error through
        text = one_line(error)
        reason = (misfit(text) or refusal(text) or text).removeprefix("model.")
        raise ValueError(f"{UNFIT}{reason}") from error


def config_of(
    cls: type, arguments: Mapping[str, Any], skip: Iterable[str] = (), others: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """The config that `model_from_config` makes the same object of: the inverse.

    Args:
        cls: whose constructor takes the arguments.
        arguments: values, frozen dataclasses, classes, and `functools.partial` of classes.
        skip: arguments that are left out.
        others: the config of arguments that are not given, instead of their defaults.

    Raises:
        ValueError: an argument cannot be written down, such as a lambda; names it, and says what to do.

    Examples:
        >>> from mcvd.nets import SPATIN, UNet
        >>> config_of(SPATIN, {"width": 16})
        {'width': 16, 'tell_mask': True, 'tell_noise': False, 'tell_motion': False, 'tell_low': False}
    """
    config = _write_arguments(cls, arguments, 0, "", skip)
    config |= {name: value for name, value in (others or {}).items() if name not in arguments}
    try:
        _parser(cls, skip).parse_object({"model": config})
    except (Exception, SystemExit) as error:
        raise ValueError(f"its arguments cannot be read back: {one_line(error)}") from error
    return config


def foreign_classes(config: dict[str, Any]) -> list[str]:
    """The class paths in a config that are not of mcvd, each once."""
    return sorted({path for path in _class_paths(config) if not is_within(path, ["mcvd"])})


# Reading


def _parser(cls: type, skip: Iterable[str]) -> ArgumentParser:
    parser = ArgumentParser(exit_on_error=False)
    parser.add_class_arguments(cls, "model", skip=set(skip), fail_untyped=False)
    return parser


def _class_paths(value: Any) -> Iterator[str]:
    """All class paths in a config."""
    if isinstance(value, Mapping):
        if isinstance(value.get("class_path"), str):
            yield value["class_path"]
        value = [*value.values()]
    if isinstance(value, list | tuple):
        for item in value:
            yield from _class_paths(item)


# Writing


def _write_arguments(
    cls: type, arguments: Mapping[str, Any], num_supplied: int, where: str, skip: Iterable[str] = ()
) -> dict[str, Any]:
    """The arguments of a constructor, defaults among them; the first ``num_supplied`` come with the call."""
    parameters, config = inspect.signature(cls.__init__).parameters, {}  # type: ignore[misc]
    try:
        kinds = get_type_hints(cls.__init__)  # type: ignore[misc]
    except (NameError, TypeError):  # annotations of somebody else's class that exist for type checkers alone
        kinds = {}
    for name, parameter in [*parameters.items()][1 + num_supplied :]:
        if name in skip or parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            continue
        place = f"{where}.{name}" if where else name
        if name in arguments:
            config[name] = _write(arguments[name], kinds.get(name), place)
        elif parameter.default is not parameter.empty:
            config[name] = _write(parameter.default, kinds.get(name), place)
    unknown = arguments.keys() - parameters.keys()
    return config | {name: _write(arguments[name], None, f"{where}.{name}") for name in unknown}  # taken by **kwargs


def _write(value: Any, kind: Any, where: str) -> Any:
    """A value as JSON has it; ``kind`` is the annotation of the argument that takes it."""
    match value:
        case None | bool() | str():
            return value
        case Integral():
            return int(value)
        case Real():
            return float(value)
        case list() | tuple():
            of_items = (*get_args(kind), None)[0]
            return [_write(item, of_items, f"{where}[{number}]") for number, item in enumerate(value)]
        case dict():
            return {str(key): _write(item, None, f"{where}.{key}") for key, item in value.items()}
    num_supplied, arguments = _num_supplied(kind), {}
    if is_dataclass(value) and not isinstance(value, type):
        cls: Any = type(value)
        arguments = {field.name: getattr(value, field.name) for field in fields(value) if field.init}
        if cls in (kind, *get_args(kind)):
            return _write_arguments(cls, arguments, 0, where)
        num_supplied = 0
    elif isinstance(value, partial):
        cls, arguments = value.func, value.keywords
        if value.args:
            raise ValueError(f"{where} is a functools.partial with arguments by position: name them")
    else:
        cls = value
    if not isinstance(cls, type):
        kind_of_value = "function" if inspect.isfunction(cls) else type(cls).__name__
        raise ValueError(
            f"{where} is a {kind_of_value}, which does not tell how it is made anew: take a class, functools.partial "
            "of a class, or a frozen dataclass"
        )
    if kind in (None, Any):
        raise ValueError(f"{where} takes an object and has no annotation, by which it would be made anew: give it one")
    return {"class_path": _path_of(cls, where), "init_args": _write_arguments(cls, arguments, num_supplied, where)}


def _num_supplied(kind: Any) -> int:
    """How many arguments a callable of this annotation is called with: ``Callable[[FrameBlock, int], Module]`` -> 2."""
    arguments = get_args(kind)[:1]
    return len(arguments[0]) if get_origin(kind) is not None and arguments and isinstance(arguments[0], list) else 0


def _path_of(cls: type, where: str) -> str:
    """The shortest path from which a class can be imported."""
    name = cls.__qualname__
    if cls.__module__ == "__main__" or not hasattr(sys.modules.get(cls.__module__), name):
        place = "the script or notebook that runs" if cls.__module__ == "__main__" else "another function"
        raise ValueError(
            f"{where} is {name}, defined in {place}, from where it cannot be imported: define it in a module (a file) "
            "and import it"
        )
    return next(paths_of(cls))
