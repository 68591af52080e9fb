"""Text of unknown origin in a Markdown file: shown as it is, never read as Markdown or HTML."""

from __future__ import annotations

import re

from mcvd.runtime.error_text import one_line, printable

_MARKS = re.compile(
    r"[\\`*\[\]<>|~#!&$@]|(?<![^\W_])_|_(?![^\W_])|:(?=//)|(?<=www)\.|^(?:[-+]|\d+(?=[.)]))", re.IGNORECASE
)

MAX_TEXT = 5000


def escaped(text: str) -> str:
    r"""Text in one line that Markdown (CommonMark, and GitHub's tables and links) shows as it is.

    Examples:
        >>> print(escaped("a_b | <b> _c_"))
        a_b \| \<b\> \_c\_
    """
    return _MARKS.sub(_escape, printable(one_line(text, MAX_TEXT)))


def as_code(text: str) -> str:
    """Text in one line as code, whatever backticks it holds.

    Examples:
        >>> as_code("mcvd demo"), as_code("a`b")
        ('`mcvd demo`', '`` a`b ``')
    """
    text = printable(one_line(text, MAX_TEXT))
    longest = max(map(len, re.findall("`+", text)), default=0)
    fence = "`" * (longest + 1)
    return f"{fence} {text} {fence}" if longest or not text else f"{fence}{text}{fence}"


def _escape(found: re.Match[str]) -> str:
    mark = found[0]
    return f"{mark}\\" if mark.isdigit() else f"\\{mark}"  # of "1." the point is escaped
