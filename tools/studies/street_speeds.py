"""What if the car drove at another speed? Drawn streets know: the same street, driven otherwise from one frame on.

    mcvd fit --config configs/steered.yaml
    python tools/studies/street_speeds.py runs/steered/run-1 --json speeds.json

Each street is drawn once as it is driven, and once for each factor with the speed changed to that multiple within half
a second after the given frames; the car ahead keeps its distance. A model is told the speed of the other drive, that of
the real one, or none, and scored against the other drive: PSNR by frame, and the differences with 95% intervals over
streets.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

import mcvd
from mcvd.data import DrivingScenes
from mcvd.data.synthetic.driving.painter import Painter
from mcvd.data.synthetic.driving.world import Drive, Street
from mcvd.video.transforms import fit_frames

RAMP_SECONDS, FIRST = 0.5, 8  # FIRST: of a video, the first given frame


class OtherDrive(Street):
    """The same street, driven at ``factor`` times the speed after frame ``last``."""

    def __init__(self, generator: np.random.Generator, num_frames: int, rate_hz: float, factor: float, last: int):
        self._change = factor, last, rate_hz
        super().__init__(generator, num_frames, rate_hz)

    def _drive(self, rng: np.random.Generator) -> Drive:
        drive, (factor, last, rate_hz) = super()._drive(rng), self._change
        since = (np.arange(len(drive.s)) - last).clip(0) / rate_hz
        speed = drive.speed * (1 + (factor - 1) * (since / RAMP_SECONDS).clip(0, 1))
        more = np.cumsum((speed - drive.speed)[1:] + (speed - drive.speed)[:-1]) / 2 / rate_hz
        return replace(drive, speed=speed, s=drive.s + np.concatenate([[0.0], more]))


def drives(number: int, factor: float, num_frames: int, num_past: int, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Frames uint8 (num_past + num_frames, 3, H, W) of a held-out street, and the speed at each."""
    scenes = DrivingScenes(number + 1, FIRST + num_past + num_frames, seed=7)
    generator = np.random.default_rng([scenes.seed, number])
    street = OtherDrive(generator, scenes.num_frames, scenes.frame_rate_hz, factor, FIRST + num_past - 1)
    places = np.arange(FIRST, scenes.num_frames)
    image = Painter(street, places, (size[0], round(size[1] * 16 / 9))).paint()
    frames = torch.from_numpy((image.clip(0, 1) * 255 + 0.5).astype(np.uint8)).transpose(0, 1)
    return fit_frames(frames.contiguous(), size, 3), torch.from_numpy(street.drive.speed[places]).float()


def psnr(a: Tensor, b: Tensor) -> Tensor:
    """In dB, of pixels (..., T, C, H, W): (..., T)."""
    return -10 * ((a.float() - b.float()) / 255).square().flatten(-3).mean(-1).clamp(min=1e-6).log10()


def interval(difference: Tensor) -> list[float]:
    """Mean of differences (N,) and its 95% interval, streets drawn anew."""
    values, draw = difference.numpy(), np.random.default_rng(0)
    means = values[draw.integers(len(values), size=(2000, len(values)))].mean(1)
    return [float(values.mean()), *map(float, np.percentile(means, [2.5, 97.5]))]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--num-streets", type=int, default=24)
    parser.add_argument("--num-frames", type=int, default=15)
    parser.add_argument("--num-samples", type=int, default=2)
    parser.add_argument("--factors", type=float, nargs="+", default=[0.3, 1.5])
    parser.add_argument("--steps", type=int)
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()

    model, report = mcvd.load(asked.model), {}
    num_past, streets = model.block.past, range(asked.num_streets)
    shape = asked.num_frames, num_past, model.size
    real = [drives(number, 1.0, *shape) for number in streets]
    past = torch.stack([frames[:num_past] for frames, _ in real])
    for factor in asked.factors:
        other = [drives(number, factor, *shape) for number in streets]
        assert all(torch.equal(a[:num_past], b[:num_past]) for (a, _), (b, _) in zip(real, other, strict=True))
        target = torch.stack([frames[num_past:] for frames, _ in other])[:, None]
        speeds = {"the other speed": other, "the real speed": real}
        told = {way: torch.stack([speed for _, speed in of])[..., None] for way, of in speeds.items()} | {"none": None}
        options = {"num_samples": asked.num_samples, "progress": False, "steps": asked.steps}
        scores = {}
        for way, given in told.items():
            made = model.predict(past, asked.num_frames, signals=given, **options)
            made = made if asked.num_samples > 1 else made[:, None]
            scores[way] = psnr(made, target).mean(1)
        scores["the real drive"] = psnr(torch.stack([frames[num_past:] for frames, _ in real]), target[:, 0])
        scores["repeated frame"] = psnr(past[:, -1:].expand_as(target[:, 0]), target[:, 0])
        mean = {way: each.mean(1) for way, each in scores.items()}
        gains = {way: interval(mean["the other speed"] - mean[way]) for way in ("the real speed", "none")}
        report[str(factor)] = {"psnr": {way: each.mean(0).tolist() for way, each in scores.items()}, "gains": gains}
        for way, each in scores.items():
            by_frame = " ".join(
                f"{each.mean(0)[min(n, asked.num_frames) - 1]:6.2f}" for n in (1, 5, 10, asked.num_frames)
            )
            print(f"speed x {factor:g}, {way:16} {by_frame}   mean {each.mean():.2f}", flush=True)
        for way, (gain, low, high) in gains.items():
            print(
                f"speed x {factor:g}, told it against told {way}: {gain:+.2f} dB ({low:+.2f} to {high:+.2f})",
                flush=True,
            )
    if asked.json:
        asked.json.write_text(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
