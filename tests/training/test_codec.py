"""``mcvd fit-codec``: it learns, is resumed bit for bit, and a model takes what it writes."""

import hashlib
import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import yaml
from lightning import Trainer
from reference.tiny import pixels, tiny_config
from reference.tiny_fit import TINY, assert_same_run
from torch.optim import SGD
from torch.utils.data import DataLoader
from torchvision.models import alexnet

import mcvd
from mcvd.apps.cli.main import main
from mcvd.frames import model_from_pixels
from mcvd.metrics import lpips
from mcvd.models.codecs.autoencoders import WEIGHTS, read_autoencoder, shape_of, write_autoencoder
from mcvd.training.codebook import PATIENCE
from mcvd.training.codec import ARGUMENTS, CodecFit
from mcvd.training.ema import EMA
from mcvd.training.muon import Muon

pytest.importorskip("diffusers", reason="the extra mcvd[latents]")

SMALL = {"block_out_channels": [8, 8], "norm_num_groups": 4, "latent_channels": 2} | {
    f"{side}_block_types": [f"{name}Block2D"] * 2 for side, name in (("down", "DownEncoder"), ("up", "UpDecoder"))
}


def recipe(tmp_path, **model):
    data = {name: TINY[name] for name in ("data", "trainer", "checkpoints")}
    model = {"kind": "AutoencoderKL", "size": [16, 16], "arguments": SMALL, "warmup_steps": 2, "num_frames": 2} | model
    path = tmp_path / "codec.yaml"
    path.write_text(yaml.safe_dump(data | {"model": model}))
    return ["fit-codec", "--config", str(path), "--trainer.default_root_dir"]


@pytest.mark.parametrize("kind", ARGUMENTS)
def test_the_default_codecs_have_about_a_million_parameters(kind):
    net = CodecFit(kind).net
    assert 0.5e6 < sum(each.numel() for each in net.parameters()) < 1.6e6
    assert shape_of(kind, ARGUMENTS[kind])[2] == 4


def test_codecs_need_no_further_package_unless_they_are_of_one(monkeypatch):
    monkeypatch.setitem(sys.modules, "diffusers", None)
    assert CodecFit(size=(16, 16)).latent_size == (4, 4)
    with pytest.raises(ImportError, match=r"AutoencoderTiny needs the package diffusers \(pip install"):
        CodecFit("AutoencoderTiny")


def test_what_lpips_sees_is_part_of_the_loss_and_no_part_of_the_codec(tmp_path, monkeypatch):
    torch.manual_seed(0)
    path = tmp_path / lpips.ALEXNET.name
    torch.save({name: value for name, value in alexnet(weights=None).state_dict().items() if "features" in name}, path)
    digest = f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()[:8]}"
    monkeypatch.setattr(lpips, "ALEXNET", replace(lpips.ALEXNET, digest=digest))
    batch = {"video": pixels(2, 1, 1, 32, 32), "index": [0, 1]}
    arguments = {"size": (32, 32), "channels": 1, "arguments": {"width": 8}}
    losses, logged = {}, {}
    for weight in (0.0, 2.0):
        torch.manual_seed(0)
        own = CodecFit(**arguments, perceptual=weight, perceptual_weights=str(path) if weight else None)
        monkeypatch.setattr(own, "log", lambda name, value, **_: logged.update({name: value}))
        monkeypatch.setattr(own, "log_dict", lambda values: None)
        losses[weight] = own.training_step(batch, 0)
    assert logged["train/perceptual"] > 0
    torch.testing.assert_close(losses[2.0] - losses[0.0], 2 * logged["train/perceptual"])
    losses[2.0].backward()
    assert all(each.grad is not None for each in own.net.decoder.parameters())
    assert {name.split(".")[0] for name in own.state_dict()} == {"net"}
    with pytest.raises(FileNotFoundError, match=r"no file of AlexNet weights at absent\.pth"):
        CodecFit(**arguments, perceptual=1.0, perceptual_weights="absent.pth")


@pytest.mark.parametrize("discrete", ["commitment", "gumbel"])
def test_a_discrete_codec_learns_a_few_frames(discrete):
    torch.manual_seed(0)
    own = CodecFit("VQModel", SMALL | {"num_vq_embeddings": 16}, size=(16, 16), discrete=discrete)
    frames = model_from_pixels(pixels(4, 3, 2, 2)).repeat_interleave(8, 2).repeat_interleave(8, 3)
    batch = {"video": ((frames + 1) * 127.5).round().to(torch.uint8)[:, None], "index": [0, 1, 2, 3]}
    optimizer = torch.optim.Adam(own.parameters(), lr=5e-3)
    errors = []
    for _ in range(40):
        decoded, cost = own.reconstruct(frames, own._noise(batch))
        errors.append((decoded - frames).abs().mean())
        optimizer.zero_grad()
        (errors[-1] + cost).backward()
        optimizer.step()
    assert errors[-1] < 0.6 * errors[0]


