"""``mcvd demo``: every task in one command."""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path

from mcvd.apps.cli.checks import check_inputs, check_new_folder
from mcvd.apps.cli.options import Command, add_json

EXAMPLES = """examples:
  mcvd demo
  mcvd demo --video mine.mp4
  mcvd demo --train --out trained"""


def _add_arguments(command: ArgumentParser) -> None:
    text = "a video or a folder to work on (default: synthetic street scenes)"
    command.add_argument("--video", metavar="VIDEO", help=text)
    command.add_argument("--train", action="store_true", help="train a small model first, in some minutes")
    command.add_argument("--out", metavar="DIR", help="a new folder for the result (default: demo, demo-2, ...)")
    add_json(command)


def run(out: str | None = None, train: bool = False, video: str | None = None, json: bool = False) -> None:
    """Run `mcvd.apps.demo`."""
    check_inputs(video=video)
    if out:
        check_new_folder(out)
    from mcvd.apps.cli.say import say_json
    from mcvd.apps.demo import CONFIG, run_demo
    from mcvd.runtime.paths import unused_path

    folder = Path(out) if out else unused_path(Path(), "demo", "")
    result = run_demo(folder, train=CONFIG if train else None, video=Path(video) if video else None)
    if json:
        say_json({"out": str(folder), "page": str(folder / "index.html"), **result})


COMMAND = Command("show all that the bundled model can do; no download, no GPU needed", run, _add_arguments, EXAMPLES)
