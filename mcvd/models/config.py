"""How a model is made, written down: constructor arguments <-> a config of class paths, as config.json holds it.

A config may come from anybody. Before anything of it is imported or called, every class that it names must be one of
mcvd, or in a module that the user trusts.
"""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from functools import partial
from importlib import import_module
from numbers import Integral, Real
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from jsonargparse import ArgumentParser

from mcvd.runtime.error_text import one_line

Trust = bool | Sequence[str]
"""Whose classes a config may name beside mcvd's: those of the named modules and what lies below them, or all (True)."""

_WORD = re.compile(r"[\w-]+")
_PATH = re.compile(r"[A-Za-z_]\w*(\.\w+)+")
_ONLY_OURS = "only classes of mcvd are made from a model's config"

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
    parser = _parser(cls, skip)
    try:
        parsed = parser.parse_object({"model": config})
        # Once more: the parser finds class paths in texts, by short names and behind dotted keys too.
        _check_classes(parsed.as_dict()["model"], trust)
        return parser.instantiate(parsed).model
    except _NotTrustedError:
        raise
    except (Exception, SystemExit) as error:  # the parser lets its many types of error through
        raise ValueError(f"this config does not make a model: {one_line(error)}") from error


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
        {'width': 16, 'tell_mask': True, 'tell_noise': False}
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
    paths = {text for where, text in _strings(config, "config") if where.endswith("class_path")}
    return sorted(path for path in paths if not _is_within(path, ["mcvd"]))


# Reading


class _NotTrustedError(ValueError):
    """A config names what may not be made from it."""


def _parser(cls: type, skip: Iterable[str]) -> ArgumentParser:
    parser = ArgumentParser(exit_on_error=False)
    parser.add_class_arguments(cls, "model", skip=set(skip), fail_untyped=False)
    return parser


def _check_classes(config: Any, trust: Trust) -> None:
    """Refuse a config that names what may not be made.

    Without trust no text but single words and paths of our classes is let through: the parser looks for class paths in
    any text.
    """
    if trust is True:
        return
    trusted = [trust] if isinstance(trust, str) else list(trust or ())
    for where, text in _strings(config, "config"):
        is_class = where.endswith("class_path")
        if not is_class and (trusted or (isinstance(text, str) and _WORD.fullmatch(text))):
            continue
        if not isinstance(text, str) or not _PATH.fullmatch(text):
            raise _NotTrustedError(f"{where} is {text!r}: {_ONLY_OURS}")
        if not _is_within(text, ["mcvd", *trusted]):
            module = text.rpartition(".")[0]
            raise _NotTrustedError(
                f"{where} names the class {text!r}: {_ONLY_OURS}. If you trust whoever made this model, whose code "
                f"then runs: trust=[{module!r}] in Python, --trust {module} on the command line"
            )
        found = _found(text, where)
        if not isinstance(found, type) or not _is_within(found.__module__, ["mcvd", *trusted]):
            raise _NotTrustedError(f"{where} names {text!r}, which is not a class that is defined there: {_ONLY_OURS}")


def _is_within(path: str, modules: Iterable[str]) -> bool:
    return any(f"{path}.".startswith(f"{module}.") for module in modules)


def _found(path: str, where: str) -> Any:
    """What stands at a path; None if there is nothing."""
    module, _, name = path.rpartition(".")
    try:
        return getattr(import_module(module), name, None)
    except ImportError as error:
        raise _NotTrustedError(
            f"{where} names the class {path!r}, which cannot be imported here: {error} ({_ONLY_OURS} and of trusted "
            "modules, which have to be on PYTHONPATH)"
        ) from error


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
    parts = cls.__module__.split(".")
    modules = (".".join(parts[:count]) for count in range(1, len(parts) + 1))
    return next(f"{each}.{name}" for each in modules if getattr(import_module(each), name, None) is cls)
