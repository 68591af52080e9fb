"""Noise in the colours of what is diffused: as unlike between channels as the data is, not more."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mcvd.diffusion.color_axes import mixed
from mcvd.nets.layers import without_autocast
from mcvd.runtime.distributed import sum_over_processes

FLOOR = 0.01  # of the mean variance of a channel: no mixture of channels carries less noise than this


class NoiseColors(nn.Module):
    """Turns standard normal noise into noise whose channels are as correlated as those of the data.

    What changes from frame to frame is brightness far more than hue: of film's residuals, 93% of the variance lies
    along grey. White noise of the same strength drowns the rest until the very end, and what an imperfect network
    leaves of it shows as specks of colour. Here every mixture of channels has the same ratio of signal to noise at any
    time, which is what makes samples good after little training; the mean variance of a channel stays 1, so schedules
    and samplers hold as they are. A prior of the data's own covariance is that of PriorGrad (Lee et al. 2022,
    arXiv 2106.06406); PYoCo (Ge et al. 2023, arXiv 2305.10474) correlates the noise of frames.

    Args:
        channels: of what is diffused.
    """

    mixing: Tensor
    sums: Tensor
    num_clips: Tensor

    def __init__(self, channels: int):
        super().__init__()
        self.register_buffer("mixing", torch.zeros(channels, channels).fill_diagonal_(1))
        self.register_buffer("sums", torch.zeros(channels, channels))
        self.register_buffer("num_clips", torch.zeros(()))

    def forward(self, white: Tensor) -> Tensor:
        """Standard normal noise (..., C, H, W), in the colours of the data."""
        return mixed(self.mixing, white)

    def white(self, colored: Tensor) -> Tensor:
        """The inverse: what this would give these colours to, of the same shape."""
        return mixed(torch.linalg.inv(self.mixing), colored)

    @property
    def log_volume(self) -> Tensor:
        """By how much the logarithm of a volume of (C,) numbers grows, float64."""
        return torch.linalg.slogdet(self.mixing.double()).logabsdet

    @torch.no_grad()
    def measure(self, clean: Tensor) -> None:
        """Take float (B, N, C, H, W) of what is diffused into account; processes put theirs together."""
        each = clean.transpose(1, 2).flatten(2)
        with without_autocast(each):
            covariance = each @ each.mT / each.shape[-1]
        # By clip: one of wild motion says no more about colours than one of little.
        each_mean = covariance.diagonal(dim1=1, dim2=2).mean(1).clamp(min=1e-12)
        self.sums += sum_over_processes((covariance / each_mean[:, None, None]).sum(0))
        self.num_clips += sum_over_processes(torch.full_like(self.num_clips, len(clean)))
        values, vectors = torch.linalg.eigh(self.sums.double() / self.num_clips.double().clamp(min=1))
        values = values.clamp(min=0) + FLOOR
        self.mixing.copy_(vectors * (values / values.mean()).sqrt() @ vectors.mT)
