"""``mcvd fit-classifier``: a classifier of noisy clips, which guides a model towards a label."""

from __future__ import annotations

from mcvd.apps.cli.options import Command
from mcvd.apps.cli.train import options, train


def run(words: list[str]) -> None:
    """Train, with the words of the command line."""
    from mcvd.training.option_words import CLASSIFIER
    from mcvd.training.words import GUIDED, check_words, named_first

    check_words(named_first(options(words), GUIDED), CLASSIFIER)  # before the import of Lightning
    from mcvd.training.classifier_cli import run_fit_classifier

    train(run_fit_classifier, words)


HELP = "train a classifier that guides a model towards a label (mcvd fit-classifier --help lists every option)"
COMMAND = Command(HELP, run)
