"""The samplers that belong to a model: kept with it, used by every door, refused if they never end."""

import json

import pytest
import torch
from reference.tiny import pixels, tiny_config, tiny_model

import mcvd
from mcvd.apps.cli.main import main
from mcvd.diffusion import TaskSamplers
from mcvd.diffusion.tasks import BACKWARD, GENERATE, INTERPOLATE, PREDICT
from mcvd.evaluation.evaluate import evaluate
from mcvd.samplers import DDIM, LogSNR, UniPC
from mcvd.samplers.select import default_sampler

OWN = TaskSamplers(predict=UniPC(num_steps=2, spacing=LogSNR(sigma_min=0.1)), generate=DDIM(num_steps=3))


def owner():
    model = tiny_model()
    model.samplers = OWN
    return model


def test_they_survive_saving_and_an_old_config_has_none(tmp_path):
    owner().save_pretrained(tmp_path / "model")
    assert mcvd.load(tmp_path / "model").samplers == OWN
    assert mcvd.build(tiny_config()).samplers == TaskSamplers()


def test_each_task_samples_with_its_own_and_with_the_default_where_there_is_none():
    model, past = owner(), pixels(1, 2, 1, 16, 16)
    assert torch.equal(model.predict(past, 3), model.predict(past, 3, sampler=OWN.predict))
    assert torch.equal(model.generate(3), model.generate(3, sampler=OWN.generate))
    assert torch.equal(model.predict(past, 3, steps=1), model.predict(past, 3, sampler=UniPC(1, spacing=LogSNR(0.1))))
    assert model.sampler_for(INTERPOLATE) == model.sampler_for(BACKWARD) == default_sampler()


def test_evaluate_takes_the_own_one():
    scores = evaluate(owner(), pixels(2, 9, 1, 16, 16), "predict", num_frames=3, num_samples=1)
    assert scores.sampler == repr(OWN.predict)


def test_the_command_and_the_card_tell_them(tmp_path, capsys):
    owner().save_pretrained(tmp_path / "model")
    assert main(["info", str(tmp_path / "model"), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["samplers"]
    assert found["predict"] == {"name": "UniPC", "num_calls": 2, "own": True}
    assert not found["interpolate"]["own"]
    assert "- prediction: UniPC, 2 network calls a block\n" in (tmp_path / "model/README.md").read_text()


def test_commands_sample_with_the_own_one(tmp_path):
    owner().save_pretrained(tmp_path / "model")
    out = tmp_path / "out.html"
    command = ["generate", "--model", str(tmp_path / "model"), "--num-frames", "3", "--out", str(tmp_path / "out.gif")]
    assert main([*command, "--gallery"]) == 0
    assert "by DDIM with 3 network calls" in out.read_text()


@pytest.mark.parametrize(
    ("sampler", "message"),
    [
        ({"class_path": "mcvd.samplers.DDIM", "init_args": {"num_steps": 10**9}}, "1 to 10000"),
        ({"class_path": "mcvd.samplers.DDIM", "init_args": {"num_steps": 0}}, "1 to 10000"),
        ({"class_path": "os.system"}, "only classes of mcvd"),
        ({"class_path": "mcvd.nets.UNet"}, "only classes of mcvd"),
    ],
)
def test_a_sampler_that_never_ends_or_is_none_is_refused(sampler, message):
    with pytest.raises(ValueError, match=message):
        mcvd.build(tiny_config() | {"samplers": {"predict": sampler}})


def test_steps_of_a_sampler_that_chooses_them_itself_are_refused():
    samplers = TaskSamplers(predict=mcvd.samplers.AdaptiveSDE())
    with pytest.raises(ValueError, match="chooses its steps itself"):
        samplers.of(PREDICT, 4)
    assert samplers.of(GENERATE, 4) == default_sampler(True, 4)
