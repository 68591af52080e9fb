"""Signals as a user types them: trained by a command, told from a file or by name."""

import json
import shutil

import pytest
import torch
import yaml
from reference.tiny import pixels, tiny_config, tiny_model
from reference.tiny_fit import TINY

import mcvd
from mcvd.apps.cli.main import main

FAST = ["--steps", "2", "--device", "cpu"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Films with tables beside, and a model that was trained on them by the command."""
    folder = tmp_path_factory.mktemp("told")
    for number in range(2):
        mcvd.write_video(folder / f"films/{number}.mp4", pixels(14, 3, 16, 16, seed=number) // 4 + 96, fps=10)
        rows = [f"{n / 10},{1 - number}" for n in range(14)]
        (folder / f"films/{number}.csv").write_text("\n".join(["wheel,pedal", *rows]))
    config = tiny_config(channels=3) | {"signals": {"names": ["wheel", "pedal"]}}
    config["net"]["init_args"]["num_signals"] = 2
    config["masking"]["p_signals"] = 0.2
    training = {**TINY, "model": config | {"warmup_steps": 1}}
    training["data"] = {"root": str(folder / "films"), "batch_size": 2, "num_workers": 0}
    training.pop("preview", None)
    (folder / "told.yaml").write_text(yaml.safe_dump(training))
    words = ["fit", "--config", str(folder / "told.yaml"), "--trainer.default_root_dir", str(folder / "run")]
    assert main([*words, "--trainer.max_steps", "2"]) == 0
    model = mcvd.load(folder / "run/run-1")
    torch.manual_seed(0)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    model.save_pretrained(folder / "tiny")
    tiny_model(channels=3).save_pretrained(folder / "untold")
    return folder


def predict(folder, out, *words, model="tiny"):
    given = ["predict", str(folder / "films/0.mp4"), "--model", str(folder / model), "--num-frames", "6"]
    return main([*given, "--out", str(folder / out), *FAST, *words])


def test_training_measures_and_keeps_them(folder):
    signals = mcvd.load(folder / "run/run-1").signals
    assert signals.names == ("wheel", "pedal")
    assert signals.low == (0, 1) and signals.high[0] == pytest.approx(1.3)
    assert signals.std[1] == 1  # the pedal of the only training film never changes


def test_data_are_checked_for_a_model_and_without_one(folder, capsys):
    assert main(["data", "check", str(folder / "films"), "--num-frames", "4", "--size", "16"]) == 0
    assert "model.signals.names: [wheel, pedal]" in capsys.readouterr().out
    config = ["--config", str(folder / "told.yaml"), "--device", "cpu"]
    assert main(["data", "check", str(folder / "films"), *config]) == 0
    assert "wheel: 0 to 1.3" in capsys.readouterr().out


def test_a_table_and_values_are_told(folder, capsys):
    (folder / "turn.csv").write_text("wheel\n" + "".join(f"{n / 5}\n" for n in range(6)))
    assert predict(folder, "a.png", "--signals", str(folder / "turn.csv"), "--signal", "pedal=1") == 0
    assert predict(folder, "b.png", "--signal", "wheel=0", "--signal", "pedal=1") == 0
    assert predict(folder, "c.png", "--signal", "wheel=0", "--signal", "pedal=1") == 0
    a, b, c = ((folder / name).read_bytes() for name in ("a.png", "b.png", "c.png"))
    assert a != b and b == c
    guided = ["--signal", "wheel=0", "--signal", "pedal=1", "--guidance", "2", "--guidance-drops", "signals"]
    assert predict(folder, "d.png", *guided) == 0
    capsys.readouterr()
    assert main(["info", str(folder / "tiny"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["signals"] == ["wheel", "pedal"]


@pytest.mark.parametrize(
    "words, says",
    [
        (["--signals", "nothing.csv"], "nothing.csv"),
        (["--signals", "short.csv"], "signals"),
        (["--signals", "odd.csv"], "odd.csv: row 2, wheel is x, not a finite number"),
        (["--signals", "other.csv"], "other.csv: signals: there is no weel; did you mean wheel"),
        (["--signal", "wheel=1"], "pedal is missing"),
    ],
)
def test_what_does_not_fit_is_one_line(folder, monkeypatch, capsys, words, says):
    monkeypatch.chdir(folder)
    (folder / "short.csv").write_text("wheel,pedal\n0,0\n0,0\n")
    (folder / "odd.csv").write_text("wheel,pedal\n0,0\nx,0\n")
    (folder / "other.csv").write_text("weel,pedal\n0,0\n0,0\n")
    assert predict(folder, "never.png", *words) != 0
    message = capsys.readouterr().err.strip().splitlines()[-1]
    assert says in message
    assert not (folder / "never.png").exists()


def test_a_model_without_signals_says_so(folder, capsys):
    assert predict(folder, "never.png", "--signal", "wheel=1", model="untold") != 0
    assert "takes no signals" in capsys.readouterr().err


def test_evaluation_tells_the_signals_of_its_clips(folder, capsys):
    shutil.copytree(folder / "tiny", folder / "needs")  # a model that does nothing without
    config = json.loads((folder / "needs/config.json").read_text())
    config["masking"]["p_signals"] = 0.0
    (folder / "needs/config.json").write_text(json.dumps(config))
    assert predict(folder, "never.png", model="needs") != 0
    words = ["evaluate", "--model", str(folder / "needs"), "--val-root", str(folder / "films"), "--num-clips", "2"]
    words += ["--out", str(folder / "result.json")]
    assert main([*words, "--num-samples", "1", "--num-frames", "3", *FAST]) == 0
