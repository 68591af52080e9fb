"""What bf16 does to the videos of a model: the same seeds in float32, in bf16, and by the plain path of the network.

    OMP_NUM_THREADS=1 python tools/studies/precision_quality.py --num-clips 16

Prints the PSNR between the videos (of the same seed, and of another one for comparison), and each one's scores against
the truth with their 95% intervals. Clips are those of invented streets that no training saw.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch

import mcvd
from mcvd.data.synthetic.driving.scenes import DrivingScenes
from mcvd.evaluation.batch import SampledBatch
from mcvd.evaluation.evaluate import evaluate
from mcvd.metrics.frames import mean_squared_error, psnr_from_mse
from mcvd.models.load import BOX
from mcvd.samplers.select import default_sampler

sys.path.insert(0, str(Path(__file__).parents[2] / "tests"))
from reference.plain_unet import plain_forward

from mcvd.nets import Context


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default=BOX)
    parser.add_argument("--num-clips", type=int, default=16)
    parser.add_argument("--num-frames", type=int, default=5)
    parser.add_argument("--steps", type=int, help="network calls for each block; default: the default sampler's")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--compile", default="auto", help="as mcvd predict has it")
    parser.add_argument("--out", type=Path, help="also write the figures as JSON")
    options = parser.parse_args()
    model = mcvd.load(options.model).to(options.device)
    streets, count = DrivingScenes(seed=1), model.block.past + options.num_frames
    clips = torch.stack([streets.read(number, range(count), model.size) for number in range(options.num_clips)])
    sampler = default_sampler(num_steps=options.steps)
    ways: dict[str, tuple[Any, int, dict[str, Any]]] = {
        "plain float32": (Plain(model), 0, {}),
        "float32": (model, 0, {"compile": options.compile}),
        "bf16": (model, 0, {"compile": options.compile, "precision": "bf16"}),
        "float32, another seed": (model, 1, {}),
    }
    videos, rows = {}, {}
    for name, (makes, seed, choices) in ways.items():
        generator, samples = SimpleNamespace(block=model.block, predict=chosen(makes, choices)), Samples()
        scores = evaluate(generator, clips, num_samples=1, sampler=sampler, seed=seed, accumulators=[samples])
        videos[name] = torch.cat(samples.videos)
        row = scores.rows["one_sample"].to_json()
        same = mean_squared_error(videos[name], videos["plain float32"]).mean(-1)  # of each video
        rows[name] = {key: row[key] for key in ("psnr", "psnr_interval", "ssim", "ssim_interval")}
        rows[name]["psnr_to_plain"] = psnr_from_mse(same.mean()).item()
        rows[name]["lowest_psnr_to_plain"] = psnr_from_mse(same.max()).item()
        print(name, json.dumps(rows[name]), flush=True)
    if options.out:
        facts = {"torch": torch.__version__, "sampler": repr(sampler), "num_clips": options.num_clips}
        options.out.write_text(json.dumps({**facts, "rows": rows}, indent=2) + "\n")


class Samples:
    """Keeps the samples: an accumulator of `evaluate`."""

    def __init__(self) -> None:
        self.videos: list[torch.Tensor] = []

    def update(self, batch: SampledBatch) -> None:
        """Take in a batch."""
        self.videos.append(batch.samples[:, 0])


def chosen(model: Any, choices: dict[str, Any]) -> Any:
    """`predict` of a model with further choices."""
    return lambda past, num_frames, **options: model.predict(past, num_frames, **options, **choices)


class Plain:
    """A model whose network is computed the plain way."""

    def __init__(self, model: mcvd.MCVD) -> None:
        self.model = model

    def predict(self, past: torch.Tensor, num_frames: int, **options: Any) -> torch.Tensor:
        net = self.model.denoiser.net
        seen: list[Context] = []

        def encode(context: Context, *choices: Any) -> Any:
            seen.append(context)
            return encode_fast(context, *choices)

        def forward(noisy: torch.Tensor, label: torch.Tensor, encoded: Any) -> torch.Tensor:
            return plain_forward(net, noisy, label, seen[-1].frames, seen[-1].keep)

        encode_fast = net.encode_condition
        net.encode_condition, net.forward = encode, forward
        try:
            return self.model.predict(past, num_frames, **options)
        finally:
            del net.encode_condition, net.forward


if __name__ == "__main__":
    main()
