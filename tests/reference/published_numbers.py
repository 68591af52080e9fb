"""What the published code computes with weights and inputs that are named here, so that numbers alone are kept.

``published_numbers.json`` says of each case the config, the digest of its state dict's names and shapes, and how many
parameters there are; ``.safetensors`` holds every second pixel of what it answered (every eighth of the one at full
size), computed in float64, for the inputs and noises below.
"""

import hashlib
import json
import zlib
from pathlib import Path

import safetensors.torch
import torch

from mcvd.models.published.checkpoint import build_net
from mcvd.models.published.config import translate_config
from mcvd.models.published.state_dict import translate
from mcvd.runtime.rng import keyed_generator

FILE = Path(__file__).with_suffix(".json")
ABOUT = json.loads(FILE.read_text())
LABELS = torch.tensor([37.0, 905.0])


def answers(case):
    """The published answers of a case by name."""
    every = safetensors.torch.load_file(FILE.with_suffix(".safetensors"))
    return {name.removeprefix(f"{case}."): each for name, each in every.items() if name.startswith(f"{case}.")}


def normal(name, shape, scale=1.0):
    """Standard normal numbers that a name stands for."""
    drawn = keyed_generator((zlib.crc32(name.encode()),)).standard_normal(tuple(shape), dtype="float32")
    return torch.from_numpy(drawn) * scale


def state(case, shapes):
    """Weights under their published names, {name: shape} -> {name: tensor}."""
    scale = 0.2 if "pseudo" in ABOUT[case]["config"]["model"]["arch"] else 0.05
    return {
        name: normal(name, shape, scale) + name.endswith(("Norm_0.weight", "GroupNorm_0.weight"))
        for name, shape in shapes.items()
    }


def names_and_shapes_digest(shapes):
    """The digest of {name: shape} that the cases hold of the published state dict."""
    lines = sorted(f"{name} {tuple(shape)}" for name, shape in shapes.items())
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def network(case, shapes):
    """Our network with the weights of a case."""
    net = build_net(translate_config(ABOUT[case]["config"])).to_empty(device="cpu").eval()
    net.load_state_dict(translate(net, state(case, shapes)))
    return net


def inputs(case):
    """(noisy frames, past, future) of two samples."""
    data = ABOUT[case]["config"]["data"]
    channels, side, past, future = (
        data[key] for key in ("channels", "image_size", "num_frames_cond", "num_frames_future")
    )
    x, context = (
        normal(name, (2, num * channels, side, side)).unflatten(1, (-1, channels))
        for name, num in (("x", data["num_frames"]), ("cond", past + future))
    )
    return x, *context.clamp(-1, 1).split([past, future], dim=1)


class Draws:
    """The noises in the order in which the published code drew them."""

    def __init__(self):
        self.num_draws = 0

    def __call__(self, x):
        """The next one, for frames (B, T, C, H, W)."""
        self.num_draws += 1
        return normal(f"draw{self.num_draws - 1}", x.flatten(1, 2).shape).view_as(x).to(x.dtype)
