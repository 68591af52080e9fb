"""Codecs of diffusers that code frames together: each part of a block by itself, and frames between blocks."""

import json

import pytest
import torch
import yaml
from reference.tiny import pixels, tiny_config, tiny_larger
from reference.tiny_fit import TINY

import mcvd
from mcvd.apps.cli.main import main
from mcvd.models.cascade import Cascade
from mcvd.models.codecs import Latents
from mcvd.models.codecs.autoencoders import read_autoencoder, shape_of
from mcvd.training.codec import CodecFit

diffusers = pytest.importorskip("diffusers", reason="the extra mcvd[latents]")

FAST = {"steps": 2, "progress": False}
NORM = {"latent_channels": 4, "layers_per_block": 1, "norm_num_groups": 4}


def blocks(name, number=3):
    return {f"{way}_block_types": [f"{name}{way.title()}Block3D"] * number for way in ("down", "up")}


KINDS = {
    "AutoencoderKLCogVideoX": NORM
    | blocks("CogVideoX", 2)
    | {"block_out_channels": [8, 8], "temporal_compression_ratio": 2, "scaling_factor": 0.5},
    "AutoencoderKLHunyuanVideo": NORM
    | blocks("HunyuanVideo")
    | {"block_out_channels": [8] * 3, "spatial_compression_ratio": 4, "temporal_compression_ratio": 4},
    "AutoencoderKLLTXVideo": {
        **{"latent_channels": 4, "patch_size": 1, "down_block_types": ["LTXVideoDownBlock3D"] * 2},
        **{f"{side}block_out_channels": [8, 8] for side in ("", "decoder_")},
        **{f"{side}layers_per_block": [1] * 3 for side in ("", "decoder_")},
        **{f"{side}spatio_temporal_scaling": [True] * 2 for side in ("", "decoder_")},
        **{"decoder_inject_noise": [False] * 3, "upsample_residual": [False] * 2},
        **{"upsample_factor": [1, 1], "downsample_type": ["conv"] * 2},
    },
    "AutoencoderKLMagvit": NORM
    | {
        f"{way}_block_types": [f"{kind}{way.title()}Block3D" for kind in ("Spatial", *["SpatialTemporal"] * 2)]
        for way in ("down", "up")
    }
    | {"block_out_channels": [8] * 3},
    "AutoencoderKLWan": {
        **{"base_dim": 4, "z_dim": 4, "dim_mult": [1, 1], "num_res_blocks": 1, "temperal_downsample": [True]},
        **{"latents_mean": [0.5, 0.0, 0.0, -0.5], "latents_std": [2.0, 1.0, 0.5, 1.0]},
    },
}
MADE_BLOCK = {"past": 1, "current": 5, "future": 1}
MADE = {"p": 0.5, "channels": 3} | MADE_BLOCK


def published(kind, folder):
    """A codec as diffusers itself writes it."""
    torch.manual_seed(0)
    getattr(diffusers, kind)(**KINDS[kind]).save_pretrained(folder)
    return str(folder)


def model_of(config=None, kind="AutoencoderKLCogVideoX", source=None, **block):
    init_args = {"kind": kind, "arguments": KINDS[kind]} if source is None else {"source": source}
    codec = {"class_path": "mcvd.models.codecs.Latents", "init_args": init_args}
    torch.manual_seed(0)
    model = mcvd.build(tiny_config(**MADE | block) | {"codec": codec} | (config or {}))
    for parameter in model.denoiser.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    return model.eval()


@pytest.fixture(scope="module")
def model():
    return model_of()


