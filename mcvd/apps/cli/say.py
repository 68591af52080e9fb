"""What a command says: names of files may hold anything, so control characters are shown escaped."""

from __future__ import annotations

import json
import sys
from typing import Any

from mcvd.runtime.error_text import printable


def say(*lines: str) -> None:
    """Print lines of a result."""
    for line in lines:
        print(printable(line), flush=True)


def say_json(result: dict[str, Any]) -> None:
    """Print a result for scripts."""
    print(json.dumps(result, indent=2))


def note(line: str) -> None:
    """Say on the standard error what is no result: where it lies, what was taken for granted."""
    print(printable(line), file=sys.stderr)
