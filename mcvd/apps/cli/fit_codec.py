"""``mcvd fit-codec``: the autoencoder whose latents a model diffuses."""

from __future__ import annotations

from mcvd.apps.cli.options import Command
from mcvd.apps.cli.train import options, train


def run(words: list[str]) -> None:
    """Train, with the words of the command line."""
    from mcvd.training.option_words import CODEC
    from mcvd.training.words import check_names_videos, check_words

    check_names_videos(options(words))  # before the import of Lightning, which takes long
    check_words(options(words), CODEC)
    from mcvd.training.codec_cli import run_fit_codec

    train(run_fit_codec, words)


HELP = "train a codec, whose latents a model then diffuses (mcvd fit-codec --help lists every option)"
COMMAND = Command(HELP, run)
