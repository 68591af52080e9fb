"""A training of the space-time network, interrupted and resumed or shared out, is the one that was not."""

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import yaml
from reference.tiny_fit import TINY, assert_same_run

from mcvd.apps.cli.main import main
from mcvd.models.files import LAST
from mcvd.training.fit import run_fit

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    """Four steps, with everything that is the space-time network's alone."""
    init_args = TINY["model"]["net"]["init_args"] | {"gradient_checkpointing": True, "dropout": 0.0}
    net = {"class_path": "mcvd.nets.SpaceTimeUNet", "init_args": init_args}
    frames = {"masking": {"p_past": 0.5, "p_future": 0.5, "p_any": 0.5}, "frame_noise": {"p_own": 0.4, "p_rising": 0.3}}
    trainer = TINY["trainer"] | {"max_steps": 4, "limit_val_batches": 0}
    model = TINY["model"] | frames | {"net": net, "block": {"past": 2, "current": 2, "future": 0}}
    data = TINY["data"] | {"times": {"frame_rates_hz": [10, 5], "p_far": 0.5, "max_far_seconds": 0.5}}
    sections = TINY | {"model": model, "data": data, "trainer": trainer, "checkpoints": {"every_n_steps": 1}}
    path = tmp_path_factory.mktemp("config") / "tiny.yaml"
    path.write_text(yaml.safe_dump(sections))
    return path


def fit(config, root, *options):
    run_fit(["--config", str(config), f"--trainer.default_root_dir={root}", *options], print)
    return torch.load(root / "run-1" / LAST, weights_only=True)


@pytest.fixture(scope="module")
def whole(config, tmp_path_factory):
    return fit(config, tmp_path_factory.mktemp("whole"))


def test_a_resumed_training_is_the_one_that_nothing_disturbed(config, whole, tmp_path):
    fit(config, tmp_path, "--trainer.max_steps=2")
    assert_same_run(fit(config, tmp_path, "--ckpt_path=last"), whole)
    assert whole["config"]["frame_rate_hz"] == 10
    assert whole["config"]["times"] == {"frame_rates_hz": [10.0, 5.0], "max_far_seconds": 0.5}


KILLED = """
import os, signal, sys
from mcvd.apps.cli.main import main
from mcvd.models.mcvd import MCVD

honest = MCVD.training_step

def killed(model, *batch):
    if model.trainer.global_step == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return honest(model, *batch)

MCVD.training_step = killed
sys.exit(main())
"""


def test_two_processes_that_were_killed_in_a_step_are_resumed_by_one_as_if_it_had_trained_alone(
    config, whole, tmp_path
):
    (tmp_path / "killed.py").write_text(KILLED)
    words = ["fit", "--config", str(config), "--trainer.default_root_dir", str(tmp_path)]
    shared = ["--trainer.devices=2", "--trainer.strategy=ddp", "--data.batch_size=1"]
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    env = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": path}
    done = subprocess.run([sys.executable, str(tmp_path / "killed.py"), *words, *shared], env=env, timeout=300)
    assert done.returncode == -signal.SIGKILL
    reached = torch.load(tmp_path / "run-1" / LAST, weights_only=True)
    assert (reached["global_step"], reached["VideoData"]["draws_done"]) == (3, 6)
    resumed = fit(config, tmp_path, "--ckpt_path=last")
    assert resumed["VideoData"]["draws_done"] == whole["VideoData"]["draws_done"] == 8
    for name, value in whole["current_model_state"].items():
        torch.testing.assert_close(resumed["current_model_state"][name], value, rtol=0, atol=1e-5)


def test_memory_and_time_are_told_before(config, tmp_path, capsys):
    from mcvd.data import DrivingScenes
    from mcvd.video.write import write_video

    write_video(tmp_path / "videos" / "a.mp4", DrivingScenes(1, 20).read(0, range(20), (16, 16)), 10)
    words = ["data", "check", str(tmp_path / "videos"), "--config", str(config), "--device", "cpu", "--json"]
    assert main([*words]) == 0
    lines = "\n".join(json.loads(capsys.readouterr().out)["lines"])
    assert re.search(r"needs about \d+ MiB for batches of 2", lines)
    assert re.search(r"a step takes about [\d.e-]+ s, 4 steps [\d.e-]+ min", lines)
