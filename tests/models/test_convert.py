"""Published checkpoints through the front door: `mcvd convert`, then load, use, fine-tune and export."""

import argparse
import os

import pytest
import torch
import yaml
from reference.published import (
    CHOICES,
    checkpoint_of,
    choices,
    description,
    needs_fixtures,
    random_state,
    tensors,
    write,
)
from reference.tiny import pixels

import mcvd
from mcvd.apps.cli.main import main
from mcvd.models.published.state_dict import BUFFERS, translations
from mcvd.samplers import DDIM, DDPM

KINDS = {
    "SPATIN with past embedding": choices(prob_mask_cond=0.5, prob_mask_future=0.5),
    "concatenation": choices(spade=False, cond_emb=False, prob_mask_cond=0.5, sigma_dist="cosine"),
}


def convert(folder, states, changed=CHOICES, *options):
    """The exit status of `mcvd convert` into the folder ``model``."""
    checkpoint, config = write(folder, states, changed)
    return main(["convert", str(checkpoint), "--config", str(config), "--out", str(folder / "model"), *options])


def published_state(net):
    """The weights of a network under their published names: the way back of a conversion."""
    ours, state = net.state_dict(), {}
    for each in translations(net):
        parts = ours[each.ours].chunk(len(each.published))
        state |= {name: part.t() if each.transposed else part for name, part in zip(each.published, parts, strict=True)}
    return state


@pytest.fixture(scope="module")
def converted(tmp_path_factory):
    """A folder that holds a converted model with an embedding of the past."""
    folder = tmp_path_factory.mktemp("converted")
    state = {name: 0.1 * tensor for name, tensor in random_state().items()}
    assert convert(folder, checkpoint_of(state, state), KINDS["SPATIN with past embedding"]) == 0
    return folder / "model"


@pytest.mark.parametrize("kind", KINDS)
def test_a_converted_model_holds_the_averages_or_the_raw_weights(tmp_path, kind, capsys):
    raw, averaged = random_state(KINDS[kind], seed=0), random_state(KINDS[kind], seed=1)
    for number, (state, options) in enumerate([(averaged, []), (raw, ["--raw"])]):
        (tmp_path / str(number)).mkdir()
        assert convert(tmp_path / str(number), checkpoint_of(raw, averaged), KINDS[kind], *options) == 0
        back = published_state(mcvd.load(tmp_path / str(number) / "model").denoiser.net)
        assert back.keys() == state.keys()
        assert all(torch.equal(back[name], state[name]) for name in state)
    assert "2 | 2 | 1 frames of 16x16x1" in capsys.readouterr().out


def test_a_configuration_of_namespaces_is_understood(tmp_path):
    state = random_state()
    checkpoint, config = write(tmp_path, checkpoint_of(state, state))
    sections = {name: argparse.Namespace(**section) for name, section in CHOICES.items()}
    config.write_text(yaml.dump(argparse.Namespace(**sections)))
    assert "!!python/object:argparse.Namespace" in config.read_text()
    assert main(["convert", str(checkpoint), "--config", str(config), "--out", str(tmp_path / "model")]) == 0


def test_a_converted_model_knows_its_tasks_and_survives_another_export(converted, tmp_path):
    model = mcvd.load(converted)
    assert (model.block, model.size, model.channels) == (mcvd.FrameBlock(2, 2, 1), (16, 16), 1)
    model.save_pretrained(tmp_path / "again")
    again, options = mcvd.load(tmp_path / "again"), {"sampler": DDPM(num_steps=2)}
    assert all(torch.equal(value, again.state_dict()[name]) for name, value in model.state_dict().items())
    for task in (lambda m: m.generate(3, **options), lambda m: m.predict(pixels(2, 1, 16, 16), 3, **options)):
        assert torch.equal(task(model), task(again))


def test_generation_as_published_claims_that_the_past_is_visible(converted):
    model, sampler = mcvd.load(converted), DDIM(num_steps=1, clip=False)
    truth, claim = (model.generate(2, sampler=sampler, claim_past_visible=said) for said in (False, True))
    assert not torch.equal(truth, claim)
    grey = torch.zeros(1, 2, 1, 16, 16)
    shown, hidden = mcvd.Condition.visible(grey, grey[:, :1]), mcvd.Condition.visible(grey, grey[:, :1]).null()
    noisy, t = torch.randn(1, 2, 1, 16, 16), torch.full((1,), 0.5)
    claimed = model.denoiser.bind(hidden, claim_past_visible=True)(noisy, t)
    assert torch.equal(claimed, model.denoiser.bind(shown)(noisy, t))


class LeavesAMark:
    def __init__(self, mark):
        self.mark = str(mark)

    def __reduce__(self):
        return os.mkdir, (self.mark,)


