"""`mcvd fit`: whole trainings, interrupted and resumed, in one process and in two."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
import yaml
from reference.tiny_fit import TINY, assert_same_run

import mcvd
from mcvd.models.files import LAST
from mcvd.models.mcvd import MCVD
from mcvd.runtime.numbers import NumbersError
from mcvd.training.checkpoint_io import AtomicCheckpointIO, last_checkpoint
from mcvd.training.checkpoints import Checkpoints
from mcvd.training.fit import ConfigError, run_fit
from mcvd.training.run_folder import new_folder

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    path = tmp_path_factory.mktemp("config") / "tiny.yaml"
    path.write_text(yaml.safe_dump(TINY))
    return str(path)


def fit(config, root, *options):
    run_fit(["--config", config, "--trainer.default_root_dir", str(root), *options], print)
    return torch.load(Path(root) / "run-1" / LAST, weights_only=True)


@pytest.fixture(scope="module")
def whole(config, tmp_path_factory):
    """A training that nothing disturbs: its folder, its checkpoint and the clips of its steps."""
    root = tmp_path_factory.mktemp("whole")
    with recorded_clips() as clips:
        checkpoint = fit(config, root)
    return root, checkpoint, clips


class recorded_clips:
    """The clip numbers of all training steps inside the ``with``."""

    def __enter__(self):
        self.clips, self.step = [], MCVD.training_step

        def training_step(model, batch, batch_idx):
            self.clips.append(batch["index"])
            return self.step(model, batch, batch_idx)

        MCVD.training_step = training_step
        return self.clips

    def __exit__(self, *_):
        MCVD.training_step = self.step


def rows(folder):
    with (Path(folder) / "metrics.csv").open() as file:
        return list(csv.DictReader(file))


def start(config, root, *options):
    arguments = ["--config", config, "--trainer.default_root_dir", str(root), *options]
    return subprocess.Popen(
        [sys.executable, "-m", "mcvd", "fit", *arguments],
        cwd=ROOT,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def test_a_training_killed_at_any_moment_resumes_as_if_nothing_had_happened(config, whole, tmp_path):
    process = start(config, tmp_path, "--trainer.max_steps", "100000")
    table = tmp_path / "run-1" / "metrics.csv"
    deadline = time.monotonic() + 300  # imports alone may take a minute on a busy machine
    while not (table.exists() and table.read_text().count("\n") > 6):
        assert process.poll() is None and time.monotonic() < deadline, process.communicate()[0]
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    reached = torch.load(tmp_path / "run-1" / LAST, weights_only=True)["global_step"]
    num_steps = reached + 4
    with recorded_clips() as clips:
        resumed = fit(config, tmp_path, "--ckpt_path", "last", "--trainer.max_steps", str(num_steps))
    assert clips == [[2 * step, 2 * step + 1] for step in range(reached, num_steps)]
    undisturbed = whole[1] if num_steps == 11 else fit(config, tmp_path / "w", "--trainer.max_steps", str(num_steps))
    assert_same_run(resumed, undisturbed)
    assert sorted(path.name for path in tmp_path.glob("run-*")) == ["run-1"]
    assert (tmp_path / "run-1" / "config.yaml").exists() and (tmp_path / "run-1" / "config-2.yaml").exists()
    steps = [int(row["step"]) for row in rows(tmp_path / "run-1") if row["train/loss"]]
    assert steps == list(range(num_steps))


@pytest.mark.parametrize(("number", "hook"), [(signal.SIGINT, "training_step"), (signal.SIGTERM, "validation_step")])
def test_ctrl_c_and_sigterm_save_the_step_and_say_how_to_go_on(
    config, whole, tmp_path, monkeypatch, capsys, number, hook
):
    honest, before = getattr(MCVD, hook), signal.getsignal(signal.SIGINT)

    def interrupted(model, *batch):
        if model.trainer.global_step == 4:
            os.kill(os.getpid(), number)
        return honest(model, *batch)

    monkeypatch.setattr(MCVD, hook, interrupted)
    with pytest.raises(SystemExit) as stop:
        fit(config, tmp_path)
    assert stop.value.code == 128 + number
    step = 5 if hook == "training_step" else 4
    *_, line = capsys.readouterr().out.strip().splitlines()
    assert f"stopped by {number.name} after step {step}" in line and "--ckpt_path" in line
    assert signal.getsignal(signal.SIGINT) == before
    monkeypatch.undo()
    assert_same_run(fit(config, tmp_path, "--ckpt_path", str(tmp_path / "run-1")), whole[1])  # a run means its last


def test_without_a_terminal_there_are_lines_and_no_bar(config, tmp_path, capfd):
    fit(config, tmp_path, "--trainer.max_steps", "2")
    out, err = capfd.readouterr()
    assert "step 1 of 2: loss " in out and "Epoch" not in out + err


def test_a_new_run_gets_a_new_folder_and_knows_its_model(config, whole, tmp_path):
    root, checkpoint, clips = whole
    assert clips == [[2 * step, 2 * step + 1] for step in range(11)]
    before = (root / "run-1" / LAST).read_bytes()
    run_fit(["--config", config, "--trainer.default_root_dir", str(root), "--trainer.max_steps", "1"])
    assert (root / "run-1" / LAST).read_bytes() == before and (root / "run-2" / LAST).exists()
    json.dumps(checkpoint["config"])
    model = mcvd.load(root / "run-1" / LAST)
    assert model.frame_rate_hz == 10
    assert all(torch.equal(value, checkpoint["state_dict"][name]) for name, value in model.state_dict().items())
    model.save_pretrained(tmp_path / "model")
    assert mcvd.load(tmp_path / "model").block == model.block


def test_the_averages_lag_behind_the_weights_and_validation_uses_them(whole):
    root, checkpoint, _ = whole
    assert any(not torch.equal(v, checkpoint["current_model_state"][k]) for k, v in checkpoint["state_dict"].items())
    table = rows(root / "run-1")
    assert [int(row["step"]) for row in table if row["val/loss"]] == [3, 7]
    assert all(float(row["train/gradient_norm"]) > 0 for row in table if row["train/loss"])
    assert [round(float(row["train/learning_rate"]) / 4e-5) for row in table if row["train/loss"]][:7] == [*range(6), 5]


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (["--model.blok", "3"], "model.blok"),
        (["--trainer.max_stepz=3"], "max_stepz"),
        (["--model.size", "[9, 9]"], "9x9"),
        (["--ckpt_path", "last", "--init_from", "there"], "init_from"),
    ],
)
def test_a_wrong_option_is_named_in_one_line(config, tmp_path, options, named):
    with pytest.raises((ConfigError, ValueError), match=named) as error:
        fit(config, tmp_path, *options)
    assert "\n" not in str(error.value)
    assert not list(tmp_path.iterdir())


def test_resuming_from_nothing_is_refused(config, tmp_path):
    with pytest.raises(ValueError, match="nothing to resume"):
        fit(config, tmp_path, "--ckpt_path", "last")
    with pytest.raises(FileNotFoundError, match=r"gone\.ckpt"):
        fit(config, tmp_path, "--ckpt_path", str(tmp_path / "gone.ckpt"))
    with pytest.raises(FileNotFoundError, match=r"no such checkpoint"):
        fit(config, tmp_path, "--ckpt_path", str(tmp_path))  # a folder that is no run


def test_an_older_checkpoint_is_continued_in_a_new_folder(config, whole, tmp_path):
    fit(config, tmp_path, "--trainer.max_steps", "6", "--checkpoints.keep_every_n_steps", "3")
    newest = (tmp_path / "run-1" / LAST).read_bytes()
    fit(config, tmp_path, "--ckpt_path", str(tmp_path / "run-1" / "step-000003.ckpt"))
    assert (tmp_path / "run-1" / LAST).read_bytes() == newest
    assert_same_run(torch.load(tmp_path / "run-2" / LAST, weights_only=True), whole[1])
    assert last_checkpoint(tmp_path) == tmp_path / "run-2" / LAST


def poison(monkeypatch, clips):
    """Videos whose loss is NaN."""
    honest = MCVD.loss

    def loss(model, batch):
        poisoned = model.trainer.training and not clips.isdisjoint(batch["index"])
        return honest(model, batch) * (float("nan") if poisoned else 1.0)

    monkeypatch.setattr(MCVD, "loss", loss)


@pytest.mark.parametrize("fused", [False, True])
def test_a_step_whose_loss_is_not_finite_changes_nothing_and_is_counted(config, tmp_path, monkeypatch, fused):
    poison(monkeypatch, {8})
    optimizer = f"{{class_path: torch.optim.Adam, init_args: {{lr: 0.0002, fused: {str(fused).lower()}}}}}"
    with pytest.warns(UserWarning, match="1 training steps skipped up to step 5") as told:
        options = [
            "--model.optimizer",
            optimizer,
            "--checkpoints.every_n_steps=1",
            "--checkpoints.keep_every_n_steps=1",
        ]
        end = fit(config, tmp_path, *options)
    assert sum("steps skipped" in str(each.message) for each in told) == 1
    before, after = (torch.load(tmp_path / f"run-1/step-00000{n}.ckpt", weights_only=True) for n in (4, 5))
    assert all(torch.equal(v, after["current_model_state"][k]) for k, v in before["current_model_state"].items())
    moments = [checkpoint["optimizer_states"][0]["state"] for checkpoint in (before, after)]
    assert all(torch.equal(moments[0][i][k], moments[1][i][k]) for i in moments[0] for k in moments[0][i])
    assert end["global_step"] == 11 and all(v.isfinite().all() for v in end["state_dict"].values())
    assert end["callbacks"]["Checkpoints"] == {"in_a_row": 0, "longest": 1, "total": 1}


def test_losses_that_stay_not_finite_stop_the_training_and_name_the_good_checkpoint(config, tmp_path, monkeypatch):
    poison(monkeypatch, set(range(8, 100)))
    named = "step 24: the gradients of 20 steps in a row were not finite.*last.ckpt of step 21 is untouched"
    with pytest.warns(UserWarning, match="skipped"), pytest.raises(FloatingPointError, match=named):
        fit(config, tmp_path, "--trainer.max_steps", "40")
    checkpoint = torch.load(tmp_path / "run-1" / LAST, weights_only=True)
    assert all(value.isfinite().all() for value in checkpoint["current_model_state"].values())


def test_weights_that_are_not_finite_are_never_saved(config, tmp_path, monkeypatch):
    honest = MCVD.on_train_batch_end

    def broken(model, *arguments):
        honest(model, *arguments)
        if model.global_step == 10:  # of 11
            model.denoiser.net.last.bias.data[0] = float("inf")

    monkeypatch.setattr(MCVD, "on_train_batch_end", broken)
    with pytest.raises(FloatingPointError, match="step 11: weights were not finite"):
        fit(config, tmp_path)


def test_the_row_of_a_step_is_written_before_its_checkpoint(config, tmp_path, monkeypatch):
    save, last_rows = Checkpoints._save, []

    def saved(checkpoints, trainer):
        last_rows.append((trainer.global_step, int(rows(tmp_path / "run-1")[-1]["step"])))
        save(checkpoints, trainer)

    monkeypatch.setattr(Checkpoints, "_save", saved)
    fit(config, tmp_path, "--checkpoints.every_n_steps=1", "--trainer.log_every_n_steps=1")
    assert len(last_rows) > 5 and all(row == step - 1 for step, row in last_rows)  # counted from 0


def test_any_other_error_costs_no_step(config, tmp_path, monkeypatch):
    honest = MCVD.training_step

    def training_step(model, batch, batch_idx):
        if 10 in batch["index"]:
            raise OSError("the disk with the videos is gone")
        return honest(model, batch, batch_idx)

    monkeypatch.setattr(MCVD, "training_step", training_step)
    with pytest.raises(OSError, match="gone"):
        fit(config, tmp_path)
    assert torch.load(tmp_path / "run-1" / LAST, weights_only=True)["global_step"] == 5


def test_fine_tuning_takes_the_weights_that_fit_and_tells_the_rest_once(config, whole, tmp_path, capsys):
    source = str(whole[0] / "run-1" / LAST)
    fit(config, tmp_path, "--init_from", source, "--model.block.future", "0", "--trainer.max_steps", "1")
    (line,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("started from")]
    averages = whole[1]["state_dict"]
    start = torch.load(tmp_path / "run-1" / LAST, weights_only=True)
    name = next(name for name in averages if name.startswith("denoiser.net.middle"))
    # The first update has a learning rate of 0.
    assert torch.equal(start["current_model_state"][name], averages[name])
    assert "left out" in line and start["global_step"] == 1


def test_fine_tuning_from_a_model_that_fits_nowhere_is_refused(config, whole, tmp_path):
    with pytest.raises(ValueError, match="fits"):
        fit(config, tmp_path, "--init_from", str(whole[0] / "run-1" / LAST), "--model.net.init_args.width", "12")


def test_fine_tuning_takes_no_weights_that_are_whole_numbers(config, whole, tmp_path):
    checkpoint = torch.load(whole[0] / "run-1" / LAST, weights_only=True)
    checkpoint["state_dict"] = {name: value.long() for name, value in checkpoint["state_dict"].items()}
    torch.save(checkpoint, tmp_path / "whole.ckpt")
    with pytest.raises(NumbersError, match=r"whole\.ckpt: \d+ weights are not floating point"):
        fit(config, tmp_path, "--init_from", str(tmp_path / "whole.ckpt"))


@pytest.mark.parametrize(("computes", "precision"), [(True, "bf16-mixed"), (False, "32-true")])
def test_mixed_precision_trains_on_a_cpu_that_has_it_and_float32_on_any_other(
    config, tmp_path, monkeypatch, capsys, computes, precision
):
    monkeypatch.setattr("mcvd.training.fit.has_fast_bf16", lambda device: computes)
    options = ["--trainer.precision", "bf16-mixed", "--trainer.accelerator", "cpu", "--trainer.max_steps", "2"]
    checkpoint = fit(config, tmp_path, *options)
    assert all(value.dtype == torch.float32 for value in checkpoint["state_dict"].values())
    assert yaml.safe_load((tmp_path / "run-1" / "config.yaml").read_text())["trainer"]["precision"] == precision
    assert ("training in float32" in capsys.readouterr().out) is not computes


def test_accumulated_gradients_are_those_of_the_larger_batch(config, tmp_path):
    short = ["--trainer.max_steps=3", "--model.net.init_args.dropout=0"]
    large = fit(config, tmp_path / "large", "--data.batch_size=4", *short)
    small = fit(config, tmp_path / "small", "--trainer.accumulate_grad_batches=2", *short)
    assert large["VideoData"]["draws_done"] == small["VideoData"]["draws_done"] == 12
    for name, value in large["current_model_state"].items():
        torch.testing.assert_close(small["current_model_state"][name], value, rtol=0, atol=1e-5)


@pytest.mark.parametrize("strategy", ["ddp", "fsdp"])
def test_two_processes_train_on_the_clips_of_one_and_share_a_folder(config, whole, tmp_path, strategy):
    options = ["--trainer.devices", "2", "--trainer.strategy", strategy, "--data.batch_size", "1"]
    process = start(config, tmp_path, *options, "--preview.every_n_steps", "6", "--model.net.init_args.dropout", "0")
    said = process.communicate(timeout=600)[0]
    assert process.returncode == 0, said
    assert said.count("training ") == said.count("use the model") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["run-1"]
    assert (tmp_path / "run-1" / "previews" / "step-000006-predict.png").exists()
    together = torch.load(tmp_path / "run-1" / LAST, weights_only=True)
    alone = fit(config, tmp_path / "alone", "--model.net.init_args.dropout", "0")
    assert together["VideoData"]["draws_done"] == alone["VideoData"]["draws_done"] == 22
    for name, value in alone["current_model_state"].items():
        torch.testing.assert_close(together["current_model_state"][name], value, rtol=0, atol=1e-5)


@pytest.mark.parametrize("kind", [OSError, RuntimeError])  # torch hides a full disk in the second
@pytest.mark.parametrize("fault", ["torch.save", "os.fsync", "os.replace"])
def test_a_write_that_fails_leaves_the_previous_checkpoint_whole(tmp_path, monkeypatch, fault, kind):
    files = AtomicCheckpointIO()
    files.save_checkpoint({"step": 1}, tmp_path / LAST)

    def full(*_):
        raise kind(28, "No space left on device")

    monkeypatch.setattr(fault, full)
    with pytest.raises(OSError, match="No space"):
        files.save_checkpoint({"step": 2}, tmp_path / LAST)
    assert torch.load(tmp_path / LAST, weights_only=True) == {"step": 1}
    assert [path.name for path in tmp_path.iterdir()] == [LAST]


def test_run_folders_are_numbered_after_the_highest(tmp_path):
    (tmp_path / "run-7").mkdir()
    (tmp_path / "run-old").mkdir()
    assert [new_folder(tmp_path).name for _ in range(2)] == ["run-8", "run-9"]


@pytest.mark.parametrize("channels", [3, 1], ids=["colours", "grey"])
def test_the_small_config_can_do_all_four_tasks(channels):
    config = yaml.safe_load((ROOT / "configs" / "small.yaml").read_text())
    assert config.keys() == {"model", "trainer"}
    del config["model"]["optimizer"]
    model = mcvd.build(config["model"] | {"channels": channels})
    assert model.channels == channels
    assert model.block.past and model.block.future
    assert all(model.masking.allows(past, future) for past in (True, False) for future in (True, False))
