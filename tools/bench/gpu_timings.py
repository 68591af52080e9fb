"""For `tools/gpu_report.py`: what takes how long, beside its baselines in the same rounds."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from gpu_baselines import OtherCommit, published_step
from speed import NUM_FRAMES, SHAPES, Case, Shape, count_flops, measure, profile, runs

from mcvd.metrics.i3d import MIN_FRAMES, random_i3d
from mcvd.runtime.device import has_fast_bf16
from mcvd.samplers.select import default_sampler

CITY, DIGITS = "cityscapes", "smmnist"
_GOALS = {
    (CITY, "call"): 6.0,
    (DIGITS, "call"): 6.0,
    (CITY, "sample"): 40.0,
    (DIGITS, "sample"): 40.0,
    (CITY, "four calls"): 100.0,
    (DIGITS, "four calls"): 100.0,
    (CITY, "rate"): 0.45,
    (DIGITS, "rate"): 0.20,
    (CITY, "published"): 2.5,
}


@dataclass
class Setting:
    """Where and how long is measured, and the baselines that were asked for; used as a context.

    Args:
        device: where.
        toy: tiny networks, one round.
        rounds: of each measurement, after one to warm up.
        base: a commit of mcvd that is timed too, or None.
        published: the folder of the published code, or None.
    """

    device: torch.device
    toy: bool
    rounds: int
    base: str | None
    published: Path | None
    other: OtherCommit | None = field(default=None, init=False)

    def __enter__(self) -> Setting:
        if self.base is not None:
            self.other = OtherCommit(self.base, self.device, self.toy)
        return self

    def __exit__(self, *_: object) -> None:
        if self.other is not None:
            self.other.close()

    def shape(self, name: str) -> Shape:
        """A case of `speed.py`."""
        return replace(SHAPES[name].toy(), side=16, width=8, multipliers=(1, 2)) if self.toy else SHAPES[name]

    def small(self, name: str) -> Shape:
        """The same kind of network, small enough for float64 on a CPU."""
        return replace(SHAPES[name], side=16 if self.toy else 32, width=16, multipliers=SHAPES[name].multipliers[-2:])

    @property
    def precision(self) -> str:
        """That of the goals, where the device has it."""
        return "bf16" if has_fast_bf16(self.device) else "float32"


def row(
    what: str, value: Any, unit: str, *, goal: Any = None, met: bool | None = None, note: str = "", **more: Any
) -> dict[str, Any]:
    """One line of the report; a goal without ``met`` is met by a value as large."""
    if goal is not None and met is None:
        met = bool(value >= goal)
    return {"what": what, "value": value, "unit": unit, "goal": goal, "met": met, "note": note, **more}


def calls(setting: Setting) -> Iterator[dict[str, Any]]:
    """Network calls beside the plain path."""
    for name in (CITY, DIGITS):
        yield from _beside_plain(setting, name, "call")


def videos(setting: Setting) -> Iterator[dict[str, Any]]:
    """Futures of 28 frames by the default sampler and by one of four calls; the plain path takes 100 steps."""
    for name in (CITY, DIGITS):
        shape = setting.shape(name)
        cases = runs(shape, "sample", setting.device, compiled=False)
        model = shape.model(setting.device)
        shown = torch.zeros(
            shape.batch, shape.block.past, shape.channels, shape.side, shape.side, dtype=torch.uint8, device="cpu"
        )
        few = default_sampler(False, 4)
        four = partial(model.predict, shown, NUM_FRAMES, precision=setting.precision, sampler=few, progress=False)
        fast = {"default sampler": cases[setting.precision], "four calls a block": (four, 1)}
        seconds = _measured({"plain": cases["plain"], **fast}, setting)
        for what, goal in (("default sampler", "sample"), ("four calls a block", "four calls")):
            yield _ratio(f"{name}, 28 frames, {what}", seconds, "plain", what, setting, _GOALS[name, goal])


def steps(setting: Setting) -> Iterator[dict[str, Any]]:
    """Training steps beside the plain path and the published code, and their share of the rate of a matrix product."""
    for name in (CITY, DIGITS):
        shape = setting.shape(name)
        cases = runs(shape, "train", setting.device, compiled=False)
        fast, rate = setting.precision, f"dense {setting.precision}"
        chosen: dict[str, Case] = {key: cases[key] for key in ("plain", fast, rate)}
        why = ""
        if setting.published is not None:
            try:
                chosen["published"] = published_step(setting.published, name, shape, setting.device), 1
            except Exception as error:  # somebody else's code, on a machine that it does not know
                why = f"{type(error).__name__}: {error}"
        flops = count_flops(cases["plain"][0])
        seconds = _measured(chosen, setting)
        share = flops / statistics.median(seconds[fast]) * statistics.median(seconds[rate])
        yield _ratio(f"{name}, training step", seconds, "plain", fast, setting, None)
        yield row(f"{name}, training step, share of the dense rate", share, "", goal=_goal(setting, name, "rate"))
        what = f"{name}, training step beside the published code"
        if "published" in seconds:
            yield _ratio(what, seconds, "published", fast, setting, _GOALS.get((name, "published")))
        else:
            yield row(what, "-", "", note=why or "not asked for: --published FOLDER")
        yield from _beside_base(setting, name, "train", cases[fast])


def features(setting: Setting) -> Iterator[dict[str, Any]]:
    """Features of I3D, one video at a time as today and in a batch."""
    size, many = (32, 2) if setting.toy else (224, 8)
    net = random_i3d().to(setting.device)
    videos = torch.rand(many, 3, MIN_FRAMES + 1, size, size, device=setting.device) * 2 - 1

    @torch.inference_mode()
    def one_by_one() -> None:
        for video in videos:
            net(video[None])

    @torch.inference_mode()
    def together() -> None:
        net(videos)

    seconds = _measured({"one by one": (one_by_one, many), "together": (together, many)}, setting)
    yield _ratio(f"I3D, {many} videos together", seconds, "one by one", "together", setting, None)


def profiles(setting: Setting) -> Iterator[dict[str, Any]]:
    """Where the time goes in a call and a step; the table is in the JSON."""
    for name in (CITY, DIGITS):
        for what in ("call", "train"):
            cases = runs(setting.shape(name), what, setting.device, compiled=False)
            run = cases[setting.precision][0]
            run()
            table = profile(run, setting.device)
            yield row(f"{name}, {what} in {setting.precision}", len(table.splitlines()), "lines", table=table)


def _beside_plain(setting: Setting, name: str, what: str) -> Iterator[dict[str, Any]]:
    cases = runs(setting.shape(name), what, setting.device, compiled=False)
    chosen = {"plain": cases["plain"], "float32": cases["float32"]} | {setting.precision: cases[setting.precision]}
    seconds = _measured(chosen, setting)
    for fast in chosen.keys() - {"plain"}:
        goal = _GOALS[name, what] if fast == "bf16" else None
        yield _ratio(f"{name}, {what} in {fast}", seconds, "plain", fast, setting, goal)
    yield from _beside_base(setting, name, what, cases[setting.precision])


def _beside_base(setting: Setting, name: str, what: str, case: Case) -> Iterator[dict[str, Any]]:
    """The same measurement by another commit, round by round."""
    title = f"{name}, {what} beside {setting.base}"
    if setting.other is None:
        yield row(f"{name}, {what} beside another commit", "-", "", note="not asked for: --base COMMIT")
        return
    seconds: dict[str, list[float]] = {"base": [], "now": []}
    for _ in range(setting.rounds):
        seconds["now"] += measure({"now": case}, 1, setting.device, time.perf_counter)["now"]
        seconds["base"].append(setting.other.seconds(name, what, setting.precision))
    yield _ratio(title, seconds, "base", "now", setting, None)


def _measured(cases: dict[str, Case], setting: Setting) -> dict[str, list[float]]:
    return measure(cases, setting.rounds, setting.device, time.perf_counter)


def _ratio(
    what: str, seconds: dict[str, list[float]], slow: str, fast: str, setting: Setting, goal: float | None
) -> dict[str, Any]:
    ratios = [a / b for a, b in zip(seconds[slow], seconds[fast], strict=True)]
    before, now = (statistics.median(seconds[name]) for name in (slow, fast))
    note = f"{_time(before)} -> {_time(now)}, {min(ratios):.2f} to {max(ratios):.2f}"
    goal = None if setting.toy else goal
    return row(what, statistics.median(ratios), "times", goal=goal, note=note, seconds={slow: before, fast: now})


def _goal(setting: Setting, name: str, what: str) -> float | None:
    return None if setting.toy else _GOALS[name, what]


def _time(seconds: float) -> str:
    return f"{seconds:.3g} s" if seconds >= 1 else f"{1e3 * seconds:.3g} ms"
