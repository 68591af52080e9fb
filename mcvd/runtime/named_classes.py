"""Which classes a config may name: a list for each slot, compared before a parser sees the config.

A config may come from anybody, and a parser imports and calls what a class path names. So every value is first held
against the annotation of the argument that takes it: where that takes an object, the path must lead to a class of the
slot's list, by the name under which the class is defined or exported. Nothing else is looked up, let alone imported,
but what stands in modules that the user trusts.
"""

from __future__ import annotations

import sys
import types
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import is_dataclass
from datetime import timedelta
from enum import Enum
from functools import lru_cache
from importlib import import_module
from inspect import Parameter, signature
from pathlib import PurePath
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from mcvd.runtime.error_text import one_line
from mcvd.runtime.suggest import did_you_mean

Trust = bool | str | Sequence[str]
"""Whose classes a config may name beside mcvd's: those of the named modules and what lies below them, or all (True)."""

Slots = Mapping[type, Sequence[str]]
"""What an argument is annotated with (a base class, or what a callable returns) -> paths of the classes it may be."""

ONLY_OURS = "only classes of mcvd are made from a config"

_PLAIN = (bool, int, float, complex, str, bytes, PurePath, Enum, timedelta, type(None))
_KEYS = {"class_path", "init_args"}


class NotTrustedError(ValueError):
    """A config names what may not be made from it."""

    def __init__(self, reason: str):
        super().__init__(one_line(reason))


def check_classes(cls: type, config: Any, slots: Slots, trust: Trust = False, where: str = "config") -> Any:
    """The arguments of a class, if every class that they name may stand where it is named.

    Args:
        cls: the annotations of its constructor say where there are objects.
        config: its arguments, objects as ``{"class_path": ..., "init_args": {...}}`` or as a class path alone.
        slots: see `Slots`.
        trust: see `Trust`. Even with True a path must lead to a class that is defined there and fits its slot: no
            function is called, and nothing beside the config's objects is made.
        where: how messages call it.

    Returns:
        The same, with every class path that stood alone as a dictionary.

    Raises:
        NotTrustedError: names the place, and what may stand there.
    """
    trusted = [] if isinstance(trust, bool) else [trust] if isinstance(trust, str) else list(trust)
    return _Checker(slots, trusted, trust is True).arguments(cls, config, where)


def is_within(path: str, modules: Iterable[str]) -> bool:
    """Whether a dotted path is one of the modules or lies below it."""
    return any(f"{path}.".startswith(f"{module}.") for module in modules)


def paths_of(cls: type) -> Iterator[str]:
    """The paths from which a class can be imported that are its own or above it, the shortest first."""
    parts, name = cls.__module__.split("."), cls.__qualname__
    modules = (".".join(parts[:count]) for count in range(1, len(parts) + 1))
    return (f"{each}.{name}" for each in modules if getattr(import_module(each), name, None) is cls)


