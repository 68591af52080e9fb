"""What somebody may have meant who typed a name that does not exist."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import get_close_matches


def did_you_mean(word: str, known: Iterable[str], elsewhere: Mapping[str, str] | None = None) -> str:
    """The end of a message about an unknown word: ``; did you mean NAME?``, or nothing where no name is near.

    Args:
        word: as it was typed; upper and lower case, ``-`` and ``_`` do not count.
        known: the names that there are.
        elsewhere: words of other programs, in lower case, and what is meant by them here.

    Examples:
        >>> did_you_mean("pridict", ["predict", "fit"])
        '; did you mean predict?'
        >>> did_you_mean("train", ["predict", "fit"], {"train": "fit"})
        '; did you mean fit?'
    """
    names = {_plain(name): name for name in reversed([*known])}  # of two that differ in case only, the first
    plain = _plain(word)
    near = get_close_matches(plain, names, 1, 0.7) or [name for name in names if plain and name.startswith(plain)]
    meant = (elsewhere or {}).get(plain) or (names[near[0]] if near else None)
    return f"; did you mean {meant}?" if meant else ""


def _plain(word: str) -> str:
    return word.strip("-").replace("-", "_").lower()
