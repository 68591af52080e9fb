"""``mcvd fit``: LightningCLI reads its options, which come from the constructors of model, data and trainer."""

from __future__ import annotations

from mcvd.apps.cli.options import Command
from mcvd.apps.cli.say import say


def run(words: list[str]) -> None:
    """Train, with the words of the command line."""
    from mcvd.training.fit import run_fit

    run_fit(words, log=lambda text: say(*text.splitlines()))


COMMAND = Command("train a model (mcvd fit --help lists every option of model, data and trainer)", run)
