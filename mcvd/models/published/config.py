"""The config.yml of the published MCVD code -> our configuration, and what of it we cannot read."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mcvd.models.published.keys import check_keys
from mcvd.runtime.yaml_file import read_yaml

# Whether a 3-D network convolves over space and time one after the other; None for the 2-D network.
_FACTORIZED = {"unetmore": None, "unetmore3d": False, "unetmorepseudo3d": True}

GAMMA_SCALE = 0.001

_NAMESPACE = "tag:yaml.org,2002:python/object:argparse.Namespace"


def read_config(path: str | Path) -> dict[str, Any]:
    """A published config.yml: a dump of nested `argparse.Namespace` objects, read as plain mappings.

    Raises:
        ValueError: if it is not such a file, or asks for other Python objects; names the file.
        FileNotFoundError: if it is not there.
    """
    return read_yaml(path, mapping_tags=[_NAMESPACE])


def translate_config(published: Mapping[str, Any]) -> dict[str, Any]:
    """Our configuration of a published model.

    Args:
        published: the parsed config.yml; `mcvd.models.published.keys` lists what of it is read.

    Raises:
        ValueError: for a missing or unknown entry, or for a kind of model that we do not build, by name.
    """
    check_keys(published)
    data, model = (_Section(name, published[name]) for name in ("data", "model"))
    model.refuse_unless("arch", tuple(_FACTORIZED), "only the networks of this family can be read")
    model.refuse_unless("version", ("DDPM", "DDIM", "FPNDM"), "only models with the DDPM noise can be read", "DDPM")
    model.refuse_unless("sigma_dist", ("linear", "cosine"), "only these noise schedules can be read", "linear")

    side = data.integer("image_size")
    width, multipliers = model.integer("ngf"), model.integers("ch_mult")
    attended, factorized = model.integers("attn_resolutions"), _FACTORIZED[model.values["arch"]]
    # -1 stands for one head everywhere, which is what a head as wide as the widest level gives.
    head_channels = model.integer("n_head_channels", -1)
    return {
        "block": {
            "past": data.integer("num_frames_cond"),
            "current": data.integer("num_frames"),
            "future": data.integer("num_frames_future", 0),
        },
        "size": [side, side],
        "channels": data.integer("channels"),
        "predicts": "eps",
        "frame_rate_hz": None,
        "net": {
            "class_path": "mcvd.nets.UNet" if factorized is None else "mcvd.nets.UNet3D",
            "init_args": {
                "width": width,
                "multipliers": multipliers,
                "num_blocks": model.integer("num_res_blocks"),
                "attention_levels": [i for i in range(len(multipliers)) if side // 2**i in attended],
                "head_channels": width * max(multipliers, default=1) if head_channels == -1 else head_channels,
                "dropout": model.number("dropout", 0.0),
                "conditioning": _conditioning(model),
                "past_embedding": model.flag("cond_emb", False),
                "gradient_checkpointing": False,
                "num_signals": 0,
            }
            | ({} if factorized is None else {"factorized": factorized}),
        },
        "schedule": _schedule(model),
        "masking": {
            "p_past": data.number("prob_mask_cond", 0.0),
            "p_future": data.number("prob_mask_future", 0.0),
            "tied": data.flag("prob_mask_sync", False),
            "p_partial": 0.0,
            "p_any": 0.0,
            "p_signals": 0.0,
        },
        "gamma_noise": GAMMA_SCALE if model.flag("gamma", False) else None,
        "diffuses_context": model.flag("noise_in_cond", False),
    }


def _conditioning(model: _Section) -> dict[str, Any]:
    if not model.flag("spade", False):
        return {
            "class_path": "mcvd.nets.Concat",
            "init_args": {"tell_mask": False, "tell_noise": False, "tell_motion": False, "tell_low": False},
        }
    width = model.integer("spade_dim", 128)
    return {
        "class_path": "mcvd.nets.SPATIN",
        "init_args": {"width": width, "tell_mask": False, "tell_noise": False, "tell_motion": False, "tell_low": False},
    }


def _schedule(model: _Section) -> dict[str, Any]:
    num_steps = model.integer("num_classes")
    if model.values.get("sigma_dist", "linear") == "cosine":
        return {"class_path": "mcvd.noise.Cosine", "init_args": {"num_steps": num_steps}}
    betas = {"beta_min": model.number("sigma_end"), "beta_max": model.number("sigma_begin")}
    return {"class_path": "mcvd.noise.LinearBeta", "init_args": {"num_steps": num_steps, **betas}}


class _Section:
    """A section of the published configuration; every read names the entry if it is missing or of another kind."""

    def __init__(self, name: str, values: Mapping[str, Any]) -> None:
        self.name, self.values = name, values

    def integer(self, key: str, default: int | None = None) -> int:
        return self._read(key, default, "a whole number", lambda value: type(value) is int)

    def number(self, key: str, default: float | None = None) -> float:
        return float(self._read(key, default, "a number", lambda value: type(value) in (int, float)))

    def flag(self, key: str, default: bool | None = None) -> bool:
        return self._read(key, default, "true or false", lambda value: type(value) is bool)

    def integers(self, key: str) -> list[int]:
        return self._read(
            key, None, "a list of whole numbers", lambda value: type(value) is list and {*map(type, value)} <= {int}
        )

    def refuse_unless(self, key: str, allowed: tuple[Any, ...], reason: str, default: Any = None) -> None:
        """Raise ValueError if the entry has a value that we cannot read."""
        value = self.values.get(key, default)
        if value not in allowed:
            listed = ", ".join(map(str, allowed))
            raise ValueError(f"{self.name}.{key} is {value!r}, expected {listed}: {reason}")

    def _read(self, key: str, default: Any, kind: str, fits: Any) -> Any:
        value = self.values.get(key, default)
        if value is None:
            raise ValueError(f"the configuration has no {self.name}.{key}")
        if not fits(value):
            raise ValueError(f"{self.name}.{key} must be {kind}, got {value!r}")
        return value
