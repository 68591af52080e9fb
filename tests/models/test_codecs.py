"""What a model's numbers mean: two doors, the way back, units and missing values."""

import json

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from reference.tiny import tiny_config, tiny_model

import mcvd
from mcvd.apps.cli.main import main
from mcvd.frames import model_from_pixels, pixels_from_model, unit_from_model
from mcvd.models.codecs import Pixels, Scale
from mcvd.samplers import DDIM

RAIN = {
    "class_path": "mcvd.models.codecs.Scale",
    "init_args": {"low": 0.0, "high": 100.0, "transform": "log", "unit": "mm/h", "missing": "nan"},
}


def rain_model(channels=1, **options):
    torch.manual_seed(0)
    model = mcvd.build(tiny_config(channels=channels, **options) | {"codec": RAIN})
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    return model.eval()


def rain(*shape, seed=0):
    """Much of it dry, some of it missing."""
    generator = torch.Generator().manual_seed(seed)
    field = 60 * (torch.rand(shape, generator=generator) - 0.5).clamp(min=0)
    field[..., :3, :2] = torch.nan
    return field


def test_pixels_are_the_numbers_of_before():
    video = torch.arange(256, dtype=torch.uint8).view(1, 1, 16, 16)
    codec = Pixels()
    assert torch.equal(codec.encode(video), model_from_pixels(video)) and codec.weight(video) is None
    frames = codec.encode(video) + 0.003
    assert torch.equal(codec.decode(frames), pixels_from_model(frames))
    assert torch.equal(codec.decode(frames, rounded=False), unit_from_model(frames))
    assert codec.planes(3) == 3 and codec.pictures(video) is video


@settings(max_examples=100, deadline=None)
@given(
    st.floats(-1e4, 1e4),
    st.floats(1e-2, 1e5),
    st.sampled_from(["linear", "log"]),
    st.lists(st.floats(0, 1), min_size=4, max_size=4),
)
def test_the_way_back_gives_the_values_in_their_unit(low, extent, transform, places):
    codec = Scale(low, low + extent, transform)
    values = (low + extent * torch.tensor(places, dtype=torch.float64)).float().view(1, 2, 2)
    encoded = codec.encode(values)
    assert encoded.shape == (1, 2, 2) and encoded.abs().max() <= 1
    back = codec.decode(encoded)
    # Of a logarithmic scale a step is as large as the value allows: float32 near 1 has 24 bits of log(1001).
    assert torch.allclose(back, values, rtol=2e-6, atol=2e-6 * (extent + abs(low)))


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**16 - 1), st.sampled_from(["nan", -999.0, 0.0]))
def test_missing_stays_missing_and_nothing_else_does(mask, missing):
    codec = Scale((0.0, 200.0), (50.0, 300.0), missing=missing)
    gone = torch.tensor([mask >> i & 1 for i in range(16)]).bool().view(2, 2, 2, 2)
    video = torch.where(gone, float(missing), torch.tensor([25.0, 250.0]).view(2, 1, 1).expand(2, 2, 2, 2))
    encoded = codec.encode(video)
    assert codec.planes(2) == 4 and encoded.shape == (2, 4, 2, 2)
    back = codec.decode(encoded + 0.3 * torch.sign(encoded))
    assert torch.equal(torch.isnan(back) if missing == "nan" else back == missing, gone)
    assert torch.equal(codec.decode(encoded).nan_to_num(), video.nan_to_num())
    weight = codec.weight(video)
    assert torch.equal(weight[:, :2] == 0, gone) and (weight[:, 2:] == 1).all()


def test_values_beyond_the_range_are_moved_to_its_ends_and_rain_has_magnitudes():
    codec = Scale(0.0, 100.0, "log")
    assert codec.decode(codec.encode(torch.tensor([-5.0, 500.0]).view(2, 1, 1, 1))).flatten().tolist() == [0, 100]
    steps = codec.encode(torch.tensor([1.0, 10.0, 100.0]).view(3, 1, 1, 1)).flatten().diff()
    assert steps[0] == pytest.approx(steps[1].item(), rel=0.05)  # equal factors, equal steps


