"""Disks that are full, files that may not grow, folders that may not be written: by the means of the system."""

import ctypes
import os
import resource
import subprocess
import sys

import pytest
import torch
import yaml
from reference.as_nobody import NOBODY
from reference.tiny import tiny_config
from reference.tiny_fit import TINY, assert_same_run

import mcvd
from faults.kills import ended, told, training
from mcvd.apps.cli.main import main
from mcvd.models.files import LAST
from mcvd.runtime.atomic import atomic_write

AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to mount a small disk or to give up rights")


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 16 MB."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=16m", "none", str(place)]
    mounted = subprocess.run(mount, capture_output=True, text=True, check=False)
    if mounted.returncode:
        pytest.skip(f"no disk can be mounted here: {mounted.stderr}")
    yield place
    subprocess.run(["umount", "-l", place], check=True)


@pytest.fixture
def config(tmp_path):
    path = tmp_path / "tiny.yaml"
    path.write_text(yaml.safe_dump(TINY))
    return path


def train(config, root, *options, prepare=lambda: None):
    with training(config, root, list(options), prepare) as (process, _):
        return ended(process)


def checkpoint(root):
    return torch.load(root / "run-1" / LAST, weights_only=True)


def assert_stopped_in_good_order(root):
    """One line says what and what to do; the checkpoint of step 3 is whole and nothing half is left."""
    last_line = told(root).splitlines()[-1]
    assert last_line.startswith(f"mcvd: cannot write the checkpoint {root}/run-1/last.ckpt"), told(root)
    assert "previous checkpoint" in last_line and "MB are free" in last_line and "--ckpt_path last" in last_line
    assert checkpoint(root)["global_step"] == 3
    assert not list((root / "run-1").glob(".*.part"))


@AS_ROOT
def test_a_full_disk_leaves_the_previous_checkpoint_whole_and_the_training_goes_on_later(config, small_disk, tmp_path):
    assert train(config, tmp_path / "undisturbed")
    assert train(config, small_disk, "--trainer.max_steps=3"), told(small_disk)
    ballast = small_disk / "ballast"
    free = os.statvfs(small_disk).f_bavail * os.statvfs(small_disk).f_frsize
    ballast.write_bytes(bytes(free - 200_000))
    assert not train(config, small_disk, "--ckpt_path=last")
    assert_stopped_in_good_order(small_disk)
    ballast.unlink()
    assert train(config, small_disk, "--ckpt_path=last"), told(small_disk)
    assert_same_run(checkpoint(small_disk), checkpoint(tmp_path / "undisturbed"))


def test_a_limit_on_the_size_of_files_is_as_a_full_disk(config, tmp_path):
    assert train(config, tmp_path, "--trainer.max_steps=3"), told(tmp_path)

    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, resource.RLIM_INFINITY))

    assert not train(config, tmp_path, "--ckpt_path=last", prepare=limit)
    assert_stopped_in_good_order(tmp_path)


@AS_ROOT
def test_a_read_only_disk_is_refused_before_any_step(config, small_disk, tmp_path):
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    assert not train(config, tmp_path / "logs", f"--trainer.default_root_dir={small_disk}/runs")
    *_, line = told(tmp_path / "logs").splitlines()
    assert line.startswith("mcvd: ") and "Read-only file system" in line and str(small_disk) in line


@AS_ROOT
def test_a_folder_of_somebody_else_is_refused_before_any_step(config, tmp_path):
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o755)
    os.chown(locked, NOBODY, NOBODY)

    def give_up_all_rights():
        """The superuser stays who owns its files, such as these of the project, and may no longer write in others'."""
        no_rights, version_3_of_this_thread = (ctypes.c_uint32 * 6)(), (ctypes.c_uint32 * 2)(0x20080522, 0)
        assert ctypes.CDLL(None).capset(version_3_of_this_thread, no_rights) == 0

    assert not train(config, tmp_path / "logs", f"--trainer.default_root_dir={locked}", prepare=give_up_all_rights)
    *_, line = told(tmp_path / "logs").splitlines()
    assert line.startswith("mcvd: ") and "Permission denied" in line and str(locked) in line


def test_a_device_that_is_not_there_is_refused_before_any_step(config, tmp_path):
    if torch.cuda.is_available():
        pytest.skip("there is one")
    assert not train(config, tmp_path, "--trainer.accelerator=cuda")
    (line,) = told(tmp_path).splitlines()
    assert line.startswith("mcvd: ") and "CUDA" in line and "--debug" not in line


def limited(work, limit, said):
    """The exit status of ``work()`` in a process whose files may not grow beyond a limit; it writes to ``said``."""
    child = os.fork()
    if not child:
        os.dup2(os.open(said, os.O_WRONLY | os.O_CREAT), 2)
        sys.stderr = os.fdopen(2, "w", closefd=False)
        status = 70
        try:
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
            status = work()
        finally:
            sys.stderr.flush()
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def test_an_export_that_does_not_fit_leaves_nothing_and_says_so(tmp_path):
    torch.save({"config": tiny_config(), "state_dict": mcvd.build(tiny_config()).state_dict()}, tmp_path / "last.ckpt")
    words = ["export", str(tmp_path / "last.ckpt"), "--out", str(tmp_path / "model")]
    assert limited(lambda: main(words), 20_000, tmp_path / "said") == 1
    (line,) = (tmp_path / "said").read_text().splitlines()
    assert line.startswith(f"mcvd: cannot write the weights of {tmp_path}/model") and "File too large" in line
    assert sorted(path.name for path in tmp_path.iterdir()) == ["last.ckpt", "said"]


def test_a_file_that_does_not_fit_is_named_and_the_one_before_stays(tmp_path):
    (tmp_path / "card.json").write_text("before")

    def work():
        try:
            with atomic_write(tmp_path / "card.json") as part:
                part.write_text("x" * 2000)
        except OSError as error:
            print(error, file=sys.stderr)
            return 1
        return 0

    assert limited(work, 1000, tmp_path / "said") == 1
    assert (tmp_path / "said").read_text() == f"[Errno 27] File too large: '{tmp_path}/card.json'\n"
    assert (tmp_path / "card.json").read_text() == "before" and not list(tmp_path.glob(".*.part"))
