"""Train models and codecs from nothing for a few steps, by Muon and by what their configs said before.

    python tools/studies/optimizers.py FOLDER --of rain space-time VQModel --steps 100

Of each the same clips, masks and noise in the same order. Prints the mean loss of the last 20 steps, of a codec
the absolute error, and the median of the seconds of the processor that a step takes. Options that are not of this
command are those of mcvd fit.
"""

import argparse
import csv
import time
from pathlib import Path

from lightning import Callback

from mcvd.training.codec_cli import CodecCLI, run_fit_codec
from mcvd.training.fit import FitCLI, run_fit

SMALL = ["--model.size=[32, 32]", "--data.batch_size=4"]
STREETS = ["--config=datasets/driving_scenes/data.yaml", "--data.train.init_args.num_videos=2000", *SMALL]
NARROW = "--model.net.init_args.width=16"
ADAM, ADAMW, MUON = ("torch.optim.Adam", 0.0002), ("torch.optim.AdamW", 0.001), ("mcvd.training.Muon", 0.02)
MODELS = {
    "rain": (["--data.batch_size=4"], [ADAMW, MUON]),
    "space-time": (["--data.batch_size=2"], [ADAMW, MUON]),
    "digits": ([], [("torch.optim.Adam", 0.001), MUON]),  # MNIST lies in data/smmnist
    "steered": (["--data.batch_size=4"], [ADAM, MUON]),
    "super-resolution": ([*STREETS, NARROW], [ADAM, MUON]),
    "upsample": ([*STREETS, NARROW], [ADAM, MUON]),
}
KINDS = ("PatchAutoencoder", "AutoencoderKL", "AutoencoderTiny", "VQModel")
CODEC_OPTIMIZERS = [("torch.optim.Adam", 0.0005), ("torch.optim.Adam", 0.002), MUON]
LAST = 20


class Clock(Callback):
    """Seconds of the processor of each step."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    def on_train_batch_start(self, *_: object) -> None:
        self.begin = time.process_time()

    def on_train_batch_end(self, *_: object) -> None:
        self.seconds.append(time.process_time() - self.begin)


def train(folder: Path, name: str, optimizer: str, lr: float, steps: int, options: list[str]) -> tuple[float, float]:
    """The loss of the last steps, and the seconds of one."""
    cli, run, column = (CodecCLI, run_fit_codec, "train/error") if name in KINDS else (FitCLI, run_fit, "train/loss")
    own = [f"--model.kind={name}", *STREETS] if name in KINDS else [f"--config={name}", *MODELS[name][0]]
    words = [*own, f"--model.optimizer={optimizer}", f"--model.optimizer.init_args.lr={lr}", "--model.warmup_steps=10"]
    if optimizer == ADAMW[0]:  # as rain and space-time said
        words += ["--model.optimizer.init_args.betas=[0.9, 0.99]", "--model.optimizer.init_args.weight_decay=0"]
    words += [f"--trainer.max_steps={steps}", "--trainer.limit_val_batches=0", "--trainer.log_every_n_steps=1"]
    words += ["--trainer.precision=32-true", f"--trainer.default_root_dir={folder}", "--data.num_workers=0"]
    words += options
    clock, reports = Clock(), cli.reports
    cli.reports = lambda self: [*reports(self), clock]  # type: ignore[method-assign]
    try:
        run(words, log=lambda line: None)
    finally:
        cli.reports = reports  # type: ignore[method-assign]
    (made,) = folder.iterdir()
    with (made / "metrics.csv").open(newline="") as file:
        losses = [float(row[column]) for row in csv.DictReader(file) if row[column]]
    assert len(losses) == steps
    return sum(losses[-LAST:]) / LAST, sorted(clock.seconds)[steps // 2]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--of", nargs="+", choices=[*MODELS, *KINDS], default=[*MODELS, *KINDS])
    parser.add_argument("--steps", type=int, default=100)
    asked, options = parser.parse_known_args()
    print("| | optimiser | loss | s of the processor a step |\n|---|---|---|---|")
    for name in asked.of:
        for optimizer, lr in CODEC_OPTIMIZERS if name in KINDS else MODELS[name][1]:
            loss, seconds = train(asked.folder / name / f"{optimizer}-{lr}", name, optimizer, lr, asked.steps, options)
            print(f"| {name} | {optimizer.rpartition('.')[2]}, {lr:g} | {loss:.4f} | {seconds:.3f} |", flush=True)


if __name__ == "__main__":
    main()
