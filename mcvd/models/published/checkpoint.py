"""Checkpoints of the published MCVD code, read safely, and exactly or not at all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mcvd.models.files import is_state_dict, safe_load
from mcvd.models.published.config import read_config, translate_config
from mcvd.models.published.state_dict import BUFFERS, translate
from mcvd.models.video_model import VideoModel
from mcvd.nets import UNet, UNet3D
from mcvd.noise import AbstractNoiseSchedule, Cosine, LinearBeta

_SCHEDULES = {"mcvd.noise.Cosine": Cosine, "mcvd.noise.LinearBeta": LinearBeta}


@dataclass(frozen=True)
class PublishedModel:
    """A published model in our terms.

    Args:
        config: the model's configuration, class paths and arguments, as in the config.json of an exported folder.
        state: state dict of its network, float32.
    """

    config: dict[str, Any]
    state: dict[str, Tensor]


def read_published(checkpoint: str | Path, config: str | Path, use_ema: bool = True) -> PublishedModel:
    """Read a checkpoint of the published MCVD code and its config.yml; neither file can execute code.

    Args:
        checkpoint: ``checkpoint_*.pt``, a list of model state, optimiser, epoch, step and averaged weights.
        config: the YAML beside it; see `mcvd.models.published.keys` for what of it is read.
        use_ema: take the averaged weights, with which the published results were made.

    Raises:
        ValueError: for a damaged or hostile file, a model of another family, or weights that do not fit the
            configuration, in one line that names the file.
        FileNotFoundError: if a file is not there.
    """
    choices = read_config(config)
    try:
        ours = translate_config(choices)
        net = build_net(ours)
    except ValueError as error:
        raise ValueError(f"{config}: {error}") from error
    try:
        state = _read_state(Path(checkpoint), use_ema)
        check_schedule(ours["schedule"], state)
        return PublishedModel(ours, translate(net, state))
    except ValueError as error:
        raise ValueError(f"{checkpoint}: {error}") from error


def build_net(config: Mapping[str, Any]) -> UNet | UNet3D:
    """The network of a translated configuration on the meta device: its structure, without memory for weights."""
    with torch.device("meta"):
        net = VideoModel.from_config(dict(config)).denoiser.net
    assert isinstance(net, UNet | UNet3D)
    return net


def check_schedule(schedule: Mapping[str, Any], state: Mapping[str, Tensor]) -> None:
    """Compare the cumulative alphas that a checkpoint carries with those of the configuration.

    Args:
        schedule: class path and arguments, as in a translated configuration.
        state: published state dict; without ``alphas`` there is nothing to compare.

    Raises:
        ValueError: if they are not the same.
    """
    if "alphas" not in state:
        return
    arguments = schedule["init_args"]
    num_steps, alphas = arguments["num_steps"], state["alphas"].double()
    same = alphas.shape == (num_steps,)  # before memory is taken: the configuration may claim any number
    if same:  # up to what float32 products of a thousand factors lose on their side
        same = torch.allclose(alphas, _published_alphas(schedule), rtol=1e-3, atol=1e-6)
    if not same:
        raise ValueError(
            f"its noise schedule is not the one of the configuration, {schedule['class_path']} with {dict(arguments)}; "
            "is this the right config.yml?"
        )


def _published_alphas(schedule: Mapping[str, Any]) -> Tensor:
    """Cumulative alphas in the published order, the noisiest first, float64 (num_steps,)."""
    ours: AbstractNoiseSchedule = _SCHEDULES[schedule["class_path"]](**schedule["init_args"])
    return ours(torch.arange(ours.num_steps, 0, -1, dtype=torch.float64) / ours.num_steps).alpha ** 2


def _read_state(path: Path, use_ema: bool) -> dict[str, Tensor]:
    """Weights and schedule buffers of a checkpoint under their published names."""
    states = _load(path)
    if not isinstance(states, list | tuple) or len(states) not in (4, 5):
        raise ValueError(
            "not a published checkpoint: expected a list of model, optimiser, epoch, step and averaged weights, "
            f"got {type(states).__name__}"
        )
    raw = _tensors(states[0])
    if not use_ema:
        return raw
    if len(states) == 4:
        raise ValueError("it holds no averaged weights; read the raw ones with use_ema=False")
    # The averages cover the parameters only.
    return {name: tensor for name, tensor in raw.items() if name in BUFFERS} | _tensors(states[4])


def _load(path: Path) -> Any:
    """What a pickle holds if it is tensors, numbers and containers; nothing in it is executed."""
    with path.open("rb"):
        pass  # a file that cannot be opened is another error than one that cannot be read
    try:
        return safe_load(path, mapped=True)  # the optimiser's state, twice the size of the model, is never read
    except MemoryError:
        raise
    except Exception as error:  # a damaged pickle raises almost anything
        raise ValueError(
            "not a readable checkpoint: it is damaged, or holds more than tensors and numbers "
            f"({type(error).__name__}); nothing in it was executed"
        ) from error


def _tensors(state: Any) -> dict[str, Tensor]:
    """A state dict without the prefixes that data-parallel training leaves."""
    if not is_state_dict(state):
        raise ValueError("not a published checkpoint: the model's state must be a dictionary of tensors")
    return {name.removeprefix("module."): tensor for name, tensor in state.items()}
