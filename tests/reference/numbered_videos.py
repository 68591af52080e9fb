"""Videos made of numbers, so that a test can see which frame of which video it was given."""

import numpy as np
import torch

from mcvd.data.videos import AbstractVideos
from mcvd.video.decoders.base import VideoError


class NumberedVideos(AbstractVideos):
    """Frame f of video v has value v in channel 0, f in channel 1 and the column number in channel 2."""

    def __init__(self, lengths, rate_hz=10.0, margin=(0, 0), broken=()):
        self.lengths, self.margin, self.broken = lengths, margin, broken
        self.rates_hz = np.broadcast_to(rate_hz, len(lengths))

    channels = 3

    def __len__(self):
        return len(self.lengths)

    def times_seconds(self, index):
        return np.arange(self.lengths[index]) / self.rates_hz[index]

    def read(self, index, frames, cover):
        if index in self.broken:
            raise VideoError(f"video {index}: damaged")
        height, width = (side + extra for side, extra in zip(cover, self.margin, strict=True))
        video = torch.zeros(len(frames), 3, height, width, dtype=torch.uint8)
        video[:, 0] = index
        video[:, 1] = torch.as_tensor(frames)[:, None, None]
        video[:, 2] = torch.arange(width)
        return video

    def name(self, index):
        return f"video {index}"


def frame_numbers(video):
    """The frame numbers that a clip (T, C, H, W) shows."""
    return video[:, 1, 0, 0].tolist()
