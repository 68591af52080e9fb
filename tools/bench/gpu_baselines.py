"""For `tools/gpu_report.py`: what mcvd is measured beside, another commit of itself and the published code."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
import yaml
from speed import Shape
from torch import nn

from mcvd.nets import SPATIN

ROOT = Path(__file__).parents[2]
_CONFIGS = {
    "cityscapes": "cityscapes_big_spade.yml",
    "spatin": "cityscapes_big_spade.yml",
    "smmnist": "smmnist_DDPM_big5.yml",
    "concat": "smmnist_DDPM_big5.yml",
}

# Runs in the other commit with its own tools: "case what precision" in, the seconds of one round out.
_SERVER = """
import sys, time, torch
sys.path.insert(0, "tools/bench" if __import__("os").path.isdir("tools/bench") else "tools")
import speed
from dataclasses import replace
device, toy, known = torch.device(sys.argv[1]), sys.argv[2] == "toy", {}
for line in sys.stdin:
    name, what, precision = line.split()
    if (name, what) not in known:
        known.clear()
        shape = speed.SHAPES[name].toy() if toy else speed.SHAPES[name]
        if toy:
            shape = replace(shape, side=16, width=8, multipliers=(1, 2))
        known[name, what] = speed.runs(shape, what, device, False)
    found = speed.measure({"it": known[name, what][precision]}, 1, device, time.perf_counter)
    print("seconds", found["it"][0], flush=True)
"""


class OtherCommit:
    """A commit of mcvd in a worktree of its own, timed by its own `speed.py` in a process that waits meanwhile.

    Args:
        commit: of this repository.
        device: where it runs.
        toy: tiny networks.
    """

    def __init__(self, commit: str, device: torch.device, toy: bool) -> None:
        self._folder = TemporaryDirectory()
        self._tree = Path(self._folder.name) / "mcvd"
        command = ["git", "-C", str(ROOT), "worktree", "add", "--quiet", "--detach", str(self._tree), commit]
        subprocess.run(command, check=True)
        self._process = subprocess.Popen(
            [sys.executable, "-c", _SERVER, str(device), "toy" if toy else "full"],
            cwd=self._tree,
            env={**os.environ, "PYTHONPATH": str(self._tree)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def seconds(self, name: str, what: str, precision: str) -> float:
        """Of one call, step or video, as `speed.measure` has it.

        Raises:
            RuntimeError: the process of the other commit ended; what it said stands on the standard error.
        """
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(f"{name} {what} {precision}\n")
        self._process.stdin.flush()
        for answer in self._process.stdout:
            if answer.startswith("seconds "):
                return float(answer.split()[1])
        raise RuntimeError(f"the other commit cannot time {name} {what} {precision}")

    def close(self) -> None:
        """End its process, and remove its files."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()
        subprocess.run(["git", "-C", str(ROOT), "worktree", "remove", "--force", str(self._tree)], check=True)
        self._folder.cleanup()


def published_net(folder: Path, name: str, shape: Shape, device: torch.device) -> nn.Module:
    """The network of the published code (github.com/voletiv/mcvd-pytorch), called as ``net(noisy, label, cond=past)``.

    Args:
        folder: where its repository lies.
        name: a case with a published config.
        shape: of the frames and the network, as `speed.SHAPES` has it.
        device: where it runs.

    Raises:
        Exception: of any type, if its code does not run here.
    """
    sys.path.insert(0, str(folder))
    from models.better.ncsnpp_more import UNetMore_DDPM  # type: ignore[import-not-found]

    config = _namespace(yaml.safe_load((folder / "configs" / _CONFIGS[name]).read_text()))
    config.device = device
    config.data.image_size, config.data.channels = shape.side, shape.channels
    config.data.num_frames, config.data.num_frames_cond = shape.block.current, shape.block.past
    config.model.ngf, config.model.ch_mult = shape.width, list(shape.multipliers)
    config.model.n_head_channels = shape.head_channels
    if isinstance(shape.conditioning, SPATIN):
        config.model.spade_dim = shape.conditioning.width
    return UNetMore_DDPM(config).to(device)


def published_step(folder: Path, name: str, shape: Shape, device: torch.device) -> Callable[[], object]:
    """A training step of the published code: its network, Adam, and clipping; arguments as of `published_net`."""
    net = published_net(folder, name, shape, device)
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-4)
    frames = [
        torch.randn(shape.batch, n * shape.channels, shape.side, shape.side, device=device)
        for n in (shape.block.current, shape.block.past)
    ]
    label = torch.full((shape.batch,), 500, device=device)

    def step() -> None:
        optimizer.zero_grad()
        noisy, past = frames
        (net(noisy, label, cond=past) - noisy).square().flatten(1).sum(1).mean().backward()
        nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimizer.step()

    return step


def _namespace(value: Any) -> Any:
    """Dictionaries as the published code reads them: by attributes."""
    return json.loads(json.dumps(value), object_hook=lambda found: Namespace(**found))
