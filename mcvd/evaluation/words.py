"""Settings as people read them, not as Python writes them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_UNKNOWN = "not known"


def in_words(value: Any) -> str:
    """A setting in words.

    Args:
        value: of a result card: text, a number, a list or a dictionary of these, or None. Text such as Python writes
            an object, ``DDIM(num_steps=8)``, loses its brackets.

    Examples:
        >>> in_words("DDIM(num_steps=8, spacing=Quadratic())"), in_words([64, 64]), in_words(None), in_words(True)
        ('DDIM (num steps 8, spacing Quadratic)', '64, 64', 'not known', 'yes')
        >>> in_words({"past": 2, "size": None})
        'past 2, size not known'
    """
    if value is None:
        return _UNKNOWN
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping):
        return ", ".join(f"{str(name).replace('_', ' ')} {in_words(each)}" for name, each in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(map(in_words, value)) or "none"
    if isinstance(value, float):
        return f"{value:g}"
    text = str(value)
    return _call_in_words(text) if re.fullmatch(r"[A-Z]\w*\(.*\)", text) else text


def _call_in_words(text: str) -> str:
    name, inside = text.split("(", 1)
    settings = inside.removesuffix(")").replace("()", "")
    settings = re.sub(r"(\w+)=", lambda found: f"{found[1].replace('_', ' ')} ", settings).replace("'", "")
    settings = re.sub(r"\b(True|False)\b", lambda found: in_words(found[1] == "True"), settings)
    return f"{name} ({settings})" if settings else name