@pytest.mark.parametrize("kind", KINDS)
def test_parts_of_the_lengths_that_fit_come_back_at_their_length(kind):
    torch.manual_seed(0)
    codec = Latents(kind=kind, arguments=KINDS[kind]).with_network()[0]
    channels, latents, factor = shape_of(kind, KINDS[kind])
    step = codec.coding.num_frames
    for length in (1, 1 + step, 1 + 3 * step):
        encoded = codec.encode(pixels(2, length, channels, 16, 16))
        assert encoded.shape == (2, codec.coding.length(length), latents, 16 // factor, 16 // factor)
        assert codec.decode(encoded).shape == (2, length, channels, 16, 16)
    assert codec.encode(pixels(2, 1 + step, 3, 16, 16)[:, :0]).shape[:2] == (2, 0)
    with pytest.raises(ValueError, match=f"{step} frames cannot .* such as 1 or {1 + step}"):
        codec.encode(pixels(step, channels, 16, 16))


@pytest.mark.parametrize("kind", KINDS)
def test_the_numbers_are_those_of_diffusers(kind, tmp_path):
    source = published(kind, tmp_path / "vae")
    stored, (codec, _) = read_autoencoder(source), Latents(source=source).with_network()
    net = getattr(diffusers, kind).from_pretrained(source).eval()
    video = pixels(1, 5, 3, 16, 16)
    with torch.no_grad():
        raw = net.encode(video.transpose(1, 2) / 127.5 - 1).latent_dist.mode().transpose(1, 2)
        mean, std = (torch.tensor(each).view(-1, 1, 1) for each in (stored.mean, stored.std))
        decoded = net.decode(raw.transpose(1, 2)).sample.transpose(1, 2)
    torch.testing.assert_close(codec.encode(video), (raw - mean) / std * 0.5)
    torch.testing.assert_close(codec.decode(codec.encode(video), rounded=False), ((decoded + 1) / 2).clamp(0, 1))


def test_mean_and_scale_are_those_of_the_published_files(tmp_path):
    assert read_autoencoder(published("AutoencoderKLCogVideoX", tmp_path / "cog")).std == (2.0,) * 4
    assert read_autoencoder(published("AutoencoderKLWan", tmp_path / "wan")).std == (2.0, 1.0, 0.5, 1.0)
    net = diffusers.AutoencoderKLLTXVideo(**KINDS["AutoencoderKLLTXVideo"])
    net.latents_std.fill_(4.0)
    net.save_pretrained(tmp_path / "ltx")  # as buffers among its weights
    assert read_autoencoder(str(tmp_path / "ltx")).std == (4.0,) * 4


@pytest.mark.parametrize("kind", KINDS)
def test_a_model_of_each_kind_does_its_tasks_and_is_saved_with_its_codec(kind, tmp_path):
    model = model_of(source=published(kind, tmp_path / "vae"))
    video = pixels(2, 3, 16, 16)
    made = model.predict(video[:1], 5, **FAST)
    assert made.shape == (1, 5, 3, 16, 16) and made.dtype == torch.uint8
    assert model.predict(video[:1], 3, backward=True, **FAST).shape == (1, 3, 3, 16, 16)
    assert model.interpolate(video[:1], video[1:], 7, **FAST).shape == (1, 7, 3, 16, 16)
    assert model.generate(6, num_samples=2, **FAST).shape == (2, 6, 3, 16, 16)
    model.save_pretrained(tmp_path / "model")
    assert "fewer frames" in (tmp_path / "model" / "README.md").read_text()
    assert torch.equal(mcvd.load(tmp_path / "model").predict(video[:1], 5, **FAST), made)


def test_a_long_rollout_is_the_same_each_time_and_one_video_that_of_a_batch(model):
    past = pixels(2, 1, 3, 16, 16)
    made = model.predict(past, 33, seed=3, num_samples=2, rounded=False, **FAST)
    assert made.shape == (2, 2, 33, 3, 16, 16)
    assert torch.equal(model.predict(past, 33, seed=3, num_samples=2, rounded=False, **FAST), made)
    alone = model.predict(past[1:], 33, seed=3, first_video=1, first_sample=1, rounded=False, **FAST)
    torch.testing.assert_close(alone[0], made[1, 1], atol=2e-3, rtol=0)
    lengths = [frames.shape[1] for _, frames in model.stream(past, 12, **FAST)]
    assert lengths == [5, 5, 2]


def test_a_block_is_decoded_and_the_next_one_sees_its_last_frames_coded_anew(model, monkeypatch):
    first = model.predict(pixels(1, 3, 16, 16), 10, rounded=False, **FAST)
    told = model.codec.coding.encode(first[:, 4:5] * 2 - 1)
    seen = []
    bind = model.denoiser.bind
    monkeypatch.setattr(
        model.denoiser, "bind", lambda condition, *rest: seen.append(condition) or bind(condition, *rest)
    )
    model.predict(pixels(1, 3, 16, 16), 10, **FAST)
    assert len(seen) == 2 and seen[1].keep_past.all() and not seen[1].keep_future.any()
    torch.testing.assert_close(seen[1].past, told, atol=1e-4, rtol=1e-3)


def test_context_longer_than_can_be_coded_is_cut_to_its_nearest_frames():
    model = model_of(past=5, future=5)
    condition = mcvd.Condition.visible(torch.rand(1, 5, 3, 16, 16), torch.rand(1, 5, 3, 16, 16))
    coded = model.codec.coding.condition(condition)
    assert coded.past.shape[:2] == coded.future.shape[:2] == (1, 3)
    keep = torch.tensor([[False, False, True, True, True]])
    some = mcvd.Condition(condition.past, condition.future, keep, keep.flip(1))
    coded = model.codec.coding.condition(some)
    assert coded.keep_past.tolist() == [[False, False, True]] and coded.keep_future.tolist() == [[True, False, False]]
    assert torch.allclose(coded.past[:, 2:], model.codec.coding.encode(condition.past[:, 4:]))
    assert torch.allclose(coded.future[:, :1], model.codec.coding.encode(condition.future[:, :1]))
    with pytest.warns(UserWarning, match="only the nearest 1 is seen"):
        made = model.interpolate(pixels(3, 3, 16, 16), pixels(2, 3, 16, 16), 11, **FAST)
    assert made.shape[1] == 11


def test_steps_lower_the_loss():
    model = model_of({"predicts": "x0"}).train()
    batch = {"video": pixels(4, 7, 3, 16, 16), "index": [0, 1, 2, 3]}
    optimizer = torch.optim.Adam(model.denoiser.parameters(), lr=3e-3)
    losses = []
    for _ in range(25):
        loss = model.loss(batch).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]


