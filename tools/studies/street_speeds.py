"""What if the car drove at another speed? Drawn streets know: the same street, driven otherwise from one frame on.

    python tools/studies/street_speeds.py train speeds --minutes 5
    python tools/studies/street_speeds.py score speeds --json speeds.json

The model is the bundled one, which goes on training, told the speed: on other streets, where the speed changes to a
random multiple at a random time, so that it is no longer what the given frames show. ``score`` takes any model that is
told the speed, such as that of ``mcvd fit --config configs/steered.yaml``.

Each street is drawn once as it is driven, and once for each factor with the speed changed to that multiple within half
a second after the given frames; the car ahead keeps its distance. A model is told the speed of the other drive, that of
the real one, or none, and scored against the other drive: PSNR by frame, and the differences with 95% intervals over
streets.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

import mcvd
from mcvd.data import DrivingScenes
from mcvd.data.synthetic.driving.painter import Painter
from mcvd.data.synthetic.driving.world import Drive, Street
from mcvd.models.files import read_model
from mcvd.models.load import BOX
from mcvd.models.mcvd import MCVD
from mcvd.video.transforms import fit_frames

RAMP_SECONDS, FIRST, BATCH = 0.5, 8, 4  # FIRST: of a video, the first given frame


Pair = tuple[Tensor, Tensor]


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


def drive(seed: int, number: int, factor: float, last: int, num_frames: int, size: tuple[int, int]) -> Pair:
    """Frames uint8 (num_frames, 3, H, W) of a street whose speed changes after frame ``last``, and all speeds."""
    scenes = DrivingScenes(number + 1, FIRST + num_frames, seed=seed)
    generator = np.random.default_rng([scenes.seed, number])
    street = OtherDrive(generator, scenes.num_frames, scenes.frame_rate_hz, factor, FIRST + last)
    places = np.arange(FIRST, scenes.num_frames)
    image = Painter(street, places, (size[0], round(size[1] * 16 / 9))).paint()
    frames = torch.from_numpy((image.clip(0, 1) * 255 + 0.5).astype(np.uint8)).transpose(0, 1)
    return fit_frames(frames.contiguous(), size, 3), torch.from_numpy(street.drive.speed[places]).float()


def train(asked: argparse.Namespace) -> None:
    """Train the bundled model further, told the speed; the rate falls to 0 over the second half."""
    stored = read_model(BOX)
    size, block = (stored.config["size"][0], stored.config["size"][1]), mcvd.FrameBlock(**stored.config["block"])
    draw, length = np.random.default_rng(0), FIRST + block.num_frames
    streets = [
        drive(0, number, draw.uniform(0.1, 1.9), int(draw.integers(length - 3)), length, size)
        for number in range(asked.num_streets)
    ]
    frames, speeds = (torch.stack(each) for each in zip(*streets, strict=True))
    model, new = told_speed(stored.config, stored.weights(), speeds)
    rates = [3e-4, 3e-3]
    optimizer = torch.optim.Adam(
        [{"params": [p for n, p in model.named_parameters() if n not in new]}, {"params": new.values()}]
    )
    began, spoken, step, done, losses = time.process_time(), 0.0, 0, 0.0, []
    model.train()
    while done < 1:
        for group, rate in zip(optimizer.param_groups, rates, strict=True):
            group["lr"] = rate * min(1, (step + 1) / 50, max(0.01, 2 - 2 * done))
        generator = torch.Generator().manual_seed(step)
        chosen = torch.randint(len(frames), (BATCH,), generator=generator).tolist()
        first = torch.randint(length - block.num_frames + 1, (BATCH,), generator=generator).tolist()
        cut = [(number, slice(start, start + block.num_frames)) for number, start in zip(chosen, first, strict=True)]
        video, told = (torch.stack([each[number, part] for number, part in cut]) for each in (frames, speeds))
        numbers = [*range(BATCH * step, BATCH * (step + 1))]
        optimizer.zero_grad()
        loss = model.loss({"video": video, "signals": told[..., None], "index": numbers}).mean()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        losses.append(loss.item() / video[0, : block.current].numel())
        step, done = step + 1, (time.process_time() - began) / (60 * asked.minutes)
        if done * asked.minutes - spoken > 0.25:
            spoken = done * asked.minutes
            print(f"{60 * spoken:.0f} s, {step} steps, loss {np.mean(losses[-40:]):.4f}", flush=True)
    model.save_pretrained(asked.model)


def told_speed(config: dict, weights: dict[str, Tensor], speeds: Tensor) -> tuple[MCVD, dict[str, torch.nn.Parameter]]:
    """The model of a config and weights, told the speed too, which says nothing at first; and what is new in it."""
    net = config["net"] | {"init_args": config["net"]["init_args"] | {"num_signals": 1}}
    torch.manual_seed(0)
    numbers = {"mean": speeds.mean(), "std": speeds.std(), "low": speeds.min(), "high": speeds.max()}
    told = {"names": ["speed"], **{name: [float(value)] for name, value in numbers.items()}}
    masking = {"p_future": 1.0, "p_signals": 0.2}  # given frames are the past alone
    model = MCVD.from_config(config | {"net": net, "signals": told, "masking": masking})
    wanted = model.state_dict()
    for name, value in weights.items():
        if wanted[name].shape != value.shape:  # the maps to the norms have columns more: those of the signals
            wider = torch.zeros_like(wanted[name])
            wider[:, : value.shape[1]] = value
            weights[name] = wider
    model.load_state_dict(weights, strict=False)
    return model, {name: p for name, p in model.named_parameters() if name not in weights}


def psnr(a: Tensor, b: Tensor) -> Tensor:
    """In dB, of pixels (..., T, C, H, W): (..., T)."""
    return -10 * ((a.float() - b.float()) / 255).square().flatten(-3).mean(-1).clamp(min=1e-6).log10()


def interval(difference: Tensor) -> list[float]:
    """Mean of differences (N,) and its 95% interval, streets drawn anew."""
    values, draw = difference.numpy(), np.random.default_rng(0)
    means = values[draw.integers(len(values), size=(2000, len(values)))].mean(1)
    return [float(values.mean()), *map(float, np.percentile(means, [2.5, 97.5]))]


def score(asked: argparse.Namespace) -> None:
    """Predict the street at other speeds, told them or not, and compare with the truth."""
    model, report = mcvd.load(asked.model), {}
    num_past, streets = model.block.past, range(asked.num_streets)
    shape = num_past - 1, num_past + asked.num_frames, model.size
    real = [drive(7, number, 1.0, *shape) for number in streets]
    past = torch.stack([frames[:num_past] for frames, _ in real])
    for factor in asked.factors:
        other = [drive(7, number, factor, *shape) for number in streets]
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("action", choices=["train", "score"])
    parser.add_argument("model", type=Path, help="its folder")
    parser.add_argument("--minutes", type=float, default=5.0, help="CPU minutes of the training")
    parser.add_argument("--num-streets", type=int, default=24)
    parser.add_argument("--num-frames", type=int, default=15)
    parser.add_argument("--num-samples", type=int, default=2)
    parser.add_argument("--factors", type=float, nargs="+", default=[0.3, 1.5])
    parser.add_argument("--steps", type=int)
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    {"train": train, "score": score}[asked.action](asked)


if __name__ == "__main__":
    main()
