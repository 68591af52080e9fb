"""`PatchAutoencoder`: an autoencoder whose convolutions all work on patches, never on pixels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from torch import Tensor, nn
from torch.nn.functional import pixel_shuffle, pixel_unshuffle, silu

_LOG_VARIANCES = (-30.0, 20.0)  # as of the AutoencoderKL of diffusers


class PatchAutoencoder(nn.Module):
    """A variational autoencoder (Kingma and Welling 2014) that moves each patch of pixels into the channels of one
    place first, and back last (Shi et al. 2016): no convolution works at full resolution, where other autoencoders
    spend most of their time. In between are residual blocks without normalisation, as in AutoencoderTiny of diffusers,
    whose `encode` and `decode` are called alike.

    Args:
        in_channels: of the frames.
        latent_channels: of the latents.
        patch: how many pixels of a side make one latent.
        width: channels of the blocks.
        encoder_blocks, decoder_blocks: how many of them.

    Raises:
        ValueError: a number is less than 1.

    Examples:
        >>> import torch
        >>> net = PatchAutoencoder(width=8)
        >>> latents = net.encode(torch.zeros(1, 3, 64, 64)).latent_dist.mode()
        >>> latents.shape, net.decode(latents).sample.shape
        (torch.Size([1, 8, 16, 16]), torch.Size([1, 3, 64, 64]))
    """

    def __init__(
        self,
        in_channels: int = 3,
        latent_channels: int = 8,
        patch: int = 4,
        width: int = 128,
        encoder_blocks: int = 1,
        decoder_blocks: int = 2,
    ) -> None:
        super().__init__()
        numbers = (in_channels, latent_channels, patch, width, encoder_blocks, decoder_blocks)
        if not all(isinstance(each, int) and each >= 1 for each in numbers):
            raise ValueError(
                f"channels, patch, width and numbers of blocks must be whole numbers above 0, got {numbers}"
            )
        self.patch = patch
        pixels = in_channels * patch**2
        self.encoder = _stack(pixels, width, encoder_blocks, 2 * latent_channels)
        self.decoder = _stack(latent_channels, width, decoder_blocks, pixels)

    def encode(self, frames: Tensor, return_dict: bool = True) -> Encoded:
        """Frames (N, C, H, W) in [-1, 1] as latents, each (N, c, H / patch, W / patch), a distribution of them."""
        mean, log_variance = self.encoder(pixel_unshuffle(frames, self.patch)).chunk(2, 1)
        return Encoded(Gaussian(mean, log_variance.clamp(*_LOG_VARIANCES)))

    def decode(self, latents: Tensor, return_dict: bool = True) -> Decoded:
        """Latents (N, c, h, w) as frames (N, C, patch h, patch w), about in [-1, 1]."""
        return Decoded(pixel_shuffle(self.decoder(latents), self.patch))


@dataclass(frozen=True)
class Gaussian:
    """Independent normal distributions.

    Args:
        mean, log_variance: (N, c, h, w).
    """

    mean: Tensor
    log_variance: Tensor

    @property
    def std(self) -> Tensor:
        """Their standard deviations."""
        return (self.log_variance / 2).exp()

    def mode(self) -> Tensor:
        """What is likeliest."""
        return self.mean

    def kl(self) -> Tensor:
        """Divergence from standard normal ones, summed over the latents of each frame, in nats, (N,)."""
        each = self.mean.square() + self.log_variance.exp() - 1 - self.log_variance
        return each.flatten(1).sum(1) / 2


class Encoded(NamedTuple):
    """What `PatchAutoencoder.encode` gives."""

    latent_dist: Gaussian


class Decoded(NamedTuple):
    """What `PatchAutoencoder.decode` gives."""

    sample: Tensor


class _Block(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(width, width, 3, padding=1)
        self.second = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.second(silu(self.first(silu(x))))
        return x + y


def _stack(before: int, width: int, num_blocks: int, after: int) -> nn.Sequential:
    blocks = (_Block(width) for _ in range(num_blocks))
    return nn.Sequential(
        nn.Conv2d(before, width, 3, padding=1), *blocks, nn.SiLU(), nn.Conv2d(width, after, 3, padding=1)
    )


__all__ = ["Gaussian", "PatchAutoencoder"]
