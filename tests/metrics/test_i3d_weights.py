"""Weights of I3D: found, checked and converted."""

import hashlib
import re
import warnings
from dataclasses import replace

import pytest
import torch

from mcvd.metrics import i3d_weights
from mcvd.metrics.i3d import random_i3d
from mcvd.metrics.i3d_weights import KINETICS, STYLEGAN_V, identify, load_i3d, load_kinetics_i3d

CONTENT = bytes(range(256)) * 64
VIDEO = torch.rand(1, 3, 9, 32, 32, generator=torch.Generator().manual_seed(0)) * 2 - 1
GOOD = f"sha256:{hashlib.sha256(CONTENT).hexdigest()}"


def test_without_network_the_error_says_what_to_fetch_and_where_to_put_it(tmp_path, monkeypatch):
    monkeypatch.setattr(i3d_weights, "STYLEGAN_V", replace(STYLEGAN_V, mirrors=("http://127.0.0.1:9/nothing",)))
    with pytest.raises(FileNotFoundError) as error:
        load_i3d(cache=tmp_path)
    for part in ("127.0.0.1:9", "51,235,320 bytes", "sha256:bec6519f", str(tmp_path / STYLEGAN_V.name), "--weights"):
        assert part in str(error.value)


def test_original_kinetics_release_is_refused_even_when_trusted(tmp_path, monkeypatch):
    path = tmp_path / "i3d.pt"
    path.write_bytes(CONTENT)
    ours = replace(KINETICS, digest=GOOD, num_bytes=len(CONTENT))
    monkeypatch.setattr(i3d_weights, "KNOWN_FILES", (STYLEGAN_V, ours))
    assert identify(path) is ours
    with pytest.raises(ValueError, match=r"original Kinetics release .*: another network than that of FVD") as error:
        load_i3d(path, trust=True)
    assert "--kinetics-i3d" in str(error.value)


def test_original_kinetics_release_loads_under_its_own_name_alone(tmp_path, monkeypatch):
    net, path = random_i3d(3), tmp_path / "rgb_imagenet.pt"
    save_state_dict(net, path)
    with pytest.raises(ValueError, match="is not the I3D of the original Kinetics release"):
        load_kinetics_i3d(path)
    digest = f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}"
    ours = replace(KINETICS, digest=digest, num_bytes=path.stat().st_size)
    monkeypatch.setattr(i3d_weights, "KNOWN_FILES", (STYLEGAN_V, ours))
    monkeypatch.setattr(i3d_weights, "KINETICS", ours)
    torch.testing.assert_close(load_kinetics_i3d(path)(VIDEO), net(VIDEO))
    with pytest.raises(FileNotFoundError, match="no file of I3D weights"):
        load_kinetics_i3d(tmp_path / "nothing.pt")


class Scripted(torch.nn.Module):
    """Called as the archive of StyleGAN-V is; with other flags it gives something else."""

    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, x, rescale: bool = True, resize: bool = True, return_features: bool = False):
        logits = self.net(2 * x / 255 - 1 if rescale else x)
        if resize:
            logits = logits + 1
        return logits if return_features else logits.softmax(1)


def save_archive(net, path):
    """A program as StyleGAN-V's, around a network."""
    with warnings.catch_warnings(category=Warning, action="ignore"):  # torch.jit is deprecated; tracing fixes sizes
        traced = torch.jit.trace(net, VIDEO, check_trace=False)
        torch.jit.script(Scripted(traced)).save(path)


def save_state_dict(net, path):
    """As VideoGPT's: without the counters of the batch norms."""
    torch.save({name: value for name, value in net.state_dict().items() if "num_batches" not in name}, path)


def save_whole_state_dict(net, path):
    """As today's PyTorch saves it."""
    torch.save(net.state_dict(), path)


def test_every_form_of_the_same_weights_gives_the_same_logits(tmp_path):
    net = random_i3d(7)
    logits = []
    for save in (save_archive, save_state_dict, save_whole_state_dict):
        path = tmp_path / f"{save.__name__}.pt"
        save(net, path)
        loaded = load_i3d(path, trust=True)
        assert not loaded.training and not any(value.requires_grad for value in loaded.parameters())
        logits.append(loaded(VIDEO))
    assert logits[0].shape == (1, 400) and logits[0].std() > 0
    for other in logits[1:]:
        torch.testing.assert_close(other, logits[0])
    torch.testing.assert_close(logits[0], net(VIDEO))


def test_unknown_files_are_not_read_unless_trusted(tmp_path, monkeypatch):
    save_archive(torch.nn.Flatten(), tmp_path / "archive.pt")
    monkeypatch.setattr(torch.jit, "load", lambda *_, **__: pytest.fail("an unknown program was loaded"))
    with pytest.raises(ValueError, match=re.escape("none of the known files of I3D weights")):
        load_i3d(tmp_path / "archive.pt")


@pytest.mark.parametrize("content", [{"weight": torch.zeros(3)}, [1, 2], random_i3d], ids=["keys", "list", "code"])
def test_what_is_no_state_dict_of_i3d_is_refused_in_one_line(tmp_path, content):
    torch.save(content, tmp_path / "state.pt")
    with pytest.raises(ValueError, match="holds no state dict of I3D") as error:
        load_i3d(tmp_path / "state.pt", trust=True)
    assert "\n" not in str(error.value)


def test_missing_file_is_told(tmp_path):
    with pytest.raises(FileNotFoundError, match="no file of I3D weights"):
        load_i3d(tmp_path / "nothing.pt")
