"""How often is the digit seen that was asked for? Classifier guidance beside classifier-free guidance over labels.

    python tools/studies/digit_guidance.py train-model --mnist data/smmnist --minutes 5
    python tools/studies/digit_guidance.py train-classifier --mnist data/smmnist --minutes 4
    python tools/studies/digit_guidance.py score --mnist data/smmnist --json digits.json

One model that is told the digit, and is trained to do without: a classifier of noisy clips guides it untold, or it is
told and guided against the untold estimate. Both learn from the first half of the pictures of MNIST's test set, one
digit in a clip. The judge has seen neither the noise nor those: the five nearest of other digits of MNIST, of each
frame, moved so that its ink is in the middle. Its likeness to the nearest says how much the result looks like a digit
at all. ``mcvd fit --config configs/digits.yaml`` and ``mcvd fit-classifier`` train the same for as long as you like.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

import mcvd
from mcvd.data import StochasticMovingMNIST
from mcvd.diffusion.masking import Masking
from mcvd.diffusion.signals import Signals
from mcvd.models.classifier import load_classifier
from mcvd.models.mcvd import MCVD
from mcvd.nets import UNet
from mcvd.noise import Cosine
from mcvd.training.classifier import ClassifierFit

NEIGHBOURS, FRAMES, SIZE, BATCH = 5, 4, 16, 32
LEARNED = 5000  # of the pictures, in order; the judge's and those that it is judged by follow
NET = {"width": 16, "multipliers": (1, 2, 3), "num_blocks": 1, "attention_levels": (), "head_channels": 16}


def clips(mnist: str, digits: list[int], count: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Clips of one moving digit, uint8 (N, FRAMES, 1, SIZE, SIZE), and which of ``digits`` it is, (N,)."""
    of = {"num_videos": count, "num_frames": FRAMES, "num_digits": 1, "pool": LEARNED, "seed": seed}
    videos = StochasticMovingMNIST(mnist, train=False, **of)
    names = [f"label={digit}" for digit in digits]
    told = np.stack([videos.signals(number, names)[0] for number in range(count)])
    chosen = told.sum(1).nonzero()[0]
    frames = torch.stack([videos.read(int(number), range(FRAMES), (SIZE, SIZE)) for number in chosen])
    return frames, torch.from_numpy(told[chosen]).argmax(1)


def build(digits: list[int]) -> MCVD:
    """The model of configs/digits.yaml, told these digits."""
    torch.manual_seed(0)
    names = tuple(f"label={digit}" for digit in digits)
    zero, one = (tuple(float(value) for _ in names) for value in (0, 1))
    return MCVD(
        mcvd.FrameBlock(0, FRAMES),
        net=partial(UNet, num_signals=len(names), **NET),
        size=(SIZE, SIZE),
        channels=1,
        schedule=Cosine(),
        predicts="edm",
        masking=Masking(p_signals=0.25),
        signals=Signals(names, mean=zero, std=one, low=zero, high=one),
    )


def optimise(
    module: torch.nn.Module, rate: float, minutes: float, loss_of: Callable[[int], Tensor], told: Callable[[], str]
) -> None:
    """Adam for so many CPU minutes; the rate falls to 0 over the second half."""
    optimizer = torch.optim.Adam(module.parameters(), lr=rate)
    began, spoken, step, done = time.process_time(), 0.0, 0, 0.0
    module.train()
    while done < 1:
        optimizer.param_groups[0]["lr"] = rate * min(1, (step + 1) / 100, max(0.01, 2 - 2 * done))
        optimizer.zero_grad()
        loss = loss_of(step)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(module.parameters(), 1.0)
        optimizer.step()
        step, done = step + 1, (time.process_time() - began) / (60 * minutes)
        if done * minutes - spoken > 0.25:
            spoken = done * minutes
            print(f"{60 * spoken:.0f} s, {step} steps, loss {loss.item():.4f}{told()}", flush=True)
    module.eval()
    print(f"trained for {step} steps of {BATCH} clips", flush=True)


