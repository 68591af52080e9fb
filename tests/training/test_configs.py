"""Configs by name, and the config of a command that names none."""

import json
from pathlib import Path

import pytest
from reference.tiny import tiny_config, tiny_model

import mcvd
from mcvd.diffusion.task_samplers import TaskSamplers
from mcvd.models.files import BOX
from mcvd.samplers import DDIM, UniPC
from mcvd.training.configs import with_configs
from mcvd.training.fit import _Options
from mcvd.training.named_configs import CONFIGS, config_names, find_config
from mcvd.training.start_from import start_from

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


BLOCK = ["--model.block.past=2", "--model.block.current=5"]


@pytest.mark.parametrize("words", [["--help"], ["--print_config"], BLOCK, ["--model", "m.yaml"]])
def test_who_describes_the_model_or_asks_for_help_gets_no_other_config(words):
    assert with_configs(words) == (words, None)


def test_nothing_to_train_on_is_refused():
    with pytest.raises(ValueError, match=r"mcvd fit --config small --data\.root FOLDER"):
        with_configs(["--trainer.max_steps", "3"])


@pytest.mark.parametrize("option", ["--model.block.current=8", "--model.masking.p_past=0.25"])
def test_one_choice_of_a_model_that_is_trained_further_may_be_another(option):
    own = json.loads((BOX / "config.json").read_text())
    model = _Options(["--init_from", "bundled", "--data.root", "videos", option]).config.model.as_dict()
    _, section, name = option.partition("=")[0].split(".")
    assert model[section] == {**own[section], name: float(option.partition("=")[2])}


@pytest.mark.parametrize("words", [["--init_from", "bundled"], ["--init_from=bundled"]])
def test_a_model_alone_is_trained_further_by_its_own_config(words):
    found, told = with_configs([*words, "--data.root", "videos"])
    assert found[0] == f"--config={CONFIGS / 'fine-tune.yaml'}" and "bundled" in told
    model = json.loads(found[1].removeprefix("--model="))
    own = json.loads((BOX / "config.json").read_text())
    assert {name: own[name] for name in model} == model
    assert {"block", "net", "schedule", "reference", "masking"} <= {*model}
    assert model["samplers"]["predict"] is not None
    assert not {"optimizer", "seed", "frame_rate_hz"} & {*model}
    assert found[2:] == [*words, "--data.root", "videos"]


@pytest.mark.parametrize(("sampler", "stays"), [(UniPC(num_steps=6), True), (DDIM(4, clip=False), False)])
def test_a_model_keeps_its_sampler_when_it_is_trained_further_and_a_student_does_not(sampler, stays, tmp_path):
    model = tiny_model()
    model.samplers = TaskSamplers(predict=sampler)
    model.save_pretrained(tmp_path)
    found, _ = with_configs(["--init_from", str(tmp_path), "--data.root", "videos"])
    assert ("samplers" in json.loads(found[1].removeprefix("--model="))) is stays


def test_a_named_config_goes_before_that_of_the_model():
    words = ["--config", "small", "--init_from", "bundled"]
    assert with_configs(words) == (["--config", SMALL, "--init_from", "bundled"], None)


@pytest.fixture
def data(tmp_path):
    (tmp_path / "data.yaml").write_text("data: {root: videos}")
    return str(tmp_path / "data.yaml")


@pytest.mark.parametrize("option", ["--config", "-c"])
def test_a_config_of_data_alone_is_as_good_as_options_of_data(option, data):
    found, told = with_configs([option, data])
    assert found == [f"--config={SMALL}", option, data] and "no config says which model: training small" in told
    found, told = with_configs([option, data, "--init_from", "bundled"])
    assert found[0] == f"--config={CONFIGS / 'fine-tune.yaml'}" and found[2:4] == [option, data] and "bundled" in told
    assert json.loads(found[1].removeprefix("--model="))["block"]
    assert with_configs([option, data, "--config", "small"])[1] is None
    assert with_configs([option, data, "--model.teacher=bundled"]) == ([option, data, "--model.teacher=bundled"], None)


def test_a_config_that_says_only_how_a_model_is_trained_needs_the_model(data):
    with pytest.raises(ValueError, match=r"fine-tune\.yaml says how .*model\.block.*--config small, before it"):
        with_configs(["--config", "fine-tune", "--config", data])
    found, _ = with_configs(["--config", "fine-tune", "--config", data, "--init_from", "bundled"])
    assert json.loads(found[1].removeprefix("--model="))["block"]


def test_a_model_to_start_from_has_to_be_one(tmp_path):
    with pytest.raises(ValueError, match="--init_from needs a model"):
        with_configs(["--data.root", "videos", "--init_from"])
    with pytest.raises(FileNotFoundError, match="or bundled"):
        with_configs(["--data.root", "videos", "--init_from", "bundeld"])
    hostile = tmp_path / "model"
    hostile.mkdir()
    (hostile / "model.safetensors").write_bytes((BOX / "model.safetensors").read_bytes())
    config = json.loads((BOX / "config.json").read_text())
    config["net"] = {"class_path": "os.system", "init_args": {"command": "true"}}
    (hostile / "config.json").write_text(json.dumps(config))
    with pytest.raises(ValueError, match=r"os\.system"):
        with_configs(["--data.root", "videos", "--init_from", str(hostile)])


def test_the_bundled_model_has_a_name_unless_a_folder_is_called_so(tmp_path, monkeypatch):
    assert mcvd.load("bundled").config == mcvd.load().config
    monkeypatch.chdir(tmp_path)
    Path("bundled").mkdir()
    with pytest.raises(FileNotFoundError, match="not an exported model"):
        mcvd.load("bundled")


def test_samplers_that_a_config_of_the_whole_model_leaves_out_are_told_of(tmp_path):
    config = tiny_config() | {
        "samplers": {"predict": {"class_path": "mcvd.samplers.UniPC", "init_args": {"num_steps": 3}}}
    }
    mcvd.build(config).save_pretrained(tmp_path / "tuned")
    mcvd.build(tiny_config()).save_pretrained(tmp_path / "plain")
    for folder, own, is_told in (
        ("tuned", tiny_config(), True),
        ("tuned", config, False),
        ("plain", tiny_config(), False),
    ):
        told = start_from(mcvd.build(own), str(tmp_path / folder))
        assert ("its samplers are left out: to keep them write model.samplers into the config" in told) == is_told