@pytest.mark.parametrize(
    ("block", "message"),
    [
        ({"past": 2}, "block.past: 2 frames cannot .* a multiple of 4 more, such as 1 or 5"),
        ({"current": 3}, "block.current: 3 frames"),
        ({"future": 7}, "block.future: 7 .* such as 5 or 9"),
    ],
)
def test_a_block_that_does_not_fit_is_refused_with_lengths_that_do(block, message):
    with pytest.raises(ValueError, match=message):
        model_of(**block)


@pytest.mark.parametrize(
    "config",
    [
        {"masking": {"p_past": 0.5, "p_partial": 0.5}},
        {"adversarial": 0.1},
        {"signals": {"names": ["speed"]}},
        {"reference": "context", "reference_memory": True},
    ],
)
def test_what_counts_single_frames_is_refused(config):
    config = dict(config)
    if "signals" in config:
        net = tiny_config()["net"]
        config["net"] = {**net, "init_args": {**net["init_args"], "num_signals": 1}}
    name = {"masking": "p_partial", "reference": "reference_memory"}.get(next(iter(config)), next(iter(config)))
    with pytest.raises(ValueError, match=f"codes frames together, and cannot do .*{name}"):
        model_of(config)


def test_known_frames_loops_and_upsampling_are_refused(model):
    video = pixels(2, 3, 16, 16)
    with pytest.raises(ValueError, match="cannot do known"):
        model.predict(video, 5, known={2: video[0]}, **FAST)
    with pytest.raises(ValueError, match="cannot do loop"):
        model.predict(video, 9, loop=True, **FAST)
    with pytest.raises(ValueError, match="upsampling takes single ones"):
        model.upsample(video, 2, **FAST)
    with pytest.raises(ValueError, match="uint8"):
        model.train().loss(torch.zeros(1, 7, 4, 8, 8, dtype=torch.float16))


@pytest.mark.parametrize("in_a_cascade", [False, True])
def test_the_studio_offers_such_a_model_nothing_that_takes_single_frames(model, in_a_cascade):
    gradio = pytest.importorskip("gradio", reason="the extra mcvd[studio]")
    from mcvd.apps.studio.page import build_page
    from mcvd.apps.studio.service import Studio

    offered = Cascade(model, tiny_larger(size=(32, 32), channels=3)) if in_a_cascade else model
    page = build_page(Studio(offered, "small"))
    told = {each.elem_id: each for each in page.blocks.values() if isinstance(each, gradio.components.Component)}
    own = ["predict", "backward", "interpolate", "generate"]
    assert [name for _, name in told["task"].choices] == own + ["enlarge"] * in_a_cascade
    assert not told["loop"].visible and not told["marking"].interactive


def test_upsampling_by_a_cascade_over_such_a_model_is_refused(model):
    cascade = Cascade(model, tiny_larger(size=(32, 32), channels=3))
    with pytest.raises(ValueError, match="upsampling takes single ones"):
        cascade.upsample(pixels(2, 3, 32, 32), 2, **FAST)


