"""Files that are well-formed and wrong: configs, cards, recipes and headers of which the structure is changed."""

from __future__ import annotations

import copy
import io
import json
import random
import struct
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import torch
import yaml

RING = "reference.canary.ring"
NUMBERS = (0, -1, 1, 2, 3, 0.5, -0.0, 1 << 31, 1 << 40, (1 << 63) - 1, 1 << 70, -(1 << 70), 1e300, 5e-324)
NUMBERS += (float("nan"), float("inf"), -float("inf"), True, False)
TEXTS = ("", "x", "1", "nan", "\x1b[2J\nx", "<script>", "a" * 5000, "\u202e", "../../x", "/dev/zero", "\ud800", "null")
TEXTS += (
    RING,
    "os.abort",
    "mcvd.runtime.atomic.os.abort",
    "mcvd.nets.UNet",
    "mcvd.noise.Cosine",
    "mcvd.data.VideoFolder",
)
TEXTS += (f'{{"class_path": "{RING}"}}', "UNet", "F64", "I64", "BF16", "F8_E4M3", "mcvd.models.mcvd.MCVD")
OBJECTS: tuple[Callable[[], Any], ...] = (
    lambda: {"class_path": RING},
    lambda: {"class_path": "os.abort"},
    lambda: {
        "class_path": "mcvd.noise.ZeroTerminalSNR",
        "init_args": {"schedule": {"class_path": "mcvd.noise.Cosine"}},
    },
    lambda: {"class_path": "mcvd.nets.UNet", "init_args": {"conditioning": {"class_path": RING}}},
    lambda: {"init_args": {}},
    lambda: {"class_path": "mcvd.data.ConcatVideos", "init_args": {"collections": [RING]}},
    lambda: {"__class__": RING, "dict_kwargs": {}},
    lambda: [],
    lambda: {},
    lambda: None,
    lambda: [[[[[[[[]]]]]]]],
    lambda: [0] * 3000,
)


def other_structure(tree: Any, draw: random.Random) -> Any:
    """A tree of dictionaries, lists, texts and numbers with one to four changes."""
    tree = copy.deepcopy(tree)
    for _ in range(draw.choice((1, 1, 2, 4))):
        places = [*_places(tree)]
        if not places:
            return _value(draw)
        inner, key = draw.choice(places)
        _change(inner, key, places, draw)
    return tree


def with_other_structure(data: bytes, name: str, draw: random.Random) -> bytes:
    """A file's bytes after changes of what it holds: JSON, YAML, a header of safetensors, or a checkpoint."""
    if name.endswith(".json"):
        return json.dumps(other_structure(_parsed_json(data), draw)).encode(errors="replace")
    if name.endswith((".yaml", ".yml")):
        tree = other_structure(_parsed_yaml(data), draw)
        written = json.dumps(tree) if draw.random() < 0.7 else yaml.safe_dump(tree)  # JSON is YAML, and quicker
        return written.encode(errors="replace")
    if name.endswith(".safetensors"):
        (length,) = struct.unpack("<Q", data[:8])
        header = json.dumps(other_structure(_parsed_json(data[8 : 8 + length]), draw)).encode(errors="replace")
        return struct.pack("<Q", len(header)) + header + data[8 + length :]
    checkpoint = dict(_parsed_checkpoint(data))
    if draw.random() < 0.5:
        checkpoint["config"] = other_structure(checkpoint["config"], draw)
    else:
        checkpoint["state_dict"] = _other_weights(checkpoint["state_dict"], draw)
    out = io.BytesIO()
    torch.save(checkpoint, out)
    return out.getvalue()


@lru_cache(8)
def _parsed_json(data: bytes) -> Any:
    return json.loads(data)


@lru_cache(8)
def _parsed_yaml(data: bytes) -> Any:
    return yaml.safe_load(data)


@lru_cache(8)
def _parsed_checkpoint(data: bytes) -> dict[str, Any]:
    return torch.load(io.BytesIO(data), weights_only=True)


def _places(tree: Any) -> Any:
    """(container, key) of every value within."""
    if isinstance(tree, dict | list):
        for key, value in [*(tree.items() if isinstance(tree, dict) else enumerate(tree))][:500]:
            yield tree, key
            yield from _places(value)


def _change(inner: Any, key: Any, places: list, draw: random.Random) -> None:
    kind = draw.randrange(8)
    if kind <= 2:
        inner[key] = _value(draw)
    elif kind == 3:
        del inner[key]
    elif kind == 4:  # another's value
        other, where = draw.choice(places)
        inner[key] = copy.deepcopy(other[where])
    elif kind == 5:
        inner[key] = draw.choice(([inner[key]], {"value": inner[key]}, {"class_path": inner[key]}, [inner[key]] * 3))
    elif isinstance(inner, list):
        inner[key:key] = [_value(draw)] * draw.choice((1, 1, 50))
    elif kind == 6:
        inner[
            draw.choice((f"{key}.class_path", f"{key}s", "class_path", "init_args", "", "a.b", "self", "__init__"))
        ] = _value(draw)
    else:
        inner[f"{key}{draw.choice(TEXTS)}"] = inner.pop(key)


def _value(draw: random.Random) -> Any:
    kind = draw.random()
    return draw.choice(NUMBERS) if kind < 0.4 else draw.choice(TEXTS) if kind < 0.75 else draw.choice(OBJECTS)()


def _other_weights(state: dict[str, torch.Tensor], draw: random.Random) -> dict[str, Any]:
    name = draw.choice(sorted(state))
    weight = state[name]
    value: Any = draw.choice(
        (
            weight * float("nan"), weight / 0, weight.long(), weight.half(), weight.bool(), weight.to(torch.complex64),
            weight[None], weight.flatten()[:1].expand(1 << 40), weight.to_sparse(), weight.new_zeros(0),
            None, 1, "x", [weight], torch.quantize_per_tensor(weight, 0.1, 0, torch.qint8), torch.nn.Parameter(weight),
            weight.to(torch.float8_e5m2),
        )
    )  # fmt: skip
    changed = {**state, name: value}
    if draw.random() < 0.2:
        changed[draw.choice(("more", "", name.upper(), "a" * 5000))] = changed.pop(name)
    return changed