def batches(frames: Tensor, labels: Tensor, num_labels: int) -> Callable[[int], dict]:
    """Batches by step, as the data of a training gives them; clips in an order of their own each time."""
    told = torch.nn.functional.one_hot(labels, num_labels).float()[:, None].expand(-1, FRAMES, -1)

    def batch(step: int) -> dict:
        chosen = torch.randint(len(frames), (BATCH,), generator=torch.Generator().manual_seed(step))
        numbers = [*range(BATCH * step, BATCH * (step + 1))]
        return {"video": frames[chosen], "signals": told[chosen], "index": numbers}

    return batch


def train_model(asked: argparse.Namespace) -> None:
    """Train the model, told the digit of three clips in four."""
    model = build(asked.digits)
    batch = batches(*clips(asked.mnist, asked.digits, asked.num_clips), len(asked.digits))
    optimise(model, 2e-3, asked.minutes, lambda step: model.loss(batch(step)).mean() / SIZE**2 / FRAMES, str)
    model.save_pretrained(asked.folder / "model")


def train_classifier(asked: argparse.Namespace) -> None:
    """Train the classifier, as ``mcvd fit-classifier`` does."""
    build(asked.digits).save_pretrained(asked.folder / "untrained")
    torch.manual_seed(0)
    fit = ClassifierFit(str(asked.folder / "untrained"), **NET | {"width": asked.width})
    batch = batches(*clips(asked.mnist, asked.digits, asked.num_clips), len(asked.digits))
    held = batches(*clips(asked.mnist, asked.digits, 1000, seed=1), len(asked.digits))
    tests = [held(step) for step in range(8)]

    @torch.no_grad()
    def accuracy() -> str:
        fit.eval()
        seen = [torch.stack([logits.argmax(1) == right, little]) for logits, right, little in map(fit.logits, tests)]
        fit.train()
        right, little = torch.cat(seen, 1)
        every, some = right.float().mean(), right[little].float().mean()
        return f", held-out clips told right {every:.1%}, with little noise {some:.1%}"

    def loss_of(step: int) -> Tensor:
        logits, right, _ = fit.logits(batch(step))
        return torch.nn.functional.cross_entropy(logits, right)

    optimise(fit.classifier, asked.rate, asked.minutes, loss_of, accuracy)
    print(accuracy()[2:])
    fit.classifier.save_pretrained(asked.folder / "classifier")


@dataclass(frozen=True)
class Judge:
    """Nearest neighbours of centred frames: ``frames`` (M, D) of unit length, ``labels`` (M,)."""

    frames: Tensor
    labels: Tensor

    def __call__(self, videos: Tensor) -> tuple[Tensor, Tensor]:
        """The digit seen in each video (B,), and its likeness to true ones, 0 to 1; of uint8 (B, T, 1, H, W)."""
        likeness = centred(videos) @ self.frames.T
        best = likeness.topk(NEIGHBOURS, dim=1)
        votes = torch.zeros(len(likeness), 10).scatter_add_(1, self.labels[best.indices], best.values)
        votes = votes.unflatten(0, videos.shape[:2]).sum(1)
        return votes.argmax(1), best.values[:, 0].unflatten(0, videos.shape[:2]).mean(1)


