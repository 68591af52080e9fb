"""A training small enough to run whole in a test, and when two runs of it are the same."""

import torch

SCENES = {"num_videos": 4, "num_frames": 12}
TINY = {
    "model": {
        "block": {"past": 1, "current": 2, "future": 1},
        "size": [16, 16],
        "net": {
            "class_path": "mcvd.nets.UNet",
            "init_args": {
                "width": 8,
                "multipliers": [1, 2],
                "attention_levels": [],
                "head_channels": 8,
                "num_blocks": 1,
                "dropout": 0.1,
            },
        },
        "masking": {"p_past": 0.5, "p_future": 0.5},
        "warmup_steps": 5,
    },
    "data": {
        "train": {"class_path": "mcvd.data.DrivingScenes", "init_args": SCENES},
        "val": {"class_path": "mcvd.data.DrivingScenes", "init_args": SCENES | {"seed": 1}},
        "max_val_clips": 4,
        "batch_size": 2,
        "num_workers": 0,
    },
    "trainer": {"accelerator": "cpu", "max_steps": 11, "val_check_interval": 4, "log_every_n_steps": 1},
    "checkpoints": {"every_n_steps": 3},
    "preview": {"every_n_steps": None},
}


def assert_same_run(resumed, whole):
    """Weights, averages, optimiser, schedule, steps and clips agree bit for bit."""
    for part in ("state_dict", "current_model_state", "averaging_state"):
        assert resumed[part].keys() == whole[part].keys()
        assert all(torch.equal(value, whole[part][name]) for name, value in resumed[part].items()), part
    states = [checkpoint["optimizer_states"][0]["state"] for checkpoint in (resumed, whole)]
    assert all(torch.equal(states[0][i][key], states[1][i][key]) for i in states[1] for key in states[1][i])
    for part in ("global_step", "lr_schedulers", "VideoData", "config"):
        assert resumed[part] == whole[part]
