"""``mcvd distill``: a student that does with few network calls what its teacher does with many."""

from __future__ import annotations

from mcvd.apps.cli.options import Command
from mcvd.apps.cli.train import options, train


def run(words: list[str]) -> None:
    """Train, with the words of the command line."""
    from mcvd.training.student_words import check_student

    check_student(options(words))  # before the import of Lightning, which takes long
    from mcvd.training.distill_cli import run_distill

    train(run_distill, words)


HELP = "train a student that needs fewer network calls than its teacher (mcvd distill --help lists every option)"
COMMAND = Command(HELP, run)
