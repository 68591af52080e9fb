"""Models from folders and checkpoints, and what is refused."""

import json
import os

import pytest
import torch
from reference.tiny import pixels, tiny_config, tiny_model

import mcvd
from mcvd.samplers import DDIM

PAST = pixels(1, 2, 1, 16, 16)


@pytest.fixture
def folder(tmp_path):
    tiny_model().save_pretrained(tmp_path / "model")
    return tmp_path / "model"


def test_an_exported_model_comes_back_exactly(folder):
    before, after = tiny_model().state_dict(), mcvd.load(folder).state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_a_loaded_model_makes_the_same_video(folder):
    sampler = DDIM(num_steps=2)
    assert torch.equal(
        mcvd.load(folder).predict(PAST, 4, sampler=sampler), tiny_model().predict(PAST, 4, sampler=sampler)
    )


def test_what_a_model_is_survives_the_export(tmp_path):
    model = tiny_model(past=1, current=2, future=1, conditioning="SPATIN")
    model.frame_rate_hz = 12.5
    model.save_pretrained(tmp_path / "m")
    back = mcvd.load(tmp_path / "m")
    assert (back.block, back.size, back.masking, back.frame_rate_hz) == (
        model.block, model.size, model.masking, 12.5,
    )  # fmt: skip


def test_an_export_never_overwrites(folder):
    before = (folder / "model.safetensors").read_bytes()
    with pytest.raises(FileExistsError, match="nothing was written"):
        tiny_model(channels=3).save_pretrained(folder)
    tiny_model().save_pretrained(folder)  # the same once more, as after a kill, changes nothing
    assert (folder / "model.safetensors").read_bytes() == before


def test_an_export_fills_an_empty_folder_and_leaves_nothing_beside(tmp_path):
    (tmp_path / "m").mkdir()
    tiny_model().save_pretrained(tmp_path / "m")
    assert os.listdir(tmp_path) == ["m"]
    assert sorted(os.listdir(tmp_path / "m")) == ["README.md", "config.json", "model.safetensors"]
    assert len({file.stat().st_mode for file in (tmp_path / "m").iterdir()}) == 1  # who may read one may read all


@pytest.mark.parametrize(("size", "frames"), [(24, (24, 24)), ((16, 32), (16, 32)), ([8, 16], (8, 16))])
def test_a_model_works_on_frames_of_another_size(folder, size, frames):
    """It is the model that a config of this size and the same weights make."""
    model, same = mcvd.load(folder, size=size), mcvd.build(tiny_config() | {"size": list(frames)})
    same.load_state_dict(mcvd.load(folder).state_dict())
    past, sampler = pixels(1, 2, 1, *frames), DDIM(num_steps=2)
    made = model.predict(past, 4, sampler=sampler)
    assert made.shape == (1, 4, 1, *frames)
    assert torch.equal(made, same.eval().predict(past, 4, sampler=sampler))


def test_a_model_keeps_its_other_size_when_it_is_saved(folder, tmp_path):
    mcvd.load(folder, size=32).save_pretrained(tmp_path / "larger")
    assert mcvd.load(tmp_path / "larger").size == (32, 32) and mcvd.load(folder).size == (16, 16)


@pytest.mark.parametrize(
    ("size", "message"),
    [
        ("64", "one number for a square"),
        ((64,), "one number for a square"),
        (3.5, "one number for a square"),
        ((True, True), "one number for a square"),
        (17, "model: frames of 17x17 do not fit a network of 2 levels.*divisible by 2, as in 16x16"),
        ((0, 16), "from 1 to"),
        (1 << 20, "from 1 to"),
    ],
)
def test_a_size_that_a_network_cannot_have_is_refused(folder, size, message):
    with pytest.raises(ValueError, match=message):
        mcvd.load(folder, size=size)


def test_there_is_no_such_model(tmp_path):
    with pytest.raises(FileNotFoundError, match="no model"):
        mcvd.load(tmp_path / "nothing" / "here")


def test_a_folder_without_weights_is_named(folder):
    (folder / "model.safetensors").unlink()
    with pytest.raises(FileNotFoundError, match=r"model\.safetensors missing"):
        mcvd.load(folder)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_a_truncated_file_is_refused_in_one_line(folder, name):
    content = (folder / name).read_bytes()
    (folder / name).write_bytes(content[: len(content) // 2])
    with pytest.raises(ValueError, match="damaged") as error:
        mcvd.load(folder)
    assert "\n" not in str(error.value)


def change(folder, **values):
    config = json.loads((folder / "config.json").read_text()) | values
    (folder / "config.json").write_text(json.dumps(config))


def test_weights_of_another_architecture_are_named(folder):
    change(folder, channels=3)
    with pytest.raises(ValueError, match=r"weights of another shape, such as denoiser\.net\."):
        mcvd.load(folder)


def test_a_mistyped_key_is_an_error():
    with pytest.raises(ValueError, match="chanels"):
        mcvd.build(tiny_config() | {"chanels": 3})


@pytest.mark.parametrize("path", ["os.system", "torch.nn.Linear", 7])
def test_a_config_cannot_name_foreign_classes(folder, path):
    change(folder, net={"class_path": path, "init_args": {}})
    with pytest.raises(ValueError, match="only classes of mcvd"):
        mcvd.load(folder)


def test_a_pickle_that_runs_code_is_refused_without_running_it(tmp_path):
    class Payload:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "mark"),)

    torch.save({"config": {}, "state_dict": Payload()}, tmp_path / "evil.ckpt")
    with pytest.raises(ValueError, match="read safely"):
        mcvd.load(tmp_path / "evil.ckpt")
    assert not (tmp_path / "mark").exists()


def test_the_folder_of_a_run_opens_as_its_last_checkpoint(tmp_path):
    model = tiny_model()
    torch.save({"config": model.config, "state_dict": model.state_dict()}, tmp_path / "last.ckpt")
    for source in (tmp_path, tmp_path / "last.ckpt"):
        assert torch.equal(mcvd.load(source).denoiser.net.last.weight, model.denoiser.net.last.weight)
