"""``mcvd fit --help`` begins with what one needs first, and names only what there is."""

import re

from jsonargparse import ArgumentParser

from mcvd.apps.cli.train import JSON
from mcvd.training.fit import option_names
from mcvd.training.fit_help import ABOUT, HELP


def test_the_help_begins_with_examples_as_they_are_written():
    parser = ArgumentParser(prog="mcvd fit", description=ABOUT, **HELP)
    text = parser.format_help()
    assert text.startswith("usage: mcvd fit [--config NAME_OR_FILE]")
    assert ABOUT in text and text.index("examples:") < 150


def test_options_that_the_help_begins_with_exist():
    named = set(re.findall(r"--[a-z_]+(?:\.\w+)*", ABOUT)) - {"--print_config"}
    beyond = {"--model.optimizer.init_args.lr"}  # of a class that the config names
    assert len(named) > 10
    assert JSON in named  # of every command, taken before the parser reads the rest
    assert named - beyond - {JSON} <= set(option_names())
