"""Exports of a package that are imported on first use, so that importing the package stays fast."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any


def lazy_exports(package: str, modules: Mapping[str, str]) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """The functions ``__getattr__`` and ``__dir__`` of a package's ``__init__`` module.

    Args:
        package: its ``__name__``.
        modules: for each exported name the module that defines it, or that it is.

    Example::

        __getattr__, __dir__ = lazy_exports(__name__, {"VideoFolder": "mcvd.data.sources.folder"})
    """

    def get(name: str) -> Any:
        if name not in modules:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        module = import_module(modules[name])
        return module if modules[name] == f"{package}.{name}" else getattr(module, name)

    return get, lambda: sorted(modules)
