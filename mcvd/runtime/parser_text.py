"""What a parser of jsonargparse says of a value that does not fit, in words."""

from __future__ import annotations

import re

_KEY = re.compile(r'Parser key "([^"]+)": ')
_KINDS = re.compile(r"Expected an? (typing\.Literal\[[^\]]*\]|<class '[\w.]+'>)")
_GOT = re.compile(r"(?:Got|Given) value: (.*?)(?: - Expected an? |\.? Given value type: |\. (?:Got|Given) value: |$)")
_REFUSED = re.compile(r"Does not validate against any of the Union .*?Errors: - (.*?) - Expected a <class 'NoneType'>")
_NO_CLASS = "NestedArg("  # how it writes an argument whose class it does not know


def key_of(text: str) -> str | None:
    """The option that a message is about."""
    found = _KEY.search(text)
    return found[1] if found else None


def place_of(text: str) -> str:
    """The same, down to the argument of an object: ``data.augment.max_speed``; empty if it is about none."""
    got = _GOT.search(text)
    return ".".join(_KEY.findall(text[: got.start()] if got else text))


def misfit(text: str) -> str | None:
    """Which value was expected and which was there; None if the message is about something else.

    Examples:
        >>> misfit("Parser key \\"model.size\\": Expected a <class 'tuple'>. Got value: 32")
        'model.size: expected a list, got 32; a list is written "[32, 32]"'
    """
    place, got = place_of(text), _GOT.search(text)
    if not (place and got) or got[1].startswith(_NO_CLASS):
        return None
    kinds = _KINDS.findall(text[: got.start()].rpartition("Parser key")[2])  # of the innermost
    if not kinds:
        return None
    expected = " or ".join(dict.fromkeys(map(_kind, kinds)))
    return f"{place}: expected {expected}, got {got[1]}{_brackets(expected, got[1])}"


def lacks_class(text: str) -> bool:
    """Whether an argument was given of an object, and no class that takes it."""
    return _NO_CLASS in text and misfit(text) is None


def refusal(text: str) -> str | None:
    """What an object that may be left out says of its own arguments; None if the message is about something else.

    Examples:
        >>> unions = "Does not validate against any of the Union subtypes Subtypes: [...] Errors: - "
        >>> refusal(unions + "max_speed must be 1 to 1024, got 0 - Expected a <class 'NoneType'> Given value: ...")
        'max_speed must be 1 to 1024, got 0'
    """
    found = _REFUSED.search(text)
    return None if found is None or key_of(text) else found[1]


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
