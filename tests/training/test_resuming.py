"""A resumed run: trained by one training at a time, with the options and on the data of today, which are told."""

import os
import shutil
import signal
import subprocess
import sys
import time
import warnings
from pathlib import Path

import pytest
import torch
import yaml
from reference.tiny import pixels
from reference.tiny_fit import TINY

import mcvd
from mcvd.models.files import LAST
from mcvd.models.mcvd import MCVD
from mcvd.training.checkpoint_io import last_checkpoint
from mcvd.training.checkpoints import Checkpoints
from mcvd.training.csv_logger import ResumableCSVLogger
from mcvd.training.fit import ConfigError, run_fit

ROOT = Path(__file__).parents[2]
ADAM = {"class_path": "torch.optim.Adam", "init_args": {"lr": 2e-4}}


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    path = tmp_path_factory.mktemp("config") / "tiny.yaml"
    model = TINY["model"] | {"optimizer": ADAM, "warmup_steps": 2}
    path.write_text(yaml.safe_dump(TINY | {"model": model, "trainer": TINY["trainer"] | {"max_steps": 4}}))
    return str(path)


@pytest.fixture(scope="module")
def trained(config, tmp_path_factory):
    root = tmp_path_factory.mktemp("trained")
    fit(config, root, "--preview.every_n_steps=4")
    return root


@pytest.fixture
def root(trained, tmp_path):
    """A run of four steps, to be resumed."""
    return shutil.copytree(trained, tmp_path / "runs")


def fit(config, root, *options):
    """Train; the lines that were told, and the learning rate of each step in millionths."""
    told, rates, before = [], [], MCVD.on_before_optimizer_step

    def recorded(model, optimizer):
        rates.append(round(1e6 * optimizer.param_groups[0]["lr"], 2))
        before(model, optimizer)

    MCVD.on_before_optimizer_step = recorded
    try:
        run_fit(["--config", config, f"--trainer.default_root_dir={root}", *options], told.append)
    finally:
        MCVD.on_before_optimizer_step = before
    return [line for line in told if "other options" in line], rates


