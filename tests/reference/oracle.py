"""A model that knows the truth, clips for it, and a network of its block that knows nothing."""

from functools import partial

import torch

from mcvd.diffusion.masking import Masking
from mcvd.diffusion.task_samplers import TaskSamplers
from mcvd.frames import FrameBlock
from mcvd.models.codecs import Pixels
from mcvd.models.mcvd import MCVD
from mcvd.nets import UNet


def clips(num_clips=3, num_frames=8, seed=0):
    """Bright squares that wander over noise."""
    generator = torch.Generator().manual_seed(seed)
    video = torch.randint(0, 60, (num_clips, num_frames, 1, 16, 16), dtype=torch.uint8, generator=generator)
    for t in range(num_frames):
        video[:, t, :, 4:10, t : t + 5] += 150
    return video


CLIPS = clips()


class Oracle:
    """Knows the truth and adds as much noise to sample k as it is told; recognises a clip by the given frames."""

    block = FrameBlock(past=2, current=3, future=2)
    codec = Pixels()
    sampler_for = TaskSamplers().of

    def __init__(self, noise_of_samples=(0,)):
        self.noise = noise_of_samples

    def predict(self, given, num_frames, *, backward=False, **options):
        return self._make(given, 0 if backward else 2, num_frames, backward, **options)

    def interpolate(self, past, future, num_frames, **options):
        return self._make(past, 2, num_frames, False, **options)

    def _make(self, given, start, num_frames, backward, num_samples, seed, **options):
        made = []
        for video, number in zip(given, seed, strict=True):
            side = CLIPS[:, num_frames : num_frames + 2] if backward else CLIPS[:, :2]
            truth = CLIPS[(side == video).flatten(1).all(1)][0, start : start + num_frames]
            generator = torch.Generator().manual_seed(number)
            noise = [level * torch.randn(truth.shape, generator=generator) for level in self.noise[:num_samples]]
            made.append(torch.stack([(truth + n).round().clamp(0, 255).to(torch.uint8) for n in noise]))
        made = torch.stack(made)
        return made if num_samples > 1 else made[:, 0]


def tiny_model():
    torch.manual_seed(0)
    net = partial(UNet, width=8, multipliers=(1, 2), attention_levels=(1,), head_channels=8)
    return MCVD(Oracle.block, net, size=(16, 16), channels=1, masking=Masking(0.5, 0.5))
