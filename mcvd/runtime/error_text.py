"""What an error says, short enough for a message of our own."""

from __future__ import annotations


def one_line(error: BaseException | str | None) -> str:
    """All that it says, without line breaks."""
    return " ".join(str(error).split())


def first_line(error: BaseException) -> str:
    """The first line of it, or its type where it says nothing."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
