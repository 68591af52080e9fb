"""Coverage-guided fuzzing of one kind of file: atheris keeps the inputs that reach code which none before them reached.

    python -m pip install atheris          (Linux and macOS)
    python tools/assurance/guided.py "result card" card.json [--corpus FOLDER] [-runs=100000 -max_total_time=600]

The names are those that `tools/assurance/fuzz.py` prints, the file is the one of the target that is damaged; its own
changes of structures are among the mutations, and its rules tell what a failure is. What begins with one hyphen goes to
libFuzzer. The corpus is kept: the same command goes on with it.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
import tempfile
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"  # before torch
sys.path.insert(0, str(Path(__file__).parents[2] / "tests"))

import atheris
import torch

with atheris.instrument_imports(include=["mcvd"]):
    from reference.fuzz_targets import targets
    from reference.fuzzer import MAX_SECONDS, Case, damaged, outcome


class Failed(Exception):
    """A file that is neither read nor refused."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("target")
    parser.add_argument("file")
    parser.add_argument("--corpus", type=Path, default=Path("corpus"))
    parser.add_argument("--videos", type=Path, help="whole and odd videos; a few are made otherwise")
    options, for_libfuzzer = parser.parse_known_args()
    torch.set_num_threads(1)
    folder = Path(tempfile.mkdtemp())
    (target,) = (row for row in targets(folder, options.videos) if row.name == options.target)
    whole = (target.files / options.file).read_bytes()
    options.corpus.mkdir(parents=True, exist_ok=True)
    (options.corpus / "whole").write_bytes(whole)

    def mutate(data: bytes, max_size: int, seed: int) -> bytes:
        draw = random.Random(seed)
        try:
            return damaged(data if draw.random() < 0.7 else whole, options.file, draw)[:max_size]
        except Exception:  # what is no JSON any more has no structure to change
            return atheris.Mutate(data, max_size)

    def test(data: bytes) -> None:
        (target.files / options.file).write_bytes(data)
        said = outcome(Case(target, options.file, "guided"), target.files)
        if said.startswith("FAILED"):
            raise Failed(said)

    limits = [f"-timeout={MAX_SECONDS:.0f}", "-rss_limit_mb=3000", f"-max_len={4 * len(whole) + 4096}"]
    atheris.Setup([sys.argv[0], *limits, *for_libfuzzer, str(options.corpus)], test, custom_mutator=mutate)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