def test_a_model_takes_and_gives_values_in_their_unit_with_missing_ones():
    model = rain_model()
    past = rain(2, 2, 1, 16, 16)
    future = model.predict(past, 4, sampler=DDIM(num_steps=2), num_samples=2)
    assert future.shape == (2, 2, 4, 1, 16, 16) and future.dtype == torch.float32
    valid = future[~future.isnan()]
    assert valid.min() >= 0 and valid.max() <= 100
    assert torch.equal(
        model.predict(past.numpy(), 4, sampler=DDIM(num_steps=2), num_samples=2).nan_to_num(-1), future.nan_to_num(-1)
    )
    assert model.generate(3, sampler=DDIM(num_steps=1)).shape == (1, 3, 1, 16, 16)
    options = {"sampler": DDIM(num_steps=1), "known": {1: past[0, 0]}, "known_by": "replacement"}
    torch.testing.assert_close(model.predict(past[:1], 3, **options)[0, 1], past[0, 0], equal_nan=True)
    assert model.predict(past.nan_to_num().short().numpy(), 1, sampler=DDIM(num_steps=1)).dtype == torch.float32


def test_missing_values_do_not_count_in_the_loss_and_have_no_gradient():
    model = rain_model(channels=2)
    batch = {"video": rain(2, 7, 2, 16, 16), "index": [0, 1]}
    past, current, future = model.block.split(model.codec.encode(batch["video"]))
    weight = model.block.split(model.codec.weight(batch["video"]))[1]
    condition = mcvd.Condition.visible(past, future)
    t, noise = torch.full((2,), 0.5), torch.randn_like(current)
    loss = model.denoiser.loss(current, condition, t, noise, weight)
    everywhere = model.denoiser.loss(current, condition, t, noise)
    nothing = model.denoiser.loss(current, condition, t, noise, torch.zeros_like(weight))
    assert (loss > 0).all() and (loss < everywhere).all() and (nothing == 0).all()
    assert torch.isfinite(model.loss(batch)).all()


def test_a_model_with_a_scale_is_kept_with_it(tmp_path):
    model = rain_model()
    model.save_pretrained(tmp_path / "rain")
    again = mcvd.load(tmp_path / "rain")
    assert again.codec == Scale(0.0, 100.0, "log", "mm/h", "nan")
    past = rain(1, 2, 1, 16, 16)
    options = {"num_frames": 3, "sampler": DDIM(num_steps=1)}
    assert torch.equal(again.predict(past, **options).nan_to_num(-1), model.predict(past, **options).nan_to_num(-1))
    card = (tmp_path / "rain" / "README.md").read_text()
    assert "mm/h" in card and "for fields of 1 channel of 16x16 pixels" in card and "read_video" not in card
    assert "ArrayVideos" in card and "uint8" not in card
    assert model.facts().look == "1 channel"


def test_a_config_of_before_there_were_codecs_is_one_of_pixels(tmp_path):
    tiny_model().save_pretrained(tmp_path / "old")
    assert "codec" not in json.loads((tmp_path / "old" / "config.json").read_text())
    assert mcvd.load(tmp_path / "old").codec == Pixels()


def test_info_tells_the_scale(tmp_path, capsys):
    rain_model().save_pretrained(tmp_path / "rain")
    assert main(["info", str(tmp_path / "rain")]) == 0
    assert "missing='nan'" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((1.0, 1.0), "below high"), ((0.0, float("inf")), "finite"), (((0.0, 1.0), 2.0), "equally many"),
        ((0.0, 1.0, "sqrt"), "transform"), ((0.0, 1.0, "log", "", "none"), "missing"),
        ((0.0, 1.0, "log", "", float("nan")), "missing"),
    ],
)  # fmt: skip
def test_a_scale_that_is_none_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        Scale(*arguments)


