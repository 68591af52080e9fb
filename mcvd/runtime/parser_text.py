"""What a parser of jsonargparse says of a value that does not fit, in words."""

from __future__ import annotations

import re

_KEY = re.compile(r'Parser key "([^"]+)": ')
_KINDS = re.compile(r"Expected an? (typing\.Literal\[[^\]]*\]|<class '[\w.]+'>)")
_GOT = re.compile(r"(?:Got|Given) value: (.*)$")


def key_of(text: str) -> str | None:
    """The option that a message is about."""
    found = _KEY.search(text)
    return found[1] if found else None


def misfit(text: str) -> str | None:
    """Which value was expected and which was there; None if the message is about something else.

    Examples:
        >>> misfit("Parser key \\"model.size\\": Expected a <class 'tuple'>. Got value: 32")
        'model.size: expected a list, got 32; a list is written "[32, 32]"'
    """
    key, got, kinds = key_of(text), _GOT.search(text), _KINDS.findall(text)
    if not (key and got and kinds):
        return None
    expected = " or ".join(dict.fromkeys(map(_kind, kinds)))
    return f"{key}: expected {expected}, got {got[1]}{_brackets(expected, got[1])}"


def _brackets(expected: str, got: str) -> str:
    """How a list is written, for who wrote numbers alone."""
    numbers = re.findall(r"\d+", got)
    if "a list" not in expected or not re.fullmatch(r"[\d, x]+", got) or not numbers:
        return ""
    return f'; a list is written "[{", ".join(numbers if len(numbers) > 1 else 2 * numbers)}]"'


def _kind(text: str) -> str:
    if text.startswith("typing.Literal["):
        return text.removeprefix("typing.Literal[").removesuffix("]")
    name = text.split("'")[1].rpartition(".")[2]
    plain = {"NoneType": "null", "int": "a whole number", "float": "a number", "str": "text", "bool": "true or false"}
    return (plain | dict.fromkeys(("tuple", "list"), "a list")).get(name, name)
