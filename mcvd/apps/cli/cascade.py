"""``mcvd cascade``: a model of small frames and models that make them larger, in one folder."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from mcvd.apps.cli import options
from mcvd.apps.cli.options import Command

EXAMPLES = """examples:
  mcvd cascade drive larger --out drive-128
  mcvd cascade bundled larger --low-noise 0.1 --out bundled-128
  mcvd predict street.mp4 --model bundled-128 --num-frames 20 --out future.mp4"""


def _add_arguments(command: ArgumentParser) -> None:
    command.add_argument("base", metavar="BASE", help="makes the small frames: " + options.MODEL.partition(" (")[0])
    text = "makes frames larger, of mcvd fit --config super-resolution; the first those of BASE, each those before it"
    command.add_argument("stages", nargs="+", metavar="STAGE", help=text)
    text = "for each stage, noise that is put on the frames that it makes larger (default: none)"
    command.add_argument("--low-noise", nargs="+", type=options.number, metavar="L", help=text)
    command.add_argument("--out", required=True, metavar="DIR", help="folder for the cascade: a model of its own")
    command.add_argument("--data", metavar="TEXT", help="for the model card: what it was trained on")
    command.add_argument("--license", metavar="ID", help="for the model card: licence of the weights, such as mit")
    options.add_json(command)
    options.add_trust(command)


def run(
    base: str,
    stages: list[str],
    out: str,
    low_noise: list[float] | None = None,
    trust: list[str] | None = None,
    json: bool = False,
    **about: Any,
) -> None:
    """Write the folder."""
    from mcvd.apps.cli.checks import check_new_folder
    from mcvd.apps.cli.say import say, say_json
    from mcvd.apps.cli.setup import load_for_command
    from mcvd.models.cascade import Cascade

    check_new_folder(out)
    models = [load_for_command(name, "cpu", trust) for name in (base, *stages)]
    cascade = Cascade(*models, low_noise=low_noise)
    cascade.save_pretrained(out, **about)
    if json:
        return say_json({"out": out} | cascade.facts().to_json())
    say(f"{', '.join((base, *stages))} are now the model {out}: {cascade.facts().summary}")


HELP = "make one model of a base and of models that make its frames larger"
COMMAND = Command(HELP, run, _add_arguments, EXAMPLES)
