"""Progress bars, which nobody sees but who watches a terminal or a notebook."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from tqdm import tqdm

Item = TypeVar("Item")
Result = TypeVar("Result")

_FORMAT = "{percentage:3.0f}%|{bar}| {n:.0f}/{total:.0f}{unit} [{elapsed}, {remaining} left, {rate_noinv_fmt}]"


def progress_bar(total: float | None, unit: str, is_wanted: bool = True) -> tqdm:
    """A bar that vanishes when it is full, with how many a second and the time left; silent where nobody watches.

    Args:
        total: what it counts up to, in parts of a unit if need be; None if that is not known.
        unit: plural, such as "frames".
        is_wanted: False for a bar that never shows.
    """
    watched: dict[str, Any] = {"disable": None}  # None: where the output is no terminal
    if _in_notebook():
        watched = {"disable": False, "file": sys.stdout, "ncols": 80}
    if not is_wanted:
        watched = {"disable": True}
    layout = None if total is None else _FORMAT
    return tqdm(total=total, unit=f" {unit}", leave=False, bar_format=layout, **watched)


def map_in_threads(work: Callable[[Item], Result], items: Sequence[Item], title: str) -> list[Result]:
    """What ``work`` returns for each item, in their order: one thread per core, and a progress bar on a terminal."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return list(tqdm(pool.map(work, items), title, len(items), disable=None))


def _in_notebook() -> bool:
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    return shell is not None and "IPKernelApp" in shell.config
