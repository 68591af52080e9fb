"""Changes one thing in mcvd, runs the tests of that file, and sees whether they notice; again and again.

    python -m pip install cosmic-ray
    python tools/assurance/mutants.py --num-mutants 300 [--seed 0] [--out mutants.jsonl]
    python tools/assurance/mutants.py --again mutants.jsonl           (the survivors of a run, after new tests)
    python tools/assurance/mutants.py --by-hand --out hand.jsonl      (those of hand_mutants.py; needs no cosmic-ray)

The changes are those of cosmic-ray, drawn at random from all that it can make in the files of `TESTS`; those in
annotations alone, which nothing ever runs, and those that are no Python are passed over. cosmic-ray's own runner starts
Python for each, which is seconds of imports: here each mutant is a fork of a process that has imported everything but
mcvd, and the changed file never lies on the disk. A mutant is killed if a test fails, if it cannot be imported, or if
its tests take more than `MAX_SECONDS` of work; it survives if all tests pass.
"""

from __future__ import annotations

import argparse
import ast
import dataclasses
import difflib
import importlib
import importlib.abc
import importlib.util
import itertools
import json
import os
import random
import resource
import sys
import time
from collections import Counter, defaultdict
from pathlib import Path

from hand_mutants import MUTANTS

ROOT = Path(__file__).resolve().parents[2]
LAWS = [
    "tests/diffusion/test_properties.py",
    "-k",
    "not built_model and not mistyped",
]  # those build models, which is slow
ALL_SAMPLERS = ["tests/samplers"]
# file -> what is run first, and, where nothing fails, what after it
TESTS = {
    "mcvd/frames.py": (["tests/test_frames.py", *LAWS],),
    "mcvd/diffusion/masking.py": (["tests/diffusion/test_masking.py", *LAWS],),
    "mcvd/noise.py": (["tests/test_noise.py", *LAWS], ["tests/samplers/test_variance_exploding.py"]),
    "mcvd/diffusion/plan.py": (["tests/diffusion/test_rollout.py", *LAWS],),
    "mcvd/diffusion/rollout.py": (["tests/diffusion/test_rollout.py", *LAWS],),
    "mcvd/metrics/frechet.py": (["tests/metrics/test_frechet.py"],),
    "mcvd/samplers/base.py": (["tests/samplers", "-k", "DDIM"], ALL_SAMPLERS),
    "mcvd/samplers/multistep.py": (["tests/samplers", "-k", "UniPC or DPMSolver or SASolver"], ALL_SAMPLERS),
    "mcvd/samplers/spacing.py": (["tests/samplers/test_spacing.py"], ALL_SAMPLERS),
    "mcvd/samplers/select.py": (["tests/apps/test_cli.py", "-k", "sampler"], ["tests/models/test_mcvd.py"]),
} | {
    f"mcvd/samplers/{name}.py": (["tests/samplers", "-k", words], ALL_SAMPLERS)
    for name, words in {
        "adaptive_sde": "Adaptive",
        "annealed_langevin": "Annealed",
        "ddim": "DDIM",
        "ddpm": "DDPM",
        "dpm_solver_pp": "DPMSolver",
        "heun": "Heun",
        "pndm": "PNDM",
        "predictor_corrector": "Corrector",
        "sa_solver": "SASolver",
        "sde_dpm_solver_pp": "SDEDPMSolver",
        "unipc": "UniPC",
    }.items()
}
_SOUND: set[tuple[str, ...]] = set()  # tests that pass without any change
NO_TESTS = 5  # pytest's exit status
MAX_SECONDS = 180  # of work; the slowest of these tests need 20
WARM = ("torch", "numpy", "scipy.linalg", "pytest", "hypothesis", "lightning", "torchmetrics", "jsonargparse", "einops")


