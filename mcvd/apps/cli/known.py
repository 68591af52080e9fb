"""What commands are told of frames that they generate: keyframes, and the part of them that is to be filled in."""

from __future__ import annotations

from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

    from mcvd.diffusion.options import SamplingOptions
    from mcvd.models.video_model import VideoModel

Keyframe = tuple[int, str]


def add_keyframes(command: ArgumentParser) -> None:
    """``--keyframe`` and ``--loop``."""
    text = "a picture that is to be frame N of the generated ones, counted from 0 in the order of time; may be repeated"
    command.add_argument("--keyframe", type=keyframe, action="append", metavar="N=PICTURE", help=text)
    command.add_argument("--loop", action="store_true", help="the last frame leads back to the first")
    add_known_by(command)


def add_known_by(command: ArgumentParser) -> None:
    """``--known-by``."""
    text = (
        "how known frames act: motion tells the frames between them where the optical flow leads, guidance pulls them "
        "by gradients, replacement does neither, condition gives known frames to a network trained for it (default: "
        "condition where it can be done, else motion)"
    )
    command.add_argument("--known-by", choices=["motion", "guidance", "replacement", "condition"], help=text)


def keyframe(text: str) -> Keyframe:
    """``12=picture.png``."""
    place, equals, path = text.partition("=")
    if not (equals and path and place.isascii() and place.isdigit()):
        raise ArgumentTypeError(f"must be N=PICTURE with the number of a generated frame, from 0, got {text!r}")
    return int(place), path


def check_keyframes(keyframes: Sequence[Keyframe] | None, num_frames: int) -> None:
    """Refuse, before a model is opened, what cannot be a keyframe.

    Raises:
        ValueError: its place is not among the generated frames, or is named twice.
        FileNotFoundError: its picture does not exist.
    """
    from mcvd.apps.cli.checks import check_inputs

    places = [place for place, _ in keyframes or ()]
    for place, path in keyframes or ():
        if place >= num_frames:
            raise ValueError(f"--keyframe {place}={path}: the generated frames are 0 to {num_frames - 1}")
        if places.count(place) > 1:
            raise ValueError(f"--keyframe {place}={path}: frame {place} is named more than once")
        check_inputs(keyframe=path)


def check_known_by(known_by: str | None, given: bool, options: str) -> None:
    """Refuse ``--known-by`` where no frame is known.

    Args:
        known_by: what was asked for.
        given: whether any of the options is there that make frames known.
        options: their names, for the message.

    Raises:
        ValueError: there is nothing that it could act on.
    """
    if known_by is not None and not given:
        raise ValueError(f"--known-by {known_by} tells how known frames act, and none is given: add {options}")


def with_keyframes(
    options: SamplingOptions, keyframes: Sequence[Keyframe] | None, model: VideoModel
) -> SamplingOptions:
    """The options with these pictures, scaled and cropped as the frames of a video are."""
    if not keyframes:
        return options
    return replace(options, known={place: _frame(path, model) for place, path in keyframes})


def _frame(path: str, model: VideoModel) -> Tensor:
    """A picture, or of a model of values the one frame of a file of an array; (C, H, W)."""
    from mcvd.apps.cli.fields import FieldChoice, for_model, read_for_model
    from mcvd.video.arrays.reader import holds_values
    from mcvd.video.read import read_picture

    if not holds_values(path):
        return for_model(read_picture(path, model.size, model.channels), model, path)
    with FieldChoice().open(path) as reader:
        return read_for_model(reader, [0], model, path)[0]


def with_region(options: SamplingOptions, mask: str | None, frames: Tensor, model: VideoModel) -> SamplingOptions:
    """The options when frames uint8 (T, C, H, W) are known but for the white part of a picture."""
    from mcvd.video.read import read_picture

    if mask is None:
        return options
    kept = read_picture(mask, model.size, 1)[0] < 128
    if kept.all():
        raise ValueError(f"--inpaint {mask}: nothing in it is white, so there is nothing to fill in")
    return replace(options, known=dict(enumerate(frames)), known_pixels=kept)
