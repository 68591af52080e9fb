"""The commands that score: ``mcvd evaluate`` and ``mcvd fvd``."""

from __future__ import annotations

import sys
from json import dumps
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mcvd.api import BOX
from mcvd.made import DEFAULT_FPS
from mcvd.module import MCVD
from mcvd.opening import device_of, ready, scoring_data
from mcvd.protocols import Protocol
from mcvd.whole import whole


def evaluate(
    model: str | Path = BOX,
    out: str | None = None,
    config: str | None = None,
    root: str | None = None,
    task: str | None = None,
    num_frames: int | None = None,
    num_clips: int | None = None,
    num_samples: int | None = None,
    protocol: str | None = None,
    weights: str | None = None,
    lpips_weights: str | None = None,
    random_i3d: int | None = None,
    compare: list[str] | None = None,
    rate: float | None = None,
    json: bool = False,
    **sampling: Any,
) -> None:
    """``mcvd evaluate``."""
    if compare:
        return _compare(*compare)
    if out is None:
        raise ValueError("say where the scores go: --out result.json")
    from mcvd.card import distance_rows, frame_metrics, make_card
    from mcvd.card_page import card_page
    from mcvd.evaluate import collect_clips, format_table
    from mcvd.evaluate import evaluate as score
    from mcvd.protocols import find_protocol

    fixed = find_protocol(protocol) if protocol else None
    if fixed and (task or num_frames or num_clips or num_samples):
        raise ValueError("--protocol fixes --task, --num-frames, --num-clips and --num-samples: leave them out")
    net, options = ready(model, sampling)
    if fixed:
        _check_protocol(fixed, net)
        task, num_frames, num_clips, num_samples = fixed.task, fixed.num_frames, fixed.num_clips, fixed.num_samples
    task, num_clips, num_samples = task or "predict", num_clips or 64, num_samples or 10
    num_frames = num_frames or net.block.current
    rate = rate or net.frame_rate_hz
    facts = {"size": net.size, "channels": net.channels, "frame_rate_hz": rate, "max_val_clips": num_clips}
    future = 0 if fixed and task == "predict" else net.block.future
    data = scoring_data(config, root, facts | {"num_frames": net.block.past + num_frames + future})
    clips = collect_clips(data, dataset=fixed.clips(data) if fixed else None)
    videos: list[tuple[Tensor, Tensor]] = []

    def keep(past: Tensor, samples: Tensor, truth: Tensor, future: Tensor) -> None:
        sides = [side[:, None].expand(-1, samples.shape[1], *side.shape[1:]) for side in (past, future)]
        videos.append((torch.cat([past, truth, future], 1), torch.cat([sides[0], samples.cpu(), sides[1]], 2)))

    metrics, missing = frame_metrics(*net.size, fixed, lpips_weights)
    asked = {"num_frames": num_frames, "num_samples": num_samples, "metrics": metrics}
    scores = score(net, clips, task, watch=keep, **asked, **options)
    real, fake = (torch.cat(side) for side in zip(*videos, strict=True))
    device = next(net.parameters()).device
    rows = distance_rows(real, fake.flatten(0, 1), weights, random_i3d, fixed, device)
    names = {"model": "the model in the box" if model is BOX else str(model), "data": config or root}
    card = make_card(scores, rows, missing, net, clips, fixed, names, ["mcvd", *sys.argv[1:]])
    order = torch.tensor(scores["rows"]["one_sample"]["psnr_per_clip"]).argsort(descending=True).tolist()
    chosen = dict.fromkeys([*order[:2], *order[-2:]])
    page = card_page(card, [(i, real[i], fake[i, 0]) for i in chosen], rate or DEFAULT_FPS)
    with whole(out) as part:
        part.write_text(dumps(card, indent=2) + "\n")
    page.write(Path(out).with_suffix(".html"))
    if json:
        return print(dumps(card, indent=2))
    print(format_table(scores))
    for title, reason in missing.items():
        print(f"{title}: none, {reason}")
    for row in rows:
        print(f"{row['name']}: {row['value'] if row['value'] is not None else 'none, ' + row['reason']}")


def _compare(first: str, second: str) -> None:
    """Say that two cards are comparable, or raise."""
    from mcvd.compare import differences, read_card

    found = differences(read_card(first), read_card(second))
    if found:
        settings = "; ".join(f"{name}: {a!r} and {b!r}" for name, (a, b) in found.items())
        raise ValueError(f"{first} and {second} cannot be compared, they differ in {settings}")
    print(f"{first} and {second} can be compared")


def _check_protocol(protocol: Protocol, model: MCVD) -> None:
    asked = {"past": protocol.past, "size": protocol.size}
    has = {"past": model.block.past, "size": tuple(model.size)}
    if protocol.task == "interpolate":
        asked["future"], has["future"] = protocol.future, model.block.future
    for name, value in asked.items():
        if value is not None and value != has[name]:
            raise ValueError(f"--protocol {protocol.name} asks for a model of {name} {value}, this one has {has[name]}")


def fvd(
    real: str,
    fake: str,
    rate: float | None = None,
    random_i3d: int | None = None,
    device: str | None = None,
    out: str | None = None,
    json: bool = False,
    **choices: Any,
) -> None:
    """``mcvd fvd``."""
    from mcvd.fvd_folders import folder_distance, format_distance

    result = folder_distance(
        real, fake, frame_rate_hz=rate, random_seed=random_i3d, device=device_of(device), **choices
    )  # fmt: skip
    if out:
        with whole(out) as part:
            part.write_text(dumps(result, indent=2) + "\n")
    print(dumps(result, indent=2) if json else format_distance(result))
