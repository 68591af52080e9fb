"""A training of the space-time network, interrupted and resumed, is the one that was not."""

import torch
import yaml
from reference.tiny_fit import TINY, assert_same_run

from mcvd.models.files import LAST
from mcvd.training.fit import run_fit


def test_a_resumed_training_is_the_one_that_nothing_disturbed(tmp_path):
    net = {"class_path": "mcvd.nets.SpaceTimeUNet", "init_args": TINY["model"]["net"]["init_args"]}
    frames = {"masking": {"p_past": 0.5, "p_future": 0.5, "p_any": 0.5}, "frame_noise": {"p_own": 0.4, "p_rising": 0.3}}
    config = tmp_path / "tiny.yaml"
    trainer = TINY["trainer"] | {"max_steps": 4, "limit_val_batches": 0}
    model = TINY["model"] | frames | {"net": net, "block": {"past": 2, "current": 2, "future": 0}}
    data = TINY["data"] | {"times": {"frame_rates_hz": [10, 5], "p_far": 0.5, "max_far_seconds": 0.5}}
    config.write_text(yaml.safe_dump(TINY | {"model": model, "data": data, "trainer": trainer}))

    def fit(root, *options):
        run_fit(["--config", str(config), f"--trainer.default_root_dir={root}", *options], print)

    fit(tmp_path / "whole")
    fit(tmp_path / "parts", "--trainer.max_steps=2")
    fit(tmp_path / "parts", "--ckpt_path=last")
    runs = tmp_path / "whole/run-1", tmp_path / "parts/run-1"
    whole, resumed = (torch.load(run / LAST, weights_only=True) for run in runs)
    assert_same_run(resumed, whole)
    assert whole["config"]["frame_rate_hz"] == 10
    assert whole["config"]["times"] == {"frame_rates_hz": [10.0, 5.0], "max_far_seconds": 0.5}
