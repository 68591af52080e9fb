"""The memory of a training is known before it starts, and what does not fit is refused."""

from dataclasses import replace

import pytest
import torch
import yaml
from reference.tiny import pixels, tiny_config, tiny_model
from reference.tiny_fit import TINY

import mcvd
import mcvd.noise
import mcvd.training.memory_check
from mcvd.apps.cli.main import main
from mcvd.models.files import LAST
from mcvd.runtime.device import free_bytes
from mcvd.training.memory import OVERHEAD, TOLERANCE, MemoryEstimate

CPU = torch.device("cpu")


def adam(parameters):
    return torch.optim.Adam(parameters)


def sgd(parameters):
    return torch.optim.SGD(parameters, lr=1)


def tiny_flow():
    model = mcvd.build(tiny_config() | {"reference": "context", "reference_flow": True})
    return model.eval()


def memory(model, optimizer=adam):
    model.optimizer = optimizer
    return MemoryEstimate(model, CPU)


@pytest.mark.parametrize(
    "model", [tiny_model(), tiny_model(net="SpaceTimeUNet"), tiny_flow()], ids=["UNet", "SpaceTimeUNet", "flow"]
)
def test_what_is_foreseen_lies_between_what_backward_keeps_and_twice_that(model):
    kept = {}

    def keep(tensor):
        if not isinstance(tensor, torch.nn.Parameter):
            kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        loss = model.loss({"video": pixels(16, 7, 1, 16, 16), "index": list(range(16))})  # holds what was kept
    foreseen = memory(model)
    activations = foreseen.at(16) - OVERHEAD - 5 * sum(weight.nbytes for weight in model.parameters())
    assert loss.shape == (16,) and sum(kept.values()) < activations < 2 * sum(kept.values())


def test_moments_of_the_optimiser_and_copies_of_the_weights_count():
    model = tiny_model()
    weights = sum(weight.nbytes for weight in model.parameters())
    with_moments, without = memory(model).at(16), memory(model, sgd).at(16)
    assert with_moments - without == pytest.approx(2 * weights, rel=1e-2)


def test_what_is_shared_out_counts_by_its_share():
    model = tiny_model()
    weights = sum(weight.nbytes for weight in model.parameters())
    two, many = (replace(memory(model), num_copies=2, num_shards=number).at(16) for number in (2, 1000))
    # The own part, the average, its part of the gradients and both moments.
    assert two - many == pytest.approx(5 * weights / 2, rel=1e-2)
    assert two == pytest.approx(replace(memory(model), num_copies=2).at(16) - weights / 2, rel=1e-2)


def test_the_model_is_as_before():
    model = tiny_model()
    memory(model).at(16)
    assert not model.denoiser.training
    assert all(weight.grad is None and weight.device == CPU for weight in model.parameters())


class Known(MemoryEstimate):
    """As with large weights: small batches take the same, because the gradients need more than the activations."""

    def at(self, batch_size):
        return max(12_000, 5_000 + 150 * batch_size)


def test_the_largest_batch_fits_and_twice_as_many_do_not():
    foreseen = Known(tiny_model(), CPU)
    for free, chosen in ((14_000, 0), (15_000, 32), (24_000, 64), (12_000_000, 65_536)):
        assert foreseen.largest_batch(free) == chosen
        assert chosen == 0 or foreseen.at(chosen) * (1 + TOLERANCE) <= free < foreseen.at(2 * chosen) * (1 + TOLERANCE)
    assert foreseen.largest_batch(24_000, most=50) == 32


def test_what_is_free_is_less_than_what_there_is():
    assert 0 < free_bytes(CPU) < 1 << 50


@pytest.fixture
def fit(tmp_path):
    path = tmp_path / "tiny.yaml"
    path.write_text(yaml.safe_dump(TINY))
    return lambda *options: main(["fit", f"--config={path}", f"--trainer.default_root_dir={tmp_path}/runs", *options])


def test_a_chosen_batch_is_told_kept_and_taken_again_when_resumed(fit, tmp_path, monkeypatch, capsys):
    assert fit("--data.batch_size=auto", "--trainer.max_steps=1") == 0
    run = tmp_path / "runs" / "run-1"
    chosen = yaml.safe_load((run / "config.yaml").read_text())["data"]["batch_size"]
    assert f"--data.batch_size {chosen} (chosen)" in capsys.readouterr().out
    monkeypatch.setattr(mcvd.training.memory_check, "free_bytes", lambda device: 134_000_000)  # enough for fewer
    assert fit("--data.batch_size=auto", "--trainer.max_steps=2", "--ckpt_path=last") == 0
    assert yaml.safe_load((run / "config-2.yaml").read_text())["data"]["batch_size"] == chosen
    assert torch.load(run / LAST, weights_only=True)["VideoData"]["draws_done"] == 2 * chosen


def test_a_batch_that_cannot_fit_is_refused_before_work_starts(fit, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(mcvd.training.memory_check, "free_bytes", lambda device: 165_000_000)
    assert fit("--data.batch_size=100000") == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert "--data.batch_size 100000 needs about" in line and "--data.batch_size 2 fits" in line
    monkeypatch.setattr(mcvd.training.memory_check, "free_bytes", lambda device: 1000)
    assert fit("--data.batch_size=auto") == 2
    assert "not even one clip fits" in capsys.readouterr().err
    assert not list(tmp_path.glob("runs/*"))


def test_an_estimate_leaves_no_table_without_numbers_to_the_training(monkeypatch):
    model = mcvd.build(tiny_config() | {"schedule": {"class_path": "mcvd.noise.LinearBeta"}})
    time = torch.tensor([0.25])
    expected = model.denoiser.schedule(time)
    monkeypatch.setattr(mcvd.noise, "_TABLES", {})  # none is there yet, as on a GPU that was not used before
    assert memory(model).at(2) > OVERHEAD
    found = model.denoiser.schedule(time)
    assert torch.equal(found.alpha, expected.alpha) and torch.equal(found.sigma, expected.sigma)
