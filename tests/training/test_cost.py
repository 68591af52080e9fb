"""``mcvd data check --config``: what a training will cost is told before it is begun."""

import json
import re

import pytest
import yaml
from reference.tiny import pixels
from reference.tiny_fit import TINY

import mcvd
import mcvd.training.cost
from mcvd.apps.cli.main import main


@pytest.fixture
def words(tmp_path):
    for name in ("a", "b", "c"):
        mcvd.write_video(tmp_path / "videos" / f"{name}.mp4", pixels(12, 3, 16, 16), 10)
    model = TINY["model"] | {"channels": 3, "optimizer": {"class_path": "torch.optim.AdamW"}}
    config = {"model": model, "data": {"batch_size": 4}, "trainer": {"max_steps": 100, "precision": "bf16-mixed"}}
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump(config))
    return ["data", "check", str(tmp_path / "videos"), "--config", str(tmp_path / "tiny.yaml"), "--device", "cpu"]


def test_memory_and_time_are_told_for_the_batch_of_the_config(words, capsys):
    assert main([*words, "--json"]) == 0
    lines = "\n".join(json.loads(capsys.readouterr().out)["lines"])
    assert re.search(r"needs about \d+ MiB for batches of 4, [\d.e+]+ GiB are free on this cpu", lines)
    assert re.search(r"a step takes about [\d.e-]+ s, 100 steps [\d.e-]+ min", lines)
    assert "a batch of 4" in lines


def test_a_training_that_does_not_fit_cannot_start(words, capsys, monkeypatch):
    monkeypatch.setattr(mcvd.training.cost, "free_bytes", lambda device: 1 << 20)  # a machine of another size
    assert main(words) == 1
    assert "training cannot start: training with --data.batch_size 4 needs" in capsys.readouterr().err


def test_a_config_without_a_model_is_refused(words, tmp_path, capsys):
    (tmp_path / "tiny.yaml").write_text("data: {}")
    assert main(words) == 2
    assert "no section model:" in capsys.readouterr().err
