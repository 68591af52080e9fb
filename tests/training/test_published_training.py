"""The published training, repeated: `mcvd fit` walks the same way as a plain loop written from the paper's code."""

import pytest
import torch
import yaml

import mcvd
from mcvd.models.mcvd import MCVD
from mcvd.nets import Context
from mcvd.runtime.rng import TrainingNoise
from mcvd.training.fit import run_fit

NUM_STEPS, WARMUP_STEPS, DECAY, P_PAST, P_FUTURE = 6, 4, 0.999, 0.3, 0.6
SCENES = {
    "class_path": "mcvd.data.DrivingScenes",
    "init_args": {"num_videos": 4, "num_frames": 12},
}
CONFIG = {
    "model": {
        "block": {"past": 2, "current": 2, "future": 1},
        "size": [16, 16],
        "net": {
            "class_path": "mcvd.nets.UNet",
            "init_args": {
                "width": 8, "multipliers": [1, 2], "attention_levels": [1], "head_channels": 8, "num_blocks": 1,
                "conditioning": {"class_path": "mcvd.nets.SPATIN", "init_args": {"width": 8, "tell_mask": False}},
                "past_embedding": True,
            },
        },
        "masking": {"p_past": P_PAST, "p_future": P_FUTURE},
        "warmup_steps": WARMUP_STEPS,
    },
    "data": {"train": SCENES, "val": SCENES, "max_val_clips": 1, "batch_size": 3, "num_workers": 0},
    "trainer": {"accelerator": "cpu", "max_steps": NUM_STEPS, "gradient_clip_val": 1.0},
    "ema": {"decay": DECAY, "warmup": False},
    "preview": {"every_n_steps": None},
}  # fmt: skip


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The checkpoint of a short training, its first weights and its batches."""
    folder, first, batches = tmp_path_factory.mktemp("recipe"), {}, []

    def training_step(model, batch, batch_idx, honest=MCVD.training_step):
        if not first:
            first.update({name: value.clone() for name, value in model.state_dict().items()})
        batches.append(batch)
        return honest(model, batch, batch_idx)

    (folder / "tiny.yaml").write_text(yaml.safe_dump(CONFIG))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(MCVD, "training_step", training_step)
        run_fit(["--config", str(folder / "tiny.yaml"), "--trainer.default_root_dir", str(folder)])
    return torch.load(folder / "run-1" / "last.ckpt", weights_only=True), first, batches


def published_loss(net, batch):
    """Mean over the batch of the summed pixel losses; label 0 is the noisiest, a hidden side is zero."""
    alphas = torch.cumprod(1 - torch.linspace(0.0001, 0.02, 1000), 0).flip(0)
    x = 2 * (batch["video"] / 255) - 1
    draws = TrainingNoise(0, torch.device("cpu"))(batch["index"], x[:, 2:4].shape[1:])
    (z,) = draws.normal
    keep = torch.stack([draws.hidden[:, 0] >= P_PAST] * 2 + [draws.hidden[:, 1] >= P_FUTURE], dim=1)
    context = x[:, [0, 1, 4]] * keep[..., None, None, None]
    label = 999 - (draws.time * 1000).long()
    alpha = alphas[label][:, None, None, None, None]
    noisy = alpha.sqrt() * x[:, 2:4] + (1 - alpha).sqrt() * z
    eps = net(noisy, label.float(), net.encode_condition(Context(context, keep), cache=False))
    return (0.5 * (z - eps) ** 2).sum(dim=(1, 2, 3, 4)).mean()


def test_a_training_is_the_published_one_step_by_step(trained):
    checkpoint, first, batches = trained
    model = mcvd.build(CONFIG["model"])
    model.load_state_dict(first)
    weights = list(model.parameters())
    shadow = [weight.detach().double() for weight in weights]
    optimizer = torch.optim.Adam(weights, lr=2e-4, betas=(0.9, 0.999), eps=1e-8)
    for step, batch in enumerate(batches):
        optimizer.zero_grad()
        optimizer.param_groups[0]["lr"] = 2e-4 * min(step / WARMUP_STEPS, 1)  # the first update changes nothing
        published_loss(model.denoiser.net, batch).backward()
        torch.nn.utils.clip_grad_norm_(weights, 1.0)
        optimizer.step()
        shadow = [DECAY * old + (1 - DECAY) * new.detach() for old, new in zip(shadow, weights, strict=True)]

    assert len(batches) == NUM_STEPS
    for (name, weight), average in zip(model.named_parameters(), shadow, strict=True):
        torch.testing.assert_close(checkpoint["current_model_state"][name], weight.detach(), rtol=0, atol=1e-7)
        torch.testing.assert_close(checkpoint["state_dict"][name].double(), average, rtol=1e-7, atol=1e-7)
    moved = max((weight - first[name]).abs().max() for name, weight in model.named_parameters())
    assert moved > 1e-4
