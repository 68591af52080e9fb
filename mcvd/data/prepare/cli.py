"""The command line of ``datasets/*/prepare.py``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from mcvd.data.prepare.packs import Pack, describe, is_prepared, prepare_packs
from mcvd.runtime.atomic import remove_stale_parts
from mcvd.runtime.error_text import one_line, printable


def run(
    name: str,
    frame_rate_hz: float,
    find_packs: Callable[[Path], list[Pack]],
    raw_help: str,
    argv: Sequence[str] | None = None,
) -> int:
    """Prepare a data set: ``prepare.py [--raw FOLDER] [--out FOLDER]``.

    Args:
        name: of the data set; the default folders are ``data/raw/NAME`` and ``data/NAME``.
        frame_rate_hz: of its videos.
        find_packs: from the folder of raw files, into which it may download them, to all packs of the data set.
        raw_help: what the folder of raw files holds.
        argv: words of the command line; None takes the process's.

    Returns:
        The exit status: 0 if the data set is prepared, now or before; 1 if not, with the reason printed in one line.
    """

    def prepare(raw: Path, out: Path) -> str:
        remove_stale_parts(out)
        if is_prepared(out):
            return f"{out} is prepared, there is nothing to do\n{describe(out)}"
        prepare_packs(out, find_packs(raw), frame_rate_hz)
        return describe(out)

    return run_prepare(name, prepare, raw_help, argv)


def run_prepare(
    name: str, prepare: Callable[[Path, Path], str], raw_help: str, argv: Sequence[str] | None = None
) -> int:
    """As `run`, for data that are not packs: ``prepare`` gets the folders of raw and prepared data."""
    parser = argparse.ArgumentParser(description=f"Prepare the data set {name}; run it again to resume or to verify.")
    parser.add_argument("--raw", type=Path, default=Path("data/raw") / name, help=raw_help + " (default: %(default)s)")
    parser.add_argument("--out", type=Path, default=Path("data") / name, help="prepared data (default: %(default)s)")
    options = parser.parse_args(argv)
    try:
        print("\n".join(map(printable, prepare(options.raw, options.out).splitlines())))
    except (ValueError, OSError, RuntimeError, ModuleNotFoundError) as error:
        print(f"prepare.py: {printable(one_line(error))}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("prepare.py: interrupted; run it again to resume", file=sys.stderr)
        return 130
    return 0
