"""What commands are told beside the frames: signals, from a file, the same for all frames, or in words."""

from __future__ import annotations

from argparse import ArgumentParser, ArgumentTypeError
from dataclasses import dataclass, replace
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from mcvd.diffusion.options import SamplingOptions
    from mcvd.models.video_model import VideoModel

Value = tuple[str, float | str]


def add_signals(command: ArgumentParser) -> None:
    """``--signals``, ``--signal``, ``--text`` and ``--text-encoder``."""
    text = "a table with a column for each signal and a row for each generated frame, or each given and generated one"
    command.add_argument("--signals", metavar="FILE.csv", help=text)
    text = "a signal that is the same for all frames: a number, or the word of a label; may be repeated"
    command.add_argument("--signal", type=value, action="append", metavar="NAME=VALUE", help=text)
    text = "what the video shows, in words, for a model that was told captions (mcvd data encode-text)"
    command.add_argument("--text", metavar="WORDS", help=text)
    text = "the folder of the text encoder that the captions were encoded by"
    command.add_argument("--text-encoder", metavar="FOLDER", help=text)


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


@dataclass(frozen=True)
class SignalChoice:
    """What is told, from a table, by name, and in words; None is nothing.

    Raises:
        ValueError: one of the options misses another.
        FileNotFoundError: there is no such file or folder.
    """

    file: str | None = None
    values: tuple[Value, ...] = ()
    text: str | None = None
    encoder: str | None = None

    def __post_init__(self) -> None:
        from mcvd.apps.cli.checks import check_inputs

        if (self.text is None) != (self.encoder is None):
            given = "--text" if self.encoder is None else "--text-encoder"
            raise ValueError(f"{given}: words need --text WORDS and --text-encoder FOLDER, that of the training")
        check_inputs(signals=self.file, text_encoder=self.encoder)

    @classmethod
    def taken_from(cls, asked: dict[str, Any]) -> Self:
        """Take the options of `add_signals` out of those that were given."""
        values = tuple(asked.pop("signal", ()))
        return cls(asked.pop("signals", None), values, asked.pop("text", None), asked.pop("text_encoder", None))

    def tell(self, options: SamplingOptions, model: VideoModel) -> SamplingOptions:
        """The options with what is told.

        Raises:
            ValueError: the model is told nothing, or the table does not fit; names the file.
            ModuleNotFoundError: words are told, and the package that encodes them is not installed; says how.
        """
        from mcvd.data.signals.tables import read_table
        from mcvd.diffusion.signals import told_signals

        given: dict[str, Any] = {}
        if self.file is not None:
            table = read_table(Path(self.file))
            given = {name: table.column(name).tolist() for name in table.columns}
        for name, number in self.values:
            if name in given:
                raise ValueError(f"--signal {name}: it is told twice")
            given[name] = number
        length = max((len(each) for each in given.values() if isinstance(each, list)), default=1)
        if self.text is not None and self.encoder is not None:
            from mcvd.data.signals.text_encoder import text_encoder

            given["text"] = text_encoder(self.encoder)(self.text).tolist()
        if not given:
            return options
        try:  # names and numbers; of the frames only their number
            told_signals(model.signals, model.masking, given, 1, 0, length, 0)
        except ValueError as error:
            raise ValueError(f"--signals {self.file}: {error}" if self.file else str(error)) from error
        return replace(options, signals=given)
