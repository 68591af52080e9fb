"""The HTML of pages: templates, style and behaviour are files of the package, in ``page_files``."""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mcvd.video.palette import css_variables

if TYPE_CHECKING:
    from jinja2 import Environment

_FILES = Path(__file__).with_name("page_files")


def render(template: str, **values: Any) -> str:
    """Fill a template; text in it is never taken for markup.

    Args:
        template: a file of ``page_files``.
        values: by the names that the template has for them; one that is missing is an error.
    """
    return _environment().get_template(template).render(values)


def page_file(name: str) -> str:
    """A file of ``page_files``, as it stands there: style, or a script."""
    return (_FILES / name).read_text(encoding="utf-8")


def content_hash(script: str) -> str:
    """What a Content-Security-Policy calls a script by: this one may run, and no other."""
    return f"sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}"


@cache
def _environment() -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    made = Environment(
        loader=FileSystemLoader(_FILES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.globals |= {
        "style": lambda name: Markup(page_file(name).replace("/* palette */", css_variables())),
        "script": lambda name: Markup(page_file(name)),
        "content_hash": content_hash,
    }
    return made
