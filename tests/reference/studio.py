"""A visit to a studio without its page."""

from mcvd.apps.studio.job import GenerationRequest
from mcvd.diffusion.tasks import PREDICT
from mcvd.frames import FrameBlock
from mcvd.samplers import DDIM

BLOCK = FrameBlock(2, 3, 2)
FAST = DDIM(num_steps=2)


def finished(pieces):
    *_, last = pieces
    return last


def work(studio, clip, visitor="me", task=PREDICT, length=8, num_samples=2, on_progress=lambda part: None, **asked):
    stretch = studio.first_marked(clip, task)
    studio.begin(visitor)
    request = GenerationRequest(task, FAST, num_samples, **asked)
    return studio.generate(visitor, clip, stretch, length, request, on_progress)
