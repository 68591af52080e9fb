"""Work shared out among processes gives what one process makes."""

import torch
from tiny import tiny_model

import mcvd
from mcvd.cli import main
from mcvd.processes import made_in_shares


def test_alone_a_process_makes_all():
    assert made_in_shares(lambda own: torch.tensor(list(own)), 5).tolist() == [0, 1, 2, 3, 4]


def test_two_processes_generate_the_videos_of_one(tmp_path):  # two new processes import torch: seconds
    tiny_model(channels=3).save_pretrained(tmp_path / "model")
    common = ["generate", f"--model={tmp_path}/model", "--num-frames=3", "--num-samples=3", "--steps=2"]
    assert main([*common, f"--out={tmp_path}/one.png"]) == 0
    assert main([*common, f"--out={tmp_path}/two.png", "--processes=2"]) == 0
    one, two = (mcvd.read_video(tmp_path / f"{name}.png", size=(16, 16)) for name in ("one", "two"))
    assert (one.int() - two.int()).abs().max() <= 1
