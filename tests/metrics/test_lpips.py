"""LPIPS: never with a backbone of random weights under that name."""

import hashlib
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn.functional import interpolate
from torchmetrics.functional.image.lpips import _LPIPS
from torchvision.models import alexnet

import mcvd.metrics.lpips
from mcvd.metrics.lpips import ALEXNET, lpips, lpips_network

GENERATOR = torch.Generator().manual_seed(0)
VIDEO, TRUTH = (torch.randint(0, 256, (2, 3, 3, 48, 48), dtype=torch.uint8, generator=GENERATOR) for _ in range(2))


@pytest.fixture(scope="module")
def random_weights(tmp_path_factory):
    """A file in the form of torchvision's."""
    torch.manual_seed(0)
    net = alexnet(weights=None)
    path = tmp_path_factory.mktemp("weights") / ALEXNET.name
    torch.save(net.state_dict(), path)
    return path, net


@pytest.fixture
def known(random_weights, monkeypatch):
    """The same, taken for the published one."""
    digest = f"sha256:{hashlib.sha256(random_weights[0].read_bytes()).hexdigest()[:8]}"
    monkeypatch.setattr(mcvd.metrics.lpips, "ALEXNET", replace(ALEXNET, digest=digest))
    return random_weights[0]


def by_hand(net, a, b):
    """LPIPS by its formula, with the linear heads of torchmetrics: float (N, 3, H, W) in [-1, 1]."""
    heads = _LPIPS(net="alex", pnet_rand=True)
    shift, scale = (torch.tensor(v)[:, None, None] for v in ([-0.030, -0.088, -0.188], [0.458, 0.448, 0.450]))
    total = 0
    sides = [(side - shift) / scale for side in (a, b)]
    for layer, module in enumerate(net.features[:12]):
        sides = [module(side) for side in sides]
        if layer in (1, 4, 7, 9, 11):
            unit = [side / (side.square().sum(1, keepdim=True).sqrt() + 1e-10) for side in sides]
            weight = heads.lins[(1, 4, 7, 9, 11).index(layer)].model[1].weight
            total = total + (weight[0, :, 0, 0, None, None] * (unit[0] - unit[1]).square()).sum(1).mean((-1, -2))
    return total


def test_the_backbone_comes_from_the_file(random_weights):
    path, net = random_weights
    a, b = (2 * side[0].float() / 255 - 1 for side in (VIDEO, TRUTH))
    with torch.no_grad():
        assert lpips_network(path)(a, b).flatten().tolist() == pytest.approx(by_hand(net, a, b).tolist(), rel=1e-4)


def test_frames_are_scored_one_by_one_and_lower_is_nearer(known):
    metric = lpips(known)
    assert not metric.higher_is_better
    scores = metric.per_frame(VIDEO[:, None], TRUTH[:, None])
    assert scores.shape == (2, 1, 3)
    assert metric.per_frame(VIDEO[1:, 2:], TRUTH[1:, 2:]).item() == pytest.approx(scores[1, 0, 2].item(), rel=1e-4)
    assert metric.per_video(TRUTH, TRUTH).tolist() == [0, 0]
    near = (0.9 * TRUTH.float() + 0.1 * VIDEO.float()).to(torch.uint8)
    assert (metric.per_video(near, TRUTH) < metric.per_video(VIDEO, TRUTH)).all()


def test_samples_share_what_is_seen_in_their_target(known, random_weights):
    metric, samples = lpips(known), torch.stack([VIDEO, VIDEO.flip(-1), TRUTH], 1)  # (2, 3, T, C, H, W)
    together = metric.per_frame(samples, TRUTH[:, None])
    alone = torch.stack([metric.per_frame(samples[:, k], TRUTH) for k in range(3)], 1)
    torch.testing.assert_close(together, alone, rtol=1e-5, atol=1e-9)
    a, b = (2 * side[1].float() / 255 - 1 for side in (VIDEO, TRUTH))
    with torch.no_grad():
        assert together[1, 0].tolist() == pytest.approx(by_hand(random_weights[1], a, b).tolist(), rel=1e-4)


def test_grey_frames_are_taken_three_times(known):
    grey = [side[:, :, :1] for side in (VIDEO, TRUTH)]
    colour = [side.expand(-1, -1, 3, -1, -1) for side in grey]
    assert torch.equal(lpips(known).per_video(*grey), lpips(known).per_video(*colour))


def test_frames_are_scaled_as_pillow_does(known):
    scaled = [
        torch.stack(
            [
                torch.from_numpy(
                    np.asarray(Image.fromarray(frame.permute(1, 2, 0).numpy()).resize((64, 64), Image.BILINEAR)).copy()
                ).permute(2, 0, 1)
                for frame in side[0]
            ]
        )[None]
        for side in (VIDEO, TRUTH)
    ]
    ours = lpips(known, size=64).per_video(VIDEO[:1], TRUTH[:1]).item()
    assert ours == pytest.approx(lpips(known).per_video(*scaled).item(), rel=1e-6)
    plain = [interpolate(side[0].float(), (64, 64)).to(torch.uint8)[None] for side in (VIDEO, TRUTH)]
    assert ours != pytest.approx(lpips(known).per_video(*plain).item(), rel=2e-3)


def test_another_file_is_refused(random_weights, tmp_path):
    with pytest.raises(ValueError, match=r"is not alexnet-owt-7be5be79\.pth"):
        lpips(random_weights[0])
    with pytest.raises(FileNotFoundError, match="nowhere"):
        lpips(tmp_path / "nowhere")


def test_a_file_of_other_tensors_is_refused(tmp_path):
    torch.save({"features.0.weight": torch.zeros(2)}, tmp_path / "other.pth")
    with pytest.raises(ValueError, match="holds no weights of AlexNet"):
        lpips_network(tmp_path / "other.pth")
