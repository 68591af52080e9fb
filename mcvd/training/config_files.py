"""What the config files of ``mcvd fit`` may name: classes that fit their place, and no function."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from lightning import Trainer

from mcvd.data.datamodule import VideoData
from mcvd.data.recipe import SLOTS as DATA_SLOTS
from mcvd.models.config import SLOTS as MODEL_SLOTS
from mcvd.models.mcvd import MCVD
from mcvd.runtime.named_classes import check_classes
from mcvd.runtime.suggest import did_you_mean
from mcvd.runtime.yaml_file import read_yaml


def sections_of(callbacks: Mapping[str, type]) -> dict[str, type]:
    """The class of each section of a config: model, data and trainer, and those of callbacks, beside or in place."""
    return {"model": MCVD, "data": VideoData, "trainer": Trainer, **callbacks}


def check_config_files(argv: Sequence[str], callbacks: Mapping[str, type], options: Collection[str]) -> None:
    """Look through every file that ``--config`` names, before any class in it is imported or called.

    Who trains names classes of any module, as on the command line. But a ``data.yaml`` or a ``config.yaml`` may come
    from somebody else: each path in it must be that of a class which fits the argument that takes it.

    Args:
        argv: the words after ``mcvd fit``.
        callbacks: the class of each section beside ``model``, ``data`` and ``trainer``, or in their place.
        options: that the command has, such as ``--data.root``.

    Raises:
        ValueError: one names something else, or a section or an argument that does not exist; says where.
    """
    parser = ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    parser.add_argument("-c", "--config", action="append", default=[])
    sections = sections_of(callbacks)
    slots = {**MODEL_SLOTS, **DATA_SLOTS}
    known = {*sections, *(option.removeprefix("--").partition(".")[0] for option in options if option[:2] == "--")}
    for path in parser.parse_known_args(list(argv))[0].config:
        if not Path(path).is_file():  # the parser of all options says so
            continue
        found = read_yaml(path)
        if {"block", "net"} <= found.keys():
            folder = Path(path).parent
            raise ValueError(f"{path} is the config of a model: to train that further take --init_from {folder}")
        for name, content in found.items():
            try:
                if not str(name).isidentifier():
                    raise ValueError(f"the key {name!r} is not the name of a section")
                if name not in known:
                    meant = did_you_mean(name, known) or f"; there are {', '.join(sections)}"
                    raise ValueError(f"there is no section {name}{meant}")
                if content is None and name in sections:
                    raise ValueError(f"the section {name} is empty: leave it out, or write its options below it")
                if name in sections:
                    check_classes(sections[name], content, slots, trust=True, where=name)
            except ValueError as error:
                raise ValueError(f"{path}: {error}") from None
