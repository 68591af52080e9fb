"""What the commands that train have in common: what they say, and to whom."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

from mcvd.apps.cli.say import for_scripts, say, say_json

JSON = "--json"


def options(words: list[str]) -> list[str]:
    """The words of the command line without ``--json``, which is the command's own; ``-csmall`` is ``-c small``."""
    found = [word for word in words if word != JSON]
    glued = [word.startswith("-c") and word[2:3] not in ("", "=") for word in found]
    return [part for word, two in zip(found, glued, strict=True) for part in ([word[:2], word[2:]] if two else [word])]


def train(run: Callable[..., dict[str, Any] | None], words: list[str]) -> None:
    """Train with the words of the command line, of which ``--json`` is the command's and the others are ``run``'s."""
    asked = JSON in words
    with for_scripts() if asked else nullcontext():
        result = run(options(words), log=lambda text: say(*text.splitlines()))
        if asked and result is not None:  # the first of several processes tells
            say_json(result)
