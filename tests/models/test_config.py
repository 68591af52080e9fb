"""How a model is made, written down and read back; and that a config from anybody runs nothing but mcvd."""

import json
import os
from functools import partial

import pytest
import torch
from reference.own_network import Both, OwnUNet, WithoutAnnotation
from reference.tiny import tiny_config

import mcvd
from mcvd.models.config import config_of, foreign_classes, model_from_config
from mcvd.nets import SPATIN, UNet

SMALL = {"width": 8, "multipliers": (1, 2), "attention_levels": (1,), "head_channels": 8}
OWN = ["reference.own_network"]


def made(**arguments):
    return mcvd.MCVD(mcvd.FrameBlock(1, 2, 1), size=(16, 16), **arguments)


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"net": partial(UNet, **SMALL)},
        {"net": partial(UNet, **SMALL, conditioning=SPATIN(8, tell_noise=True)), "context_noise": 0.1},
        {"schedule": mcvd.noise.Cosine(offset=0.01), "predicts": "v", "min_snr": 5.0},
        {"masking": mcvd.Masking(0.5, 0.5, tied=True), "channels": 1, "frame_rate_hz": 12.5, "seed": 3},
        {"net": partial(UNet, **SMALL, conditioning=Both(4))},
        {"net": OwnUNet},
        {"net": partial(OwnUNet, conditioning=SPATIN(4), words=["two words", "os.path"])},
    ],
    ids=str,
)
def test_what_was_given_in_python_is_made_again(arguments):
    model = made(**arguments)
    config = json.loads(json.dumps(model.config))
    again = mcvd.build(config, trust=OWN)
    assert again.config == config
    for name in ("block", "size", "channels", "masking", "context_noise", "frame_rate_hz", "seed", "warmup_steps"):
        assert getattr(again, name) == getattr(model, name), name
    one, two = model.denoiser, again.denoiser
    assert (one.schedule, one.predicts, one.min_snr) == (two.schedule, two.predicts, two.min_snr)
    assert type(one.net) is type(two.net) and one.net.conditioning == two.net.conditioning
    shapes = [{name: value.shape for name, value in each.state_dict().items()} for each in (model, again)]
    assert shapes[0] == shapes[1]


def test_defaults_are_written_down_and_class_paths_are_short():
    net = made().config["net"]
    assert net["class_path"] == "mcvd.nets.UNet" and net["init_args"]["width"] == 64
    assert net["init_args"]["conditioning"]["class_path"] == "mcvd.nets.Concat"


def local_class():
    class Local(UNet):
        pass

    return Local


@pytest.mark.parametrize(
    ("net", "named"),
    [
        (lambda block, channels: UNet(block, channels, **SMALL), "net is a function"),
        (partial(lambda block, channels: UNet(block, channels, **SMALL)), "net is a function"),
        (local_class(), "net is local_class.<locals>.Local, defined in another function"),
        (WithoutAnnotation, "net.conditioning takes an object and has no annotation"),
    ],
)
def test_what_cannot_be_written_down_is_named_when_it_is_saved(net, named, tmp_path):
    model = made(net=net)
    with pytest.raises(ValueError, match=f"this model cannot be saved: {named}"):
        model.save_pretrained(tmp_path / "m")
    assert not (tmp_path / "m").exists()


def test_classes_of_ones_own_are_found():
    assert foreign_classes(made(net=partial(UNet, **SMALL, conditioning=Both(4))).config) == [
        "reference.own_network.Both"
    ]
    assert foreign_classes(tiny_config()) == []


OWN_CONFIG = {"net": {"class_path": "reference.own_network.OwnUNet"}, "block": {"past": 1, "current": 2}}


@pytest.mark.parametrize("trust", [True, OWN, ["reference"], "reference"])
def test_a_class_of_ones_own_is_made_with_trust(trust):
    assert type(mcvd.build(OWN_CONFIG, trust=trust).denoiser.net) is OwnUNet