def test_a_run_that_is_being_trained_is_not_resumed_a_second_time(config, root):
    words = ["--config", config, f"--trainer.default_root_dir={root}", "--ckpt_path=last"]
    first = subprocess.Popen(
        [sys.executable, "-m", "mcvd", "fit", *words, "--trainer.max_steps=100000"],
        cwd=ROOT,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + 300  # imports alone may take a minute on a busy machine
        while not (root / "run-1" / ".training.lock").exists():
            assert first.poll() is None and time.monotonic() < deadline
            time.sleep(0.05)
        with pytest.raises(ValueError, match=r"another training is writing into .*run-1: wait"):
            run_fit(words)
    finally:
        first.send_signal(signal.SIGKILL)
        first.wait()
    fit(config, root, "--ckpt_path=last", "--trainer.max_steps=6")  # a lock goes with its process
    assert not (root / "run-1" / ".training.lock").exists()


def test_the_last_run_is_that_of_the_highest_number_whatever_the_clock_says(tmp_path):
    for name, age in (("run-2", 0), ("run-10", 500), ("run-9", 100), ("kept", 0)):
        (tmp_path / name).mkdir()
        (tmp_path / name / LAST).write_bytes(b"")
        os.utime(tmp_path / name / LAST, (time.time() - age,) * 2)
    (tmp_path / "run-11").mkdir()  # killed before its first checkpoint
    assert last_checkpoint(tmp_path) == tmp_path / "run-10" / LAST
    assert last_checkpoint(tmp_path / "run-9") == tmp_path / "run-9" / LAST
    for number in (2, 9, 10):
        shutil.rmtree(tmp_path / f"run-{number}")
    assert last_checkpoint(tmp_path) == tmp_path / "kept" / LAST
    shutil.copytree(tmp_path / "kept", tmp_path / "also")
    with pytest.raises(ValueError, match=r"which of the runs in .*: also, kept"):
        last_checkpoint(tmp_path)


def test_the_learning_rate_of_today_holds_and_is_told(config, root):
    options = ["--model.optimizer.init_args.lr=5e-5", "--model.optimizer.init_args.weight_decay=0.1"]
    (line,), rates = fit(config, root, "--ckpt_path=last", "--trainer.max_steps=7", *options)
    assert rates == [50.0] * 3
    assert "from step 4 on" in line and "learning rate 0.0002 -> 5e-05" in line and "weight_decay 0 -> 0.1" in line
    options = torch.load(root / "run-1" / LAST, weights_only=True)["optimizer_states"][0]["param_groups"][0]
    assert options["weight_decay"] == 0.1 and options["lr"] == 5e-5


def test_the_schedule_of_today_holds_from_the_first_step_on(config, root):
    (line,), rates = fit(config, root, "--ckpt_path=last", "--trainer.max_steps=7", "--model.warmup_steps=8")
    assert rates == [100.0, 125.0, 150.0]
    assert "model.warmup_steps 2 -> 8" in line and "learning rate of the next step 0.0002 -> 0.0001" in line


def test_a_training_that_had_cooled_down_goes_on_at_the_rate_of_the_longer_one(config, tmp_path):
    cooldown = "--model.cooldown_steps=4"
    assert fit(config, tmp_path, "--trainer.max_steps=6", cooldown) == ([], [0, 100, 200, 150, 100, 50])
    (line,), rates = fit(config, tmp_path, "--trainer.max_steps=12", cooldown, "--ckpt_path=last")
    assert rates == [200, 200, 200, 150, 100, 50]
    assert "learning rate of the next step 0 -> 0.0002" in line


def test_nothing_is_told_where_nothing_changed(config, root):
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message=".*changed.*")
        told, rates = fit(config, root, "--ckpt_path=last", "--trainer.max_steps=5")
    assert told == [] and rates == [200.0]


def test_any_other_option_of_the_model_is_told(config, root):
    (line,), _ = fit(config, root, "--ckpt_path=last", "--trainer.max_steps=5", "--model.masking.p_past=0.25")
    assert "model.masking.p_past 0.5 -> 0.25" in line


def test_an_option_that_is_newer_than_the_checkpoint_is_told(config, root):
    path = root / "run-1" / LAST
    checkpoint = torch.load(path, weights_only=True)
    del checkpoint["config"]["cooldown_steps"], checkpoint["config"]["self_context"]
    torch.save(checkpoint, path)
    (line,), _ = fit(config, root, "--ckpt_path=last", "--trainer.max_steps=5", "--model.cooldown_steps=3")
    assert "model.cooldown_steps 0 -> 3" in line and "self_context" not in line


@pytest.mark.parametrize("kind", ["torch.optim.SGD", "mcvd.training.Muon"])
def test_another_kind_of_optimiser_is_refused(kind, config, root):
    before = (root / "run-1" / LAST).read_bytes()
    with pytest.raises(ValueError, match=f"another kind of optimiser than {kind.rpartition('.')[2]}"):
        fit(config, root, "--ckpt_path=last", "--trainer.max_steps=5", f"--model.optimizer={kind}")
    assert (root / "run-1" / LAST).read_bytes() == before


@pytest.mark.parametrize(
    "change",
    [
        lambda folder: mcvd.write_video(folder / "4.mp4", pixels(12, 3, 16, 16), fps=10),
        lambda folder: (folder / "1.mp4").unlink(),
        lambda folder: mcvd.write_video(folder / "1.mp4", pixels(12, 3, 32, 16), fps=10),
        lambda folder: (folder / "1.mp4").rename(folder / "renamed.mp4"),
    ],
    ids=["one more", "one less", "another in its place", "another name"],
)
def test_changed_data_is_told(change, tmp_path):
    for number in range(4):
        mcvd.write_video(tmp_path / "videos" / f"{number}.mp4", pixels(12, 3, 16, 16), fps=10)

    def data():
        found = mcvd.data.VideoData(str(tmp_path / "videos"), num_frames=4, size=16)
        found.setup("fit")
        return found

    state = data().state_dict()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        data().load_state_dict(state)
        data().load_state_dict({name: state[name] for name in ("draws_done", "batches_done")})  # of an older version
    change(tmp_path / "videos")
    with pytest.warns(UserWarning, match="the training data changed since this run was last trained"):
        data().load_state_dict(state)


