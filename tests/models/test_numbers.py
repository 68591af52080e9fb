"""What is not finite, not floating point, or of no possible size is an error: never a video, never a score."""

import json
import math

import pytest
import torch
from reference.tiny import pixels, tiny_config, tiny_model
from safetensors.torch import load_file, save_file

import mcvd
from mcvd.apps.cli.main import main
from mcvd.models import files
from mcvd.runtime.numbers import NumbersError
from mcvd.samplers import DDIM

PAST = pixels(1, 2, 1, 16, 16)
LAST = "denoiser.net.last.bias"


@pytest.fixture
def folder(tmp_path):
    tiny_model().save_pretrained(tmp_path / "model")
    return tmp_path / "model"


def change_weights(folder, change):
    weights = load_file(folder / "model.safetensors")
    change(weights)
    save_file(weights, folder / "model.safetensors")


def is_nan(weights):
    weights[LAST][0] = math.nan


def is_infinite(weights):
    weights[LAST][0] = -math.inf


def is_whole(weights):
    weights[LAST] = weights[LAST].to(torch.int64)


@pytest.mark.parametrize(
    ("change", "named"),
    [(is_nan, "1 of .* not finite"), (is_infinite, "1 of .* not finite"), (is_whole, "not floating point")],
)
def test_weights_that_no_video_can_come_of_are_refused_with_status_1(change, named, folder, tmp_path, capsys):
    change_weights(folder, change)
    with pytest.raises(NumbersError, match=f"model.*{named}.*{LAST}"):
        mcvd.load(folder)
    assert main(["generate", "--model", str(folder), "--num-frames", "3", "--out", str(tmp_path / "v.gif")]) == 1
    assert LAST in capsys.readouterr().err and not (tmp_path / "v.gif").exists()


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_checkpoint_is_held_to_the_same(value, tmp_path):
    model = tiny_model()
    state = model.state_dict()
    state[LAST] = state[LAST] * value
    torch.save({"config": model.config, "state_dict": state}, tmp_path / "last.ckpt")
    with pytest.raises(NumbersError, match=r"last\.ckpt.*not finite"):
        mcvd.load(tmp_path / "last.ckpt")
    state[LAST] = torch.zeros(state[LAST].shape, dtype=torch.int32)
    torch.save({"config": model.config, "state_dict": state}, tmp_path / "last.ckpt")
    with pytest.raises(NumbersError, match=r"last\.ckpt.*not floating point.*int32"):
        mcvd.load(tmp_path / "last.ckpt")


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_weights_of_any_floating_point_are_read(dtype, folder):
    change_weights(folder, lambda weights: weights.update({name: each.to(dtype) for name, each in weights.items()}))
    assert mcvd.load(folder).denoiser.net.last.weight.dtype == torch.float32


def drop(weights):
    del weights[LAST]


def add(weights):
    weights["more"] = torch.zeros(1)


def reshape(weights):
    weights[LAST] = torch.zeros(len(weights[LAST]) + 1)


@pytest.mark.parametrize(
    ("change", "named"), [(drop, "1 missing"), (add, "1 surplus.*more"), (reshape, "another shape"), (is_whole, "I64")]
)
def test_the_header_is_compared_before_any_weight_is_read(change, named, folder, monkeypatch):
    change_weights(folder, change)
    monkeypatch.setattr(files, "load_file", lambda path: pytest.fail("the weights were read"))
    with pytest.raises(ValueError, match=named):
        mcvd.load(folder)


def test_and_the_config_before_the_header(folder, monkeypatch):
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"net": {"class_path": "os.getcwd"}}))
    monkeypatch.setattr(files, "load_file", lambda path: pytest.fail("the weights were read"))
    with pytest.raises(ValueError, match="only classes of mcvd"):
        mcvd.load(folder)


@pytest.mark.parametrize("rounded", [True, False])
@pytest.mark.parametrize(("value", "num_steps"), [(math.nan, 2), (math.inf, 2), (math.nan, 1)])  # once: one frame alone
def test_a_generated_block_that_is_not_finite_is_no_video(value, num_steps, rounded):
    model = tiny_model()
    model.denoiser.net.last.bias.data[0] = value
    with pytest.raises(NumbersError, match=r"block 0.*not finite"):
        model.predict(PAST, 3, sampler=DDIM(num_steps), rounded=rounded)


def test_what_was_generated_before_it_is_kept():
    blocks = []
    model = tiny_model()
    with pytest.raises(NumbersError):
        for start, _ in model.stream(PAST, 9, sampler=DDIM(2)):
            blocks.append(start)
            model.denoiser.net.last.bias.data[0] = math.nan
    assert blocks == [0]


@pytest.mark.parametrize("guidance", [math.nan, math.inf, 1e30, -1e30, 101])
def test_guidance_of_no_use_is_refused(guidance, folder, tmp_path, capsys):
    with pytest.raises(NumbersError, match="guidance must be a number from -100 to 100"):
        tiny_model().predict(PAST, 3, guidance=guidance)
    words = ["generate", "--model", str(folder), "--num-frames", "3", f"--guidance={guidance}"]
    # What is no number at all is already refused where the command line is read.
    assert main([*words, "--out", str(tmp_path / "v.gif")]) == (1 if math.isfinite(guidance) else 2)
    assert "guidance" in capsys.readouterr().err and not (tmp_path / "v.gif").exists()


OUT_OF_RANGE = [
    ("size", [-16, 16]), ("size", [0, 16]), ("size", [1 << 40, 16]), ("size", [100_000, 100_000]),
    ("frame_rate_hz", 0), ("frame_rate_hz", math.nan), ("frame_rate_hz", -1), ("frame_rate_hz", 1e300),
    ("frame_rate_hz", math.inf), ("frame_rate_hz", 1e-300),
    ("warmup_steps", -1), ("cooldown_steps", 1 << 70), ("seed", -1), ("seed", 1 << 64),
    ("min_snr", math.nan), ("min_snr", math.inf), ("context_noise", math.nan), ("channels", 1 << 20),
]  # fmt: skip
SCHEDULES = [
    ("Cosine", {"offset": math.nan}), ("Cosine", {"offset": math.inf}), ("Cosine", {"num_steps": 1 << 40}),
    ("Geometric", {"sigma_max": math.inf}), ("Geometric", {"sigma_max": 1e300}), ("LinearBeta", {"beta_max": math.nan}),
]  # fmt: skip


@pytest.mark.parametrize(("name", "value"), OUT_OF_RANGE)
def test_sizes_rates_and_counts_of_a_config_are_bounded(name, value):
    with pytest.raises(ValueError, match=name):
        mcvd.build(tiny_config() | {name: value})


@pytest.mark.parametrize(("name", "arguments"), SCHEDULES, ids=str)
def test_and_so_are_those_of_a_schedule(name, arguments):
    schedule = {"class_path": f"mcvd.noise.{name}", "init_args": arguments}
    with pytest.raises(ValueError, match=next(iter(arguments))):
        mcvd.build(tiny_config() | {"schedule": schedule})


@pytest.mark.parametrize("rate", [1 / 86400, 0.5, 29.97, 1000, 1e5])
def test_what_cameras_do_is_within_the_bounds(rate):
    assert mcvd.build(tiny_config() | {"size": [2160, 4096], "frame_rate_hz": rate}).frame_rate_hz == rate
