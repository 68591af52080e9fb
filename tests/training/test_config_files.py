"""Config files of ``mcvd fit`` may be somebody else's: they name classes that fit their place, and call nothing."""

import os
from pathlib import Path

import pytest
import yaml

from mcvd.training.config_files import check_config_files
from mcvd.training.ema import EMA
from mcvd.training.fit import CALLBACKS, option_names, run_fit

ROOT = Path(__file__).parents[2]
OPTIONS = option_names()
OURS = sorted([*ROOT.glob("configs/**/*.yaml"), *ROOT.glob("datasets/*/data.yaml"), ROOT / "mcvd/apps/demo.yaml"])


def written(folder, content):
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(content))
    return str(path)


@pytest.mark.parametrize("path", OURS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_config_of_ours_is_let_through(path):
    check_config_files([f"--config={path}"], CALLBACKS, OPTIONS)


@pytest.mark.parametrize(
    "trainer",
    [
        {"logger": "lightning.pytorch.loggers.CSVLogger"},
        {"logger": [{"class_path": "lightning.pytorch.loggers.CSVLogger", "init_args": {"save_dir": "runs.v2"}}]},
        {"callbacks": [{"class_path": "lightning.pytorch.callbacks.Timer"}], "max_time": {"days": 1}},
        {"profiler": "simple", "strategy": "ddp", "devices": "0,1", "precision": "bf16-mixed"},
    ],
    ids=str,
)
def test_and_so_is_what_lightning_has(trainer, tmp_path):
    check_config_files(["-c", written(tmp_path, {"trainer": trainer})], {"ema": EMA}, OPTIONS)


@pytest.mark.parametrize("section", ["model", "data", "trainer", "preview"])
def test_a_section_without_options_is_refused_by_name(section, tmp_path):
    with pytest.raises(ValueError, match=f"the section {section} is empty: leave it out"):
        check_config_files(["-c", written(tmp_path, {"ema": {"decay": 0.9}, section: None})], CALLBACKS, OPTIONS)


FUNCTION = "mcvd.runtime.atomic.os.getcwd"


@pytest.mark.parametrize(
    ("content", "place"),
    [
        ({"model": {"block": {}, "net": FUNCTION}}, "model.net"),
        (
            {"model": {"block": {}, "net": {"init_args": {"conditioning": {"class_path": FUNCTION}}}}},
            "model.net.conditioning",
        ),
        ({"model": {"block": {}, "optimizer": {"class_path": "subprocess.Popen"}}}, "model.optimizer"),
        ({"data": {"train": "os.getcwd"}}, "data.train"),
        ({"trainer": {"logger": "os.getcwd"}}, "trainer.logger"),
        ({"trainer": {"profiler": "os.getcwd"}}, "trainer.profiler"),
        ({"trainer": {"callbacks": ["os.getcwd"]}}, r"trainer.callbacks\[0\]"),
        ({"data.train": "os.getcwd"}, "data.train"),
        ({"model": "other.yaml"}, "model"),
    ],
    ids=str,
)
def test_a_function_or_what_does_not_fit_is_refused_before_it_is_imported(content, place, tmp_path, monkeypatch):
    path = written(tmp_path, content)
    called = []
    monkeypatch.setattr(os, "getcwd", lambda: called.append(1) or "/")
    with pytest.raises(
        ValueError, match=rf"config\.yaml: .*{place.replace('.conditioning', '.init_args.conditioning')}"
    ):
        run_fit(["--config", path])
    assert not called
