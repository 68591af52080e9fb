"""Configs by name, and the config of a command that names none."""

from pathlib import Path

import pytest

from mcvd.training.configs import CONFIGS, config_names, find_config, with_configs

SMALL = str(CONFIGS / "small.yaml")


def test_every_config_of_the_package_has_a_name_that_finds_it():
    names = config_names()
    assert {"small", "published/kth", "published/masks/both"} <= {*names}
    assert all(find_config(name).is_file() for name in names)


@pytest.mark.parametrize("name", ["small", "small.yaml", "configs/small.yaml"])
def test_a_config_is_found_wherever_the_command_is_typed(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert find_config(name).samefile(SMALL)


def test_a_file_goes_before_a_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("small").write_text("model: {}")
    assert find_config("small") == Path("small")


@pytest.mark.parametrize("words", [["--config", "small"], ["--config=small"], ["-c", "small"]])
def test_names_become_paths(words):
    found, told = with_configs([*words, "--data.root", "videos"])
    assert any(SMALL in word for word in found) and told is None
    assert found[-2:] == ["--data.root", "videos"]


def test_without_a_config_the_small_one_is_trained_and_this_is_told():
    found, told = with_configs(["--data.root", "videos", "--model.masking.p_past", "0.3"])
    assert found == [f"--config={SMALL}", "--data.root", "videos", "--model.masking.p_past", "0.3"]
    assert "--config small" in told


@pytest.mark.parametrize("words", [["--help"], ["--print_config"], ["--model.block.past", "2"], ["--model", "m.yaml"]])
def test_who_describes_the_model_or_asks_for_help_gets_no_other_config(words):
    assert with_configs(words) == (words, None)


def test_nothing_to_train_on_is_refused():
    with pytest.raises(ValueError, match=r"mcvd fit --config small --data\.root FOLDER"):
        with_configs(["--trainer.max_steps", "3"])
