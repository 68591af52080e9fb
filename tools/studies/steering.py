"""Do actions help, and are they followed? Two small models of the same films, with and without what was done in them.

    python tools/studies/steering.py train rc_car --minutes 5
    python tools/studies/steering.py score rc_car --json scores.json
    python tools/studies/steering.py train train/robot --val val/robot --minutes 5 --folder robot
    python tools/studies/steering.py score train/robot --val val/robot --folder robot

Of a car the folder holds the frames of one drive and a ``controls.csv`` with ``steering_angle`` and ``throttle``. Both
models train for the same CPU minutes, in turn, on the first 800 frames (mirrored half of the time, and then the
steering too) and are scored on the last 200: PSNR by horizon, and how the sideways shift of the picture follows the
steering that is told, the true one, mirrored, or another clip's. Of a robot (``--val``) there are folders of short
clips with an ``actions.csv`` each and a ``label.txt``, and the clips of ``--val`` are those scored. Films of one
episode (``ep00_cam0``, ``ep00_cam1``) are drawn together for the intervals.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

import mcvd
from mcvd.data import InMemoryVideos, VideoClips, VideoFolder, VideoSubset
from mcvd.data.videos import AbstractVideos
from mcvd.diffusion.masking import Masking
from mcvd.diffusion.signals import Signals
from mcvd.models.mcvd import MCVD
from mcvd.nets import Concat, UNet
from mcvd.noise import Cosine
from mcvd.video.transforms import fit_frames

SIZE, SPLIT, BATCH, RATE, PAST = 24, 800, 8, 1e-3, 2
MODELS = ("with", "without")


@dataclass(frozen=True)
class Subject:
    """What is filmed: where, what is told of it, and how far it is predicted. With ``val`` it is a robot's clips."""

    root: str
    val: str | None = None

    @property
    def horizon(self) -> int:
        """Frames that are predicted."""
        return 20 if self.val is None else 8

    @property
    def mirrored(self) -> list[str]:
        """What changes its sign in a mirror; a table with an arm on it has no mirror image that was filmed."""
        return ["steering_angle"] if self.val is None else []

    @property
    def names(self) -> list[str]:
        """What is told."""
        if self.val is None:
            return ["steering_angle", "throttle"]
        return VideoFolder(self.root).signal_names(0)

    def collections(self) -> tuple[AbstractVideos, AbstractVideos]:
        """To train on and to score."""
        films = VideoFolder(self.root)
        if self.val is not None:
            return films, VideoFolder(self.val)
        length = len(films.times_seconds(0))
        return VideoSubset(films, [(0, 0, SPLIT)]), VideoSubset(films, [(0, SPLIT, length)])


def clips(subject: Subject, num_frames: int, seed: int = 0) -> VideoClips:
    """Films to train on and to score, in memory."""
    held = [InMemoryVideos(videos, SIZE) for videos in subject.collections()]
    data = VideoClips(
        train=held[0],
        val=held[1],
        num_frames=num_frames,
        size=SIZE,
        flip=bool(subject.mirrored),
        seed=seed,
        signals=subject.names,
        mirrored_signals=subject.mirrored or None,
        num_workers=0,
        max_val_clips=None,
    )
    data.setup()
    return data


def build(names: list[str], data: VideoClips) -> MCVD:
    """A model of the size that a CPU trains in minutes, told these numbers."""
    torch.manual_seed(0)
    net = partial(
        UNet,
        width=16,
        multipliers=(1, 2, 3),
        num_blocks=1,
        attention_levels=(),
        head_channels=16,
        conditioning=Concat(tell_motion=True),
        num_signals=len(names),
    )
    signals = Signals(tuple(names), **data.measure_signals()) if names else None
    masking = Masking(p_signals=0.2 if names else 0.0)
    return MCVD(
        mcvd.FrameBlock(PAST, 5),
        net=net,
        size=(SIZE, SIZE),
        schedule=Cosine(),
        predicts="edm",
        reference="context",
        masking=masking,
        signals=signals,
    )


