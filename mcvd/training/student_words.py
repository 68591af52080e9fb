"""What is wrong with the words of ``mcvd distill``, as far as they alone tell."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite
from typing import Any

from mcvd.diffusion.distillation import Distillation
from mcvd.samplers import DDIM
from mcvd.training.option_words import STUDENT
from mcvd.training.words import TEACHER, ConfigError, check_words, named_first, values_of

SHORT = ("calls", "parts", "method", "order", "guidance")  # options of the student that are written without --model.
_NUMBERS = {"calls": int, "parts": int, "order": int, "guidance": float}
_KINDS = {int: "a whole number", float: "a number"}


def student_words(words: Sequence[str]) -> list[str]:
    """The words of ``mcvd distill`` as options of a student: ``["--model.teacher=drive", "--model.calls", "4"]``.

    Args:
        words: the teacher, then options, such as ``["drive", "--calls", "4"]``.

    Raises:
        ConfigError: no teacher is named.
    """
    teacher, *others = named_first(words, TEACHER)
    return [teacher, *map(_full, others)]


def check_student(words: Sequence[str]) -> None:
    """Look through the words of ``mcvd distill``; see `mcvd.training.words.check_words`.

    Raises:
        ValueError: no student can be taught so.
        FileNotFoundError: the teacher, a config or a folder of videos is not there.
    """
    options = student_words(words)
    check_words(options, STUDENT, SHORT)
    told: dict[str, Any] = {}
    for name in SHORT:
        found = values_of(f"--model.{name}", options)
        if found and found[-1] != "null":
            told[name] = _number(name, found[-1]) if name in _NUMBERS else found[-1]
    if not isfinite(told.pop("guidance", 1.0)):
        raise ConfigError("--guidance must be a finite number")
    calls = told.pop("calls", 1)
    if calls < 1:
        raise ConfigError(f"--calls must be 1 or more, got {calls}")
    Distillation(DDIM(num_steps=calls), **told)


def _number(name: str, value: str) -> float:
    kind = _NUMBERS[name]
    try:
        return kind(value)
    except ValueError:
        raise ConfigError(f"--{name} must be {_KINDS[kind]}, got {value!r}") from None


def _full(word: str) -> str:
    name, equals, value = word.partition("=")
    plain = name.removeprefix("--").replace("-", "_")
    return f"--model.{plain}{equals}{value}" if name.startswith("--") and plain in SHORT else word