@pytest.mark.parametrize("trust", [False, [], ["ref"], ["reference.own_network.other"], ["os"]])
def test_and_refused_without_it_saying_what_to_do(trust):
    with pytest.raises(ValueError, match=r"only classes of mcvd.*trust=\['reference.own_network'\].*--trust reference"):
        mcvd.build(OWN_CONFIG, trust=trust)


def test_a_trusted_module_that_is_not_there_is_named():
    with pytest.raises(ValueError, match=r"nowhere.Net.*cannot be imported here.*PYTHONPATH"):
        mcvd.build(OWN_CONFIG | {"net": {"class_path": "nowhere.Net"}}, trust=["nowhere"])


HIDDEN = "os\\x2egetloadavg"  # as YAML reads it: os.getloadavg


@pytest.mark.parametrize(
    "net",
    [
        {"class_path": "os.getloadavg"},
        {"class_path": "mcvd.runtime.atomic.os.getloadavg"},
        {"class_path": "mcvd.nets.unet.nn.Linear"},
        {"class_path": "mcvd.nets.Nothing"},
        {"class_path": "Linear"},
        {"class_path": f'"{HIDDEN}"'},
        {"class_path": 7},
        "os.getloadavg",
        "mcvd.runtime.atomic.os.getloadavg",
        f'{{"class_path": "{HIDDEN}"}}',
        '{"class_path": "os.getloadavg"}',
        ["os.getloadavg"],
    ],
    ids=str,
)
@pytest.mark.parametrize("key", ["net", "schedule", "net.class_path", "masking"])
def test_a_config_calls_no_function(key, net, monkeypatch):
    called = []
    monkeypatch.setattr(os, "getloadavg", lambda: called.append(1))
    for config in ({key: net}, {"net": {"class_path": "mcvd.nets.UNet", "init_args": {"conditioning": net}}}):
        with pytest.raises(ValueError, match="config"):
            mcvd.build({"block": {"past": 1, "current": 2}, "size": [16, 16]} | config)
    assert not called


@pytest.mark.parametrize("name", ["os.getloadavg", "dataclass", "HERE", "nothing"])
def test_trust_in_a_module_is_no_trust_in_what_it_imports(name, monkeypatch):
    called = []
    monkeypatch.setattr(os, "getloadavg", lambda: called.append(1))
    config = OWN_CONFIG | {"net": {"class_path": f"reference.own_network.{name}"}}
    with pytest.raises(ValueError, match=r"not a class that is defined there|cannot be imported here"):
        mcvd.build(config, trust=OWN)
    assert not called


@pytest.mark.parametrize(
    ("key", "value", "wanted"),
    [
        ("masking", True, "of the arguments of Masking"),
        ("frame_noise", 0.5, "of the arguments of FrameNoise"),
        ("block", 5, "of the arguments of FrameBlock"),
        ("net", 3, "with class_path and init_args"),
    ],
)
def test_a_number_in_place_of_an_object_is_named(key, value, wanted):
    config = {"block": {"past": 1, "current": 2}, "size": [16, 16]} | {key: value}
    with pytest.raises(ValueError, match=f"config.{key} is {value}, expected a dictionary {wanted}"):
        mcvd.build(config)


@pytest.mark.parametrize(
    ("signals", "says"),
    [
        ({"names": ["a"], "std": [0]}, "signals.std must be above 0, got 0"),
        ({"names": 3}, "signals.names: expected a list"),
    ],
)
def test_what_is_wrong_inside_an_object_that_may_be_left_out_is_told_in_words(signals, says):
    with pytest.raises(ValueError, match=f"does not make a model: {says}") as refused:
        mcvd.build(tiny_config() | {"signals": signals})
    assert "<class" not in str(refused.value)


def test_any_dataclass_is_written_and_read():
    config = config_of(SPATIN, {"width": 16})
    assert model_from_config(SPATIN, config) == SPATIN(16)


def test_a_default_that_was_used_is_a_default_still():
    made(net=partial(UNet, **SMALL)).denoiser.schedule(torch.ones(1))
    assert made(net=partial(UNet, **SMALL)).config["schedule"]["init_args"].keys() == {
        "num_steps",
        "beta_min",
        "beta_max",
    }
    assert mcvd.build(tiny_config()).size == (16, 16)
