"""Forecasts of invented rain by a trained model, against persistence and advection by lead time, with intervals.

    mcvd fit --config configs/rain.yaml
    python tools/studies/rain_forecasts.py runs/rain/run-1 --out rain.json

CRPS (fair) and CSI at thresholds for each lead time, over held-out sequences; the intervals are 95% bootstrap
intervals of the difference from the better baseline over sequences.
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np
import torch

import mcvd
from mcvd.data import RainFields
from mcvd.evaluation.advection import Advection
from mcvd.metrics import EventCounts, Exceedance, crps

HELD_OUT = 1  # the seed that configs/rain.yaml validates on


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--out", type=Path, required=True, metavar="JSON")
    parser.add_argument("--num-sequences", type=int, default=48)
    parser.add_argument("--num-samples", type=int, default=8)
    parser.add_argument("--num-frames", type=int, default=12)
    parser.add_argument("--thresholds", type=float, nargs="+", default=[1.0, 10.0])
    options = parser.parse_args()
    model = mcvd.load(options.model)
    num_past, length = model.block.past, model.block.past + options.num_frames
    rain = RainFields(options.num_sequences, length, seed=HELD_OUT)
    clips = torch.stack([rain.read(i, range(length), model.size) for i in range(options.num_sequences)])
    past, truth = clips[:, :num_past], clips[:, num_past:]
    started = time.process_time()
    samples = model.predict(past, options.num_frames, num_samples=options.num_samples, batch_size=32)
    seconds = time.process_time() - started
    forecasts = {
        "model": samples,
        "mean of samples": samples.mean(1, keepdim=True),
        "persistence": past[:, -1:].expand_as(truth)[:, None],
        "advection": Advection(model.codec)(past, past[:, :0], options.num_frames)[:, None],
    }
    result = {"sequences": options.num_sequences, "samples": options.num_samples, "seconds": seconds, "rows": {}}
    for name, forecast in forecasts.items():
        scores = crps(forecast, truth)  # (N, T)
        result["rows"][name] = {"crps": scores.tolist(), "csi": {}}
        for threshold in options.thresholds:
            shape = {"num_samples": forecast.shape[1], "num_frames": options.num_frames}
            contingency = []
            for one, true in zip(forecast, truth, strict=True):
                events = Exceedance([threshold], **shape)
                events.update(one[None], true[None])
                contingency.append([EventCounts(frame).contingency() for frame in events.compute()[0]])
            result["rows"][name]["csi"][str(threshold)] = contingency
    options.out.write_text(json.dumps(result))
    print(table(result, options.thresholds))


def table(result: dict, thresholds: list[float]) -> str:
    """In Markdown, a line for each lead time."""
    rows = result["rows"]
    scores = {name: np.array(row["crps"]) for name, row in rows.items()}
    scored = [name for name in rows if name != "mean of samples"]
    heads = ["lead", *(f"CRPS {name}" for name in scored), "less than the better baseline, 95%"]
    heads += [f"CSI {level:g} {name}" for level in thresholds for name in rows]
    lines = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    drawn = np.random.default_rng(0).integers(result["sequences"], size=(10_000, result["sequences"]))
    for t in range(scores["model"].shape[1]):
        means = {name: values[:, t].mean() for name, values in scores.items()}
        better = min("persistence", "advection", key=lambda name: means[name])
        gain = scores[better][:, t] - scores["model"][:, t]
        low, high = np.percentile(gain[drawn].mean(1), [2.5, 97.5])
        cells = [str(t + 1), *(f"{means[name]:.3f}" for name in scored), f"{low:+.3f} .. {high:+.3f}"]
        for level in thresholds:
            for row in rows.values():
                hits, misses, alarms = np.array(row["csi"][str(level)])[:, t].sum(0)
                cells.append(f"{hits / max(hits + misses + alarms, 1e-9):.2f}")
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