def train(subject: Subject, folder: Path, minutes: float) -> None:
    """Train both for so many CPU minutes each, ten seconds in turn."""
    data = clips(subject, PAST + 5)
    models = {name: build(subject.names if name == "with" else [], data) for name in MODELS}
    optimizers = {name: torch.optim.Adam(model.parameters(), lr=RATE) for name, model in models.items()}
    spent, steps = dict.fromkeys(models, 0.0), dict.fromkeys(models, 0)
    while min(spent.values()) < 60 * minutes:
        name = min(spent, key=lambda each: spent[each])
        model, began = models[name].train(), time.process_time()
        while time.process_time() - began < 10:
            first = BATCH * steps[name]
            chosen = [data.train_clips[sample] for sample in range(first, first + BATCH)]
            batch = {key: torch.stack([clip[key] for clip in chosen]) for key in ("video", "signals")}
            batch["index"] = [*range(first, first + BATCH)]
            if steps[name] < 200:
                model.denoiser.reference.measure(*model.block.split(model.codec.encode(batch["video"])))
            done = (spent[name] + time.process_time() - began) / (60 * minutes)
            optimizers[name].param_groups[0]["lr"] = RATE * min(1, (steps[name] + 1) / 100, max(0.01, 2 - 2 * done))
            optimizers[name].zero_grad()
            loss = model.loss(batch).mean()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizers[name].step()
            steps[name] += 1
        spent[name] += time.process_time() - began
        print(
            f"{name}: {spent[name]:.0f} s, {steps[name]} steps, loss {loss.item() / batch['video'][0].numel():.4f}",
            flush=True,
        )
    for name, model in models.items():
        model.save_pretrained(folder / name)
    (folder / "steps.json").write_text(json.dumps(steps))


def psnr(a: Tensor, b: Tensor) -> Tensor:
    """In dB, of pixels (..., T, C, H, W): (..., T)."""
    return -10 * ((a.float() - b.float()) / 255).square().flatten(-3).mean(-1).log10()


