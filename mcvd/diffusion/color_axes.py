"""Of which mixtures of channels residuals have scales: all channels alike, or grey and two hues apart."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mcvd.nets.layers import without_autocast
from mcvd.runtime.distributed import sum_over_processes

COLORS = (  # rows: from red, green and blue to grey, red against blue, green against both
    (3**-0.5, 3**-0.5, 3**-0.5),
    (2**-0.5, 0.0, -(2**-0.5)),
    (-(6**-0.5), 2 * 6**-0.5, -(6**-0.5)),
)
LEAST_SHARE = 0.01  # of an axis in the squared difference, its mean 1: such as the hues of film that is grey


class AllChannels(nn.Module):
    """One scale for all channels of a pixel, from the mean square of their differences.

    Examples:
        >>> AllChannels().squared(torch.ones(1, 3, 2, 2)).shape
        torch.Size([1, 1, 2, 2])
    """

    axes: Tensor | None

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("axes", None, persistent=False)

    def squared(self, difference: Tensor) -> Tensor:
        """The squares of differences (..., C, H, W), one for each axis there is: float32 (..., K, H, W)."""
        return difference.float().square().mean(-3, keepdim=True)

    def of_noise(self, variance: Tensor) -> Tensor:
        """The expected `squared` (..., K, 1, 1) of white noise of this variance (..., 1, 1, 1)."""
        return variance

    def together(self, squared: Tensor) -> Tensor:
        """The mean square over channels (..., 1, H, W) of what is `squared` (..., K, H, W)."""
        return squared

    def capped(self, squared: Tensor) -> Tensor:
        """What is `squared` (..., K, H, W), of no axis more than of all together."""
        return squared

    def measure(self, difference: Tensor) -> None:
        """Take differences between frames, float (B, T, C, H, W), into account."""


class ColorAxes(AllChannels):
    """Grey, red against blue, and green against both, with a scale each.

    Some film is almost grey and other film gaudy, and at most edges brightness changes far more than hue. At one scale
    for all of that, samples are covered with specks of colour: what an imperfect network leaves of noise that is too
    large for the hues.

    ``shares`` (3,) tells how large the squared difference along each axis is in typical film, the mean 1; it is
    measured on the first clips of a training. Squares are by this share, so that residuals of typical film remain as
    they are with one scale, and brightness counts most in a loss. No axis has a larger scale than all channels would
    have together, so that gaudy film is left as it is. The axes are those of the discrete cosine transform
    of three numbers; those of the covariance of the colours in the bundled model's films are within two degrees.

    Examples:
        >>> grey = torch.ones(1, 3, 1, 1)
        >>> ColorAxes().squared(grey).flatten()
        tensor([3., 0., 0.])
    """

    axes: Tensor
    shares: Tensor
    sums: Tensor
    num_clips: Tensor

    def __init__(self) -> None:
        super().__init__()
        with torch.device("cpu"):
            axes = torch.tensor(COLORS).T.contiguous()
        self.register_buffer("axes", axes, persistent=False)
        self.register_buffer("shares", torch.ones(3))
        self.register_buffer("sums", torch.zeros(3))
        self.register_buffer("num_clips", torch.zeros(()))

    def squared(self, difference: Tensor) -> Tensor:
        """See `AllChannels.squared`: of three axes, each by its share."""
        return self._by_share(mixed(self.axes.T, difference.float()).square())

    def of_noise(self, variance: Tensor) -> Tensor:
        """See `AllChannels.of_noise`."""
        return self._by_share(variance)

    def together(self, squared: Tensor) -> Tensor:
        """See `AllChannels.together`."""
        return (squared * self.shares[:, None, None]).mean(-3, keepdim=True)

    def capped(self, squared: Tensor) -> Tensor:
        """See `AllChannels.capped`: the hues of a compressed still, say, flicker more than film's, and mean nothing."""
        return torch.minimum(squared, self.together(squared))

    @torch.no_grad()
    def measure(self, difference: Tensor) -> None:
        """See `AllChannels.measure`; processes that train together put their clips together."""
        along = mixed(self.axes.T, difference).square().mean((1, 3, 4))
        # By clip: one of wild motion says no more about colours than one of little.
        share = along / along.mean(1, keepdim=True).clamp(min=1e-12)
        moves = along.sum(1) > 0
        self.sums += sum_over_processes(torch.where(moves[:, None], share, 0.0).sum(0))
        self.num_clips += sum_over_processes(moves.sum().to(self.num_clips))
        mean = (self.sums / self.num_clips).clamp(min=LEAST_SHARE)
        self.shares.copy_(torch.where(self.num_clips > 0, mean / mean.mean(), self.shares))

    def _by_share(self, x: Tensor) -> Tensor:
        return x / self.shares[:, None, None]


def mixed(weights: Tensor, x: Tensor) -> Tensor:
    """Mixtures of the channels of (..., C, H, W) by weights (K, C), in the dtype of the channels: (..., K, H, W)."""
    with without_autocast(x):
        return (weights.to(x) @ x.flatten(-2)).unflatten(-1, x.shape[-2:])
