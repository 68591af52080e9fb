"""A model, and a video of greys for it."""

import pytest
from reference.studio import BLOCK
from reference.tiny import pixels, tiny_model

from mcvd.apps.studio.clip import Clip


@pytest.fixture(scope="session")
def model():
    net = tiny_model(past=BLOCK.past, current=BLOCK.current, future=BLOCK.future, channels=3)
    net.frame_rate_hz = 10.0
    return net


@pytest.fixture(scope="session")
def clip():
    return Clip("greys", pixels(20, 3, 16, 16), "")
