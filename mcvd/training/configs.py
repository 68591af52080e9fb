"""The configs that come with the package, by name, and what is wrong with an option or a config, in one line."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from importlib import import_module
from pathlib import Path
from typing import Any

from mcvd.models.config import SLOTS
from mcvd.models.files import read_model
from mcvd.models.mcvd import MCVD
from mcvd.runtime.error_text import one_line
from mcvd.runtime.named_classes import check_classes
from mcvd.runtime.parser_text import key_of, misfit
from mcvd.runtime.suggest import did_you_mean

CONFIGS = Path(__file__).parents[1] / "configs"
DEFAULT_CONFIG, FINE_TUNE = "small", "fine-tune"

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
}
# An option of the data that takes over one of the model, which was given as well.
_LINKED = re.compile(r'Linked "([\w.]+)" must be given via "([\w.]+)"|argument ([\w.]+) --> ([\w.]+): ')
_FAILED_LINK = re.compile(r"^Call to compute_fn of link .* failed: ")
_GROUP = re.compile(r'^Parser key "([\w.]+)": Unable to load config \'([^\']*)\'')


def config_names() -> list[str]:
    """Names of the configs that come with the package, such as ``small`` and ``published/kth``."""
    return sorted(path.relative_to(CONFIGS).with_suffix("").as_posix() for path in CONFIGS.rglob("*.yaml"))


def find_config(name: str) -> Path:
    """The file of a config: a path, or the name of one that comes with the package.

    Raises:
        FileNotFoundError: there is neither; the message says which there are.

    Examples:
        >>> find_config("small").name
        'small.yaml'
    """
    if Path(name).is_file():
        return Path(name)
    known, plain = config_names(), name.removesuffix(".yaml").removeprefix("configs/")
    if plain in known:
        return CONFIGS / f"{plain}.yaml"
    few = ", ".join([*(each for each in known if "/" not in each), "published/..."])
    raise FileNotFoundError(
        f"--config {name}: no such file, and no config of mcvd has this name"
        + (did_you_mean(plain, known) or f"; there are {few}")
    )


def with_configs(words: list[str]) -> tuple[list[str], str | None]:
    """The words of ``mcvd fit`` with paths for the names of configs, and the default config where none is named.

    Returns:
        The words, and what the user should know.

    Raises:
        ValueError: nothing says what to train on what.
        FileNotFoundError: a config is not there.
    """
    found = []
    for place, word in enumerate(words):
        option, equals, value = word.partition("=")
        if option in ("--config", "-c") and equals:
            found.append(f"--config={find_config(value)}")
        elif place and words[place - 1] in ("--config", "-c"):
            found.append(str(find_config(word)))
        else:
            found.append(word)
    options = [word.partition("=")[0] for word in words]
    asks = any(option in ("-h", "--help", "-c", "--config") or option.startswith("--print_") for option in options)
    if asks or any(
        option == "--model"
        or option.startswith(("--model.block", "--model.teacher", "--model.num_frames", "--model.guides"))
        for option in options
    ):
        return found, None
    if not any(option.startswith("--data") for option in options):
        raise ValueError(
            f"name a config and a folder of videos: mcvd fit --config {DEFAULT_CONFIG} --data.root FOLDER (configs "
            f"of mcvd: {', '.join(name for name in config_names() if '/' not in name)}, published/...)"
        )
    if "--init_from" in options:
        source = _value_of("--init_from", words)
        return [f"--config={find_config(FINE_TUNE)}", f"--model={json.dumps(_model_of(source))}", *found], (
            f"no config was named: training the model of {source} further (--config {FINE_TUNE})"
        )
    told = f"no config was named: training {DEFAULT_CONFIG} (--config {DEFAULT_CONFIG}), a small model of all tasks"
    return [f"--config={find_config(DEFAULT_CONFIG)}", *found], told


def _value_of(option: str, words: list[str]) -> str:
    """What follows an option, as a word of its own or behind =."""
    place = next(i for i, word in enumerate(words) if word.partition("=")[0] == option)
    if "=" in words[place]:
        return words[place].partition("=")[2]
    if place + 1 == len(words):
        raise ValueError(f"{option} needs a model: an exported folder, a .ckpt file, user/name on the Hub, or bundled")
    return words[place + 1]


def _model_of(source: str) -> dict[str, Any]:
    """The model section that makes the model of a folder or file anew, without what a training chooses."""
    config = check_classes(MCVD, read_model(source).config, SLOTS, False)
    chosen_anew = (*MCVD.not_in_config, *MCVD.not_exported, "frame_rate_hz", "samplers", "times")
    return {name: value for name, value in config.items() if name not in chosen_anew}


def explain(error: Exception, known: Iterable[str]) -> str:
    """What a parser's error says, in one line for people.

    Args:
        error: of jsonargparse.
        known: the options that there are.
    """
    text = one_line(error)
    if linked := _LINKED.search(text):
        data, model = linked[1] or linked[4], linked[2] or linked[3]
        return f"{data} follows {model}: set --{model} and leave {data} out"
    if group := _GROUP.search(text):
        inside = [each for each in known if each.startswith(f"--{group[1]}.") and not each.endswith(".help")]
        few = f", such as {inside[0]}" if inside else ""
        return f"--{group[1]} {group[2]}: this is a group of options: set those in it{few}, or name a file of them"
    text = _FAILED_LINK.sub("", text)
    if unknown := re.search(r"[Uu]nrecognized arguments: (\S+)", text):
        option = unknown[1].partition("=")[0]
        return f"there is no option {option}{_near(option, [*known])}"
    key = key_of(text)
    if missing := re.search(r"module '([\w.]+)' has no attribute '(\w+)'", text):
        module, name = missing.groups()
        guess = did_you_mean(name, [each for each in dir(import_module(module)) if each[0] != "_"])
        return f"{key + ': ' if key else ''}there is no {module}.{name}{guess}"
    return misfit(text) or text


def _near(option: str, known: list[str]) -> str:
    name = option.lstrip("-")
    if same := [each for each in known if each.endswith(f".{name}")]:
        return f"; did you mean {same[0]}?"
    return did_you_mean(option, known, _ELSEWHERE)
