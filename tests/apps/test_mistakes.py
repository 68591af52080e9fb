"""Mistakes of configuration: found before any work, told in one line that says what to change, with exit status 2."""

import pytest
import torch
import yaml
from reference.tiny import pixels, tiny_model
from reference.tiny_fit import TINY

from mcvd import write_video
from mcvd.apps.cli.main import main

NET = "--model.net.init_args"
TRAINING = {
    "a block longer than the clips": (["--model.block.current=50"], ["52 frames", "12 frames"]),
    "frames whose size is not divisible": (["--model.size=[9, 16]"], ["9x16", "divisible by 2"]),
    "attention heads that do not divide": (
        [f"{NET}.attention_levels=[1]", f"{NET}.head_channels=7"],
        ["7", "head_channels"],
    ),
    "no such data": (["--data.train=null", "--data.root=nowhere"], ["nowhere"]),
    "a batch too large for memory": (["--data.batch_size=100000000"], ["are free", "--data.batch_size"]),
    "a batch of nothing": (["--data.batch_size=0"], ["batch_size", "0"]),
    "weights in shards": (["--trainer.strategy=deepspeed"], ["deepspeed", "averages", "take fsdp"]),
    "a word for a number": (["--trainer.max_steps=many"], ["max_steps", "many"]),
}
MAKING = {
    "guidance without masks": ({"p": 0.0}, ["predict", "--guidance=2"], ["mask"]),
    "interpolation without future frames": ({"future": 0}, ["interpolate", "--gap=4:6"], ["future"]),
    "generation without masks": ({"p": 0.0}, ["generate"], ["mask"]),
    "more overlap than the block has": ({}, ["predict", "--overlap=9"], ["overlap"]),
}


def said(capsys):
    (line,) = capsys.readouterr().err.strip().splitlines()
    return line


@pytest.mark.parametrize("mistake", TRAINING)
def test_a_mistake_in_a_training_is_found_before_it_begins(mistake, tmp_path, capsys):
    options, named = TRAINING[mistake]
    config = tmp_path / "tiny.yaml"
    config.write_text(yaml.safe_dump(TINY))
    status = main(["fit", "--config", str(config), f"--trainer.default_root_dir={tmp_path}/runs", *options])
    line = said(capsys)
    assert all(word in line for word in named), line
    assert "Error:" not in line and status in (1, 2)
    assert not list(tmp_path.glob("runs/*/metrics.csv"))


@pytest.mark.parametrize("mistake", MAKING)
def test_a_mistake_in_making_is_found_before_it_begins(mistake, tmp_path, capsys):
    options, (command, *words), named = MAKING[mistake]
    tiny_model(**options).save_pretrained(tmp_path / "model")
    capsys.readouterr()
    write_video(tmp_path / "given.gif", pixels(10, 1, 16, 16), 10)
    given = [] if command == "generate" else [str(tmp_path / "given.gif")]
    length = [] if command == "interpolate" else ["--num-frames=3"]
    status = main([command, *given, *length, f"--model={tmp_path}/model", f"--out={tmp_path}/out.gif", *words])
    line = said(capsys)
    assert status == 2 and all(word in line for word in named), line
    assert not (tmp_path / "out.gif").exists()


def test_too_little_memory_says_what_to_make_smaller(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("mcvd.apps.cli.main._run", lambda argv: torch.empty(1 << 60))
    assert main(["generate"]) == 1
    assert "out of memory" in (line := said(capsys)) and "--data.batch_size" in line
