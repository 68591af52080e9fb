"""Adversarial score matching: a discriminator beside the regression loss."""

import warnings
from functools import partial

import pytest
import torch
from lightning import Trainer
from reference.oracle import CLIPS
from torch.utils.data import DataLoader, TensorDataset

import mcvd
from mcvd.diffusion.adversarial import Adversary, loss_and_frames
from mcvd.frames import Condition, FrameBlock
from mcvd.models.codecs import Latents
from mcvd.models.mcvd import MCVD
from mcvd.nets import UNet

BLOCK = FrameBlock(past=2, current=3, future=2)
NET = partial(UNet, width=8, multipliers=(1, 2), attention_levels=(), head_channels=8, num_blocks=1)


def tiny(block=BLOCK, **options):
    torch.manual_seed(0)
    return MCVD(block, NET, size=(16, 16), channels=1, predicts="x0", warmup_steps=0, **options)


def condition():
    past = torch.zeros(4, 2, 1, 16, 16)
    return Condition.visible(past, past)


def frames(level, seed=0):
    return level + 0.1 * torch.randn(4, 3, 1, 16, 16, generator=torch.Generator().manual_seed(seed))


def test_the_discriminator_learns_to_tell_the_sides_apart_and_the_denoiser_is_led_to_the_true_one():
    adversary = Adversary(num_planes=7, size=(16, 16))
    first = adversary.learn(frames(0.4), frames(-0.4), condition())
    for seed in range(60):
        last = adversary.learn(frames(0.4, seed), frames(-0.4, seed), condition())
    assert last < 0.3 < first
    assert adversary.loss(frames(0.4), condition()).mean() < 0.5 < adversary.loss(frames(-0.4), condition()).mean()
    estimate = frames(-0.4).requires_grad_()
    adversary.loss(estimate, condition()).sum().backward()
    assert estimate.grad.mean() < 0  # going down the gradient makes frames brighter, as the true ones are
    assert all(weight.grad is None or weight.grad.isfinite().all() for weight in adversary.discriminator.parameters())


def test_where_both_sides_are_the_same_nothing_can_be_told():
    """The least squares of labels 1 and -1 that stand for the same frames: the answer 0, and a loss of 1 + 1."""
    adversary = Adversary(num_planes=7, size=(16, 16))
    for seed in range(60):
        last = adversary.learn(frames(0.0, seed), frames(0.0, seed), condition())
    assert last.item() == pytest.approx(2, abs=0.05)


def test_first_weights_depend_on_the_seed_alone_and_leave_the_global_generator_alone():
    torch.manual_seed(3)
    before = torch.rand(1)
    torch.manual_seed(3)
    one, two, other = (Adversary(7, (16, 16), seed=seed) for seed in (1, 1, 2))
    assert torch.equal(torch.rand(1), before)
    weights = [each.discriminator.last.weight for each in (one, two, other)]
    assert torch.equal(weights[0], weights[1]) and not torch.equal(weights[0], weights[2])


def test_frames_that_are_not_finite_teach_nothing():
    adversary = Adversary(num_planes=7, size=(16, 16))
    before = adversary.discriminator.last.weight.clone()
    adversary.learn(frames(torch.nan), frames(0.0), condition())
    assert torch.equal(adversary.discriminator.last.weight, before)


def test_the_loss_is_the_regression_loss_and_the_weighed_share_of_the_discriminator():
    batch = {"video": CLIPS[:, :7], "index": [0, 1, 2]}
    plain, model = tiny(), tiny(adversarial=0.5)
    with torch.no_grad():
        regression = plain.loss(batch)
        _, estimate = loss_and_frames(model.denoiser, *model._loss_arguments(batch))
        shown = model._loss_arguments(batch)[1]
        torch.testing.assert_close(model.loss(batch), regression)
        found = model.adversarial_loss(batch)
        share = 0.5 * 3 * 16 * 16 * model.adversary.loss(estimate, shown)
        torch.testing.assert_close(found, regression + share)


def test_what_is_unknown_is_not_judged():
    """Clips with context of the model's own making end in frames that nobody knows, which are 0 in the batch."""
    batch = {"video": CLIPS[:, :5], "index": [0, 1, 2]}
    model = tiny(FrameBlock(1, 3, 1), adversarial=1.0, self_context=1.0, masking=mcvd.Masking(0.5, 0.5))
    with torch.no_grad():
        arguments = model._loss_arguments(batch)
        regression, estimate = loss_and_frames(model.denoiser, *arguments)
        found = model.adversarial_loss(batch)
        shown, known = arguments[1], arguments[4] > 0
        share = 3 * 16 * 16 * model.adversary.loss(torch.where(known, estimate, 0.0), shown)
    assert known.any() and not known.all()
    torch.testing.assert_close(found, regression + share)


@pytest.mark.parametrize("patch", [4, 8])
def test_latents_are_judged_at_their_own_size(patch):
    arguments = {"in_channels": 1, "latent_channels": 2, "patch": patch}
    model = tiny(adversarial=1.0, codec=Latents(kind="PatchAutoencoder", arguments=arguments))
    assert model.adversarial_loss({"video": CLIPS[:, :7], "index": [0, 1, 2]}).isfinite().all()


def fit(model, folder, steps, resume=None):
    data = DataLoader(TensorDataset(CLIPS[:, :7]), batch_size=3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        trainer = Trainer(
            max_steps=steps, accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False,
            enable_model_summary=False, default_root_dir=folder,
        )  # fmt: skip
        trainer.fit(model, data, ckpt_path=resume)
        trainer.save_checkpoint(folder / f"{steps}.ckpt")
    return torch.load(folder / f"{steps}.ckpt", weights_only=True)


def test_a_training_resumes_with_its_discriminator_and_exports_without(tmp_path):
    whole = fit(tiny(adversarial=0.1), tmp_path, 4)
    fit(tiny(adversarial=0.1), tmp_path, 2)
    resumed = fit(tiny(adversarial=0.1), tmp_path, 4, resume=tmp_path / "2.ckpt")
    assert all(torch.equal(value, whole["state_dict"][name]) for name, value in resumed["state_dict"].items())
    told = [each["adversary"]["discriminator"] for each in (whole, resumed)]
    assert all(torch.equal(value, told[0][name]) for name, value in told[1].items())
    assert not any("discriminator" in name or "adversary" in name for name in whole["state_dict"])
    model = mcvd.load(tmp_path / "4.ckpt")
    model.save_pretrained(tmp_path / "model")
    assert "adversarial" not in (tmp_path / "model/config.json").read_text()


def test_without_it_nothing_is_made(tmp_path):
    assert "adversary" not in fit(tiny(), tmp_path, 1)
    with pytest.raises(ValueError, match="adversarial is a weight"):
        tiny(adversarial=-1.0)
