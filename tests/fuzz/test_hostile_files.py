"""Damaged files end in an error of ours: no crash, no hang, no memory without end; and the fuzzer sees each of them."""

import io
import json
import os
import random
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path
from pkgutil import resolve_name

import pytest
import torch
from reference import fuzzer
from reference.structures import RING, with_other_structure
from reference.tiny import tiny_config, tiny_model

import mcvd

ROOT = Path(__file__).parents[2]


def test_whole_files_are_read(tmp_path):
    for target in fuzzer.targets(tmp_path, None):
        for name in target.victims:
            target.read(target.files, name)


def test_2000_damaged_files_are_read_or_refused():
    words = ["-m", "reference.fuzzer", "--num-inputs", "2000", "--videos", str(ROOT / "../shared/data/odd")]
    here = {"PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests")])}
    done = subprocess.run([sys.executable, *words], capture_output=True, text=True, check=False, env=os.environ | here)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_fuzzer_sees_a_function_that_a_file_calls(tmp_path, monkeypatch):
    monkeypatch.setattr(fuzzer, "damaged", lambda data, name, draw: data)
    (tmp_path / "whole").mkdir()
    (tmp_path / "whole" / "a.json").write_text(json.dumps(RING))
    row = fuzzer.Target(
        "trusting",
        tmp_path / "whole",
        ("a.json",),
        lambda at, name: resolve_name(json.loads((at / name).read_text()))(1),
    )
    (said,) = fuzzer.fates([fuzzer.Case(row, "a.json", "0/0")], tmp_path)
    assert said.startswith("FAILED: Executed")


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "last.ckpt"])
def test_a_changed_structure_is_well_formed(name, tmp_path):
    model = tiny_model()
    model.save_pretrained(tmp_path / "m")
    torch.save({"config": model.config, "state_dict": model.state_dict()}, tmp_path / "m" / "last.ckpt")
    whole = (tmp_path / "m" / name).read_bytes()
    found = {with_other_structure(whole, name, random.Random(number)) for number in range(20)}
    assert len(found) > 15
    for content in found:
        if name == "config.json":
            json.loads(content)
        elif name == "last.ckpt":
            assert torch.load(io.BytesIO(content), weights_only=True).keys() == {"config", "state_dict"}
        else:
            json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])


def crash(folder, name):
    os.kill(os.getpid(), signal.SIGKILL)


def take_memory(folder, name):
    return bytearray(2 << 30)


def wrong_type(folder, name):
    raise KeyError("x")


def say_nothing(folder, name):
    raise ValueError


def hang(folder, name):
    time.sleep(60)


def toil(folder, name):
    while True:
        pass


def work(folder, name):
    end = time.process_time() + 0.2
    while time.process_time() < end:
        pass


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (crash, "the process ended, status 9"),
        (take_memory, "MemoryError"),
        (wrong_type, "KeyError"),
        (say_nothing, "has 0 characters"),
        (hang, "no answer"),
        (toil, "no answer"),
        (work, "s of work"),
    ],
)
def test_the_fuzzer_sees_a_failure_and_goes_on(fault, said, tmp_path, monkeypatch):
    monkeypatch.setattr(fuzzer, "MAX_SECONDS", 0.1)
    monkeypatch.setattr(fuzzer, "MAX_WAIT_SECONDS", 1.0)
    monkeypatch.setattr(fuzzer, "WORKS_SECONDS", 0.02)
    (tmp_path / "whole").mkdir()
    (tmp_path / "whole" / "a.json").write_text("{}")
    rows = [fuzzer.Target(each.__name__, tmp_path / "whole", ("a.json",), each) for each in (fault, lambda *_: None)]
    cases = [fuzzer.Case(row, "a.json", "0/0") for row in rows]
    first, second = fuzzer.fates(cases, tmp_path)
    assert first.startswith("FAILED") and said in first
    assert second == "read"


@pytest.mark.parametrize(
    ("place", "value"),
    [("width", 1 << 40), ("width", 1 << 15), ("num_blocks", 10**9), ("multipliers", [1] * 1000), ("channels", 10**9)],
)
def test_a_config_that_asks_for_more_than_the_weights_is_refused_before_memory_is_taken(tmp_path, place, value):
    tiny_model().save_pretrained(tmp_path / "model")
    path = tmp_path / "model" / "config.json"
    config = json.loads(path.read_text())
    (config if place == "channels" else config["net"]["init_args"])[place] = value
    path.write_text(json.dumps(config))
    with pytest.raises(ValueError, match="model"):
        mcvd.load(tmp_path / "model")


def test_a_compressed_archive_is_refused(tmp_path):
    torch.save({"config": tiny_config(), "state_dict": {"weight": torch.zeros(1 << 20)}}, tmp_path / "whole.ckpt")
    with (
        zipfile.ZipFile(tmp_path / "whole.ckpt") as whole,
        zipfile.ZipFile(tmp_path / "bomb.ckpt", "w", zipfile.ZIP_DEFLATED) as bomb,
    ):
        for name in whole.namelist():
            bomb.writestr(name, whole.read(name))
    with pytest.raises(ValueError, match="compressed"):
        mcvd.load(tmp_path / "bomb.ckpt")


@pytest.mark.parametrize(
    "content", [[], {"config": []}, {"config": {}, "state_dict": []}, {"config": {}, "state_dict": {"a": 1}}]
)
def test_a_checkpoint_that_holds_other_things_is_refused(tmp_path, content):
    torch.save(content, tmp_path / "last.ckpt")
    with pytest.raises(ValueError, match=r"last\.ckpt"):
        mcvd.load(tmp_path / "last.ckpt")
