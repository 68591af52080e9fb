"""What is wrong with the words of a training, as far as they alone tell: seconds before Lightning is imported."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mcvd.models.files import read_model
from mcvd.runtime.paths import check_writable
from mcvd.runtime.yaml_file import read_yaml
from mcvd.training.named_configs import DEFAULT_CONFIG, config_names, find_config
from mcvd.training.option_words import MODEL, unknown_option

NO_VIDEOS = "no training videos: name a folder of videos with --data.root FOLDER"
ROOT = "--trainer.default_root_dir"
_DISTILL = "mcvd distill MODEL --config data.yaml (or --data.root FOLDER)"
_CLASSIFIER = "mcvd fit-classifier MODEL --config data.yaml (or --data.root FOLDER)"


class ConfigError(ValueError):
    """An option or a key of a config file that does not exist or does not fit."""


@dataclass(frozen=True)
class First:
    """The first word of a command that trains something for a model: that model.

    Args:
        option: of what is trained, that the word is the value of.
        refusal: what is said where it is missing.
    """

    option: str
    refusal: str


TEACHER = First("teacher", f"name the teacher first, then its videos: {_DISTILL}")
GUIDED = First("guides", f"name the model to guide first, then its videos: {_CLASSIFIER}")


def named_first(words: Sequence[str], first: First) -> list[str]:
    """The words of a command, the first of them, a model, as the value of an option of what is trained for it.

    Raises:
        ConfigError: no model is named.
    """
    if not words or (words[0].startswith("-") and not _asks_help(words)):
        raise ConfigError(first.refusal)
    name = words[0] if words[0].startswith("-") else f"--model.{first.option}={words[0]}"
    return [name, *words[1:]]


def check_words(words: Sequence[str], model: str, others: Sequence[str] = ()) -> None:
    """Look for the options that the words of a training name, and for the models, configs and folders.

    Args:
        words: options, such as ``["--model.teacher=drive", "--data.root", "videos"]``.
        model, others: of the command, see `mcvd.training.option_words.unknown_option`.

    Raises:
        ConfigError: there is no such option, and one of nearly that name.
        FileNotFoundError: a model, a config or a folder of videos is not there.
        OSError: nothing can be written where the run is to be.
    """
    if _asks_help(words):
        return
    if unknown := unknown_option(words, model, others):
        raise ConfigError(unknown)
    for config in _configs(words):
        find_config(config)
    for option in (f"--model.{TEACHER.option}", f"--model.{GUIDED.option}"):
        _check_model(values_of(option, words))
    for option in ("root", "val_root"):
        for folder in _last(f"--data.{option}", words):
            check_folder(option, folder)
    for folder in _last(ROOT, words):
        check_writable(Path(folder), f"{ROOT} {folder}")


def check_fit_words(words: Sequence[str]) -> None:
    """Look through the words of ``mcvd fit``; see `check_words`.

    Raises:
        ConfigError: options exclude each other, or nothing says what to train on what.
        FileNotFoundError: a model, a config or a folder of videos is not there.
    """
    check_words(words, MODEL)
    if _asks_help(words):
        return
    options, starts_from = option_names(words), _last("--init_from", words)
    configs = _configs(words)
    check_one_start(bool(_last("--ckpt_path", words)), bool(starts_from))
    if not names_a_model(options):
        check_names_data(options)
    elif configs and not any(map(_may_name_videos, configs)) and not _names_data(options):
        raise ConfigError(NO_VIDEOS)
    if "--init_from" in options:
        value_of("--init_from", words)
    _check_model(starts_from)


def check_one_start(resumes: bool, starts_from: bool) -> None:
    """A run is resumed or begun.

    Raises:
        ConfigError: both are asked for.
    """
    if resumes and starts_from:
        raise ConfigError("--ckpt_path resumes a run, --init_from starts a new one: give one of them")


def check_folder(option: str, folder: str | Path) -> None:
    """A folder of videos is there.

    Raises:
        FileNotFoundError: it is not.
    """
    if not Path(folder).exists():
        raise FileNotFoundError(f"--data.{option} {folder}: no such folder of videos")


def names_a_model(options: Sequence[str]) -> bool:
    """Whether options say what is trained, or ask for help, which needs nothing else.

    A part of a block alone says what is different in that of a config or, with ``--init_from``, of a model.
    """
    asks = _asks_help(options) or any(each in ("-c", "--config") or each.startswith("--print_") for each in options)
    if asks or "--model" in options:
        return True
    whole_block = "--model.block" in options or {"--model.block.past", "--model.block.current"} <= {*options}
    return (whole_block and "--init_from" not in options) or any(
        option.startswith(("--model.teacher", "--model.num_frames", "--model.guides")) for option in options
    )


def check_names_data(options: Sequence[str]) -> None:
    """An option names videos.

    Raises:
        ConfigError: none does, and no config is named that might.
    """
    if not _names_data(options):
        raise ConfigError(
            f"name a config and a folder of videos: mcvd fit --config {DEFAULT_CONFIG} --data.root FOLDER (configs "
            f"of mcvd: {', '.join(name for name in config_names() if '/' not in name)}, published/...)"
        )


def _may_name_videos(config: str) -> bool:
    """Whether a config says what to train on; what is wrong with the file is told later."""
    try:
        section = read_yaml(find_config(config)).get("data")
    except (ValueError, OSError):
        return True
    return bool({"root", "train"} & section.keys()) if isinstance(section, dict) else section is not None


def check_names_videos(words: Sequence[str]) -> None:
    """The words of a codec's training say something.

    Raises:
        ConfigError: there are none.
    """
    if not words:
        raise ConfigError("name the videos: mcvd fit-codec --config data.yaml (or --data.root FOLDER)")


def option_names(words: Sequence[str]) -> list[str]:
    """The words without the values behind =."""
    return [word.partition("=")[0] for word in words]


def values_of(option: str, words: Sequence[str]) -> list[str]:
    """What follows an option each time that it is named, as a word of its own or behind =."""
    found: list[str] = []
    for place, word in enumerate(words):
        name, equals, value = word.partition("=")
        if name == option:
            found += [value] if equals else words[place + 1 : place + 2]
    return found


def value_of(option: str, words: Sequence[str]) -> str:
    """The model that follows an option.

    Raises:
        ConfigError: nothing does.
    """
    found = values_of(option, words)
    if not found:
        raise ConfigError(f"{option} needs a model: an exported folder, a .ckpt file, user/name on the Hub, or bundled")
    return found[0]


def _last(option: str, words: Sequence[str]) -> list[str]:
    """What an option is last set to, if that is something."""
    return [value for value in values_of(option, words)[-1:] if value not in ("null", "")]


def _names_data(options: Sequence[str]) -> bool:
    return any(option.startswith(("--data", "--print_")) for option in options)


def _configs(words: Sequence[str]) -> list[str]:
    return [config for option in ("--config", "-c") for config in values_of(option, words)]


def _check_model(names: Sequence[str]) -> None:
    for name in names:
        if not Path(name).exists() and "/" not in name:  # a name with / may be one on the Hub
            read_model(name)


def _asks_help(words: Sequence[str]) -> bool:
    """For all options, or for those of one class: ``--model.net.help UNet``."""
    return any(name in ("-h", "--help") or name.endswith(".help") for name in option_names(words))
