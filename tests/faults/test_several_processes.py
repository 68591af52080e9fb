"""One, two and three processes give the same numbers, and none waits for ever when another dies; on gloo, forked."""

import json
import os
import signal
import subprocess
import sys

import pytest
import torch
import yaml
from reference.tiny import pixels, tiny_model
from reference.tiny_fit import TINY

import mcvd.metrics.frames
from faults.dying import die
from faults.forked import forked
from mcvd.apps.cli.generate import run as generate
from mcvd.apps.cli.main import main
from mcvd.diffusion.block_store import BlockStore
from mcvd.evaluation.evaluate import evaluate
from mcvd.models.files import LAST
from mcvd.models.mcvd import MCVD
from mcvd.runtime.distributed import spawn
from mcvd.samplers import DDIM

GLOBAL_BATCH = 6


def train(root, world_size, *options, strategy="ddp"):
    """The words of the command line for a training of so many processes on the same clips."""
    config = root.parent / "tiny.yaml"
    config.write_text(yaml.safe_dump(TINY))
    shared = [f"--trainer.strategy={strategy}", f"--trainer.devices={world_size}"] if world_size > 1 else []
    batch = f"--data.batch_size={GLOBAL_BATCH // world_size}"
    words = ["--config", str(config), f"--trainer.default_root_dir={root}", "--trainer.max_steps=6", batch]
    return ["fit", *words, "--model.net.init_args.dropout=0", *shared, *options]


