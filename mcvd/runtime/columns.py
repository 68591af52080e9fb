"""Names of the numbers that are told beside frames: ``steering``, ``label=archery``, ``text[384]``."""

from __future__ import annotations

import re
from collections.abc import Iterable

_WIDE = re.compile(r"(.+)\[(\d+)\]")
MAX_COLUMNS = 1 << 13


def width_of(name: str) -> int:
    """How many numbers a name stands for: 1, or those in its brackets.

    Examples:
        >>> width_of("steering"), width_of("text[384]")
        (1, 384)
    """
    wide = _WIDE.fullmatch(name)
    return int(wide[2]) if wide else 1


def key_of(name: str) -> str:
    """By which name a value is given: without brackets, and the group of a label.

    Examples:
        >>> key_of("steering"), key_of("text[384]"), key_of("label=archery")
        ('steering', 'text', 'label')
    """
    wide = _WIDE.fullmatch(name)
    return wide[1] if wide else name.partition("=")[0]


def column_names(names: Iterable[str]) -> list[str]:
    """A name for each number: ``text[2]`` becomes ``text.0`` and ``text.1``."""
    found = []
    for name in names:
        count = width_of(name)
        found += [name] if _WIDE.fullmatch(name) is None else [f"{key_of(name)}.{i}" for i in range(count)]
    return found


def check_columns(names: Iterable[str]) -> None:
    """Refuse names that no numbers can have.

    Raises:
        ValueError: one is empty or stands twice, or they are too many.
    """
    names = [*names]
    if not names or not all(isinstance(name, str) and name.strip() for name in names):
        raise ValueError(f"signals need names, got {names}")
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"signals: {', '.join(twice)} named more than once")
    total = sum(map(width_of, names))
    if not 1 <= total <= MAX_COLUMNS:
        raise ValueError(f"signals: {total} numbers for each frame, expected 1 to {MAX_COLUMNS}")
