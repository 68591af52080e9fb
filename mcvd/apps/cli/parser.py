"""Reads the words of a command line; a mistake is one line that says what was meant, if that can be guessed."""

from __future__ import annotations

import re
from argparse import Action, ArgumentParser
from collections.abc import Sequence
from typing import Any, NoReturn

from mcvd.runtime.suggest import did_you_mean

# What other programs call it, in the form that `did_you_mean` compares.
COMMANDS_ELSEWHERE = {
    "train": "fit",
    "training": "fit",
    "finetune": "fit --init_from",
    "fine_tune": "fit --init_from",
    "sample": "generate",
    "forecast": "predict",
    "extrapolate": "predict",
    "inpaint": "interpolate",
    "fill": "interpolate",
    "vae": "fit-codec",
    "train_vae": "fit-codec",
    "slow_motion": "upsample --factor",
    "enlarge": "upsample --size",
    "upscale": "upsample --size",
    "super_resolution": "upsample --size",
    "eval": "evaluate",
    "test": "evaluate",
    "validate": "evaluate",
    "score": "evaluate",
    "compare": "evaluate --compare",
    "check": "data check",
    "pack": "data pack",
    "save": "export",
    "import": "convert",
    "gui": "studio",
    "ui": "studio",
    "web": "studio",
    "app": "studio",
    "describe": "info",
    "show": "info",
}
OPTIONS_ELSEWHERE = {
    "num_inference_steps": "--steps",
    "num_steps": "--steps",
    "inference_steps": "--steps",
    "guidance_scale": "--guidance",
    "cfg_scale": "--guidance",
    "cfg": "--guidance",
    "output": "--out",
    "output_dir": "--out",
    "o": "--out",
    "frames": "--num-frames",
    "length": "--num-frames",
    "t": "--num-frames",
    "n": "--num-samples",
    "samples": "--num-samples",
    "scheduler": "--sampler",
    "solver": "--sampler",
    "method": "--sampler",
    "ckpt": "--model",
    "checkpoint": "--model",
    "m": "--model",
    "dtype": "--precision",
    "gpu": "--device cuda",
    "cpu": "--device cpu",
    "cuda": "--device cuda",
    "num_processes": "--processes",
    "data": "--root",
    "data_root": "--root",
    "data.root": "--root",
    "start": "--at",
    "range": "--gap",
    "num_frames": "--gap START:END",
}
_OPTION = re.compile(r"--?[A-Za-z]")
_NO_VALUE = re.compile(r"argument (--[\w-]+): expected one argument$")


class UsageError(ValueError):
    """A command line that cannot be read."""


class Parser(ArgumentParser):
    """As `ArgumentParser`, but its mistakes are `UsageError`, and ``_`` in an option counts as ``-``."""

    def parse_known_args(self, args: Sequence[str] | None = None, namespace: Any = None) -> tuple[Any, list[str]]:  # type: ignore[override]
        """Check the names of options before anything else, where this parser reads them itself."""
        words = list(args or ())
        if self._subparsers is None:
            end = words.index("--") if "--" in words else len(words)
            words = [*map(self._known_option, words[:end]), *words[end:]]
        found, surplus = super().parse_known_args(words, namespace)
        if surplus:
            self.error(f"nothing was expected after what was read, got {' '.join(surplus)}")
        return found, surplus

    def _known_option(self, word: str) -> str:
        name, equals, value = word.partition("=")
        if not _OPTION.match(name) or name in self._option_string_actions or self._get_option_tuples(word):
            return word
        if (hyphens := name.replace("_", "-")) in self._option_string_actions:
            return hyphens + equals + value
        alone = {action.dest: action.metavar or action.dest for action in self._get_positional_actions()}
        if place := alone.get(name.lstrip("-").replace("-", "_")):
            self.error(f"there is no option {name}, {place} stands by itself: {self.prog} {place}")
        known = [option for option in self._option_string_actions if option.startswith("--")]
        elsewhere = {word: option for word, option in OPTIONS_ELSEWHERE.items() if option.split()[0] in known}
        self.error(f"there is no option {name}{did_you_mean(name, known, elsewhere)}")

    def _check_value(self, action: Action, value: Any) -> None:
        if action.choices is not None and value not in action.choices and action.dest in ("command", "action"):
            names, elsewhere = list(action.choices), COMMANDS_ELSEWHERE if action.dest == "command" else None
            guess = did_you_mean(str(value), names, elsewhere) or f"; there are {', '.join(names)}"
            raise UsageError(f"there is no command {self.prog.partition(' ')[2]} {value}".replace("  ", " ") + guess)
        super()._check_value(action, value)

    def error(self, message: str) -> NoReturn:
        """Raise `UsageError`, in one line."""
        if option := _NO_VALUE.match(message):
            message += f", and what begins with - is none: for such a value write {option[1]}=VALUE"
        raise UsageError(f"{message.removeprefix('argument ')} ({self.prog} --help lists what there is)")