def truncate(folder):
    content = (folder / "checkpoint.pt").read_bytes()
    (folder / "checkpoint.pt").write_bytes(content[: len(content) // 2])


def reconfigure(**changes):
    return lambda folder: (folder / "config.yml").write_text(yaml.safe_dump(choices(**changes)))


FAULTS = {
    "a truncated checkpoint": (truncate, "checkpoint.pt"),
    "a hostile checkpoint": (
        lambda folder: torch.save([LeavesAMark(folder / "mark"), {}, 0, 0, {}], folder / "checkpoint.pt"),
        "checkpoint.pt",
    ),
    "no checkpoint": (lambda folder: (folder / "checkpoint.pt").unlink(), "checkpoint.pt"),
    "another width": (reconfigure(ngf=16), "checkpoint.pt"),
    "three dimensions": (reconfigure(arch="unetmore3d"), "checkpoint.pt"),
    "frames from 0 to 1": (reconfigure(rescaled=False), "config.yml"),
    "logits of pixels": (reconfigure(logit_transform=True), "config.yml"),
    "an entry that nobody knows": (reconfigure(resblock="biggan"), "config.yml"),
    "a hostile configuration": (
        lambda folder: (folder / "config.yml").write_text(f"data: !!python/object/apply:os.mkdir [{folder}/mark]"),
        "config.yml",
    ),
    "a model that is there": (lambda folder: (folder / "model").mkdir() or (folder / "model/mine").touch(), "model"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_what_cannot_be_converted_is_said_in_one_line_and_leaves_nothing(tmp_path, capsys, fault):
    spoil, named = FAULTS[fault]
    state = random_state()
    checkpoint, config = write(tmp_path, checkpoint_of(state, state))
    spoil(tmp_path)
    before = {path.relative_to(tmp_path) for path in tmp_path.rglob("*")}
    status = main(["convert", str(checkpoint), "--config", str(config), "--out", str(tmp_path / "model")])
    assert status in (1, 2)
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("mcvd: ") and str(tmp_path / named) in line
    assert {path.relative_to(tmp_path) for path in tmp_path.rglob("*")} == before


def test_a_converted_model_is_fine_tuned_and_exported(converted, tmp_path, capsys):
    scenes = {
        "class_path": "mcvd.data.DrivingScenes",
        "init_args": {"num_videos": 2, "num_frames": 8},
    }
    config = {
        "model": mcvd.load(converted).config,
        "data": {"train": scenes, "val": scenes, "max_val_clips": 1, "batch_size": 1, "num_workers": 0},
        "trainer": {"accelerator": "cpu", "max_steps": 1, "default_root_dir": str(tmp_path / "runs")},
        "preview": {"every_n_steps": None},
    }
    (tmp_path / "tune.yaml").write_text(yaml.safe_dump(config))
    # One more current frame: only the layers that see all frames are new. The first update has a learning rate of 0.
    options = ["--init_from", str(converted), "--model.block.current", "3"]
    assert main(["fit", "--config", str(tmp_path / "tune.yaml"), *options]) == 0
    new = ["first.weight", "last.bias", "last.weight"]
    said = capsys.readouterr().out
    assert all(f"denoiser.net.{name} " in said for name in new)
    checkpoint = tmp_path / "runs/run-1/last.ckpt"
    assert main(["export", str(checkpoint), "--out", str(tmp_path / "tuned")]) == 0
    before, after = (mcvd.load(path).denoiser.net.state_dict() for path in (converted, tmp_path / "tuned"))
    assert sorted(name for name in before if before[name].shape != after[name].shape) == new
    assert all(torch.equal(before[name], after[name]) for name in before if name not in new)


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """A function that gives a fixture's converted model and its tensors."""

    def make(name):
        folder = tmp_path_factory.mktemp(name)
        stored = tensors(f"unet_{name}")
        state = {key[4:]: tensor for key, tensor in stored.items() if key.startswith("ref.")}
        averaged = {key: tensor for key, tensor in state.items() if key not in BUFFERS}
        assert convert(folder, checkpoint_of(state, averaged), description(f"unet_{name}")["config"]) == 0
        return mcvd.load(folder / "model"), stored

    return make


def frames(model, channels):
    return channels.unflatten(1, (-1, model.channels))


@needs_fixtures
@pytest.mark.parametrize("name", "abcd")
def test_a_converted_model_sees_the_published_noise(published, name):
    model, stored = published(name)
    rows = stored["in.cond_mask"].bool() if name == "c" else slice(None)  # c's hidden frames are not zero
    past, future = frames(model, stored["in.cond"][rows]).split([model.block.past, model.block.future], 1)
    noisy, t = frames(model, stored["in.x"][rows]), 1 - stored["in.t"][rows].float() / 1000
    with torch.inference_mode():
        eps = model.denoiser.predict_noise(noisy, t, mcvd.Condition.visible(past, future)).flatten(1, 2)
    assert (eps - stored["out.eps_f64"][rows]).abs().max() < 2e-5


@needs_fixtures
@pytest.mark.parametrize(
    ("run", "sampler", "tolerance"),
    [
        ("ddpm_10_clip1_denoise1", DDPM(num_steps=10, published_final_denoise=True), 5e-5),
        ("ddim_10_clip1_denoise0", DDIM(num_steps=10), 1e-3),
    ],
)
def test_a_converted_model_makes_the_published_sample(published, run, sampler, tolerance):
    model, _ = published("a")
    inputs = tensors("sampler_inputs")
    past, future = frames(model, inputs["cond"]).split([2, 2], 1)
    noises = iter(frames(model, inputs["noises"].flatten(0, 1)).unflatten(0, (-1, 1)))
    with torch.inference_mode():
        denoise = model.denoiser.bind(mcvd.Condition.visible(past, future))
        noise = frames(model, inputs["x_init"])
        sample = sampler(denoise, noise, model.denoiser.schedule, draw=lambda x: next(noises))
    assert (sample - frames(model, tensors("sampler_a")[f"{run}.f64"])).abs().max() < tolerance
