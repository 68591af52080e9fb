"""What commands are told of files that hold arrays: which array, what its axes are, which channels to look at."""

from __future__ import annotations

from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mcvd.apps.cli import options

if TYPE_CHECKING:
    from torch import Tensor

    from mcvd.models.look import Look
    from mcvd.models.video_model import VideoModel
    from mcvd.video.decoders.base import AbstractReader


def add_fields(command: ArgumentParser) -> None:
    """``--variable``, ``--axes``, ``--sequence``: how VIDEO is read where it is a file of an array."""
    text = "array of VIDEO, where it holds several; repeated, they become channels"
    command.add_argument("--variable", action="append", metavar="NAME", help=text)
    text = "of that array, a letter each: N sequences, T time, C channels, H, W; such as NHWT (default: as VIDEO tells)"
    command.add_argument("--axes", metavar="LETTERS", help=text)
    command.add_argument("--sequence", type=options.whole, metavar="N", help="which of several sequences in VIDEO")


def add_show(command: ArgumentParser) -> None:
    """``--show``."""
    text = "of a model of values: the channel that pictures show, or three as red, green and blue, such as 4,2,1"
    command.add_argument("--show", type=_channels, metavar="CHANNELS", help=text)


@dataclass(frozen=True)
class FieldChoice:
    """What `add_fields` and `add_show` have read.

    Raises:
        ValueError: the letters are no axes.
    """

    variable: tuple[str, ...] = ()
    axes: str | None = None
    sequence: int | None = None
    show: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        from mcvd.video.arrays.axes import LETTERS, check_axes

        if self.axes is not None and not check_axes(self.axes):
            raise ValueError(f"axes {self.axes}: letters of {LETTERS}, each once and H and W among them")

    @classmethod
    def taken_from(cls, asked: dict[str, Any]) -> FieldChoice:
        """Take them out of a command's options."""
        variable, show = (tuple(asked.pop(name, ())) for name in ("variable", "show"))
        return cls(variable, asked.pop("axes", None), asked.pop("sequence", None), show)

    def open(self, path: str) -> AbstractReader:
        """The video, or the array if it is one.

        Raises:
            ValueError: options of arrays were given for something else.
            VideoError: it cannot be read.
        """
        from mcvd.video.arrays.reader import FieldReader, holds_values
        from mcvd.video.open import open_video

        asked = self.variable or self.axes or self.sequence is not None
        if asked or holds_values(path):
            return FieldReader(path, self.axes, self.variable, self.sequence)
        return open_video(path)

    def look(self, model: VideoModel) -> Look:
        """How the model's videos are shown."""
        from mcvd.models.look import Look

        return Look.of(model, self.show)


def read_for_model(
    reader: AbstractReader, numbers: Sequence[int], model: VideoModel, path: str, size: tuple[int, int] | None = None
) -> Tensor:
    """Frames of an open video as the model takes them, of its size or another one.

    Numbers that stand for missing values are so before frames are made smaller: they enter no mean.

    Raises:
        ValueError: they are values and the model takes pixels.
        VideoError: they cannot be read.
    """
    from mcvd.video.arrays.reader import FieldReader
    from mcvd.video.read import read_frames

    if isinstance(reader, FieldReader) and model.codec.dtype.is_floating_point:
        reader.known_values = model.codec.known_values
    return for_model(read_frames(reader, numbers, size or model.size, model.channels), model, path)


def for_model(frames: Tensor, model: VideoModel, path: str) -> Tensor:
    """Frames as the model takes them.

    Raises:
        ValueError: they are values and the model takes pixels.
    """
    wrong = frames.dtype != model.codec.dtype and not model.codec.dtype.is_floating_point
    if wrong:
        raise ValueError(
            f"{path} holds values, and the videos of this model are {model.codec.unit}: train one with a scale "
            "(mcvd data check tells it), or make a film of it"
        )
    return frames.to(model.codec.dtype)


def _channels(text: str) -> tuple[int, ...]:
    words = text.split(",")
    if len(words) not in (1, 3) or not all(word.isascii() and word.isdigit() for word in words):
        raise ArgumentTypeError(f"must be one channel or three, counted from 0, such as 0 or 4,2,1, got {text!r}")
    return tuple(map(int, words))