def shifts(video: Tensor) -> np.ndarray:
    """How far the picture moves right from frame to frame, in pixels, (B, T - 1): phase correlation of rows."""
    grey = video.float().mean(-3)[..., SIZE // 4 :, :]
    grey = grey - grey.mean(-1, keepdim=True)
    spectrum = torch.fft.rfft(grey, n=2 * SIZE)
    product = (spectrum[:, 1:] * spectrum[:, :-1].conj()).sum(-2)  # over the rows
    found = torch.fft.irfft(product / product.abs().clamp(min=1e-6), n=2 * SIZE)
    around = torch.cat([found[..., -6:], found[..., :7]], -1)
    weights = around.clamp(min=0) ** 2
    return ((weights * torch.arange(-6, 7)).sum(-1) / weights.sum(-1)).numpy()


def correlation(moved: np.ndarray, wheel: np.ndarray) -> list[float]:
    """Of shifts and steering, (clips, frames) each: the coefficient and its 95% interval, clips drawn anew."""
    draw = np.random.default_rng(0)
    chosen = draw.integers(len(moved), size=(2000, len(moved)))
    each = [np.corrcoef(moved[rows].ravel(), wheel[rows].ravel())[0, 1] for rows in chosen]
    return [float(np.corrcoef(moved.ravel(), wheel.ravel())[0, 1]), *map(float, np.percentile(each, [2.5, 97.5]))]


def interval(difference: np.ndarray, groups: list[str]) -> list[float]:
    """Mean of differences (N,) and its 95% interval, the groups of clips drawn anew."""
    draw, parts = np.random.default_rng(0), [difference[np.array(groups) == name] for name in dict.fromkeys(groups)]
    totals = np.array([[part.sum(), len(part)] for part in parts])
    drawn = totals[draw.integers(len(parts), size=(2000, len(parts)))].sum(1)
    return [float(difference.mean()), *map(float, np.percentile(drawn[:, 0] / drawn[:, 1], [2.5, 97.5]))]


def score(subject: Subject, folder: Path, num_clips: int, seeds: int) -> dict:
    """PSNR by horizon of both, and the correlation of shift and steering for what is told."""
    horizon = subject.horizon
    films, length = InMemoryVideos(subject.collections()[1], SIZE), PAST + horizon
    cuts = [(number, 0) for number in range(len(films))]
    if subject.val is None:
        cuts = [(0, start) for start in range(0, 200 - length, max(1, (200 - length) // num_clips))]
    video = torch.stack(
        [fit_frames(films.read(n, range(s, s + length), (SIZE, SIZE)), (SIZE, SIZE), 3) for n, s in cuts]
    )
    signals = torch.stack([torch.from_numpy(films.signals(n, subject.names)[s : s + length]) for n, s in cuts])
    groups = [f"{films.name(n).split('_cam')[0]} {s}" for n, s in cuts]
    past, target = video[:, :PAST], video[:, PAST:]
    mirrored = signals * torch.tensor([-1.0 if name in subject.mirrored else 1.0 for name in subject.names])
    # Another group's, so that no clip is told its own.
    shuffled = signals.roll(next(n for n, group in enumerate(groups) if group != groups[0]), 0)
    if subject.val is None:
        shuffled = signals[torch.randperm(len(signals), generator=torch.Generator().manual_seed(0))]
    ways = {"without": None, "with": signals, "told absent": None, "mirrored": mirrored, "shuffled": shuffled}
    if not subject.mirrored:
        del ways["mirrored"]
    steering = signals[:, PAST - 1 : -1, 0].numpy()
    report: dict = {"clips": len(video), "seeds": seeds, "steps": json.loads((folder / "steps.json").read_text())}
    copied = psnr(past[:, -1:].expand_as(target), target)
    report["psnr"] = {"copy": copied.mean(0).tolist()}
    report["per_clip"], report["correlation"] = {"copy": copied.mean(1).tolist()}, {}
    if subject.mirrored:
        report["correlation"]["film"] = correlation(shifts(video[:, PAST - 1 :]), steering)
    for way, given in ways.items():
        model = mcvd.load(folder / ("without" if way == "without" else "with"))
        options = {} if model.signals is None else {"signals": given}
        made = model.predict(past, horizon, num_samples=seeds, progress=False, **options)
        made = made if seeds > 1 else made[:, None]
        errors = psnr(made, target[:, None]).mean(1)
        report["psnr"][way], report["per_clip"][way] = errors.mean(0).tolist(), errors.mean(1).tolist()
        if not subject.mirrored:
            continue
        moved = np.concatenate([shifts(torch.cat([past[:, -1:], made[:, k]], 1)) for k in range(seeds)], 1)
        for name, of in {"true": signals, "mirrored": mirrored, "shuffled": shuffled}.items():
            wheel = np.tile(of[:, PAST - 1 : -1, 0].numpy(), (1, seeds))
            report["correlation"][f"{way}, with the {name} steering"] = correlation(moved, wheel)
    each = {way: np.array(values) for way, values in report["per_clip"].items()}
    report["gains"] = {way: interval(each["with"] - each[way], groups) for way in each if way != "with"}
    return report


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("action", choices=["train", "score"])
    parser.add_argument("root", help="a folder of frames with a controls.csv; with --val one of clips")
    parser.add_argument("--val", help="a folder of a robot's clips to score")
    parser.add_argument("--folder", type=Path, default=Path("steering"), help="of the two models")
    parser.add_argument("--minutes", type=float, default=5.0, help="CPU minutes of each training")
    parser.add_argument("--clips", type=int, default=24)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    subject = Subject(asked.root, asked.val)
    if asked.action == "train":
        return train(subject, asked.folder, asked.minutes)
    report = score(subject, asked.folder, asked.clips, asked.seeds)
    for way, errors in report["psnr"].items():
        print(
            f"{way:12}"
            + " ".join(f"{errors[h - 1]:6.2f}" for h in (1, 5, 8, 10, 20) if h <= len(errors))
            + f"   mean {np.mean(errors):.2f}"
        )
    for what, (value, low, high) in report["correlation"].items():
        print(f"{what:45} {value:+.3f} ({low:+.3f} to {high:+.3f})")
    for way, (value, low, high) in report["gains"].items():
        print(f"told it against {way:14} {value:+.2f} dB ({low:+.2f} to {high:+.2f})")
    if asked.json:
        asked.json.write_text(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
