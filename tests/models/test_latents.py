"""Latent codecs: the models that hold one, published layouts, and what does not fit."""

import json

import pytest
import torch
from reference.tiny import pixels, tiny_config

import mcvd
from mcvd.diffusion.reference import ContextReference
from mcvd.models.codecs import Latents, latents
from mcvd.models.codecs.autoencoders import new_autoencoder, read_autoencoder, shape_of, write_autoencoder

pytest.importorskip("diffusers", reason="the extra mcvd[latents]")

FAST = {"steps": 2, "progress": False}
BLOCKS = {
    "down_block_types": ["DownEncoderBlock2D"] * 2,
    "up_block_types": ["UpDecoderBlock2D"] * 2,
    "block_out_channels": [8, 8],
    "norm_num_groups": 4,
}
LEVELS = {f"{side}coder_block_out_channels": [8, 8] for side in ("en", "de")} | {
    f"num_{side}coder_blocks": [1, 1] for side in ("en", "de")
}
KINDS = {
    "PatchAutoencoder": {"latent_channels": 3, "patch": 2, "width": 8, "encoder_blocks": 1, "decoder_blocks": 1},
    "AutoencoderKL": BLOCKS | {"latent_channels": 2},
    "AutoencoderTiny": LEVELS,
    "VQModel": BLOCKS | {"latent_channels": 3, "num_vq_embeddings": 7},
}


def codec(kind="AutoencoderTiny", **others):
    torch.manual_seed(0)
    return Latents(kind=kind, arguments=KINDS[kind], **others).with_network()[0]


def latent_model(kind="AutoencoderTiny", channels=3, config=None, **init_args):
    if "source" not in init_args:
        init_args = {"kind": kind, "arguments": KINDS[kind]} | init_args
    torch.manual_seed(0)
    model = mcvd.build(
        tiny_config(channels=channels)
        | {"codec": {"class_path": "mcvd.models.codecs.Latents", "init_args": init_args}}
        | (config or {})
    )
    for parameter in model.denoiser.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    return model.eval()


@pytest.fixture
def folder(tmp_path):
    """A codec in diffusers' layout."""
    net = new_autoencoder("AutoencoderKL", KINDS["AutoencoderKL"])
    measured = {"mean": [0.5, -1.0], "std": [2.0, 0.5], "limit": 4.0}
    write_autoencoder(tmp_path / "codec", "AutoencoderKL", KINDS["AutoencoderKL"], net.state_dict(), measured)
    return tmp_path / "codec"


@pytest.mark.parametrize("kind", KINDS)
def test_a_model_of_each_kind_does_its_tasks_and_is_saved_with_its_codec(kind, tmp_path):
    model, video = latent_model(kind), pixels(3, 3, 16, 16)
    made = model.predict(video, 5, **FAST)
    assert made.shape == (1, 5, 3, 16, 16) and made.dtype == torch.uint8
    assert model.denoiser.net.encode_condition  # on frames of half the size
    model.save_pretrained(tmp_path / "model")
    assert "2x smaller" in (tmp_path / "model" / "README.md").read_text()
    again = mcvd.load(tmp_path / "model")
    assert torch.equal(again.predict(video, 5, **FAST), made)
    assert again.facts().parameters == model.facts().parameters < sum(each.numel() for each in model.parameters())


