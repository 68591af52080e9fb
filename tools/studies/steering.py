"""Do actions help, and are they followed? Two small models of one radio-controlled car, with and without its steering.

    python tools/studies/steering.py train rc_car --minutes 5
    python tools/studies/steering.py score rc_car --json scores.json

The folder holds the frames of one drive and a ``controls.csv`` with ``steering_angle`` and ``throttle``. Both models
train for the same CPU minutes, in turn, on the first 800 frames (mirrored half of the time, and then the steering too)
and are scored on the last 200: PSNR by horizon, and how the sideways shift of the picture follows the steering that is
told, the true one, mirrored, or shuffled.
"""

from __future__ import annotations

import argparse
import json
import time
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

import mcvd
from mcvd.data import InMemoryVideos, VideoClips, VideoFolder, VideoSubset
from mcvd.diffusion.masking import Masking
from mcvd.diffusion.signals import Signals
from mcvd.models.mcvd import MCVD
from mcvd.nets import Concat, UNet
from mcvd.noise import Cosine
from mcvd.video.transforms import fit_frames

NAMES = ["steering_angle", "throttle"]
SIZE, SPLIT, BATCH, RATE, HORIZON, PAST = 24, 800, 8, 1e-3, 20, 2
MODELS = {"with": 2, "without": 0}


def clips(root: str, num_frames: int, seed: int = 0) -> VideoClips:
    """The drive, the first part to train on and the last to score."""
    drive = VideoFolder(root)
    length = len(drive.times_seconds(0))
    train, val = (VideoSubset(drive, [(0, *part)]) for part in ((0, SPLIT), (SPLIT, length)))
    held = [InMemoryVideos(videos, SIZE) for videos in (train, val)]
    data = VideoClips(
        train=held[0],
        val=held[1],
        num_frames=num_frames,
        size=SIZE,
        flip=True,
        seed=seed,
        signals=NAMES,
        mirrored_signals=NAMES[:1],
        num_workers=0,
        max_val_clips=None,
    )
    data.setup()
    return data


def build(num_signals: int, data: VideoClips) -> MCVD:
    """A model of the size that a CPU trains in minutes."""
    torch.manual_seed(0)
    net = partial(
        UNet,
        width=16,
        multipliers=(1, 2, 3),
        num_blocks=1,
        attention_levels=(),
        head_channels=16,
        conditioning=Concat(tell_motion=True),
        num_signals=num_signals,
    )
    signals = Signals(tuple(NAMES), **data.measure_signals()) if num_signals else None
    masking = Masking(p_signals=0.2 if num_signals else 0.0)
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


def train(root: str, folder: Path, minutes: float) -> None:
    """Train both for so many CPU minutes each, ten seconds in turn."""
    data = clips(root, PAST + 5)
    models = {name: build(number, data) for name, number in MODELS.items()}
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


def score(root: str, folder: Path, num_clips: int, seeds: int) -> dict:
    """PSNR by horizon of both, and the correlation of shift and steering for what is told."""
    data = clips(root, PAST + HORIZON)
    every = range(0, 200 - PAST - HORIZON, max(1, (200 - PAST - HORIZON) // num_clips))
    drive, told = data.val_clips.videos, data.val_clips.videos.signals(0, NAMES)
    cut = [drive.read(0, range(s, s + PAST + HORIZON), (SIZE, SIZE)) for s in every]
    video = torch.stack([fit_frames(frames, (SIZE, SIZE), 3) for frames in cut])
    signals = torch.stack([torch.from_numpy(told[s : s + PAST + HORIZON]) for s in every])
    past, target = video[:, :PAST], video[:, PAST:]
    mirrored = signals * torch.tensor([-1.0, 1.0])
    shuffled = signals[torch.randperm(len(signals), generator=torch.Generator().manual_seed(0))]
    ways = {"without": None, "with": signals, "told absent": None, "mirrored": mirrored, "shuffled": shuffled}
    steering = signals[:, PAST - 1 : -1, 0].numpy()
    report: dict = {"clips": len(video), "seeds": seeds, "steps": json.loads((folder / "steps.json").read_text())}
    copied = psnr(past[:, -1:].expand_as(target), target)
    report["psnr"] = {"copy": copied.mean(0).tolist()}
    report["per_clip"], report["correlation"] = {"copy": copied.mean(1).tolist()}, {}
    true_shift = shifts(video[:, PAST - 1 :])
    report["correlation"]["film"] = correlation(true_shift, steering)
    for way, given in ways.items():
        model = mcvd.load(folder / ("without" if way == "without" else "with"))
        options = {} if model.signals is None else {"signals": given}
        made = model.predict(past, HORIZON, num_samples=seeds, progress=False, **options)
        made = made if seeds > 1 else made[:, None]
        errors = psnr(made, target[:, None]).mean(1)
        report["psnr"][way], report["per_clip"][way] = errors.mean(0).tolist(), errors.mean(1).tolist()
        moved = np.concatenate([shifts(torch.cat([past[:, -1:], made[:, k]], 1)) for k in range(seeds)], 1)
        for name, of in {"true": signals, "mirrored": mirrored, "shuffled": shuffled}.items():
            wheel = np.tile(of[:, PAST - 1 : -1, 0].numpy(), (1, seeds))
            report["correlation"][f"{way}, with the {name} steering"] = correlation(moved, wheel)
    return report


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("action", choices=["train", "score"])
    parser.add_argument("root", help="a folder of frames with a controls.csv")
    parser.add_argument("--folder", type=Path, default=Path("steering"), help="of the two models")
    parser.add_argument("--minutes", type=float, default=5.0, help="CPU minutes of each training")
    parser.add_argument("--clips", type=int, default=24)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    if asked.action == "train":
        return train(asked.root, asked.folder, asked.minutes)
    report = score(asked.root, asked.folder, asked.clips, asked.seeds)
    for way, errors in report["psnr"].items():
        print(
            f"{way:12}" + " ".join(f"{errors[h - 1]:6.2f}" for h in (1, 5, 10, 20)) + f"   mean {np.mean(errors):.2f}"
        )
    for what, (value, low, high) in report["correlation"].items():
        print(f"{what:45} {value:+.3f} ({low:+.3f} to {high:+.3f})")
    if asked.json:
        asked.json.write_text(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