def test_an_overlap_that_cannot_be_coded_is_refused_with_those_that_can():
    model = model_of(past=5, future=5)
    video = pixels(5, 3, 16, 16)
    for wrong, right in ((3, "1 or 5"), (4, "1 or 5")):
        with pytest.raises(ValueError, match=f"overlap {wrong}: .* a multiple of 4 more: take {right}"):
            model.predict(video, 5, overlap=wrong, **FAST)
    assert model.predict(video, 6, overlap=1, **FAST).shape[1] == 6


def test_given_frames_that_cannot_be_coded_are_told():
    model, past = model_of(past=5, future=5), pixels(3, 3, 16, 16)
    with pytest.warns(UserWarning, match="of the 3 past frames only the nearest 1 is seen: .* a multiple of 4 more"):
        some = model.predict(past, 2, **FAST)
    assert torch.equal(some, model.predict(past[2:], 2, **FAST))


def test_a_codec_whose_decoding_is_random_or_that_is_not_known_is_refused(tmp_path):
    ltx = "AutoencoderKLLTXVideo"
    with pytest.raises(ValueError, match="same seed must give the same video"):
        Latents(kind=ltx, arguments=KINDS[ltx] | {"timestep_conditioning": True})
    source = tmp_path / "wan"
    published("AutoencoderKLWan", source)
    config = json.loads((source / "config.json").read_text())
    (source / "config.json").write_text(json.dumps(config | {"_class_name": "AutoencoderKLMochi"}))
    with pytest.raises(ValueError, match="AutoencoderKLMochi"):
        read_autoencoder(str(source))


@pytest.mark.parametrize("kind", ["AutoencoderKLCogVideoX", "AutoencoderKLLTXVideo"])
def test_a_training_a_checkpoint_and_an_exported_model_have_the_same_numbers(kind, tmp_path):
    codec = {"class_path": "mcvd.models.codecs.Latents", "init_args": {"source": published(kind, tmp_path / "vae")}}
    own = {"block": MADE_BLOCK, "codec": codec, "reference": "context"}
    config = TINY | {"model": TINY["model"] | own, "data": TINY["data"] | {"max_val_clips": 1}}
    config |= {"trainer": TINY["trainer"] | {"max_steps": 2, "val_check_interval": 2}}
    sampler = {"class_path": "mcvd.samplers.DDIM", "init_args": {"num_steps": 1}}
    config |= {"preview": {"every_n_steps": 2, "num_videos": 1, "sampler": sampler}}
    (tmp_path / "fit.yaml").write_text(yaml.safe_dump(config))
    words = ["--config", str(tmp_path / "fit.yaml"), "--trainer.default_root_dir", str(tmp_path)]
    assert main(["fit", *words]) == 0
    run = str(tmp_path / "run-1")
    assert main(["export", run, "--out", str(tmp_path / "model")]) == 0
    videos = [mcvd.load(each).predict(pixels(1, 3, 16, 16), 8, **FAST) for each in (run, tmp_path / "model")]
    assert torch.equal(*videos)


@pytest.mark.parametrize("many", [[10**12], [True] * 10**4, "yes", [0.5]])
def test_levels_that_scale_without_end_are_refused(many):
    """As the config of a model from somebody else may ask for."""
    scaled = {"spatio_temporal_scaling": many, "decoder_spatio_temporal_scaling": many}
    for kind, arguments in {"Wan": {"temperal_downsample": many}, "LTXVideo": scaled}.items():
        with pytest.raises(ValueError, match=f"these arguments make no AutoencoderKL{kind}: expected"):
            shape_of(f"AutoencoderKL{kind}", arguments)


def test_latents_are_neither_kept_nor_trained_on_their_own(tmp_path, capsys):
    source = published("AutoencoderKLWan", tmp_path / "vae")
    (tmp_path / "data.yaml").write_text(yaml.safe_dump({"data": {"train": TINY["data"]["train"]}}))
    words = [str(tmp_path / "data.yaml"), "--codec", source, "--out", str(tmp_path / "latents"), "--size", "16"]
    assert main(["data", "encode", *words]) != 0
    assert "latents depend on where a clip begins" in capsys.readouterr().err.strip().splitlines()[-1]
    with pytest.raises(ValueError, match="codes frames together: fit-codec trains"):
        CodecFit(size=(16, 16), source=source)
