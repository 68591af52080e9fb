"""What a command says: names of files may hold anything, so control characters are shown escaped."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from contextvars import ContextVar
from typing import Any, TextIO

from mcvd.runtime.error_text import printable

_RESULTS: ContextVar[TextIO | None] = ContextVar("results", default=None)


def say(*lines: str) -> None:
    """Print lines of a result."""
    for line in lines:
        _print(printable(line), sys.stdout)


def say_json(result: dict[str, Any]) -> None:
    """Print a result for scripts: one JSON object."""
    _print(json.dumps(result, indent=2), _RESULTS.get() or sys.stdout)


def _print(text: str, stream: TextIO) -> None:
    try:
        print(text, file=stream, flush=True)
    except BrokenPipeError as error:  # who reads the output, such as head, has enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
        raise SystemExit(141) from error


@contextmanager
def for_scripts() -> Iterator[None]:
    """Keep the standard output for `say_json` alone: all else that is printed meanwhile goes to the standard error."""
    token = _RESULTS.set(sys.stdout)
    try:
        with redirect_stdout(sys.stderr):
            yield
    finally:
        _RESULTS.reset(token)


def note(line: str) -> None:
    """Say on the standard error what is no result: where it lies, what was taken for granted."""
    print(printable(line), file=sys.stderr)