def centred(videos: Tensor) -> Tensor:
    """Each frame with its ink in the middle, as a vector of unit length: (B * T, D)."""
    ink = videos.flatten(0, 2).float() / 255
    size = ink.shape[-1]
    total = ink.sum((1, 2)).clamp(min=1e-3)
    places = torch.arange(size).float()
    rows, columns = (((ink.sum(axis) * places).sum(1) / total).round().long() for axis in (2, 1))
    moved = torch.stack(
        [
            frame.roll((size // 2 - int(row), size // 2 - int(column)), (0, 1))
            for frame, row, column in zip(ink, rows, columns, strict=True)
        ]
    )
    part = slice(size // 4 - 1, size - size // 4 + 1)
    return torch.nn.functional.normalize(moved[:, part, part].flatten(1), dim=1)


def drawn(mnist: str, digits: range, count: int, seed: int, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Frames uint8 (count, 1, 1, H, W) and labels of some of MNIST's digits, moved somewhere."""
    videos = StochasticMovingMNIST(mnist, train=False, num_videos=count, num_frames=1, num_digits=1, seed=seed)
    chosen = slice(digits.start, digits.stop)
    videos._digits, videos._labels = videos._digits[chosen], videos._labels[chosen]
    told = np.stack([videos.signals(number, videos.signal_names(number))[0] for number in range(count)])
    return torch.stack([videos.read(number, [0], size) for number in range(count)]), torch.from_numpy(told.argmax(1))


def share(right: Tensor) -> tuple[float, float, float]:
    """Of bool (N,): the share, and its 95% interval (videos drawn anew)."""
    seen, draw = right.float().numpy(), np.random.default_rng(0)
    each = seen[draw.integers(len(seen), size=(2000, len(seen)))].mean(1)
    return (float(seen.mean()), *map(float, np.percentile(each, [2.5, 97.5])))


def score(asked: argparse.Namespace) -> None:
    """Count how often the digit is seen."""
    model, classifier = mcvd.load(asked.folder / "model"), load_classifier(asked.folder / "classifier")
    digits = torch.tensor([int(label) for label in classifier.labels])
    frames, labels = drawn(asked.mnist, range(LEARNED, 9000), 3000, 100, model.size)
    judge = Judge(centred(frames), labels)
    frames, labels = drawn(asked.mnist, range(9000, 10000), 500, 101, model.size)
    seen, alike = judge(frames)
    among = torch.isin(labels, digits)
    right, alike = share((seen == labels)[among]), alike[among].mean().item()
    report: dict = {"judge": right, "likeness of true digits": alike, "rows": {}}
    print(f"the judge is right on {right[0]:.1%} of true frames, whose likeness is {alike:.3f}")
    ways = {f"classifier {weight:g}": (weight, None) for weight in asked.weights}
    ways |= {f"told, guidance {weight:g}": (None, weight) for weight in asked.guidances}
    wanted = digits.repeat_interleave(asked.num_samples)
    for way, (weight, guidance) in ways.items():
        made = []
        for digit in digits.tolist():
            if guidance is None:
                how: dict = {"guide": classifier.wish(str(digit)), "guide_weight": weight}
            else:
                how = {"signals": {"label": str(digit)}}
                how |= {} if guidance == 1 else {"guidance": guidance, "guidance_drops": "signals"}
            options = {"num_samples": asked.num_samples, "steps": asked.steps, "seed": digit, "progress": False}
            made.append(model.generate(model.block.current, **options, **how))
        seen, alike = judge(torch.cat(made))
        report["rows"][way] = {"seen": share(seen == wanted), "likeness": alike.mean().item()}
        part, low, high = report["rows"][way]["seen"]
        print(f"{way:20} seen {part:.1%} ({low:.1%} to {high:.1%}), likeness {alike.mean():.3f}", flush=True)
    if asked.json:
        asked.json.write_text(json.dumps(report, indent=1))


ACTIONS = {"train-model": train_model, "train-classifier": train_classifier, "score": score}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("action", choices=ACTIONS)
    parser.add_argument("--folder", type=Path, default=Path("digits"), help="of the model and the classifier")
    parser.add_argument("--mnist", required=True, help="a folder with the pictures and labels of MNIST's test set")
    parser.add_argument("--digits", type=int, nargs="+", default=[0, 1, 2, 3])
    parser.add_argument("--num-clips", type=int, default=12_000, help="of all digits, of which these are taken")
    parser.add_argument("--minutes", type=float, default=5.0, help="CPU minutes of a training")
    parser.add_argument("--rate", type=float, default=2e-3, help="learning rate of the classifier")
    parser.add_argument("--width", type=int, default=16, help="of the classifier")
    parser.add_argument("--num-samples", type=int, default=24, help="videos of each digit")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--weights", type=float, nargs="+", default=[0, 1, 3, 10, 30])
    parser.add_argument("--guidances", type=float, nargs="+", default=[1, 2, 4])
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    ACTIONS[asked.action](asked)


if __name__ == "__main__":
    main()
