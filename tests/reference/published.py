"""Small models as the published code keeps them, and the fixtures computed with it, where they are at hand."""

import copy
import json
from pathlib import Path

import pytest
import safetensors.torch
import torch
import yaml

from mcvd.models.published.checkpoint import build_net
from mcvd.models.published.config import translate_config
from mcvd.models.published.state_dict import translations

FOLDER = Path(__file__).parents[2] / "../shared/fixtures"
needs_fixtures = pytest.mark.skipif(not FOLDER.is_dir(), reason="the published fixtures (../shared) are not here")


def tensors(name):
    """The tensors of a fixture."""
    return safetensors.torch.load_file(FOLDER / f"{name}.safetensors")


def description(name):
    """What a fixture says of itself."""
    return json.loads((FOLDER / f"{name}.json").read_text())


CHOICES = {
    "data": {"image_size": 16, "channels": 1, "num_frames": 2, "num_frames_cond": 2, "num_frames_future": 1},
    "model": {
        "arch": "unetmore", "version": "DDPM", "ngf": 8, "ch_mult": [1, 2], "num_res_blocks": 1,
        "attn_resolutions": [8], "n_head_channels": 8, "spade": True, "spade_dim": 8, "cond_emb": True,
        "sigma_dist": "linear", "sigma_begin": 0.02, "sigma_end": 0.0001, "num_classes": 100, "dropout": 0.1,
    },
}  # fmt: skip


OF_DATA = ("rescaled", "logit_transform", "uniform_dequantization", "gaussian_dequantization")


def choices(**changes):
    """The small configuration with some entries of `model` or `data` changed."""
    changed = copy.deepcopy(CHOICES)
    for key, value in changes.items():
        section = "data" if key in changed["data"] or key in OF_DATA or key.startswith("prob_mask") else "model"
        changed[section][key] = value
    return changed


def published_shapes(net):
    """Names and shapes of the published tensors of one of our networks."""
    ours = {name: tuple(tensor.shape) for name, tensor in net.state_dict().items()}
    return {name: each.published_shape(ours[each.ours]) for each in translations(net) for name in each.published}


def random_state(changed=CHOICES, seed=0):
    """Random weights under their published names."""
    generator = torch.Generator().manual_seed(seed)
    shapes = published_shapes(build_net(translate_config(changed)))
    return {name: torch.randn(shape, generator=generator) for name, shape in shapes.items()}


def write(folder, states, changed=CHOICES):
    """A checkpoint and its configuration as files."""
    checkpoint, config = folder / "checkpoint.pt", folder / "config.yml"
    torch.save(states, checkpoint)
    config.write_text(yaml.safe_dump(changed))
    return checkpoint, config


def checkpoint_of(raw, averaged=None):
    """What the published code saves: model (prefixed by data-parallel training), optimiser, epoch, step, averages."""
    prefixed = {f"module.{name}": tensor for name, tensor in raw.items()}
    return [prefixed, {"state": {0: {"step": 1}}}, 3, 70, *([] if averaged is None else [averaged])]