def test_what_does_not_fit_the_scale_is_refused():
    with pytest.raises(ValueError, match="for 2 channels, and the model has 3"):
        Scale((0.0, 0.0), (1.0, 1.0)).planes(3)
    with pytest.raises(ValueError, match="missing: nan"):
        Scale(0.0, 1.0).encode(torch.full((1, 1, 1), torch.nan))
    with pytest.raises(ValueError, match="float32"):
        rain_model().predict(np.zeros((2, 1, 16, 16), bool), 1)
    with pytest.raises(ValueError, match=r"this model takes float32 frames.*\(1, 16, 16\)"):
        rain_model().predict(rain(2, 1, 8, 8), 1)
    config = tiny_config() | {"codec": {"class_path": "os.system", "init_args": {}}}
    with pytest.raises(ValueError, match=r"config\.codec\.class_path names the class"):
        mcvd.build(config)


def test_pictures_of_values_are_coloured_and_missing_is_grey():
    codec = Scale(0.0, 10.0, missing="nan")
    video = torch.tensor([0.0, 10.0, float("nan"), 5.0]).view(1, 1, 2, 2)
    lowest, highest, missing, middle = codec.pictures(video)[0].flatten(1).T.tolist()
    assert (lowest, highest, missing) == ([68, 1, 84], [253, 231, 37], [128, 128, 128]) and middle[1] > middle[0]
    several = torch.cat([video, video.nan_to_num(2.0)[..., [1, 0]], video, video, video], 1)
    assert codec.pictures(several).shape == (1, 3, 2, 2)
    assert torch.equal(codec.pictures(several, (1,))[..., 0], codec.pictures(several[:, 1:2])[..., 0])
    false_colour = codec.pictures(several, (0, 1, 0))[0, :, 0]
    assert false_colour[:, 0].tolist() == [0, 255, 0] and codec.pictures(several[:, :3]).shape == (1, 3, 2, 2)
    assert codec.pictures(several, (0, 1, 0))[0, :, 1, 0].tolist() == [128] * 3
    with pytest.raises(ValueError, match="each 0 to 4"):
        codec.pictures(several, (5,))
    with pytest.raises(ValueError, match="shown"):
        Scale(0.0, 1.0, shown=(0, 1))
    with pytest.raises(ValueError, match="each 0 to 1"):
        Scale(0.0, 1.0, shown=(2,)).planes(2)
    with pytest.raises(ValueError, match="pixels"):
        Pixels().pictures(several, (0,))


def test_a_legend_tells_values_in_their_unit():
    legend = Scale(0.0, 100.0, "log", "mm/h", "nan").legend(1)
    assert [text for _, text in legend.ticks] == ["0", "1", "10", "100"] and legend.title == "mm/h"
    steps = np.diff([place for place, _ in legend.ticks])
    assert steps[1] == pytest.approx(steps[2], rel=0.05)
    assert legend.sentence == "Colours: mm/h, from 0 (dark blue) to 100 (yellow); grey is missing."
    panel = legend.panel(160, 96)
    assert panel.shape == (3, 160, 96) and (panel == torch.tensor([253, 231, 37]).view(3, 1, 1)).all(0).any()
    assert (panel == 128).all(0).any()
    bands = Scale((0.0, 1.0, 2.0), (1.0, 2.0, 300.0), unit="K", names=("a", "b", "c"))
    assert bands.legend(3).title == "a red (0 to 1), b green (1 to 2), c blue (2 to 300) K"
    assert bands.legend(3, (2,)).title == "c K" and bands.legend(3, (2,)).ticks[-1][1] == "300"
    assert bands.thresholds == () and Scale(0.0, 100.0, "log").thresholds == (0.46, 3.1, 18.0)
