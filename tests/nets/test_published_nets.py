"""The network gives the numbers of the published code, with its weights and inputs."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from mcvd.models.published.checkpoint import build_net
from mcvd.models.published.config import translate_config
from mcvd.models.published.state_dict import translate
from mcvd.nets import Context

FOLDER = Path(__file__).parents[2] / "../shared/fixtures"
pytestmark = pytest.mark.skipif(not FOLDER.is_dir(), reason="the published fixtures (../shared) are not here")


def published(name):
    """The network of a fixture, its context, masks, noisy frames and labels, and the published answers."""
    config = translate_config(json.loads((FOLDER / f"unet_{name}.json").read_text())["config"])
    stored = load_file(FOLDER / f"unet_{name}.safetensors")
    net = build_net(config).to_empty(device="cpu").eval()
    net.load_state_dict(translate(net, {key[4:]: value for key, value in stored.items() if key.startswith("ref.")}))
    frames = {key: stored[f"in.{key}"].unflatten(1, (-1, config["channels"])) for key in ("cond", "x")}
    keep = torch.ones(frames["cond"].shape[:2], dtype=torch.bool)
    if "in.cond_mask" in stored:
        keep[:, : config["block"]["past"]] = stored["in.cond_mask"].bool()[:, None]
    return net, frames["cond"], keep, frames["x"], stored["in.t"], stored


def run(net, context, keep, noisy, label, cache=True):
    with torch.inference_mode():
        return net(noisy, label, net.encode_condition(Context(context, keep), cache)).flatten(1, 2)


@pytest.mark.parametrize("name", "abcd")
@pytest.mark.parametrize("cache", [True, False])
def test_the_answer_is_the_published_one(name, cache):
    net, context, keep, noisy, label, stored = published(name)
    answer = run(net, context, keep, noisy, label.float(), cache)
    assert (answer - stored["out.eps_f64"]).abs().max() < 2e-5


@pytest.mark.parametrize("name", "abcd")
def test_in_double_precision_nothing_but_rounding_is_left(name):
    net, context, keep, noisy, label, stored = published(name)
    answer = run(net.double(), context.double(), keep, noisy.double(), label.double())
    assert (answer - stored["out.eps_f64_emb64"]).abs().max() < 1e-9


def test_without_a_mask_the_past_is_claimed_to_be_visible():
    net, context, keep, noisy, label, stored = published("c")
    assert not keep.all()
    with torch.inference_mode():
        encoded = net.encode_condition(Context(context, keep, claim_past_visible=True), cache=True)
        answer = net(noisy, label.float(), encoded).flatten(1, 2)
    assert (answer - stored["out.eps_f32_masknone"]).abs().max() < 2e-5


@pytest.mark.parametrize("name", "ab")
def test_samples_of_a_condition_get_the_published_answer_each(name):
    net, context, keep, noisy, label, stored = published(name)
    answer = run(net, context, keep, noisy.repeat_interleave(2, 0), label.float().repeat_interleave(2))
    assert (answer - stored["out.eps_f64"].repeat_interleave(2, 0)).abs().max() < 2e-5
