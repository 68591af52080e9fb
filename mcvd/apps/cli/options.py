"""A command of `mcvd`, and the options that several share. Imports nothing heavy: every ``--help`` reads this."""

from __future__ import annotations

from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Callable
from dataclasses import dataclass
from math import isfinite

MODEL = "exported folder, .ckpt, run folder, or user/name on the Hugging Face Hub (default: the bundled model)"
EVERY_FRAME = "read by time at this rate (default: every frame)"
MAX_PORT = 65535
MIN_FPS, MAX_FPS = 0.01, 1000.0  # of films: beyond, players show one picture, or nothing
JSON = "print the result as one JSON object, for scripts; all else goes to the standard error"
DEVICE = "cpu, cuda, ... (default: the best there is)"


@dataclass(frozen=True)
class Command:
    """What a module of this folder calls ``COMMAND``: `mcvd.apps.cli.main` finds it there.

    Args:
        help: what it does, in a line.
        run: called with the options that were given, by name; what it raises becomes a message and an exit status.
        add_arguments: adds the options to the command's parser. Without it ``run`` takes the words as they are.
        examples: shown below the help.
        add_for_completion: adds the options that a shell completes, where ``run`` reads them itself.
        shared: several processes may do it together: ``run`` does the share of its own.
    """

    help: str
    run: Callable[..., None]
    add_arguments: Callable[[ArgumentParser], None] | None = None
    examples: str | None = None
    add_for_completion: Callable[[ArgumentParser], None] | None = None
    shared: bool = False


def positive(text: str) -> int:
    """A whole number of at least 1."""
    return _whole(text, 1)


def whole(text: str) -> int:
    """A whole number of at least 0."""
    return _whole(text, 0)


def port(text: str) -> int:
    """The number of a port to listen on."""
    value = positive(text)
    if value > MAX_PORT:
        raise ArgumentTypeError(f"must be 1 to {MAX_PORT}, got {value}")
    return value


def rate(text: str) -> float:
    """Frames per second: a finite number above 0."""
    value = number(text)
    if value <= 0:
        raise ArgumentTypeError(f"must be more than 0 frames per second, got {text}")
    return value


def fps(text: str) -> float:
    """Frames per second at which a film plays."""
    value = rate(text)
    if not MIN_FPS <= value <= MAX_FPS:
        raise ArgumentTypeError(f"must be {MIN_FPS:g} to {MAX_FPS:g} frames per second, got {text}")
    return value


def number(text: str) -> float:
    """A finite number."""
    try:
        value = float(text)
    except ValueError:
        raise ArgumentTypeError(f"must be a number, got {text!r}") from None
    if not isfinite(value):
        raise ArgumentTypeError(f"must be a finite number, got {text}")
    return value


def _whole(text: str, least: int) -> int:
    try:
        value = int(text)
    except ValueError:
        raise ArgumentTypeError(f"must be a whole number of at least {least}, got {text!r}") from None
    if value < least:
        raise ArgumentTypeError(f"must be at least {least}, got {value}")
    return value


def size(text: str) -> tuple[int, int]:
    """Height and width of frames."""
    try:
        sides = [positive(side) for side in text.split("x")]
    except ArgumentTypeError:
        sides = []
    if len(sides) not in (1, 2):
        raise ArgumentTypeError(f"must be pixels, such as 128, or HEIGHTxWIDTH, such as 72x128, got {text!r}")
    return sides[0], sides[-1]


def add_json(command: ArgumentParser) -> None:
    """``--json``, which every command has: the standard output is one JSON object, or nothing after a failure.

    To ``data check`` it is no failure that training cannot start: that is its answer, beside the exit status 1.
    """
    command.add_argument("--json", action="store_true", help=JSON)


def add_trust(command: ArgumentParser) -> None:
    """``--trust``, for commands that open a model or a recipe."""
    text = "import classes that a file names from these modules: their code runs with all your rights (comma-separated)"
    command.add_argument("--trust", action="extend", type=lambda text: text.split(","), metavar="MODULE", help=text)


def add_model(command: ArgumentParser) -> None:
    """Which model, at which size, and on which device."""
    command.add_argument("--model", help=MODEL)
    text = "height and width of the frames, such as 128 or 72x128, if not those that the model was trained at"
    command.add_argument("--size", type=size, metavar="S", help=text)
    add_trust(command)
    command.add_argument("--device", help=DEVICE)


def add_output(command: ArgumentParser) -> None:
    """Where the videos go, and at which rate they play."""
    text = ".mp4, .gif, .png (a strip), or a folder (one file per sample)"
    command.add_argument("--out", required=True, metavar="OUT", help=text)
    text = "also write a page that shows the result: OUT's name with .html, or OUT/index.html"
    command.add_argument("--gallery", action="store_true", help=text)
    add_json(command)
    command.add_argument("--fps", type=fps, help="play OUT at this rate (default: the model's)")


def add_every_frame(command: ArgumentParser) -> None:
    """How VIDEO is read."""
    command.add_argument("--every-frame", action="store_true", help="take frames as they come, not at the model's rate")


def add_rate(command: ArgumentParser) -> None:
    """At which rate a model works that was trained at several."""
    text = "rate of the given frames and the new ones, for a model trained at several (default: its own)"
    command.add_argument("--rate", dest="frame_rate_hz", type=rate, metavar="HZ", help=text)


def add_processes(command: ArgumentParser, shared: str = "samples") -> None:
    """``--processes``, for work that can be shared out."""
    text = f"share the {shared} out among N processes; the result is the same (also under torchrun)"
    command.add_argument("--processes", type=positive, metavar="N", help=text)


def add_sampling(command: ArgumentParser) -> None:
    """How videos are sampled."""
    command.add_argument("--num-samples", type=positive, metavar="K", help="how many different videos")
    text = (
        "a sampler of mcvd.samplers, such as DDPM or, with 6 steps, UniPC:6; a scheduler of diffusers, such as "
        "diffusers.EulerDiscreteScheduler; or the class path of your own, such as my_module.Renoise"
    )
    command.add_argument("--sampler", metavar="NAME", help=text)
    command.add_argument("--steps", type=positive, metavar="S", help="network calls for each block")
    command.add_argument(
        "--guidance", type=number, metavar="W", help="1 (default): as trained; more follows the context"
    )
    command.add_argument("--guidance-drops", choices=["both", "past", "future", "signals"], help="what W strengthens")
    text = "compare with the context under noise of this level, not without it, if trained for it"
    command.add_argument("--guidance-noise", type=number, metavar="L", help=text)
    command.add_argument("--context-noise", type=number, metavar="L", help="steadies long videos, if trained for it")
    command.add_argument("--overlap", type=positive, metavar="N", help="known frames that a block sees on each side")
    text = "frame by frame in a window of rising noise, if trained for it, with S calls while a frame is in it"
    command.add_argument("--rolling", action="store_true", default=None, help=text)
    text = "every block sees the first frame too, if trained with frames from long before"
    command.add_argument("--keep-first", action="store_true", default=None, help=text)
    command.add_argument("--precision", choices=["float32", "bf16", "fp16"], help="of the network (default: float32)")
    text = "the network, on a GPU with CUDA graphs (default: auto, for long work on a GPU)"
    command.add_argument("--compile", choices=["auto", "always", "never"], help=text)
    command.add_argument("--seed", type=whole, metavar="S", help="same seed, same video (default: 0)")
    command.add_argument("--batch-size", type=positive, metavar="B", help="videos sampled at once, to bound memory")