def test_entries_that_move_take_their_averages_with_them():
    torch.manual_seed(0)
    own = CodecFit("VQModel", SMALL, size=(16, 16), optimizer=lambda parameters: SGD(parameters, lr=0.0))
    ema, far = EMA(0.999, warmup=False), torch.zeros(1024, dtype=torch.bool)
    far[100:] = True
    with torch.no_grad():
        own.net.quantize.embedding.weight[far] += 100.0
    batches = [{"video": pixels(2, 1, 3, 16, 16), "index": torch.arange(2)}] * PATIENCE
    arguments = {"accelerator": "cpu", "logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
    trainer = Trainer(max_steps=PATIENCE, callbacks=[ema], enable_model_summary=False, **arguments)
    trainer.fit(own, DataLoader(batches, batch_size=None))
    averages = own.net.quantize.embedding.weight  # which the model holds after the training
    assert averages[far].abs().max() < 50
    assert torch.equal(averages, ema._average_model.module.net.quantize.embedding.weight)  # the raw ones now


def test_the_learning_rate_falls_at_the_end_when_asked():
    own = CodecFit(size=(16, 16), warmup_steps=2, cooldown_steps=4)
    own.trainer = Trainer(max_steps=8, accelerator="cpu", logger=False, enable_checkpointing=False)
    schedule = own.configure_optimizers()["lr_scheduler"]["scheduler"]
    share = schedule.lr_lambdas[0]
    assert [share(step) for step in range(10)] == [0, 0.5, 1, 1, 1, 0.75, 0.5, 0.25, 0, 0]
    with pytest.raises(ValueError, match="cooldown_steps"):
        CodecFit(size=(16, 16), cooldown_steps=-1)


def test_a_new_codec_is_trained_by_muon_and_one_of_a_source_carefully(tmp_path):
    new = CodecFit(size=(16, 16), arguments={"width": 8})
    write_autoencoder(tmp_path / "codec", new.kind, new.arguments, new.net.state_dict(), {})
    further = CodecFit(size=(16, 16), source=str(tmp_path / "codec"))
    made = [own.configure_optimizers()["optimizer"] for own in (new, further)]
    assert [(type(each), each.defaults["lr"]) for each in made] == [(Muon, 0.02), (torch.optim.Adam, 1e-4)]


def test_a_stopped_training_is_resumed_bit_for_bit_and_a_model_takes_its_codec(tmp_path, capsys):
    words = recipe(tmp_path, adversarial=0.1, adversarial_after=4)
    assert main([*words, str(tmp_path / "whole"), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)  # nothing else
    assert told["out"] == f"{told['run']}/codec" and Path(told["checkpoint"]).is_file()
    assert main([*words, str(tmp_path / "parts"), "--trainer.max_steps", "6"]) == 0
    assert main([*words, str(tmp_path / "parts"), "--ckpt_path", "last"]) == 0
    runs = [tmp_path / name / "run-1" for name in ("parts", "whole")]
    assert_same_run(*(torch.load(run / "last.ckpt", weights_only=True) for run in runs))

    table = (runs[1] / "metrics.csv").read_text().splitlines()
    assert {"val/psnr", "val/ssim", "train/discriminator"} <= {*table[0].split(",")}
    assert (runs[1] / "previews" / "step-000008.png").exists()
    parts, whole = runs[0] / "codec-2", runs[1] / "codec"
    assert (parts / "latents.json").read_text() == (whole / "latents.json").read_text()
    assert main([*words, str(tmp_path / "parts"), "--ckpt_path", "last"]) == 0  # killed before the codec was written
    assert (parts / WEIGHTS).read_bytes() == (whole / WEIGHTS).read_bytes()
    assert not (runs[0] / "codec-3").exists()  # the same averages again
    assert json.loads((whole / "config.json").read_text())["_class_name"] == "AutoencoderKL"
    source = {"class_path": "mcvd.models.codecs.Latents", "init_args": {"source": str(whole)}}
    model = mcvd.build(tiny_config(channels=3) | {"codec": source})
    assert model.codec.mean == read_autoencoder(str(whole)).mean
    assert model.predict(pixels(2, 3, 16, 16), 3, steps=1, progress=False).shape == (1, 3, 3, 16, 16)


def test_a_run_of_another_network_is_not_resumed_and_says_so(tmp_path, capsys):
    words = recipe(tmp_path, kind="PatchAutoencoder", arguments={"width": 8})
    assert main([*words, str(tmp_path), "--trainer.max_steps", "1"]) == 0
    other = ["--model.arguments", "{width: 16}"]
    assert main([*words, str(tmp_path), "--ckpt_path", "last", *other]) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()[-1:]
    assert "of another network than that of these options" in line and "net.encoder.0.weight" in line


@pytest.mark.parametrize(
    ("model", "words", "message"),
    [
        ({"size": [15, 16]}, [], "multiples of 2"),
        ({"perceptual": 0.1}, [], "32x32 or more"),
        ({"perceptual_weights": "absent.pth"}, [], "belong to perceptual"),
        ({"arguments": {"flavour": 1}}, [], "no argument flavour"),
        ({"arguments": {"in_channels": "a"}}, [], "must be whole numbers above 0"),
        ({"kind": "PatchAutoencoder", "arguments": {"patch": 0}}, [], "must be whole numbers above 0"),
        ({}, ["--init_from", "m"], "--model.source"),
        ({}, ["--data.batch_size", "auto"], "name a number"),
        ({}, ["--data.latents", "latents"], "learns from frames"),
    ],
)
def test_mistakes_are_one_line(model, words, message, tmp_path, capsys):
    assert main([*recipe(tmp_path, **model), str(tmp_path / "runs"), *words]) == 2
    assert message in capsys.readouterr().err.strip().splitlines()[-1]
    assert not (tmp_path / "runs").exists()