def test_another_augmentation_is_told(tmp_path):
    for number in range(2):
        mcvd.write_video(tmp_path / f"{number}.mp4", pixels(12, 3, 16, 16), fps=10)

    def data(**augment):
        found = mcvd.data.VideoData(tmp_path, num_frames=4, size=16, augment=mcvd.data.Augmentation(**augment))
        found.setup("fit")
        return found

    state = data(reverse=True).state_dict()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        data(reverse=True).load_state_dict(state)
        older = {side: {k: v for k, v in told.items() if k != "augment"} for side, told in state["data"].items()}
        data().load_state_dict(state | {"data": older})
    with pytest.warns(UserWarning, match="the training data changed.*other options of their clips"):
        data(reverse=True, still=0.5).load_state_dict(state)


@pytest.mark.parametrize("precision", ["bf16-true", "16-true", "64-true", "64"])
def test_weights_of_another_precision_are_refused(config, tmp_path, precision):
    with pytest.raises(ConfigError, match=r"precision .*bf16-mixed"):
        fit(config, tmp_path, f"--trainer.precision={precision}")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("batches", ["1", "0.5"])
def test_overfit_batches_is_refused(config, tmp_path, batches):
    with pytest.raises(ConfigError, match=r"overfit_batches.* one or two short videos"):
        fit(config, tmp_path, f"--trainer.overfit_batches={batches}")


def test_checkpoints_are_kept_where_there_are_no_hard_links(config, tmp_path, monkeypatch):
    def refused(*_):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refused)
    fit(config, tmp_path, "--checkpoints.every_n_steps=2", "--checkpoints.keep_every_n_steps=2")
    steps = [torch.load(tmp_path / "run-1" / name, weights_only=True)["global_step"] for name in checkpoints(tmp_path)]
    assert checkpoints(tmp_path) == [LAST, "step-000002.ckpt", "step-000004.ckpt"] and steps == [4, 2, 4]


@pytest.mark.parametrize("steps", [(0, None), (2, 3), (2, 0)])
def test_steps_between_checkpoints_that_cannot_be_are_refused(steps):
    with pytest.raises(ValueError, match="every_n_steps must be"):
        Checkpoints(*steps)


def checkpoints(root):
    return sorted(path.name for path in (root / "run-1").glob("*.ckpt"))


@pytest.mark.parametrize("num_steps", [4, 5])
def test_a_preview_that_a_kill_prevented_is_made_on_resuming(config, root, num_steps):
    shown = root / "run-1" / "previews" / "step-000004-predict.mp4"
    content = shown.read_bytes()
    shown.unlink()
    fit(config, root, "--ckpt_path=last", f"--trainer.max_steps={num_steps}", "--preview.every_n_steps=4")
    assert shown.read_bytes() == content


def test_a_row_that_a_crash_cut_short_is_not_kept(tmp_path):
    table = ResumableCSVLogger(tmp_path)
    for step in (1, 2, 30):
        table.log_metrics({"loss": 0.5}, step)
    text = table.path.read_text()
    table.path.write_text(text[: text.index("30") + 1])  # "3": it looks like another step
    ResumableCSVLogger(tmp_path).log_metrics({"loss": 0.25}, 30)
    assert table.path.read_text().splitlines() == ["step,loss", "1,0.5", "2,0.5", "30,0.25"]
