"""What a file may name: of all that is reached through mcvd the classes on the list of a slot, and nothing else."""

import importlib
import os
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass

import pytest
from torch import nn

import mcvd
from mcvd.data.datamodule import VideoData
from mcvd.data.recipe import SLOTS as DATA_SLOTS
from mcvd.data.videos import AbstractVideos
from mcvd.models.config import SLOTS as MODEL_SLOTS
from mcvd.nets import AbstractConditioning
from mcvd.noise import AbstractNoiseSchedule
from mcvd.runtime.named_classes import NotTrustedError, check_classes


def net(value):
    return {"net": {"class_path": "mcvd.nets.UNet", "init_args": value}}


ZERO = {"class_path": "mcvd.noise.ZeroTerminalSNR"}
HELD = {"class_path": "mcvd.data.InMemoryVideos"}
MODEL, DATA = (mcvd.MCVD, MODEL_SLOTS), (VideoData, DATA_SLOTS)
# Where an object is made: the class and the lists, the config with it in its place, and what may stand there.
PLACES = {
    "net": (MODEL, lambda value: {"net": value}, {"UNet", "UNet3D", "SpaceTimeUNet"}),
    "conditioning": (MODEL, lambda value: net({"conditioning": value}), {"Concat", "SPATIN"}),
    "schedule": (
        MODEL, lambda value: {"schedule": value}, {"LinearBeta", "Cosine", "Geometric", "SubVP", "ZeroTerminalSNR"},
    ),
    "schedule within": (
        MODEL,
        lambda value: {"schedule": ZERO | {"init_args": {"schedule": value}}},
        {"LinearBeta", "Cosine", "Geometric", "SubVP", "ZeroTerminalSNR"},
    ),
    "masking": (MODEL, lambda value: {"masking": value}, {"Masking"}),
    "block": (MODEL, lambda value: {"block": value}, {"FrameBlock"}),
    "optimizer": (MODEL, lambda value: {"optimizer": value}, set()),
    "size": (MODEL, lambda value: {"size": value}, set()),
    "size, an item": (MODEL, lambda value: {"size": [value, 16]}, set()),
    "width": (MODEL, lambda value: net({"width": value}), set()),
    "an argument that is none": (MODEL, lambda value: {"nothing": value}, set()),
    "train": (DATA, lambda value: {"train": value}, ...),
    "collections": (
        DATA,
        lambda value: {"val": {"class_path": "mcvd.data.ConcatVideos", "init_args": {"collections": [value]}}},
        ...,
    ),
    "videos": (DATA, lambda value: {"train": HELD | {"init_args": {"videos": value}}}, ...),
    "cached videos": (
        DATA,
        lambda value: {"train": {"class_path": "mcvd.data.CachedVideos", "init_args": {"videos": value}}},
        {"VideoFolder"},
    ),
    "augment": (DATA, lambda value: {"augment": value}, {"Augmentation"}),
}  # fmt: skip
COLLECTIONS = {path.rpartition(".")[2] for path in DATA_SLOTS[AbstractVideos]}


def reachable():
    """Every attribute of every module of mcvd as a path, and one of each module that it holds: (path, object)."""
    found = {}
    for info in pkgutil.walk_packages(mcvd.__path__, "mcvd."):
        module = importlib.import_module(info.name)
        for name in dir(module):
            found[f"{info.name}.{name}"] = value = getattr(module, name)
            if type(value) is type(os):
                deeper = "getcwd" if value is os else next((each for each in vars(value) if each[0] != "_"), "x")
                found[f"{info.name}.{name}.{deeper}"] = getattr(value, deeper, None)
    return found


@pytest.fixture(scope="module")
def everything():
    found = reachable()
    assert len(found) > 3000 and "mcvd.runtime.atomic.os.getcwd" in found
    return found


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("form", ["dictionary", "text"])
def test_everything_that_mcvd_reaches_is_refused_unless_it_is_on_the_list_of_the_slot(place, form, everything):
    (cls, slots), config, names = PLACES[place]
    names = COLLECTIONS if names is ... else names
    accepted, denied = set(), 0
    for path, value in everything.items():
        given = {"class_path": path} if form == "dictionary" else path
        try:
            check_classes(cls, config(given), slots)
        except NotTrustedError:
            denied += 1
            continue
        is_own_name = isinstance(value, type) and path.rpartition(".")[0] in value.__module__
        assert is_own_name or not names, path
        accepted.add(path.rpartition(".")[2])
    if names == set() and form == "text":
        return  # what takes numbers alone is given a text: its parser refuses it, and makes nothing of it
    assert accepted == names and denied > 3000