@dataclasses.dataclass(frozen=True)
class Mutant:
    """One change.

    Args:
        path: of the file, from the root.
        operator: cosmic-ray's name of the kind of change.
        occurrence: which of the places in the file where it can be made.
    """

    path: str
    operator: str
    occurrence: int

    def source(self) -> str:
        """The changed file."""
        from cosmic_ray.mutating import mutate_code

        return mutate_code((ROOT / self.path).read_text(), _operator(self.operator), self.occurrence)

    def unchanged(self) -> Mutant:
        """The file as it is."""
        return Mutant(self.path, "core/NoOp", 0)

    def tests(self) -> tuple[list[str], ...]:
        """What is run, and, where nothing fails, what after it."""
        return TESTS[self.path]


@dataclasses.dataclass(frozen=True)
class HandMutant:
    """A change that somebody thought of: what a piece of the file is replaced by."""

    path: str
    old: str
    new: str

    def source(self) -> str:
        """The changed file."""
        source = (ROOT / self.path).read_text()
        if self.old and source.count(self.old) != 1:
            raise ValueError(f"{self.path} has {self.old!r} {source.count(self.old)} times instead of once")
        return source.replace(self.old, self.new) if self.old else source

    def unchanged(self) -> HandMutant:
        """The file as it is."""
        return HandMutant(self.path, "", "")

    def tests(self) -> tuple[list[str], ...]:
        """What is run, and, where nothing fails, what after it."""
        return MUTANTS[self.path][0]


def difference(mutant: Mutant | HandMutant) -> str:
    """The changed lines, before and after."""
    lines = difflib.unified_diff(
        (ROOT / mutant.path).read_text().split("\n"), mutant.source().split("\n"), "", "", lineterm="", n=0
    )
    return "\n".join(line for line in lines if not line.startswith(("---", "+++")))


def _operator(name: str):
    from cosmic_ray.plugins import get_operator

    return get_operator(name)()


def all_mutants() -> list[Mutant]:
    """Every change that cosmic-ray can make in the files of `TESTS`."""
    from cosmic_ray.ast import ast_nodes, get_ast
    from cosmic_ray.plugins import get_operator, operator_names

    found = []
    for path in TESTS:
        nodes = list(ast_nodes(get_ast((ROOT / path).read_text())))
        for name in operator_names():
            if not get_operator(name).arguments():
                num_places = sum(1 for node in nodes for _ in _operator(name).mutation_positions(node))
                found += [Mutant(path, name, occurrence) for occurrence in range(num_places)]
    return found


def runs_differently(mutant: Mutant) -> bool:
    """Whether it is Python, and more than a change of annotations."""
    return _what_runs(mutant.source()) not in ("", _what_runs((ROOT / mutant.path).read_text()))


def _what_runs(source: str) -> str:
    """A file's syntax tree without annotations, as text; nothing for what is not Python."""
    try:
        tree = ast.parse(source)
    except SyntaxError:
        return ""
    for node in ast.walk(tree):
        if isinstance(node, ast.arg | ast.AnnAssign):
            node.annotation = ast.Constant(None)
        elif isinstance(node, ast.FunctionDef):
            node.returns = None
    return ast.dump(tree)


def fate(mutant: Mutant | HandMutant, log: Path) -> str:
    """What the tests say: "survived", "killed", or "killed: time"."""
    for tests in mutant.tests():
        whole = mutant.unchanged()
        if mutant != whole and tuple(tests) not in _SOUND:  # tests that fail anyway kill nothing
            if fate(whole, log) != "survived":
                sys.exit(f"pytest {' '.join(tests)} fails without any change:\n{log.read_text()}")
            _SOUND.update(map(tuple, mutant.tests()))
        child = os.fork()
        if not child:
            status = 70
            try:
                status = _test(mutant, tests, log)
            finally:
                os._exit(status)
        _, status, _ = os.wait4(child, 0)
        if os.WIFSIGNALED(status):
            return "killed: time"
        if os.WEXITSTATUS(status) == NO_TESTS:
            raise RuntimeError(f"pytest {' '.join(tests)} finds no test")
        if os.WEXITSTATUS(status):
            return "killed"
    return "survived"


