"""The same seed gives the same training, and results do not depend on how many workers read the clips."""

import pytest
import torch
import yaml
from reference.tiny_fit import TINY, assert_same_run

from mcvd.models.files import LAST
from mcvd.training.fit import run_fit


@pytest.fixture(scope="module")
def train(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    config = folder / "tiny.yaml"
    config.write_text(yaml.safe_dump(TINY))

    def run(name, *options):
        root = folder / name
        run_fit(["--config", str(config), f"--trainer.default_root_dir={root}", "--trainer.max_steps=4", *options])
        return torch.load(root / "run-1" / LAST, weights_only=True)

    return run


def test_two_workers_train_the_weights_of_none(train):
    assert_same_run(train("workers", "--data.num_workers=2"), train("none"))


def test_the_switch_for_deterministic_algorithms_is_set_and_changes_nothing_on_a_cpu(train, monkeypatch):
    before, seen = torch.are_deterministic_algorithms_enabled(), []
    step = torch.optim.Adam.step
    monkeypatch.setattr(
        torch.optim.Adam,
        "step",
        lambda *given, **named: (seen.append(torch.are_deterministic_algorithms_enabled()), step(*given, **named))[1],
    )
    try:
        on = train("on", "--trainer.deterministic=true")
    finally:
        torch.use_deterministic_algorithms(before)
    assert len(seen) >= 4 and all(seen)
    assert_same_run(on, train("off"))