class _Checker:
    def __init__(self, slots: Slots, trusted: list[str], trusts_all: bool):
        self.slots, self.trusted, self.trusts_all = slots, trusted, trusts_all

    def arguments(self, cls: type, found: Any, where: str) -> Any:
        if not isinstance(found, Mapping):
            raise NotTrustedError(
                f"{where} must be a dictionary of the arguments of {cls.__name__}, got {type(found).__name__}"
            )
        kinds, known = _kinds(cls), _names(cls)
        checked = {}
        for key, value in found.items():
            if not (isinstance(key, str) and key.isidentifier()):
                raise NotTrustedError(f"{where} has the key {key!r}: expected the name of an argument")
            if known and key not in known:
                meant = did_you_mean(key, known) or f"; there are {', '.join(known)}"
                raise NotTrustedError(f"{where} has no key {key}{meant}")
            checked[key] = self.value(kinds.get(key, Any), value, f"{where}.{key}")
        return checked

    def value(self, kind: Any, value: Any, where: str) -> Any:
        members = list(_members(kind))
        bases = [base for member in members if (base := _base(member)) is not None]
        is_text_expected = any(
            member in (str, bytes) or get_origin(member) is Literal or _is_class(member, PurePath) for member in members
        )
        if Any in members or object in members:
            return self.untyped(value, where)
        if value is None and type(None) not in members:
            raise NotTrustedError(f"{where} is null, and needs a value: give it one, or leave the argument out")
        is_object = bool(bases) and all(member is type(None) or _base(member) is not None for member in members)
        if is_object and isinstance(value, bool | int | float):
            dataclass = next((base.__name__ for base in bases if is_dataclass(base)), None)
            wanted = f"of the arguments of {dataclass}" if dataclass else "with class_path and init_args"
            raise NotTrustedError(f"{where} is {value}, expected a dictionary {wanted}")
        match value:
            case str() if bases and (not is_text_expected or "." in value or "class_path" in value):
                return {"class_path": self.named(bases, value, where)}
            case str() if any(map(_holds_objects, members)):
                raise NotTrustedError(f"{where} is a text, expected a list or a dictionary of objects: {ONLY_OURS}")
            case Mapping():
                items = next((get_args(each)[1] for each in members if _takes_items(each, Mapping)), None)
                if bases and (items is None or "class_path" in value):
                    return self.object(bases, value, where)
                if items is None and _KEYS & value.keys():
                    raise NotTrustedError(f"{where} names a class, and is no place for one: {ONLY_OURS}")
                return {key: self.value(items, item, f"{where}.{key}") for key, item in value.items()}
            case list() | tuple():
                of_items = next((get_args(each)[0] for each in members if _takes_items(each, Iterable)), None)
                if of_items is None and bases:
                    raise NotTrustedError(f"{where} is a list, expected one object: {ONLY_OURS}")
                return [self.value(of_items, item, f"{where}[{number}]") for number, item in enumerate(value)]
        return value

    def object(self, bases: list[type], value: Mapping, where: str) -> Any:
        """A dictionary where an object is expected: of its class and arguments, or of a dataclass's arguments alone."""
        if "class_path" not in value:
            dataclass = next((base for base in bases if is_dataclass(base)), None)
            if dataclass is None:  # more arguments of what another config names
                return self.untyped(value, where)
            return self.arguments(dataclass, value, where)
        path = self.named(bases, value["class_path"], f"{where}.class_path")
        ours = is_within(path, ["mcvd"])
        surplus = [key for key in value if key not in _KEYS | (set() if ours else {"dict_kwargs"})]
        if surplus:
            raise NotTrustedError(f"{where} has the key {surplus[0]!r}: expected class_path and init_args alone")
        found = {"class_path": path}
        for key in value.keys() - {"class_path"}:
            cls = _resolved(path, where)
            found[key] = self.arguments(cls, value[key] or {}, f"{where}.{key}")
        return found

    def named(self, bases: list[type], path: Any, where: str) -> str:
        """The path of a class, if it is on the list of the slot or trusted."""
        if not isinstance(path, str) or not all(part.isidentifier() for part in path.split(".")):
            raise NotTrustedError(f"{where} is {path!r}, not a class: {ONLY_OURS}")
        allowed = [each for base in bases for each in self._allowed(base)]
        name = path.rpartition(".")[2]
        for each in allowed:
            if each.rpartition(".")[2] == name and path in (name, *paths_of(_resolved(each, where))):
                return each
        if "." in path and (self.trusts_all or is_within(path, self.trusted)):
            self._check_trusted(path, bases, where)
            return path
        if "." in path and not is_within(path, ["mcvd"]):
            module = path.rpartition(".")[0]
            raise NotTrustedError(
                f"{where} names the class {path!r}: {ONLY_OURS}. If you trust whoever made it, whose code then runs: "
                f"trust=[{module!r}] in Python, --trust {module} on the command line"
            )
        near = did_you_mean(name, [each.rpartition(".")[2] for each in allowed])
        if self.trusts_all:
            others = [each for base in bases for each in _names_below(base)]
            few = f"there are {', '.join(allowed)}, or your own" if allowed else "name one"
            near = near or did_you_mean(name, others) or f"; {few} as MODULE.NAME"
            raise NotTrustedError(f"{where} names {path!r}: there is no such class here{near}")
        may_be = " or ".join(allowed) if allowed else "no class at all"
        raise NotTrustedError(f"{where} names {path!r}: {ONLY_OURS}, and here it may be {may_be}{near}")

    def _check_trusted(self, path: str, bases: list[type], where: str) -> None:
        """What is trusted is a class still, defined in what is trusted; and of the slot's kind, if all is trusted."""
        found = _resolved(path, where)
        if self.trusts_all:
            fits = isinstance(found, type) and path in paths_of(found) and issubclass(found, tuple(bases))
            kinds = f" and a {' or '.join(base.__name__ for base in bases)}"
        else:
            name = path.rpartition(".")[2]
            fits = (
                isinstance(found, type)
                and found.__qualname__ == name
                and (is_within(path, self.trusted) and is_within(found.__module__, self.trusted))
            )
            kinds = ""
        if not fits:
            raise NotTrustedError(
                f"{where} names {path!r}, which is not a class that is defined there{kinds}: {ONLY_OURS}, and of what "
                "is trusted"
            )

    def untyped(self, value: Any, where: str) -> Any:
        """Where an argument tells nothing of itself: objects of any list, and of trusted classes."""
        if isinstance(value, Mapping):
            if "class_path" in value:
                return self.object([*self.slots], value, where)
            return {key: self.untyped(item, f"{where}.{key}") for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [self.untyped(item, f"{where}[{number}]") for number, item in enumerate(value)]
        if isinstance(value, str) and not (self.trusted or self.trusts_all) and not value.isidentifier():
            raise NotTrustedError(f"{where} is {value!r}: {ONLY_OURS}")  # a parser looks for class paths in any text
        return value

    def _allowed(self, base: type) -> Iterator[str]:
        """The classes that a slot takes which is annotated with ``base``: those of a list that are its subclasses."""
        if is_dataclass(base) and is_within(base.__module__, ["mcvd"]):
            yield next(paths_of(base))
        for listed, paths in self.slots.items():
            if issubclass(base, listed):
                yield from (path for path in paths if base is listed or issubclass(_resolved(path, path), base))


@lru_cache(maxsize=64)
def _kinds(cls: type) -> dict[str, Any]:
    """The annotations of a constructor's arguments."""
    try:
        return get_type_hints(cls.__init__)  # type: ignore[misc]
    except (NameError, TypeError):  # of somebody else's class, that exist for type checkers alone
        return {}


@lru_cache(maxsize=64)
def _names(cls: type) -> tuple[str, ...]:
    """The names of a constructor's arguments; none where it takes any name."""
    try:
        parameters = signature(cls).parameters.values()
    except (TypeError, ValueError):  # of somebody else's class, written in C
        return ()
    is_open = any(each.kind is Parameter.VAR_KEYWORD for each in parameters)
    return () if is_open else tuple(each.name for each in parameters)


def _members(kind: Any) -> Iterator[Any]:
    """An annotation's alternatives."""
    if kind is None:
        yield type(None)
    elif get_origin(kind) in (Union, types.UnionType):
        for each in get_args(kind):
            yield from _members(each)
    else:
        yield kind


def _base(member: Any) -> type | None:
    """The class of the objects that an alternative takes; None where it takes none."""
    if get_origin(member) is Callable:
        return _base(get_args(member)[1])
    is_object = isinstance(member, type) and get_origin(member) is None and not issubclass(member, _PLAIN)
    return member if is_object and member not in (list, tuple, dict, set) else None


def _names_below(base: type) -> Iterator[str]:
    """The names of the classes that were made of a class, as far as their modules were imported."""
    below: list[type] = base.__subclasses__()
    for each in below:
        yield each.__name__
        yield from _names_below(each)


def _holds_objects(member: Any) -> bool:
    """Whether an alternative is a container with objects in it."""
    inner = [each for argument in get_args(member) if argument is not ... for each in _members(argument)]
    return get_origin(member) not in (None, Literal, Callable) and any(
        _base(each) is not None or _holds_objects(each) for each in inner
    )


def _takes_items(member: Any, kind: type) -> bool:
    origin = get_origin(member)
    return isinstance(origin, type) and issubclass(origin, kind) and origin is not Callable


def _is_class(member: Any, base: type) -> bool:
    return isinstance(member, type) and get_origin(member) is None and issubclass(member, base)


def _resolved(path: str, where: str) -> Any:
    """What stands at a path, which must be on a list or trusted; None if there is nothing."""
    module, _, name = path.rpartition(".")
    try:
        return getattr(sys.modules.get(module) or import_module(module), name, None)
    except ImportError as error:
        raise NotTrustedError(
            f"{where} names the class {path!r}, which cannot be imported here: {error} ({ONLY_OURS} and of trusted "
            "modules, which have to be on PYTHONPATH)"
        ) from error