def _test(mutant: Mutant | HandMutant, tests: list[str], log: Path) -> int:
    """In a process of its own: pytest's exit status with the change made."""
    import pytest

    resource.setrlimit(resource.RLIMIT_CPU, (MAX_SECONDS, MAX_SECONDS))
    handle = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(handle, 1)
    os.dup2(handle, 2)
    sys.meta_path.insert(0, _Changed(mutant))
    return int(pytest.main(["-x", "-q", "-p", "no:cacheprovider", "--tb=line", *tests]))


class _Changed(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Imports the changed file in the place of the one on the disk."""

    def __init__(self, mutant: Mutant | HandMutant):
        self.name = mutant.path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
        self.path, self.source = str(ROOT / mutant.path), mutant.source()

    def find_spec(self, name, path=None, target=None):
        if name != self.name:
            return None
        is_package = self.path.endswith("__init__.py")
        places = [str(Path(self.path).parent)] if is_package else None
        return importlib.util.spec_from_file_location(
            name, self.path, loader=self, submodule_search_locations=places
        )  # fmt: skip

    def exec_module(self, module):
        exec(compile(self.source, self.path, "exec"), module.__dict__)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--num-mutants", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("mutants.jsonl"),
        help="a line of JSON for each; a run that was stopped goes on",
    )
    parser.add_argument("--again", type=Path, help="try the survivors in this file once more, instead of drawing")
    parser.add_argument("--by-hand", action="store_true", help="those of hand_mutants.py, all of them")
    options = parser.parse_args()
    kind = HandMutant if options.by_hand else Mutant
    os.chdir(ROOT)
    os.environ["OMP_NUM_THREADS"] = "1"
    sys.path.insert(0, str(ROOT))
    for name in WARM:
        importlib.import_module(name)
    assert not any(name == "mcvd" or name.startswith("mcvd.") for name in sys.modules)
    if options.again:
        rows = [json.loads(line) for line in options.again.read_text().splitlines()]
        chosen = [kind(**row["mutant"]) for row in rows if row["fate"] == "survived"]
    elif options.by_hand:
        chosen = [HandMutant(path, *pair) for path, (_, pairs) in MUTANTS.items() for pair in pairs]
        random.Random(options.seed).shuffle(chosen)  # a run that is stopped has some of each file
    else:
        found = all_mutants()
        random.Random(options.seed).shuffle(found)
        chosen = list(itertools.islice(filter(runs_differently, found), options.num_mutants))
    log = options.out.with_suffix(".log")
    counts, began = defaultdict(Counter), time.monotonic()
    done = {}
    if options.out.exists() and not options.again:  # of a run that was stopped
        rows = [json.loads(line) for line in options.out.read_text().splitlines()]
        done = {kind(**row["mutant"]): row["fate"] for row in rows}
    with options.out.open("a") as out:
        for number, mutant in enumerate(chosen, 1):
            said = done.get(mutant) or fate(mutant, log)
            counts["mcvd/samplers" if "samplers" in mutant.path else mutant.path][said] += 1
            if mutant in done:
                continue
            row = {"fate": said, "mutant": dataclasses.asdict(mutant), "difference": difference(mutant)}
            print(json.dumps(row), file=out, flush=True)
            if said == "survived":
                print(f"{number} {mutant.path}\n{row['difference']}", flush=True)
    print("\n| file | mutants | killed | of these by time | survived |\n|---|---|---|---|---|")
    for name, count in sorted(counts.items()):
        killed = count["killed"] + count["killed: time"]
        print(f"| `{name}` | {count.total()} | {killed} | {count['killed: time']} | {count['survived']} |")
    print(f"{time.monotonic() - began:.0f} s, seed {options.seed}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
