"""The memory that `mcvd fit` foresees beside what a short training really takes on this machine's CPU.

    OMP_NUM_THREADS=1 python tools/bench/training_memory.py

Each case is a training of two steps in a process of its own. Measured is by how much the resident set of the process
grew at most from the moment before the first step, plus the weights, which were there by then.
"""

from __future__ import annotations

import argparse
import json
import re
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

import psutil
from lightning import LightningModule, Trainer

CONFIGS = Path(__file__).parents[2] / "configs"
SCENES = [
    "--data.train=mcvd.data.DrivingScenes",
    "--data.val=mcvd.data.DrivingScenes",
]
NET = "--model.net.init_args"
NARROW = [f"--config={CONFIGS}/published/base.yaml", f"{NET}.width=32", f"{NET}.head_channels=32"]
CASES = {
    "concat 64x64": [*NARROW, "--model.block={past: 2, current: 5}"],
    "SPATIN 64x64": [
        f"--config={CONFIGS}/published/base.yaml",
        f"--config={CONFIGS}/published/spatin.yaml",
        *NARROW[1:],
        "--model.block={past: 2, current: 5}",
    ],
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--one", nargs=argparse.REMAINDER, help="options of one training, in this process")
    parser.add_argument("--batch-sizes", type=int, nargs="+", default=[8])
    parser.add_argument("--out", type=Path, help="also write the figures as JSON")
    options = parser.parse_args()
    if options.one:
        return one(options.one)
    rows = []
    print(f"{'training':14} {'precision':10} {'':14} {'batch':>5} {'foreseen':>9} {'measured':>9} {'ratio':>6}")
    for name, words in CASES.items():
        for precision in ("32-true", "bf16-mixed"):
            for again in (False, True):
                for batch_size in options.batch_sizes:
                    extra = [f"--trainer.precision={precision}", f"--data.batch_size={batch_size}"]
                    extra += [f"{NET}.gradient_checkpointing=true"] if again else []
                    foreseen, measured = run([*words, *extra])
                    row = {"training": name, "precision": precision, "gradient_checkpointing": again}
                    rows.append(row | {"batch": batch_size, "foreseen": foreseen, "measured": measured})
                    print(
                        f"{name:14} {precision:10} {'checkpointing' if again else '':14} {batch_size:5} "
                        f"{foreseen / 2**20:5.0f} MiB {measured / 2**20:5.0f} MiB {foreseen / measured:6.2f}",
                        flush=True,
                    )
    if options.out:
        options.out.write_text(json.dumps(rows, indent=2) + "\n")


def run(words: list[str]) -> tuple[float, float]:
    """Foreseen and measured bytes of a training."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, __file__, "--one", *words, f"--trainer.default_root_dir={folder}"]
        said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    number, unit = re.search(r"this needs about ([\d.]+) (\w)iB", said).groups()
    return float(number) * {"M": 1 << 20, "G": 1 << 30}[unit], float(said.split()[-1])


def one(words: list[str]) -> None:
    """Train two steps here and print the bytes that it took."""
    from mcvd.training.fit import run_fit
    from mcvd.training.memory_check import MemoryCheck

    honest, held = MemoryCheck.setup, []

    def setup(self: MemoryCheck, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        honest(self, trainer, pl_module, stage)
        weights = sum(weight.nbytes for weight in pl_module.parameters())
        held.append(psutil.Process().memory_info().rss - weights)

    MemoryCheck.setup = setup
    short = [
        "--trainer.max_steps=2",
        "--trainer.accelerator=cpu",
        "--data.num_workers=0",
        "--preview.every_n_steps=null",
    ]
    run_fit([*words, *SCENES, *short, "--trainer.enable_progress_bar=false"], print)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 - held[0])


if __name__ == "__main__":
    main()