@pytest.mark.parametrize("kind", KINDS)
def test_latents_have_the_shape_that_is_told(kind):
    channels, number, factor = shape_of(kind, KINDS[kind])
    encoded = codec(kind).encode(pixels(2, 3, channels, 8, 12))
    assert encoded.shape == (2, 3, number, 8 // factor, 12 // factor)
    assert codec(kind).decode(encoded).shape == (2, 3, channels, 8, 12)


def test_measured_latents_have_the_variance_that_networks_expect():
    video = pixels(24, 3, 16, 16)
    own = codec().measured(video.split(7))
    encoded = own.encode(video)
    assert encoded.mean((0, 2, 3)).abs().max() < 1e-4
    assert encoded.std(correction=0).item() == pytest.approx(0.5, abs=1e-4)
    raw = codec().encode(video)
    spread, before = encoded.std((0, 2, 3)), raw.std((0, 2, 3))
    torch.testing.assert_close(spread / spread[0], before / before[0])  # each channel as wide as it is beside others
    assert encoded.abs().max().item() == pytest.approx(own.bound, rel=1e-4)
    assert (own.decode(encoded).int() - codec().decode(codec().encode(video)).int()).abs().max() <= 1


def test_frames_are_coded_some_at_a_time_with_the_same_numbers(monkeypatch):
    video, own = pixels(2, 5, 3, 16, 16), codec()
    whole = own.encode(video)
    monkeypatch.setattr(latents, "_CHUNK_PIXELS", 3 * 16 * 16)
    assert torch.allclose(own.encode(video), whole, atol=1e-5)
    assert own.encode(video[:, :0]).shape == (2, 0, *whole.shape[2:])


def test_a_size_that_does_not_fit_the_network_behind_the_codec_is_told_in_pixels(tmp_path):
    latent_model().save_pretrained(tmp_path / "m")
    assert mcvd.load(tmp_path / "m", size=(32, 24)).generate(3, **FAST).shape == (1, 3, 3, 32, 24)
    with pytest.raises(ValueError, match="m: frames of 30x32 are 15x16 as latents, 2 times less: frames of 15x16 do"):
        mcvd.load(tmp_path / "m", size=(30, 32))


def test_samplers_clip_to_the_range_of_the_codec():
    model = latent_model(limit=3.0)
    frames = torch.zeros(2, 4, 4, 8, 8)
    condition = mcvd.Condition.visible(frames[:, :2], frames[:, :2])
    far = torch.full((2, model.block.current, 4, 8, 8), 1e6)
    bound = model.denoiser.bind(condition)
    assert [bound.clip(each).unique().item() for each in (-far, far)] == [-1.5, 1.5]
    residual = ContextReference(model.block, bound=1.5)(condition)
    assert torch.allclose(residual.to_frames(residual.clip(far)), torch.tensor(1.5))


def test_residuals_of_latents_and_known_frames(tmp_path):
    model = latent_model(config={"reference": "context"})
    video, mask = pixels(3, 3, 16, 16), torch.zeros(16, 16, dtype=torch.bool)
    mask[:, :7] = True
    made = model.predict(video, 4, known={3: video[0]}, known_pixels=mask, known_by="replacement", **FAST)
    coded = model.codec.decode(model.codec.encode(video[:1]))[0]
    assert made.shape == (1, 4, 3, 16, 16)
    whole = model.predict(video, 4, known={3: video[0]}, known_by="replacement", **FAST)
    assert torch.equal(whole[0, 3], coded)  # a known frame comes out as the codec has it
    assert model.upsample(video, 2, **FAST).shape == (1, 5, 3, 16, 16)


def test_a_codec_in_the_published_layout_is_read(folder):
    model = latent_model(source=str(folder))
    assert model.codec.mean == (0.5, -1.0) and model.codec.bound == 2.0 and model.codec.source is None
    stored = read_autoencoder(str(folder)).weights
    assert all(torch.equal(value, stored[name]) for name, value in model.autoencoder.state_dict().items())
    assert model.trained_config()["codec"]["init_args"]["source"] is None


def test_the_scale_of_a_published_codec_is_that_of_its_config(folder):
    (folder / "latents.json").unlink()
    config = json.loads((folder / "config.json").read_text()) | {"scaling_factor": 0.25, "_diffusers_version": "0.4"}
    (folder / "config.json").write_text(json.dumps(config))
    (folder.parent / "pipeline").mkdir()
    folder.rename(folder.parent / "pipeline" / "vae")
    stored = read_autoencoder(str(folder.parent / "pipeline"))
    assert stored.std == (4.0, 4.0) and stored.mean == (0.0, 0.0) and stored.limit is None


def test_training_leaves_the_codec_as_it_is():
    model = latent_model(config={"reference": "context"}).train()
    batch = pixels(2, model.block.num_frames, 3, 16, 16)
    model.loss(batch).mean().backward()
    assert all(each.grad is None for each in model.autoencoder.parameters())
    assert any(each.grad is not None for each in model.denoiser.parameters())


def changed(folder, **values):
    config = json.loads((folder / "config.json").read_text()) | values
    (folder / "config.json").write_text(json.dumps(config))


def test_what_does_not_fit_is_refused_by_name(folder):
    with pytest.raises(ValueError, match=r"AutoencoderKL.* codes frames of 3 channels, and the model has 1"):
        latent_model("AutoencoderKL", channels=1)
    with pytest.raises(ValueError, match="multiples of 2, got 15x16"):
        latent_model(config={"size": [15, 16]})
    with pytest.raises(ValueError, match="no argument flavour"):
        latent_model(arguments={"flavour": 1})
    with pytest.raises(ValueError, match="a number for each of the 4 channels"):
        latent_model(mean=[0.0], std=[1.0])
    with pytest.raises(ValueError, match=r"C, H, W"):
        latent_model().predict(pixels(3, 1, 16, 16), 2)
    with pytest.raises(ValueError, match="latents of 4 channels"):
        codec().decode(torch.zeros(1, 3, 4, 4))
    with pytest.raises(ValueError, match="not finite"):
        codec().decode(torch.full((1, 4, 4, 4), torch.nan))


@pytest.mark.parametrize(
    "measured",
    [
        {"limit": "large"},
        {"limit": [1]},
        {"limit": -1.0},
        {"limit": 10**400},
        {"std": [1e-300, 1.0]},
        {"mean": [True, 0.0]},
    ],
    ids=str,
)
def test_a_scale_of_latents_that_is_none_is_refused(measured, folder):
    (folder / "latents.json").write_text(json.dumps(measured))
    with pytest.raises(ValueError, match="of the latents must be"):
        read_autoencoder(str(folder))


def test_damaged_and_foreign_codecs_are_refused(folder):
    with pytest.raises(FileNotFoundError, match="missing"):
        read_autoencoder(str(folder.parent))
    changed(folder, latent_channels=3)
    with pytest.raises(ValueError, match=r"another shape|must be 3 numbers"):
        read_autoencoder(str(folder))
    changed(folder, _class_name="os.system")
    with pytest.raises(ValueError, match=r"of the class os\.system: a codec must be"):
        read_autoencoder(str(folder))
    (folder / "config.json").write_text("{")
    with pytest.raises(ValueError, match="damaged"):
        read_autoencoder(str(folder))


@pytest.mark.parametrize("kind", ["AutoencoderKLTemporalDecoder", "AutoencoderKLMochi"])
def test_codecs_that_code_frames_together_in_their_own_way_are_refused_with_the_reason(kind, tmp_path):
    diffusers = pytest.importorskip("diffusers")
    with torch.device("meta"):
        getattr(diffusers, kind)().save_config(tmp_path)
    (tmp_path / "diffusion_pytorch_model.safetensors").write_bytes(b"")
    with pytest.raises(ValueError, match=rf"class {kind}: a codec must be .*in a way that is not known here"):
        read_autoencoder(str(tmp_path))


def test_an_exported_model_names_no_other_files(tmp_path):
    latent_model().save_pretrained(tmp_path / "model")
    config = json.loads((tmp_path / "model" / "config.json").read_text())
    config["codec"]["init_args"]["source"] = "somebody/codec"
    (tmp_path / "model" / "config.json").write_text(json.dumps(config))
    with pytest.raises(ValueError, match="names a codec elsewhere"):
        mcvd.load(tmp_path / "model")
