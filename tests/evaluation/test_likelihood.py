"""Bits per dimension of true frames, from the accumulator to the card."""

import json
import math
from dataclasses import replace
from functools import partial

import pytest
import torch
from reference.oracle import clips, tiny_model
from reference.result_card import CARD
from torch import nn

from mcvd.diffusion.tasks import GENERATE, INTERPOLATE, PREDICT
from mcvd.evaluation.batch import SampledBatch
from mcvd.evaluation.evaluate import evaluate
from mcvd.evaluation.likelihood import TrueLikelihood
from mcvd.evaluation.report import card_page, format_card
from mcvd.evaluation.result_card import Likelihood, ResultCard, compare_cards
from mcvd.frames import FrameBlock
from mcvd.models.codecs import Scale
from mcvd.models.video_model import VideoModel
from mcvd.nets import UNet
from mcvd.samplers import DDIM

STD = 0.4  # of pixels, whatever is given
BLOCK = FrameBlock(past=2, current=3, future=2)
NET = partial(UNet, width=8, multipliers=(1,), num_blocks=1, attention_levels=(), head_channels=8)


class Gaussian(nn.Module):
    """A network that says x0 of independent pixels of N(0, STD^2); it only knows the labels."""

    def __init__(self, plain, schedule):
        super().__init__()
        self.plain, self.schedule, self.conditioning = plain, schedule, plain.conditioning

    def encode_condition(self, context, cache, modulation):
        return context

    def forward(self, noisy, label, encoded):
        at = self.schedule(1 - label.double() / self.schedule.num_steps).like(noisy)
        return at.alpha * STD**2 / (at.alpha**2 * STD**2 + at.sigma**2) * noisy


@pytest.fixture(scope="module")
def gaussian_model():
    torch.manual_seed(0)
    model = VideoModel(BLOCK, NET, size=(8, 8), channels=1, predicts="x0")
    model.denoiser.net = Gaussian(model.denoiser.net, model.denoiser.schedule)
    model.denoiser.net.register_parameter("there", nn.Parameter(torch.zeros(1)))
    return model


def batch_of(first, num, num_frames=3, seed=0):
    generator = torch.Generator().manual_seed(seed + first)
    video = (127.5 * (1 + STD * torch.randn(num, 7, 1, 8, 8, generator=generator))).round().clamp(0, 255)
    past, target, future = video.to(torch.uint8).split([2, num_frames, 5 - num_frames], 1)
    return SampledBatch(first, past, target, future, target[:, None], {})


@pytest.mark.parametrize("task", [PREDICT, INTERPOLATE, GENERATE], ids=lambda task: task.name)
def test_gaussian_pixels_have_the_bits_of_their_density(gaussian_model, task):
    likelihood, batch = TrueLikelihood(gaussian_model, task), batch_of(0, 4)
    if not task.gives_past:
        batch = replace(batch, past=batch.past[:, :0], future=batch.future[:, :0])
    likelihood.update(batch)
    found = likelihood.compute()
    pixels = batch.target.double() / 127.5 - 1
    at = gaussian_model.denoiser.schedule(torch.tensor(0.001, dtype=torch.float64))
    std = math.hypot(STD, (at.sigma / at.alpha).item())
    density = torch.distributions.Normal(0, std).log_prob(pixels).flatten(1).mean(1)
    truth = -density / math.log(2) + math.log2(127.5)
    torch.testing.assert_close(torch.tensor(found.per_clip), truth.float(), rtol=0, atol=0.01)
    assert found.bits_per_dimension == pytest.approx(sum(found.per_clip) / 4)
    assert found.num_calls == 101 and found.num_frames == 3


