"""The memory of a long training does not grow."""

import functools
import gc
import json
import multiprocessing
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from lightning import Callback
from reference.tiny_fit import SCENES, TINY
from torch.utils.data import DataLoader

from mcvd.data.datamodule import VideoData
from mcvd.data.loader import begin_worker
from mcvd.data.synthetic.driving.scenes import DrivingScenes
from mcvd.training.fit import run_fit
from mcvd.video.open import open_video
from mcvd.video.write import write_video

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


def in_a_fresh_process(test):
    """The test in a Python of its own: what a worker shares depends on all that its parent did before."""

    @functools.wraps(test)
    def run(**fixtures):
        given = {name: str(value) for name, value in fixtures.items()}
        code = f"import test_flat_memory as it; it.{test.__name__}.__wrapped__(**{given})"
        here = {"PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), str(Path(__file__).parents[1]), *sys.path])}
        done = subprocess.run(
            [sys.executable, "-c", code],
            env=os.environ | here,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, done.stderr

    return run


def own_bytes(pid):
    """Memory that a process shares with no other one."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith("Private_Dirty"))


class CollectingScenes(DrivingScenes):
    """Videos in whose reading a full collection of garbage happens to come."""

    def read(self, index, frames, cover):
        gc.collect()
        return super().read(index, frames, cover)


class Watch(Callback):
    """What each worker has for itself after each step, in which a full collection of garbage happens to come."""

    def on_fit_start(self, trainer, pl_module):
        self.others, self.held = set(multiprocessing.active_children()), []

    def on_train_batch_end(self, trainer, *_):
        gc.collect()
        workers = set(multiprocessing.active_children()) - self.others
        self.held.append([own_bytes(worker.pid) for worker in workers])

    def on_train_end(self, trainer, pl_module):
        Path(trainer.default_root_dir, "held.json").write_text(json.dumps(self.held))


def worker_of(source):
    """A worker that has read a batch, and the loader's iterator, which keeps it alive."""
    data = VideoData(train=source, val=source, size=16, num_workers=1)
    data.setup("fit")
    before = set(multiprocessing.active_children())
    batches = iter(data.train_dataloader())
    next(batches)
    (worker,) = set(multiprocessing.active_children()) - before
    return worker, batches


@in_a_fresh_process
def test_a_worker_that_collects_garbage_copies_nothing_of_what_it_shares():
    worker, batches = worker_of(CollectingScenes(**SCENES))
    assert own_bytes(worker.pid) < 60e6
    del batches


@in_a_fresh_process
def test_a_worker_does_not_keep_what_its_parent_had_freed():
    def work():
        return [torch.ones(25_000) for _ in range(2000)]  # 200 MB in pieces that come from the heap

    made, above = work(), torch.ones(25_000)
    del made
    worker, batches = worker_of(DrivingScenes(**SCENES))
    made = work()
    assert own_bytes(worker.pid) < 60e6
    del batches, made, above


class Collecting:
    def __len__(self):
        return 1

    def __getitem__(self, number):
        gc.collect()
        return number


@in_a_fresh_process
def test_a_worker_leaves_alone_the_decoders_that_its_parent_left_behind(tmp_path):
    path = Path(tmp_path) / "grey.mp4"
    write_video(path, torch.full((9, 3, 64, 64), 99, dtype=torch.uint8), 25)
    gc.disable()
    try:
        reader = open_video(path)
        reader.read([0, 5])
        circle = [reader]
        circle.append(circle)
        del reader, circle
        # Closing the decoder would wait for threads that only this process has.
        loader = DataLoader(Collecting(), num_workers=1, worker_init_fn=begin_worker, timeout=300)
        assert next(iter(loader)).item() == 0
    finally:
        gc.enable()


@in_a_fresh_process
def test_collections_of_garbage_do_not_unshare_the_memory_of_data_workers(tmp_path):
    def source(seed):
        return {"class_path": f"{__name__}.CollectingScenes", "init_args": SCENES | {"seed": seed}}

    data = TINY["data"] | {"num_workers": 1, "train": source(0), "val": source(1)}
    trainer = TINY["trainer"] | {
        "max_steps": 4,
        "val_check_interval": 2,
        "callbacks": [{"class_path": f"{__name__}.Watch"}],
    }
    config = Path(tmp_path) / "tiny.yaml"
    config.write_text(json.dumps(TINY | {"data": data, "trainer": trainer}))
    run_fit(["--config", str(config), "--trainer.default_root_dir", str(tmp_path)])
    held = json.loads((Path(tmp_path) / "held.json").read_text())
    assert [len(each) for each in held] == [1, 1, 2, 2]  # the first validation begins a second worker
    assert max(max(each) for each in held) < 60e6
