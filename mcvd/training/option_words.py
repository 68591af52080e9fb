"""Whether options of a training exist, as the source of its classes tells: seconds before Lightning is imported."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Sequence
from importlib.util import find_spec
from pathlib import Path

from mcvd.runtime.suggest import did_you_mean

MODEL, CODEC = "mcvd.models.video_model.VideoModel", "mcvd.training.codec.CodecFit"
STUDENT, CLASSIFIER = "mcvd.training.distill.Student", "mcvd.training.classifier.ClassifierFit"
_SECTIONS = {
    "data": "mcvd.data.video_clips.VideoClips",
    "trainer": "lightning.pytorch.trainer.trainer.Trainer",
    "ema": "mcvd.training.ema.EMA",
    "checkpoints": "mcvd.training.checkpoints.Checkpoints",
    "preview": "mcvd.training.preview.Preview",
}
_ALONE = ("config", "ckpt_path", "init_from", "compile", "help", "print_config")
# What other programs call it, in the form that `did_you_mean` compares.
_ELSEWHERE = {
    "lr": "--model.optimizer.init_args.lr",
    "learning_rate": "--model.optimizer.init_args.lr",
    "optimizer.lr": "--model.optimizer.init_args.lr",
    "epochs": "--trainer.max_epochs",
    "steps": "--trainer.max_steps",
    "max_train_steps": "--trainer.max_steps",
    "gpus": "--trainer.devices",
    "out": "--trainer.default_root_dir",
    "output_dir": "--trainer.default_root_dir",
    "resume": "--ckpt_path last",
    "resume_from_checkpoint": "--ckpt_path last",
    "data": "--data.root",
    "train_data_dir": "--data.root",
    "model": "--init_from",
    "pretrained": "--init_from",
    "device": "--trainer.accelerator",
    "resolution": "--model.size",
    "fps": "--data.frame_rate_hz",
    "data.fps": "--data.frame_rate_hz",
    "rate": "--data.frame_rate_hz",
    "batch_size": "--data.batch_size",
}


def no_such_option(option: str, known: Iterable[str]) -> str:
    """What is said of an option that does not exist, with the one that may have been meant.

    Args:
        option: such as ``--lr``.
        known: the options that there are.
    """
    return f"there is no option {option}{_near(option, [*known])}"


def unknown_option(words: Sequence[str], model: str, others: Sequence[str] = ()) -> str | None:
    """What is said of the first option that does not exist where one of nearly that name does; None if there is none.

    Only sections and the arguments of their classes are compared, not what lies deeper. The parser of all options,
    which takes seconds to make, says the rest.

    Args:
        words: of a training, such as ``["--data.rot", "videos"]``.
        model: path of the class whose arguments are ``--model``.
        others: options of the command that have no section.
    """
    arguments = section_arguments(model)
    known = [
        *_ALONE,
        *others,
        *arguments,
        *(f"{section}.{each}" for section, names in arguments.items() for each in names),
    ]
    for word in words:
        option = word.partition("=")[0].removesuffix("+")  # of a list: one more
        section, *inside = option.removeprefix("--").split(".")
        name = ".".join([section, *inside[:1]])
        is_read = section not in arguments or arguments[section]
        is_begun = any(each.startswith(name) for each in known)  # the parser takes the beginning of a name, too
        if not option.startswith("--") or not section.isidentifier() or not is_read or is_begun:
            continue
        if _near(option, full := [f"--{each}" for each in known]):
            return no_such_option(option, full)
    return None


def section_arguments(model: str) -> dict[str, list[str]]:
    """The arguments of each section of a training, whose ``model`` is the class at this path."""
    return {name: _arguments(path) for name, path in {"model": model, **_SECTIONS}.items()}


def _arguments(path: str) -> list[str]:
    """The names of the arguments of a class, read from its source without importing it; none where there is none."""
    package, *modules, name = path.split(".")
    found = find_spec(package)
    if found is None or not found.submodule_search_locations:
        return []
    file = Path(found.submodule_search_locations[0], *modules).with_suffix(".py")
    if not file.is_file():
        return []
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ClassDef) and node.name == name:
            for each in node.body:
                if isinstance(each, ast.FunctionDef) and each.name == "__init__":
                    return [argument.arg for argument in (*each.args.args[1:], *each.args.kwonlyargs)]
    return []


def _near(option: str, known: list[str]) -> str:
    name = option.lstrip("-")
    if same := [each for each in known if each.endswith(f".{name}")]:
        return f"; did you mean {same[0]}?"
    return did_you_mean(option, known, _ELSEWHERE)