def test_pixels_in_the_colours_of_the_noise_have_the_bits_of_their_density():
    torch.manual_seed(0)
    model = VideoModel(BLOCK, NET, size=(8, 8), channels=3, predicts="x0", colored_noise=True)
    model.denoiser.net = Gaussian(model.denoiser.net, model.denoiser.schedule)
    model.denoiser.net.register_parameter("there", nn.Parameter(torch.zeros(1)))
    mixing = torch.tensor([[1.0, 0.8, 0.7], [0.8, 1.0, 0.8], [0.7, 0.8, 1.1]]) / 1.7
    model.denoiser.noise_colors.mixing.copy_(mixing)
    video = torch.randn(4, 7, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    video = (127.5 * (1 + STD * torch.einsum("ij,btjhw->btihw", mixing, video))).round().clamp(0, 255).byte()
    past, target, future = video.split([2, 3, 2], 1)
    likelihood = TrueLikelihood(model, PREDICT)
    likelihood.update(SampledBatch(0, past, target, future, target[:, None], {}))
    at = model.denoiser.schedule(torch.tensor(0.001, dtype=torch.float64))
    variance = STD**2 + (at.sigma / at.alpha).item() ** 2
    pixels = (target.double() / 127.5 - 1).movedim(2, -1)
    normal = torch.distributions.MultivariateNormal(torch.zeros(3).double(), variance * (mixing @ mixing.T).double())
    truth = -normal.log_prob(pixels).flatten(1).mean(1) / 3 / math.log(2) + math.log2(127.5)
    torch.testing.assert_close(torch.tensor(likelihood.compute().per_clip), truth.float(), rtol=0, atol=0.02)


def test_the_bits_of_a_clip_do_not_depend_on_the_batch(gaussian_model):
    together, apart = (TrueLikelihood(gaussian_model, PREDICT, num_steps=5) for _ in range(2))
    whole = batch_of(0, 3)
    together.update(whole)
    for number in range(3):
        parts = {name: getattr(whole, name)[number : number + 1] for name in ("past", "target", "future", "samples")}
        apart.update(SampledBatch(number, scores={}, **parts))
    assert together.compute().per_clip == pytest.approx(apart.compute().per_clip, abs=1e-5)


def test_residuals_have_the_density_of_the_frames_that_they_make():
    """A network that knows nothing gives a density all the same, and the scale of the residuals counts in it."""
    torch.manual_seed(0)
    model = VideoModel(BLOCK, NET, size=(8, 8), channels=1, predicts="v", reference="context")
    likelihood = TrueLikelihood(model, PREDICT, num_steps=5)
    likelihood.update(batch_of(0, 2))
    narrow = likelihood.compute()
    model.denoiser.reference.growth.mul_(2)
    wide = TrueLikelihood(model, PREDICT, num_steps=5)
    wide.update(batch_of(0, 2))
    assert narrow.bits_per_dimension != pytest.approx(wide.compute().bits_per_dimension, abs=0.05)


def test_what_has_no_likelihood_is_refused(gaussian_model):
    fields = VideoModel(BLOCK, NET, size=(8, 8), channels=1, codec=Scale(0.0, 10.0))
    with pytest.raises(ValueError, match="pixels of 8 bits"):
        TrueLikelihood(fields, PREDICT)
    with pytest.raises(ValueError, match="that of one block"):
        TrueLikelihood(gaussian_model, INTERPOLATE).update(batch_of(0, 1, num_frames=4))
    with pytest.raises(ValueError, match="take 3 new frames or more"):
        TrueLikelihood(gaussian_model, PREDICT).update(batch_of(0, 1, num_frames=2))


def test_it_is_an_accumulator_of_an_evaluation():
    model = tiny_model()
    likelihood = TrueLikelihood(model, PREDICT, num_steps=3)
    evaluate(model, clips(2, 5), num_samples=1, sampler=DDIM(2), accumulators=[likelihood])
    assert len(likelihood.compute().per_clip) == 2


def test_a_card_keeps_it_shows_it_and_older_cards_have_none(tmp_path):
    found = Likelihood(3.5, (3.0, 4.0), (3.0, 3.5, 4.0), num_frames=3, num_calls=101, seed=0)
    card = replace(CARD, likelihood=found)
    written = json.loads(json.dumps(card.to_json()))
    assert ResultCard.from_json(written).likelihood == found
    assert "3.500 bits per dimension (95% interval 3.000 to 4.000)" in format_card(card)
    card_page(card, []).write(tmp_path / "card.html")
    assert "bits per dimension" in (tmp_path / "card.html").read_text()
    assert "likelihood" not in CARD.to_json()
    assert ResultCard.from_json(json.loads(json.dumps(CARD.to_json()))).likelihood is None
    written["likelihood"]["per_clip"].pop()
    with pytest.raises(ValueError, match=r"likelihood\.per_clip"):
        ResultCard.from_json(written)


def test_likelihoods_of_other_lengths_cannot_be_compared(tmp_path):
    found = Likelihood(3.5, None, (3.0, 3.5, 4.0), num_frames=3, num_calls=101, seed=0)
    for name, frames in (("a", 3), ("b", 5)):
        card = replace(CARD, likelihood=replace(found, num_frames=frames))
        (tmp_path / f"{name}.json").write_text(json.dumps(card.to_json()))
    with pytest.raises(ValueError, match=r"bits per dimension.num_frames"):
        compare_cards(tmp_path / "a.json", tmp_path / "b.json")
