"""A model in a folder, and a video, for commands."""

import pytest
import torch
from reference.tiny import tiny_model

import mcvd


@pytest.fixture(scope="session")
def model(tmp_path_factory):
    net = tiny_model(past=2, current=3, future=2, channels=3)
    net.frame_rate_hz = 10.0
    folder = tmp_path_factory.mktemp("models") / "tiny"
    net.save_pretrained(folder)
    return str(folder)


@pytest.fixture(scope="session")
def video(tmp_path_factory):
    """Thirty frames at 20 Hz, so that the model sees every second one; each frame is of one grey."""
    path = tmp_path_factory.mktemp("videos") / "greys.mp4"
    greys = torch.arange(30, dtype=torch.uint8) * 8
    mcvd.write_video(path, greys.view(-1, 1, 1, 1).expand(-1, 3, 16, 16), fps=20)
    return str(path)
