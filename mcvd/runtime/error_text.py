"""What an error says, short enough for a message of our own."""

from __future__ import annotations

import re

# What moves the cursor, begins a line or an escape sequence, turns the direction of the text, or stands for bytes of a
# name that are no UTF-8.
_CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def printable(text: str) -> str:
    r"""Text for a terminal: names of files may hold anything; control characters are shown escaped, in one line.

    Examples:
        >>> print(printable("a\x1b[1m\nb"))
        a\x1b[1m\nb
    """
    return _CONTROLS.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def one_line(error: BaseException | str | None, limit: int = 1500) -> str:
    """All that it says, without line breaks; of more than ``limit`` characters, which a file may hold, both ends."""
    text = " ".join(str(error).split())
    return text if len(text) <= limit else f"{text[: limit * 2 // 3]} ... {text[-limit // 4 :]}"


def first_line(error: BaseException) -> str:
    """The first line of it, or its type where it says nothing."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