def last(root):
    return torch.load(root / "run-1" / LAST, weights_only=True)


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    root = tmp_path_factory.mktemp("alone") / "runs"
    # In a process of its own: one that has looked ahead at its memory cannot be forked for training any more.
    done = subprocess.run([sys.executable, "-m", "mcvd", *train(root, 1)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return last(root)


def assert_same_training(together, alone):
    """Within what the order of sums changes."""
    assert together["global_step"] == alone["global_step"] == 6
    assert together["VideoData"]["draws_done"] == alone["VideoData"]["draws_done"] == 6 * GLOBAL_BATCH
    assert together["averaging_state"] == alone["averaging_state"]
    for part in ("current_model_state", "state_dict"):
        assert together[part].keys() == alone[part].keys()
        for name, value in alone[part].items():
            torch.testing.assert_close(together[part][name], value, rtol=0, atol=1e-5)
    moments = [checkpoint["optimizer_states"][0]["state"] for checkpoint in (together, alone)]
    for number, state in moments[1].items():
        for name, value in state.items():
            torch.testing.assert_close(moments[0][number][name], value, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("strategy", ["ddp", "fsdp"])
def test_three_processes_train_as_one_does(alone, tmp_path, strategy):
    """Two, started by Lightning itself, are in test_fit.py."""
    root, words = tmp_path / "runs", train(tmp_path / "runs", 3, strategy=strategy)
    statuses = forked(3, lambda rank: main(words), tmp_path / "log")
    assert statuses == [0] * 3, (tmp_path / "log-0").read_text()
    assert_same_training(last(root), alone)


@pytest.mark.parametrize(("before", "after"), [(2, 2), (2, 1), (1, 3)])
def test_a_training_with_weights_shared_out_goes_on_with_any_number_of_processes(alone, tmp_path, before, after):
    root = tmp_path / "runs"
    for world_size, options in ((before, ["--trainer.max_steps=3"]), (after, ["--ckpt_path=last"])):
        words = train(root, world_size, *options, strategy="fsdp")
        statuses = forked(world_size, lambda rank, words=words: main(words), tmp_path / "log")
        assert statuses == [0] * world_size, (tmp_path / "log-0").read_text()
    assert_same_training(last(root), alone)


@pytest.mark.parametrize("victim", [0, 2])
def test_when_one_of_three_processes_is_killed_the_others_end_and_say_so(victim, tmp_path):
    root = tmp_path / "runs"

    def work(rank):
        step = MCVD.training_step

        def dying(model, *batch):
            if rank == victim and model.trainer.global_step == 4:
                os.kill(os.getpid(), signal.SIGKILL)
            return step(model, *batch)

        MCVD.training_step = dying
        return main(train(root, 3, "--trainer.max_steps=100000"))

    statuses = forked(3, work, tmp_path / "log")
    assert statuses.pop(victim) == -signal.SIGKILL
    assert statuses == [1, 1]
    for rank in {0, 1, 2} - {victim}:
        *_, line = (tmp_path / f"log-{rank}").read_text().strip().splitlines()
        assert line.startswith("mcvd: another process of this work has ended"), line
        assert "--ckpt_path last" in line and "Traceback" not in (tmp_path / f"log-{rank}").read_text()
    assert last(root)["global_step"] == 3


OPTIONS = {"num_frames": 3, "num_samples": 2, "batch_size": 2, "sampler": DDIM(num_steps=1)}


@pytest.mark.parametrize("world_size", [2, 3])
def test_processes_score_as_one_does(world_size, tmp_path):
    model, clips = tiny_model(), pixels(7, 7, 1, 16, 16)

    def work(rank):
        meeting = f"file://{tmp_path}/meeting"
        torch.distributed.init_process_group("gloo", init_method=meeting, rank=rank, world_size=world_size)
        (tmp_path / f"{rank}.json").write_text(json.dumps(evaluate(model, clips, **OPTIONS).to_json()))
        torch.distributed.destroy_process_group()

    statuses = forked(world_size, work, tmp_path / "log")
    assert statuses == [0] * world_size, (tmp_path / "log-0").read_text()
    scores = [json.loads((tmp_path / f"{rank}.json").read_text()) for rank in range(world_size)]
    assert all(each == scores[0] for each in scores)
    for name, row in evaluate(model, clips, **OPTIONS).to_json()["rows"].items():
        for key in ("psnr_per_clip", "ssim_per_clip", "psnr_interval"):
            assert scores[0]["rows"][name][key] == pytest.approx(row[key], rel=1e-6)


def test_processes_that_generate_resume_from_the_blocks_of_each(tmp_path):
    tiny_model(channels=3).save_pretrained(tmp_path / "model")
    options = {"model": str(tmp_path / "model"), "num_frames": 9, "num_samples": 3, "steps": 1, "device": "cpu"}

    def work(rank, meeting, last_block=None):
        if rank == 1 and last_block is not None:
            save = BlockStore.save

            def dying(store, part, number, frames):
                save(store, part, number, frames)
                if number == last_block:
                    os.kill(os.getpid(), signal.SIGKILL)

            BlockStore.save = dying
        meeting = f"file://{tmp_path}/{meeting}"
        torch.distributed.init_process_group("gloo", init_method=meeting, rank=rank, world_size=2)
        generate(out=str(tmp_path / "two.png"), **options)
        torch.distributed.destroy_process_group()

    killed = forked(2, lambda rank: work(rank, "first", 1), tmp_path / "killed")
    assert killed[1] == -signal.SIGKILL and not (tmp_path / "two.png").exists()
    statuses = forked(2, lambda rank: work(rank, "second"), tmp_path / "log")
    assert statuses == [0, 0], (tmp_path / "log-0").read_text()
    assert "2 blocks are done" in (tmp_path / "log-1").read_text()
    generate(out=str(tmp_path / "one.png"), **options)
    one, two = (mcvd.read_video(tmp_path / f"{name}.png", size=(16, 48)) for name in ("one", "two"))
    assert (one.int() - two.int()).abs().max() <= 1
    assert not list(tmp_path.glob(".*"))


def test_when_a_process_of_an_evaluation_is_killed_the_command_ends_and_says_so(monkeypatch, capsys):
    monkeypatch.setattr("mcvd.apps.cli.main._run", lambda _: spawn(die, 2, victim=1))
    assert main(["evaluate"]) == 1
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert line.startswith("mcvd: another process of this work has ended"), line
