"""What commands are told beside the frames: signals, from a file or the same for all frames."""

from __future__ import annotations

from argparse import ArgumentParser, ArgumentTypeError
from dataclasses import replace
from math import isfinite
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mcvd.diffusion.options import SamplingOptions
    from mcvd.models.video_model import VideoModel

Value = tuple[str, float | str]


def add_signals(command: ArgumentParser) -> None:
    """``--signals`` and ``--signal``."""
    text = "a table with a column for each signal and a row for each generated frame, or each given and generated one"
    command.add_argument("--signals", metavar="FILE.csv", help=text)
    text = "a signal that is the same for all frames: a number, or the word of a label; may be repeated"
    command.add_argument("--signal", type=value, action="append", metavar="NAME=VALUE", help=text)


def value(text: str) -> Value:
    """``steering=0.3`` or ``label=archery``."""
    name, equals, given = text.partition("=")
    if not (name and equals and given):
        raise ArgumentTypeError(f"must be NAME=VALUE, got {text!r}")
    try:
        number = float(given)
    except ValueError:
        return name, given
    if not isfinite(number):
        raise ArgumentTypeError(f"must be a finite number, got {text!r}")
    return name, number


def with_signals(
    options: SamplingOptions, file: str | None, values: list[Value] | None, model: VideoModel
) -> SamplingOptions:
    """The options with what is told.

    Raises:
        ValueError: the model is told nothing, or the table does not fit; names the file.
        FileNotFoundError: there is no such file.
    """
    from pathlib import Path

    from mcvd.apps.cli.checks import check_inputs
    from mcvd.data.signals.tables import read_table
    from mcvd.diffusion.signals import told_signals

    if file is None and not values:
        return options
    given: dict[str, Any] = {}
    if file is not None:
        check_inputs(signals=file)
        table = read_table(Path(file))
        given = {name: table.column(name).tolist() for name in table.columns}
    for name, number in values or ():
        if name in given:
            raise ValueError(f"--signal {name}: it is told twice")
        given[name] = number
    try:  # names and numbers; of the frames only their number
        length = max((len(each) for each in given.values() if isinstance(each, list)), default=1)
        told_signals(model.signals, model.masking, given, 1, 0, length, 0)
    except ValueError as error:
        raise ValueError(f"--signals {file}: {error}" if file else str(error)) from error
    return replace(options, signals=given)
