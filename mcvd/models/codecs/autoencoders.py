"""The autoencoders that a codec may be, ours and those of diffusers: which classes, how they are asked, their files."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from inspect import signature
from math import inf
from pathlib import Path
from typing import Any, Literal, get_args

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from mcvd.models.codecs.patch_autoencoder import PatchAutoencoder
from mcvd.models.codecs.time_kinds import TimeKind, time_shape_of
from mcvd.models.files import CONFIG, MAX_CONFIG_BYTES, check_header, header_of, hub_refusal, write_weights
from mcvd.runtime.atomic import atomic_write
from mcvd.runtime.error_text import first_line, one_line
from mcvd.runtime.numbers import check_finite

FrameKind = Literal["PatchAutoencoder", "AutoencoderKL", "AutoencoderTiny", "VQModel"]  # each frame by itself
Kind = Literal[FrameKind, TimeKind]

WEIGHTS = "diffusion_pytorch_model.safetensors"  # as diffusers calls them
MEASURED = "latents.json"  # ours: mean, standard deviation and largest value of the latents of the training frames
_PIPELINE = "vae"  # where the folder of a whole pipeline holds its codec
_OF_TIME = ("tempor", "temper")  # in names of autoencoders of whole videos and of their arguments, as they spell it
_IN_WEIGHTS = {"latents_mean", "latents_std"}  # LTX's are buffers
_OLD_NAMES = {"query": "to_q", "key": "to_k", "value": "to_v", "proj_attn": "to_out.0"}  # of attention


def new_autoencoder(kind: str, arguments: Mapping[str, Any]) -> nn.Module:
    """An autoencoder with random weights.

    Raises:
        ValueError: it is none of `Kind`, or the arguments do not make one.
        ImportError: it is of diffusers, which is not installed; says how to.
    """
    if kind not in get_args(Kind):
        raise ValueError(f"a codec must be one of {', '.join(get_args(Kind))}, got {one_line(str(kind))}")
    cls = class_of(kind)
    unknown = arguments.keys() - signature(cls.__init__).parameters.keys()
    if unknown:
        raise ValueError(f"{kind} has no argument {one_line(min(unknown))}")
    form = _lists if kind in get_args(TimeKind) else _tuples
    try:
        return cls(**{name: form(value) for name, value in arguments.items()})
    except Exception as error:  # of any type, for arguments that do not fit each other
        raise ValueError(f"these arguments make no {kind}: {one_line(error)}") from error


def class_of(kind: str) -> type[nn.Module]:
    """The class of this name, one of `Kind`.

    Raises:
        ImportError: it is of diffusers, which is not installed; says how to.
    """
    if kind == PatchAutoencoder.__name__:
        return PatchAutoencoder
    try:
        import diffusers
    except ImportError as error:
        raise ImportError(f'{kind} needs the package diffusers (pip install "mcvd[latents]")') from error
    found: type[nn.Module] = getattr(diffusers, kind)
    return found


def latents_of(net: nn.Module, frames: Tensor) -> Tensor:
    """The latents of frames (N, C, H, W) in [-1, 1]: (N, c, h, w), not normalised; of a distribution its mode."""
    found = net.encode(frames, return_dict=False)[0]  # type: ignore[operator]
    return found if isinstance(found, Tensor) else found.mode()


def latents_of_part(net: nn.Module, frames: Tensor) -> Tensor:
    """The latents of frames that are coded together, (N, T, C, H, W) in [-1, 1]: (N, T', c, h, w), as `latents_of`."""
    return latents_of(net, frames.transpose(1, 2)).transpose(1, 2)


def frames_of_part(net: nn.Module, latents: Tensor) -> Tensor:
    """Frames (N, T, C, H, W) of latents (N, T', c, h, w) that were coded together, as `frames_of`."""
    return frames_of(net, latents.transpose(1, 2)).transpose(1, 2)


def frames_of(net: nn.Module, latents: Tensor) -> Tensor:
    """Frames (N, C, H, W) of latents (N, c, h, w), not clamped; discrete codecs take the nearest entries."""
    decoded: Tensor = net.decode(latents, return_dict=False)[0]  # type: ignore[operator]
    return decoded


def shape_of(kind: str, arguments: Mapping[str, Any]) -> tuple[int, int, int]:
    """Channels of the frames, channels of the latents, and how many pixels of a side make one latent.

    Raises:
        ValueError: they are no whole numbers above 0.
    """
    if kind in get_args(TimeKind):
        return time_shape_of(kind, arguments)[:3]
    if kind == PatchAutoencoder.__name__:
        names = ("in_channels", "latent_channels", "patch")
        defaults = signature(PatchAutoencoder).parameters
        shape = tuple(arguments.get(name, defaults[name].default) for name in names)
    else:
        tiny = kind == "AutoencoderTiny"
        levels = arguments.get("encoder_block_out_channels" if tiny else "block_out_channels", [0] * (4 if tiny else 1))
        latents = arguments.get("latent_channels", 3 if kind == "VQModel" else 4)
        if kind == "VQModel":
            latents = arguments.get("vq_embed_dim") or latents
        factor = 2 ** (len(levels) - 1) if isinstance(levels, list | tuple) and len(levels) < 10 else 0
        shape = (arguments.get("in_channels", 3), latents, factor)
    if not all(type(each) is int and each > 0 for each in shape):
        raise ValueError(
            f"these arguments make no {kind}: channels of frames and of latents, and how many times smaller these are, "
            f"must be whole numbers above 0, got {shape!r:.200}"
        )
    return shape[0], shape[1], shape[2]


@dataclass(frozen=True)
class StoredAutoencoder:
    """A codec in a folder of diffusers' layout.

    Args:
        kind, arguments: how it is made.
        mean, std: of its latents, one number for each channel; empty where nobody measured or told them.
        limit: the largest distance of a latent from the mean, in standard deviations; None where it is not known.
        weights: all of them, on the CPU.
    """

    kind: Kind
    arguments: dict[str, Any]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    limit: float | None
    weights: dict[str, Tensor]


def read_autoencoder(source: str) -> StoredAutoencoder:
    """Read a codec: a local folder, the folder of a whole pipeline, or ``user/name[@revision]`` on the Hub.

    Nothing of it is executed: the config names one of `Kind`, and weights are safetensors.

    Raises:
        FileNotFoundError: there is none.
        ValueError: what is there is damaged, or is no codec that is known.
    """
    folder = Path(source) if Path(source).is_dir() else _download(source)
    if not (folder / CONFIG).is_file() and (folder / _PIPELINE / CONFIG).is_file():
        folder = folder / _PIPELINE
    missing = [name for name in (CONFIG, WEIGHTS) if not (folder / name).is_file()]
    if missing:
        raise FileNotFoundError(f"{source} is not a codec in diffusers' layout: {' and '.join(missing)} missing")
    config, measured = _read_json(folder / CONFIG), {}
    if (folder / MEASURED).is_file():
        measured = _read_json(folder / MEASURED)
    kind: Any = config.get("_class_name")
    if kind not in get_args(Kind):
        why = ""
        if any(word in name.lower() for name in (str(kind), *config) for word in _OF_TIME):
            why = " (this one codes frames together, in a way that is not known here)"
        raise ValueError(
            f"{folder / CONFIG} is of the class {one_line(str(kind))}: a codec must be {', '.join(get_args(Kind))}{why}"
        )
    arguments = {name: value for name, value in config.items() if not name.startswith("_")}
    try:
        weights = {_new_name(name): value for name, value in load_file(folder / WEIGHTS).items()}
    except SafetensorError as error:
        raise ValueError(f"{folder / WEIGHTS} is damaged: {one_line(first_line(error))}") from error
    if kind in get_args(TimeKind):
        time_shape_of(kind, arguments)
    with torch.device("meta"):
        net = new_autoencoder(kind, arguments)
    for name, expected in net.state_dict().items():  # attention was once of 1x1 convolutions
        if name in weights and weights[name].ndim == expected.ndim + 2:
            weights[name] = weights[name].flatten(1)
    check_header(net, header_of(weights), folder / WEIGHTS)
    check_finite(weights, f"{folder / WEIGHTS}: weights")
    channels = shape_of(kind, arguments)[1]
    told = {**arguments, **{name: weights[name].tolist() for name in _IN_WEIGHTS & weights.keys()}}
    mean, std = _statistics(folder, told, measured, channels)
    limit = measured.get("limit")
    if limit is not None and not _are_numbers([limit], above=0.0):
        raise ValueError(f"{folder}: the limit of the latents must be a number above 0, got {limit!r:.80}")
    return StoredAutoencoder(kind, arguments, mean, std, None if limit is None else float(limit), weights)


def write_autoencoder(
    folder: str | Path, kind: str, arguments: Mapping[str, Any], weights: Mapping[str, Tensor], measured: dict[str, Any]
) -> None:
    """Write a codec as diffusers writes it, and what was measured of its latents, into a new folder: whole or not.

    Raises:
        FileExistsError: the folder holds something already.
    """
    folder = Path(folder)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise FileExistsError(f"{folder} is not empty: choose another folder, nothing was written")
    with atomic_write(folder) as part:
        part.mkdir()
        config = {"_class_name": kind, **arguments}
        (part / CONFIG).write_text(json.dumps(config, indent=2) + "\n")
        (part / MEASURED).write_text(json.dumps(measured, indent=2) + "\n")
        write_weights(weights, part / WEIGHTS, folder)
        (part / WEIGHTS).chmod((part / CONFIG).stat().st_mode)  # safetensors keeps others from reading what it writes


def _statistics(
    folder: Path, arguments: Mapping[str, Any], measured: Mapping[str, Any], channels: int
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation of the latents: as measured, or as the config of a published codec has them."""
    mean = measured.get("mean") or arguments.get("latents_mean") or [arguments.get("shift_factor") or 0.0] * channels
    factor = arguments.get("scaling_factor") or 1.0
    std = measured.get("std") or arguments.get("latents_std") or [1 / factor] * channels
    for name, values in {"mean": mean, "std": std}.items():
        if not _are_numbers(values, above=0.0 if name == "std" else -inf) or len(values) != channels:
            raise ValueError(f"{folder}: the {name} of the latents must be {channels} numbers, got {values!r:.80}")
    return tuple(map(float, mean)), tuple(map(float, std))


def _are_numbers(values: Any, above: float) -> bool:
    """Whether this is a list of numbers that float32 can hold, and be divided by where they must be above 0."""
    if not isinstance(values, list) or not all(type(each) in (int, float) for each in values):
        return False
    return all(above < each and (not each or 1e-30 < abs(each) < 1e30) for each in values)


def _read_json(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > MAX_CONFIG_BYTES:
            raise ValueError(f"{path} has more than {MAX_CONFIG_BYTES} bytes: it is no configuration")
        content = json.loads(path.read_text())
    except (json.JSONDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(f"{path} is damaged: {one_line(first_line(error))}") from error
    if not isinstance(content, dict):
        raise ValueError(f"{path} must hold a dictionary, got {type(content).__name__}")
    return content


def _new_name(name: str) -> str:
    """The name of a weight today, of one that files of before 2023 may have."""
    parts = name.split(".")
    if "attentions" in parts and len(parts) > 1:
        parts[-2] = _OLD_NAMES.get(parts[-2], parts[-2])
    return ".".join(parts)


def _tuples(value: Any) -> Any:
    return tuple(map(_tuples, value)) if isinstance(value, list) else value


def _lists(value: Any) -> Any:
    return [*map(_lists, value)] if isinstance(value, list | tuple) else value


def _download(source: str) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    name, _, revision = source.partition("@")
    files = [*(CONFIG, WEIGHTS, MEASURED), *(f"{_PIPELINE}/{each}" for each in (CONFIG, WEIGHTS, MEASURED))]
    try:
        return Path(snapshot_download(name, revision=revision or None, allow_patterns=files))
    except HFValidationError as error:
        raise FileNotFoundError(
            f"no codec in a folder {source} here: name the one that mcvd fit-codec made, or user/name on the Hub"
        ) from error
    except (HfHubHTTPError, LocalEntryNotFoundError) as error:
        raise FileNotFoundError(f"no codec in a folder {source} here, and {hub_refusal(error)}") from error
