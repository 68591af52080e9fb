"""The progress bar of sampling and scoring: on a terminal and in a notebook, nowhere else."""

from __future__ import annotations

import sys
from typing import Any

from tqdm import tqdm

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


def _in_notebook() -> bool:
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    return shell is not None and "IPKernelApp" in shell.config
