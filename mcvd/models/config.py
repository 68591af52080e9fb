"""How a model is made, written down: constructor arguments <-> a config of class paths, as config.json holds it.

A config may come from anybody. Before anything of it is imported or called, every class that it names must be one of
mcvd, or in a module that the user trusts.
"""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from functools import partial
from importlib import import_module
from numbers import Integral, Real
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from jsonargparse import ArgumentParser, Namespace

Trust = bool | Sequence[str]
"""Whose classes a config may name beside mcvd's: those of the named modules and what lies below them, or all (True)."""

_WORD = re.compile(r"[\w-]+")
_PATH = re.compile(r"[A-Za-z_]\w*(\.\w+)+")

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
        ValueError: a class is neither of mcvd nor trusted, or a key or a value does not fit.
    """
    _check_classes(config, trust)
    try:
        return _parser(cls, skip).instantiate(_parsed(cls, config, skip, trust)).made
    except _NotTrustedError:
        raise
    except (Exception, SystemExit) as error:  # the parser lets its many types of error through
        raise ValueError(f"this config does not make a model: {error}") from error


def config_of(cls: type, arguments: Mapping[str, Any], skip: Iterable[str] = ()) -> dict[str, Any]:
    """The config that `model_from_config` makes the same object of: the inverse.

    Args:
        cls: whose constructor takes the arguments.
        arguments: values, frozen dataclasses, classes, and `functools.partial` of classes.
        skip: arguments that are left out.

    Raises:
        ValueError: an argument cannot be written down, such as a lambda; names it, and says what to do.

    Example:
        >>> from mcvd.nets import SPATIN, UNet
        >>> config_of(SPATIN, {"width": 16})
        {'width': 16, 'tell_mask': True, 'tell_noise': False}
    """
    config = _write_arguments(cls, arguments, 1, "", skip)
    try:
        _parsed(cls, config, skip, True)
    except (Exception, SystemExit) as error:
        raise ValueError(f"its arguments cannot be read back: {' '.join(str(error).split())}") from error
    return config


def foreign_classes(config: dict[str, Any]) -> list[str]:
    """The class paths in a config that are not of mcvd, each once."""
    paths = (text for _, text in _strings(config, "config") if isinstance(text, str) and _PATH.fullmatch(text))
    return sorted({path for path in paths if not path.startswith("mcvd.")})


# Reading


class _NotTrustedError(ValueError):
    """A config names what may not be made from it."""


def _parser(cls: type, skip: Iterable[str]) -> ArgumentParser:
    parser = ArgumentParser(exit_on_error=False)
    parser.add_class_arguments(cls, "made", skip=set(skip), fail_untyped=False)
    return parser


def _parsed(cls: type, config: dict[str, Any], skip: Iterable[str], trust: Trust) -> Namespace:
    """The complete config; nothing of it has been called."""
    parsed = _parser(cls, skip).parse_object({"made": config})
    # Once more: the parser finds class paths in texts, by short names and behind dotted keys too.
    _check_classes(parsed.as_dict()["made"], trust)
    return parsed


def _check_classes(config: Any, trust: Trust) -> None:
    """Refuse a config with a text that is neither a word nor the path of a class that may be made."""
    trusted = [trust] if isinstance(trust, str) else trust
    for where, text in _strings(config, "config"):
        if trusted is True or (isinstance(text, str) and _WORD.fullmatch(text) and not where.endswith("class_path")):
            continue
        is_path = isinstance(text, str) and bool(_PATH.fullmatch(text))
        if trusted and (not is_path or any(f"{text}.".startswith(f"{name}.") for name in trusted)):  # type: ignore[union-attr]
            continue
        if is_path and text.startswith("mcvd.") and _is_ours(text):
            continue
        module = text.rpartition(".")[0] if is_path else "MODULE"
        raise _NotTrustedError(
            f"{where} names the class {text!r}: only classes of mcvd are made from a model's config. If you trust "
            f"whoever made this model: trust=[{module!r}] in Python, or --trust {module} on the command line"
        )


def _is_ours(path: str) -> bool:
    """Whether it is a class that is defined in mcvd: modules of ours hold many other things as attributes."""
    module, _, name = path.rpartition(".")
    try:
        found = getattr(import_module(module), name, None)
    except ImportError:
        return False
    return isinstance(found, type) and found.__module__.startswith("mcvd.")


def _strings(value: Any, where: str) -> Iterator[tuple[str, Any]]:
    """All texts in a config, and what stands for a class path, each with its place."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            if key == "class_path" and not isinstance(item, str):
                yield f"{where}.{key}", item
            yield from _strings(item, f"{where}.{key}")
    elif isinstance(value, list | tuple):
        for number, item in enumerate(value):
            yield from _strings(item, f"{where}[{number}]")
    elif isinstance(value, str):
        yield where, value


