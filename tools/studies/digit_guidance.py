"""How often is the digit seen that was asked for? Classifier guidance beside classifier-free guidance over labels.

    mcvd fit --config configs/digits.yaml
    mcvd fit-classifier runs/digits/run-1 --config datasets/smmnist/data.yaml --data.train.init_args.num_digits 1
    python tools/studies/digit_guidance.py MODEL CLASSIFIER --mnist data/smmnist --json digits.json

One model that was trained to be told the digit, and to do without: a classifier of noisy clips guides it untold, or
it is told and guided against the untold estimate. The judge has seen neither: the five nearest of other digits of
MNIST, of each frame, moved so that its ink is in the middle. Its likeness to the nearest says how much the result looks
like a digit at all.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

import mcvd
from mcvd.data import StochasticMovingMNIST
from mcvd.models.classifier import load_classifier

NUM_LABELS, NEIGHBOURS = 10, 5


@dataclass(frozen=True)
class Judge:
    """Nearest neighbours of centred frames: ``frames`` (M, D) of unit length, ``labels`` (M,)."""

    frames: Tensor
    labels: Tensor

    def __call__(self, videos: Tensor) -> tuple[Tensor, Tensor]:
        """The digit seen in each video (B,), and its likeness to true ones, 0 to 1; of uint8 (B, T, 1, H, W)."""
        likeness = centred(videos) @ self.frames.T
        best = likeness.topk(NEIGHBOURS, dim=1)
        votes = torch.zeros(len(likeness), NUM_LABELS).scatter_add_(1, self.labels[best.indices], best.values)
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("classifier")
    parser.add_argument("--mnist", required=True, help="a folder with the pictures and labels of MNIST's test set")
    parser.add_argument("--num-samples", type=int, default=24, help="videos of each digit")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--weights", type=float, nargs="+", default=[0, 1, 3, 10, 30])
    parser.add_argument("--guidances", type=float, nargs="+", default=[1, 2, 4])
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()

    model, classifier = mcvd.load(asked.model), load_classifier(asked.classifier)
    frames, labels = drawn(asked.mnist, range(5000, 9000), 3000, 100, model.size)
    judge = Judge(centred(frames), labels)
    frames, labels = drawn(asked.mnist, range(9000, 10000), 500, 101, model.size)
    seen, alike = judge(frames)
    report: dict = {"judge": share(seen == labels), "likeness of true digits": alike.mean().item(), "rows": {}}
    print(f"the judge is right on {report['judge'][0]:.1%} of true frames, whose likeness is {alike.mean():.3f}")
    ways = {f"classifier {weight:g}": (weight, None) for weight in asked.weights}
    ways |= {f"told, guidance {weight:g}": (None, weight) for weight in asked.guidances}
    wanted = torch.arange(NUM_LABELS).repeat_interleave(asked.num_samples)
    for way, (weight, guidance) in ways.items():
        made = []
        for digit in range(NUM_LABELS):
            if guidance is None:
                how: dict = {"guide": classifier.wish(str(digit)), "guide_weight": weight}
            else:
                how = {"signals": {"label": str(digit)}, "guidance": guidance, "guidance_drops": "signals"}
            options = {"num_samples": asked.num_samples, "steps": asked.steps, "seed": digit, "progress": False}
            made.append(model.generate(model.block.current, **options, **how))
        seen, alike = judge(torch.cat(made))
        report["rows"][way] = {"seen": share(seen == wanted), "likeness": alike.mean().item()}
        part, low, high = report["rows"][way]["seen"]
        print(f"{way:20} seen {part:.1%} ({low:.1%} to {high:.1%}), likeness {alike.mean():.3f}", flush=True)
    if asked.json:
        asked.json.write_text(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
