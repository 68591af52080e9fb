"""``mcvd info``: what a model is and can do."""

from __future__ import annotations

from argparse import ArgumentParser

from mcvd.apps.cli import options
from mcvd.apps.cli.options import Command
from mcvd.apps.cli.say import say, say_json

EXAMPLES = """examples:
  mcvd info
  mcvd info runs/small/run-1
  mcvd info drive --json"""


def _add_arguments(command: ArgumentParser) -> None:
    command.add_argument("model", metavar="MODEL", nargs="?", help=options.MODEL)
    options.add_json(command)
    options.add_trust(command)


def run(model: str | None = None, json: bool = False, trust: list[str] | None = None) -> None:
    """Print the facts."""
    from dataclasses import replace

    from mcvd.apps.cli.setup import load_for_command
    from mcvd.models.card import training_data
    from mcvd.models.facts import format_facts
    from mcvd.models.files import BOX, BUNDLED

    card = training_data(BOX if model in (None, BUNDLED) else model)
    facts = replace(load_for_command(model, "cpu", trust).facts(), trained_on=card)
    if json:
        return say_json(facts.to_json())
    say(*format_facts(facts).splitlines())


COMMAND = Command("tell what a model is and what it can do", run, _add_arguments, EXAMPLES)