# Writing


def _write_arguments(
    made: Callable[..., Any], given: Mapping[str, Any], num_supplied: int, where: str, skip: Iterable[str] = ()
) -> dict[str, Any]:
    """The arguments of a class or function, defaults among them; the first ``num_supplied`` come with the call."""
    function = made.__init__ if isinstance(made, type) else made  # type: ignore[misc]
    parameters, config = inspect.signature(function).parameters, {}
    try:
        kinds = get_type_hints(function)
    except NameError:  # annotations of somebody else's class that exist for type checkers alone
        kinds = {}
    for name, parameter in [*parameters.items()][num_supplied:]:
        if name in skip or parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            continue
        place = f"{where}.{name}" if where else name
        if name in given:
            config[name] = _write(given[name], kinds.get(name), place)
        elif parameter.default is not parameter.empty:
            config[name] = _write(parameter.default, kinds.get(name), place)
    unknown = given.keys() - parameters.keys()
    return config | {name: _write(given[name], None, f"{where}.{name}") for name in unknown}  # taken by **kwargs


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
    num_supplied, given = _num_supplied(kind), {}
    if is_dataclass(value) and not isinstance(value, type):
        made: Any = type(value)
        given = {field.name: getattr(value, field.name) for field in fields(value) if field.init}
        if made in (kind, *get_args(kind)):
            return _write_arguments(made, given, 1, where)
        num_supplied = 0
    elif isinstance(value, partial):
        made, given = value.func, value.keywords
        if value.args:
            raise ValueError(f"{where} is a functools.partial with arguments by position: name them")
    elif inspect.isclass(value) or inspect.isfunction(value):
        made = value
    else:
        raise ValueError(
            f"{where} is a {type(value).__name__}, which does not tell how it was made: take a (frozen) dataclass, or "
            "the class itself, or functools.partial of it, so that it is made anew"
        )
    if kind in (None, Any):
        raise ValueError(f"{where} takes an object and has no annotation, by which it would be made anew: give it one")
    path = _path_of(made, where)
    arguments = _write_arguments(made, given, num_supplied + inspect.isclass(made), where)
    return {"class_path": path, "init_args": arguments}


def _num_supplied(kind: Any) -> int:
    """How many arguments a callable of this annotation is called with: ``Callable[[FrameBlock, int], Module]`` -> 2."""
    arguments = get_args(kind)[:1]
    return len(arguments[0]) if get_origin(kind) is not None and arguments and isinstance(arguments[0], list) else 0


def _path_of(made: Any, where: str) -> str:
    """The shortest path from which a class or function can be imported."""
    name = getattr(made, "__qualname__", "<lambda>")
    if made.__module__ == "__main__" or not hasattr(sys.modules.get(made.__module__), name):
        place = "the script or notebook that runs" if made.__module__ == "__main__" else "another function"
        raise ValueError(
            f"{where} is {name}, defined in {place}, from where it cannot be imported: define it in a module (a file) "
            "and import it"
        )
    parts = made.__module__.split(".")
    modules = (".".join(parts[:count]) for count in range(1, len(parts) + 1))
    return next(f"{each}.{name}" for each in modules if getattr(import_module(each), name, None) is made)
