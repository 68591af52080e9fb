"""``mcvd fit``: LightningCLI reads its options, which come from the constructors of model, data and trainer."""

from __future__ import annotations

from argparse import ArgumentParser

from mcvd.apps.cli.options import Command
from mcvd.apps.cli.train import JSON, options, train


def run(words: list[str]) -> None:
    """Train, with the words of the command line."""
    from mcvd.training.words import check_fit_words

    check_fit_words(options(words))  # before the import of Lightning, which takes long
    from mcvd.training.fit import run_fit

    train(run_fit, words)


def _add_for_completion(command: ArgumentParser) -> None:
    from mcvd.training.fit import option_names

    for name in (JSON, *option_names()):
        command.add_argument(name)


HELP = "train a model (mcvd fit --help lists every option of model, data and trainer)"
COMMAND = Command(HELP, run, add_for_completion=_add_for_completion)
