"""The `mcvd` command: reads the command line, runs one command, turns exceptions into short messages."""

from __future__ import annotations

import argparse
import atexit
import os
import pkgutil
import sys
import warnings
from collections.abc import Sequence
from contextlib import nullcontext
from functools import cache
from importlib import import_module
from itertools import pairwise
from typing import NoReturn

from mcvd import __version__
from mcvd.apps.cli.options import Command
from mcvd.apps.cli.parser import Parser, UsageError
from mcvd.apps.cli.say import for_scripts, note
from mcvd.runtime.error_text import one_line
from mcvd.runtime.machine import prepare_process

DESCRIPTION = "Masked conditional video diffusion: predict, interpolate and generate video with one model."
_SHARED = {
    "checks",
    "classified",
    "fields",
    "larger",
    "known",
    "told",
    "main",
    "options",
    "output",
    "parser",
    "render",
    "say",
    "setup",
    "train",
}  # every other module of this folder is a command
_FIRST = ("fit", "predict", "interpolate", "generate", "evaluate")  # in the help; the others follow by name
_LESS = "use smaller batches, --data.batch_size for training, --batch-size for sampling, or smaller frames, --size"
_RESUME = "a training resumes from its last checkpoint by the same command and --ckpt_path last"
# What torch.distributed says when a process that it waits for is not there any more.
_A_PROCESS_DIED = ("Connection closed by peer", "Connection reset by peer", "terminated with signal")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status: 0 done, 2 wrong usage or configuration, 1 anything else."""
    prepare_process()
    argv = list(sys.argv[1:] if argv is None else argv)
    debug = "--debug" in argv
    argv = [word for word in argv if word != "--debug"]
    try:
        with warnings.catch_warnings():
            warnings.showwarning = _show_warning  # type: ignore[assignment]
            _run(argv)
    except KeyboardInterrupt:
        note("mcvd: interrupted")
        return 130
    except Exception as error:
        if debug:
            raise
        note(f"mcvd: {_message(error)}")
        return _status(error)
    return 0


def run() -> NoReturn:
    """The `mcvd` command as a process of its own, which ends with the status that `main` returns.

    Where it is one of several that work together (``WORLD_SIZE``), it leaves as soon as all is done: when libraries are
    unloaded, threads of PyTorch that are still there may abort it, and whoever started it would call that a failure.
    """
    status = 1

    def leave() -> None:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)

    if os.environ.get("WORLD_SIZE", "1") != "1":
        atexit.register(leave)  # what is registered first is called last
    try:
        status = main()
    except SystemExit as done:  # --help and --version, trainings that a signal ended, readers that went away
        status = int(done.code or 0)
    sys.exit(status)


@cache
def commands() -> dict[str, Command]:
    """All commands by name, in the order of the help."""
    found = {module.name for module in pkgutil.iter_modules([os.path.dirname(__file__)])} - _SHARED
    names = sorted(found, key=lambda name: (_FIRST.index(name) if name in _FIRST else len(_FIRST), name))
    return {name.replace("_", "-"): import_module(f"mcvd.apps.cli.{name}").COMMAND for name in names}


def _run(argv: list[str]) -> None:
    known = commands()
    if not argv:
        raise UsageError(f"name a command: {', '.join(known)} (mcvd --help says what they do; try mcvd demo)")
    for before, word in pairwise(argv):
        if not word or (word.startswith("--") and word.endswith("=")):
            raise UsageError(f"nothing stands after {word[:-1] or before}: is a variable of the shell not set?")
    if argv[0] == "help":
        argv = [*argv[1:2], "--help"]
    if argv[0] in known and known[argv[0]].add_arguments is None:
        return known[argv[0]].run(argv[1:])
    parser = _parser(known, for_completion=argv[0].startswith("--print-completion"))
    options = {key: value for key, value in vars(parser.parse_args(argv)).items() if value is not None}
    command = known[options.pop("command")]
    with for_scripts() if options.get("json") else nullcontext():
        if not command.shared:
            return command.run(**options)
        from mcvd.apps.cli.setup import share_out

        share_out(command.run, **options)


def _parser(known: dict[str, Command], for_completion: bool = False) -> argparse.ArgumentParser:
    import shtab

    parser = Parser(prog="mcvd", description=DESCRIPTION, epilog="With --debug, an error shows its traceback.")
    parser.add_argument("--version", action="version", version=f"mcvd {__version__}")
    text = "print a script that completes commands and options: mcvd --print-completion bash"
    shtab.add_argument_to(parser, "--print-completion", help=text)
    parsers = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, command in known.items():
        each = parsers.add_parser(
            name,
            help=command.help,
            description=command.help[0].upper() + command.help[1:] + ".",
            epilog=command.examples,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            add_help=command.add_arguments is not None,
        )
        if command.add_arguments:
            command.add_arguments(each)
        if command.add_for_completion and for_completion:
            command.add_for_completion(each)
    return parser


def _show_warning(message: Warning | str, *_: object) -> None:
    """A warning is one line, without the place in the code."""
    note(f"mcvd: {message}")


def _message(error: Exception) -> str:
    text = str(error).strip()
    if type(error).__name__ == "OutOfMemoryError" or "can't allocate memory" in text:
        return f"out of memory: {text.splitlines()[0]}; {_LESS}"
    if any(word in text for word in _A_PROCESS_DIED):
        first = text.splitlines()[0]
        return f"another process of this work has ended, its own last line says why ({first}); {_RESUME}"
    if isinstance(error, OSError) and error.filename is not None and error.strerror:
        return f"{os.fspath(error.filename)}: {error.strerror}"  # without [Errno 2]
    if isinstance(error, (ValueError, OSError, FloatingPointError)) and text:
        return text
    return f"{type(error).__name__}: {one_line(text)} (--debug shows where)"


def _status(error: Exception) -> int:
    from mcvd.runtime.numbers import NumbersError
    from mcvd.video.decoders.base import VideoError

    return 2 if isinstance(error, ValueError) and not isinstance(error, VideoError | NumbersError) else 1