def test_an_argument_that_is_none_is_told_with_the_nearest():
    (cls, slots), _, _ = PLACES["width"]
    with pytest.raises(NotTrustedError, match=r"config has no key blok; did you mean block\?"):
        check_classes(cls, {"blok": {"past": 1}}, slots)
    with pytest.raises(NotTrustedError, match=r"config\.net\.init_args has no key widht; did you mean width\?"):
        check_classes(cls, net({"widht": 8}), slots)


def test_what_takes_no_object_makes_none_of_a_text(monkeypatch):
    called = []
    monkeypatch.setattr(os, "getcwd", lambda: called.append(1) or "/")
    for place, (_, config, names) in PLACES.items():
        if names == set():
            with pytest.raises(ValueError, match="config"):
                mcvd.build({"block": {"past": 1, "current": 2}} | config("mcvd.runtime.atomic.os.getcwd"))
            assert not called, place


class Other(AbstractConditioning):
    """Of a user, and not on any list."""


@dataclass
class Owner:
    net: Callable[[int], nn.Module]
    some: list[AbstractNoiseSchedule] | None = None
    by_name: dict[str, AbstractConditioning] | None = None


HERE = __name__


@pytest.mark.parametrize(
    ("config", "made"),
    [
        ({"some": ["mcvd.noise.Cosine"]}, {"some": [{"class_path": "mcvd.noise.Cosine"}]}),
        ({"by_name": {"a": "mcvd.nets.SPATIN"}}, {"by_name": {"a": {"class_path": "mcvd.nets.SPATIN"}}}),
        ({"some": None}, {"some": None}),
        ({"net": "mcvd.nets.unet.UNet"}, {"net": {"class_path": "mcvd.nets.UNet"}}),
        ({"net": "UNet"}, {"net": {"class_path": "mcvd.nets.UNet"}}),
    ],
    ids=str,
)
def test_objects_are_found_in_lists_and_dictionaries(config, made):
    assert check_classes(Owner, config, MODEL_SLOTS) == made


@pytest.mark.parametrize(
    "config",
    [
        {"some": ["mcvd.nets.SPATIN"]},
        {"some": "mcvd.noise.Cosine"},
        {"by_name": {"a": "mcvd.noise.Cosine"}},
        {"by_name": {"a": f"{HERE}.Other"}},
        {"net": f"{HERE}.Other"},
        {"net": {"class_path": "mcvd.nets.UNet", "call": 1}},
        {"net": {"class_path": "mcvd.nets.UNet", "init_args": [1]}},
        {"net.init_args": {}},
        {"net": {"class_path": "mcvd.nets.UNet", "init_args": {"conditioning.class_path": "os.getcwd"}}},
        [],
        "os.getcwd",
    ],
    ids=str,
)
def test_and_refused_there(config):
    with pytest.raises(NotTrustedError):
        check_classes(Owner, config, MODEL_SLOTS)


def test_with_all_trusted_a_class_of_ones_own_stands_where_it_fits_and_a_function_nowhere():
    assert check_classes(Owner, {"by_name": {"a": f"{HERE}.Other"}}, MODEL_SLOTS, trust=True)
    for path in (
        f"{HERE}.Other",
        "subprocess.Popen",
        "os.getcwd",
        "mcvd.runtime.atomic.os.getcwd",
        f"{HERE}.nn.Linear",
    ):
        with pytest.raises(NotTrustedError, match=r"not a class that is defined there and a Module|cannot be imported"):
            check_classes(Owner, {"net": path}, MODEL_SLOTS, trust=True)
    assert check_classes(Owner, {"net": "torch.nn.Linear"}, MODEL_SLOTS, trust=True)
