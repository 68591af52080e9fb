"""Signals to all processes of a training."""

import os
import signal
import time

import pytest
import torch
import yaml
from reference.tiny_fit import TINY

from faults.kills import listen, told, training
from mcvd.models.files import LAST


def leave(process, seconds=120):
    """The exit status of a process that is expected to end by itself."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found, status = os.waitpid(process, os.WNOHANG)
        if found:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.05)
    os.killpg(process, signal.SIGKILL)
    os.waitpid(process, 0)
    raise AssertionError(f"still there after {seconds} s")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("num_workers", [0, 2])
def test_a_signal_to_the_whole_process_group_saves_and_says_how_to_go_on(tmp_path, number, num_workers):
    config = tmp_path / "tiny.yaml"
    config.write_text(yaml.safe_dump(TINY | {"checkpoints": {"every_n_steps": 1000}}))
    options = ["--trainer.max_steps=100000", f"--data.num_workers={num_workers}"]
    with training(config, tmp_path, options) as (process, pipe):
        listen(pipe, lambda said: said.count(b"s") == 7)
        os.killpg(process, number)
        status = leave(process)
    assert status == 128 + number, told(tmp_path)
    *_, last_line = told(tmp_path).strip().splitlines()
    step = torch.load(tmp_path / "run-1" / LAST, weights_only=True)["global_step"]
    assert step >= 7
    assert last_line == (
        f"stopped by {number.name} after step {step}; saved {tmp_path}/run-1/last.ckpt; resume with the same command "
        f"and --ckpt_path {tmp_path}/run-1/last.ckpt"
    )
