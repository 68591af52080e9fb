"""Train the networks of configs from nothing for a few steps, by Muon and by the optimiser that they had or Adam.

    python tools/studies/optimizers.py FOLDER --configs rain space-time --steps 150

The same clips, masks and noise in the same order. Prints the mean training loss of the last 30 steps, and the median of
the seconds of the processor that a step takes.
"""

import argparse
import csv
import time
from pathlib import Path

from lightning import Callback

from mcvd.training.fit import FitCLI, run_fit

STREETS = [
    "--config=datasets/driving_scenes/data.yaml",
    "--data.train.init_args.num_videos=2000",
    "--data.batch_size=4",
]
TOY = {
    "rain": ["--data.batch_size=8"],
    "space-time": ["--data.batch_size=4"],
    "upsample": STREETS,
    "super-resolution": STREETS,
    "steered": ["--data.batch_size=8"],
    "latent-256": [],
}
MUON = ("mcvd.training.Muon", 0.02)
OPTIMIZERS = {
    "rain": [("torch.optim.AdamW", 0.001), MUON],
    "space-time": [("torch.optim.AdamW", 0.001), MUON],
    "upsample": [("torch.optim.Adam", 0.0002), MUON],
    "super-resolution": [("torch.optim.Adam", 0.0002), MUON],
    "steered": [("torch.optim.Adam", 0.0002), MUON],
    "latent-256": [("torch.optim.Adam", 0.0002), MUON],
}
LAST = 30


class Clock(Callback):
    """Seconds of the processor of each step, from its second on."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    def on_train_batch_start(self, *_: object) -> None:
        self.begin = time.process_time()

    def on_train_batch_end(self, *_: object) -> None:
        self.seconds.append(time.process_time() - self.begin)


def train(folder: Path, config: str, optimizer: str, lr: float, steps: int, options: list[str]) -> tuple[float, float]:
    clock = Clock()
    reports = FitCLI.reports
    FitCLI.reports = lambda self: [*reports(self), clock]  # type: ignore[method-assign]
    words = [
        f"--config={config}",
        *TOY[config],
        f"--model.optimizer={optimizer}",
        f"--model.optimizer.init_args.lr={lr}",
    ]
    words += [f"--trainer.max_steps={steps}", "--trainer.limit_val_batches=0", "--trainer.log_every_n_steps=1"]
    words += ["--trainer.precision=32-true", "--model.warmup_steps=20", f"--trainer.default_root_dir={folder}"]
    words += ["--data.num_workers=0", "--preview.every_n_steps=null", *options]
    try:
        run_fit(words, log=lambda line: None)
    finally:
        FitCLI.reports = reports  # type: ignore[method-assign]
    (run,) = folder.iterdir()
    with (run / "metrics.csv").open(newline="") as file:
        losses = [float(row["train/loss"]) for row in csv.DictReader(file) if row["train/loss"]]
    assert len(losses) == steps
    return sum(losses[-LAST:]) / LAST, sorted(clock.seconds)[len(clock.seconds) // 2]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--configs", nargs="+", choices=TOY, default=[*TOY])
    parser.add_argument("--steps", type=int, default=150)
    asked, options = parser.parse_known_args()
    print("| config | optimiser | loss | s of the processor a step |\n|---|---|---|---|")
    for config in asked.configs:
        for optimizer, lr in OPTIMIZERS[config]:
            folder = asked.folder / config / f"{optimizer}-{lr}"
            loss, seconds = train(folder, config, optimizer, lr, asked.steps, options)
            print(f"| {config} | {optimizer.rpartition('.')[2]}, {lr:g} | {loss:.4f} | {seconds:.3f} |", flush=True)


if __name__ == "__main__":
    main()
