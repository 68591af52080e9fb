"""``mcvd export``: a training checkpoint as a folder to share."""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from mcvd.apps.cli import options
from mcvd.apps.cli.checks import MODEL, check_inputs, check_new_folder
from mcvd.apps.cli.options import Command
from mcvd.apps.cli.say import say, say_json

EXAMPLES = """examples:
  mcvd export runs/small/run-1 --out drive
  mcvd export runs/small/run-1/last.ckpt --out drive --license mit --data "our own drives" --scores result.json"""


def _add_arguments(command: ArgumentParser) -> None:
    text = "a checkpoint, or the folder of a run: its last one"
    command.add_argument("checkpoint", metavar="CHECKPOINT.ckpt|RUN", help=text)
    command.add_argument("--out", required=True, metavar="DIR", help="folder for the model")
    command.add_argument("--data", metavar="TEXT", help="for the model card: what it was trained on")
    command.add_argument("--license", metavar="ID", help="for the model card: licence of the weights, such as mit")
    text = "for the model card: results of mcvd evaluate"
    command.add_argument("--scores", nargs="+", metavar="result.json", help=text)
    options.add_json(command)
    options.add_trust(command)


def run(checkpoint: str, out: str, trust: list[str] | None = None, json: bool = False, **about: Any) -> None:
    """Write the folder."""
    from mcvd.apps.cli.setup import load_for_command

    if not Path(checkpoint).exists():
        raise FileNotFoundError(f"no checkpoint at {checkpoint}: expected a .ckpt file or the folder of a training run")
    check_new_folder(out, MODEL)
    for path in about.get("scores") or ():
        check_inputs(scores=path)
    model = load_for_command(checkpoint, "cpu", trust)
    model.save_pretrained(out, **about)
    if json:
        return say_json({"out": out} | model.facts().to_json())
    say(f"{checkpoint} is now the model {out}: {model.facts().summary}")


COMMAND = Command("export a training checkpoint to a folder to share", run, _add_arguments, EXAMPLES)
