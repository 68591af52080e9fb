"""The training of a codec: an autoencoder that learns to give frames back."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cached_property
from inspect import signature
from itertools import pairwise
from typing import Any, Literal, get_args

import torch
from lightning import LightningModule
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.functional import leaky_relu, mse_loss, relu, softmax
from torch.optim import Adam, Optimizer
from torchmetrics.functional.image import structural_similarity_index_measure

from mcvd.frames import model_from_pixels, pixels_from_model
from mcvd.metrics.lpips import MIN_SIZE, alexnet_file, lpips_network
from mcvd.models.codecs.autoencoders import FrameKind, class_of, new_autoencoder, read_autoencoder, shape_of
from mcvd.models.codecs.latents import Latents
from mcvd.models.learning_rate import scheduled
from mcvd.runtime.rng import TrainingNoise
from mcvd.training.codebook import Codebook
from mcvd.training.ema import restart_averages
from mcvd.training.muon import Muon

_BLOCKS = {
    "down_block_types": ["DownEncoderBlock2D"] * 3,
    "up_block_types": ["UpDecoderBlock2D"] * 3,
    "block_out_channels": [32, 64, 64],
    "layers_per_block": 1,
    "norm_num_groups": 8,
}
_TINY = {
    "encoder_block_out_channels": [64] * 3,
    "decoder_block_out_channels": [64] * 3,
    "num_encoder_blocks": [1, 2, 2],
    "num_decoder_blocks": [2, 2, 1],
}
ARGUMENTS: dict[str, dict[str, Any]] = {
    "PatchAutoencoder": {"latent_channels": 8, "patch": 4, "width": 128, "encoder_blocks": 1, "decoder_blocks": 2},
    "AutoencoderKL": _BLOCKS | {"latent_channels": 4, "mid_block_add_attention": False},
    "AutoencoderTiny": _TINY,
    "VQModel": _BLOCKS | {"latent_channels": 4, "num_vq_embeddings": 1024, "mid_block_add_attention": False},
}
"""Of each kind one of about a million parameters whose latents are four times smaller; what is given goes before."""

_GAUSSIAN = ("PatchAutoencoder", "AutoencoderKL")  # whose latents are a distribution
_OPTION = "--model.perceptual_weights"
LAST_TEMPERATURE = 1 / 16  # of the Gumbel-softmax, as of DALL-E's (Ramesh et al. 2021)


def _further(parameters: Iterable) -> Optimizer:
    return Adam(parameters, lr=1e-4)


class CodecFit(LightningModule):
    """An autoencoder in training: absolute error of the frames, and what its kind of latents needs.

    Args:
        kind: the class of the autoencoder; see `mcvd.models.codecs.Latents`.
        arguments: of that class, which go before `ARGUMENTS`.
        source: start from a codec in diffusers' layout, a folder or a name on the Hub, instead of kind and arguments.
        size: height and width of the frames.
        channels: 3 for colour, 1 for grey.
        num_frames: frames of a clip; each is coded by itself.
        kl: weight of the latents' divergence from a standard normal (PatchAutoencoder, AutoencoderKL), or of the
            entries' from uniform (VQModel by gumbel), each a mean over latents.
        discrete: how the entries of a VQModel are learned: "commitment" (van den Oord et al. 2017), weighted as in
            diffusers, entries that are not used moved to latents (`mcvd.training.codebook`), or "gumbel": a relaxed
            choice that hardens in the course of the training (the discrete VAE of Ramesh et al. 2021, with distances to
            the entries as logits).
        perceptual: weight of the distance that LPIPS sees between frames and decoded ones (Zhang et al. 2018), of
            frames of 32x32 or more, grey or in colour; 0 is none.
        perceptual_weights: the file of its AlexNet, alexnet-owt-7be5be79.pth of torchvision; None: downloaded once.
        adversarial: weight of what a discriminator of patches says, trained beside (hinge loss); 0 is none.
        adversarial_after: steps without it.
        optimizer: makes the optimiser from the parameters; None: `Muon` with a learning rate of 0.02, and Adam with
            0.0001 where there is a source.
        warmup_steps: the learning rate rises linearly from 0 over so many steps.
        cooldown_steps: it falls linearly towards 0 over the last so many steps of the training.
        seed: of the random numbers of training.

    Raises:
        ValueError: the arguments make no autoencoder, the codec has other channels, or sizes do not divide.
        FileNotFoundError: there is no such source, or the weights of AlexNet cannot be had.
    """

    def __init__(
        self,
        kind: FrameKind = "PatchAutoencoder",
        arguments: dict[str, Any] | None = None,
        source: str | None = None,
        size: tuple[int, int] = (64, 64),
        channels: int = 3,
        num_frames: int = 1,
        kl: float = 1e-5,
        discrete: Literal["commitment", "gumbel"] = "commitment",
        perceptual: float = 0.0,
        perceptual_weights: str | None = None,
        adversarial: float = 0.0,
        adversarial_after: int = 1000,
        optimizer: Callable[[Iterable], Optimizer] | None = None,
        warmup_steps: int = 100,
        cooldown_steps: int = 0,
        seed: int = 0,
    ):
        super().__init__()
        counts = (adversarial_after, warmup_steps, cooldown_steps, seed)
        if min(kl, perceptual, adversarial, *counts) < 0 or num_frames < 1:
            raise ValueError(
                "kl, perceptual, adversarial, adversarial_after, warmup_steps, cooldown_steps and seed must be 0 or "
                "more, num_frames 1"
            )
        if perceptual_weights is not None and not perceptual:
            raise ValueError("perceptual_weights belong to perceptual, which is 0: give it a weight, such as 0.1")
        if perceptual and (min(size) < MIN_SIZE or channels not in (1, 3)):
            raise ValueError(
                f"perceptual is for grey or coloured frames of {MIN_SIZE}x{MIN_SIZE} or more, got {channels} channels, "
                f"{size[0]}x{size[1]}"
            )
        self.perceptual, self._alexnet = perceptual, alexnet_file(perceptual_weights, _OPTION) if perceptual else None
        if discrete not in ("commitment", "gumbel"):
            raise ValueError(f"discrete must be 'commitment' or 'gumbel', got {discrete!r}")
        weights = None
        if source is not None:
            stored = read_autoencoder(source)
            if stored.kind not in get_args(FrameKind):
                kinds = ", ".join(get_args(FrameKind))
                raise ValueError(f"{source} is an {stored.kind}, which codes frames together: fit-codec trains {kinds}")
            kind, arguments, weights = stored.kind, stored.arguments, stored.weights  # type: ignore[assignment]
        else:
            names = signature(class_of(kind)).parameters.keys() & {"in_channels", "out_channels"}
            arguments = ARGUMENTS[kind] | dict.fromkeys(sorted(names), channels) | (arguments or {})
        self.kind, self.arguments = kind, arguments
        self.size, self.channels = (size[0], size[1]), channels
        codec = Latents(kind=kind, arguments=arguments)
        codec.planes(channels)
        self.latent_size = codec.frame_size(self.size)
        self.kl, self.discrete = kl, discrete
        self.adversarial, self.adversarial_after = adversarial, adversarial_after
        self.optimizer: Callable[[Iterable], Optimizer] = optimizer or (Muon if source is None else _further)
        self.seed = seed
        self.warmup_steps, self.cooldown_steps = warmup_steps, cooldown_steps
        self.net = new_autoencoder(kind, arguments)
        if weights is not None:
            self.net.load_state_dict(weights)
        self.discriminator = Discriminator(channels) if adversarial else None
        net: Any = self.net
        commits = kind == "VQModel" and discrete == "commitment"
        self.codebook = Codebook(len(net.quantize.embedding.weight)) if commits else None
        self.config: dict[str, Any] = {}
        self._used: Tensor | None = None

    @cached_property
    def perceptual_net(self) -> nn.Module:
        """The network of LPIPS, in [-1, 1]: no part of the codec."""
        assert self._alexnet is not None
        return lpips_network(self._alexnet).requires_grad_(False).to(self.device)

    def codec(self, frames: Iterable[Tensor]) -> Latents:
        """The codec as it is now, its latents measured on these frames, uint8 (N, C, H, W) each."""
        return Latents(kind=self.kind, arguments=self.arguments).of(self.net).measured(frames)

    def reconstruct(self, frames: Tensor, noise: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Frames (N, C, H, W) in [-1, 1] through the codec.

        Args:
            frames: what is coded.
            noise: standard normal, of the shape of the latents, or for gumbel (N, entries, h, w); None: the mode.

        Returns:
            (frames, what the latents cost, a number).
        """
        net: Any = self.net
        if self.kind in _GAUSSIAN:
            found = net.encode(frames).latent_dist
            latents = found.mode() if noise is None else found.mean + found.std * noise
            return net.decode(latents).sample, self.kl * found.kl().mean() / found.mean[0].numel()
        latents = net.encode(frames).latents
        if self.kind == "VQModel" and self.discrete == "gumbel" and noise is not None:
            return self._relaxed(latents, noise)
        if self.training and self.codebook is not None:
            found = latents.detach()
            moved = self.codebook.renew(net.quantize.embedding.weight, found, self._distances(found).argmin(1))
            if self._trainer is not None and moved.any():
                restart_averages(self.trainer, self, "net.quantize.embedding.weight", moved)
        decoded = net.decode(latents)
        cost = decoded.commit_loss if self.kind == "VQModel" else latents.new_zeros(())
        return decoded.sample, cost.mean()

    def training_step(self, batch: dict[str, Any], batch_idx: int) -> Tensor:
        """One step of Lightning's training loop."""
        frames = model_from_pixels(batch["video"]).flatten(0, 1)
        decoded, cost = self.reconstruct(frames, self._noise(batch))
        error = (decoded - frames).abs().mean()
        loss = error + cost
        if self.perceptual:
            seen = self.perceptual_net(*(side.float().expand(-1, 3, -1, -1) for side in (decoded, frames))).mean()
            self.log("train/perceptual", seen.detach())
            loss = loss + self.perceptual * seen
        if self.discriminator is not None and self.global_step >= self.adversarial_after:
            fixed = {name: value.detach() for name, value in self.discriminator.named_parameters()}
            loss = loss - self.adversarial * functional_call(self.discriminator, fixed, decoded).mean()
            real, made = self.discriminator(frames), self.discriminator(decoded.detach())
            own = (relu(1 - real) + relu(1 + made)).mean()
            self.log("train/discriminator", own.detach())
            loss = loss + own
        self.log_dict({"train/error": error.detach(), "train/latents": cost.detach()})
        self.log("train/loss", loss.detach(), prog_bar=True)
        return loss

    def on_validation_epoch_start(self) -> None:
        """No entry is used yet."""
        entries = self.arguments.get("num_vq_embeddings", 256)
        self._used = torch.zeros(entries, device=self.device) if self.kind == "VQModel" else None

    def validation_step(self, batch: dict[str, Any], batch_idx: int) -> None:
        """PSNR in dB and SSIM of held-out frames as a model gives them back, rounded to 8 bits."""
        frames = batch["video"].flatten(0, 1)
        decoded, _ = self.reconstruct(model_from_pixels(frames))
        made = pixels_from_model(decoded).float()
        error = mse_loss(made, frames.float(), reduction="none").flatten(1).mean(1).clamp(min=1e-10)
        psnr = (10 * torch.log10(255**2 / error)).mean()
        ssim = torch.as_tensor(structural_similarity_index_measure(made, frames.float(), data_range=255.0))
        self.log_dict({"val/psnr": psnr, "val/ssim": ssim}, prog_bar=True, sync_dist=True, batch_size=len(frames))
        if self._used is not None:
            net: Any = self.net
            distances = self._distances(net.encode(model_from_pixels(frames)).latents)
            self._used[distances.argmin(1).flatten()] = 1.0

    def on_validation_epoch_end(self) -> None:
        """How many of the entries were used."""
        if self._used is not None:
            self.log("val/codebook_use", self._used.mean(), sync_dist=True, reduce_fx="max")

    def configure_optimizers(self) -> dict[str, Any]:  # type: ignore[override]
        """Optimiser and learning rate."""
        optimizer, last = self.optimizer(self.parameters()), lambda: self.trainer.estimated_stepping_batches
        return scheduled(optimizer, self.warmup_steps, self.cooldown_steps, last)

    def transfer_batch_to_device(self, batch: Any, device: torch.device, dataloader_idx: int) -> dict[str, Any]:
        """Move the video; the clip numbers stay here as a list."""
        index = torch.as_tensor(batch["index"]).tolist()
        return {"video": batch["video"].to(device, non_blocking=True), "index": index}

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Put the options beside the weights: a resumed run says what differs."""
        checkpoint["config"] = self.config

    def _noise(self, batch: dict[str, Any]) -> Tensor | None:
        """The noise of a step, which depends on the clips alone."""
        channels = shape_of(self.kind, self.arguments)[1]
        if self.kind == "VQModel":
            channels = self.arguments.get("num_vq_embeddings", 256)
        if self.kind == "AutoencoderTiny" or (self.kind == "VQModel" and self.discrete == "commitment"):
            return None
        num_frames = batch["video"].shape[1]
        draws = TrainingNoise(self.seed, self.device)(batch["index"], (num_frames, channels, *self.latent_size))
        return draws.normal[0].flatten(0, 1)

    def _distances(self, latents: Tensor) -> Tensor:
        """Squared distances of latents to the entries, (N, entries, h, w)."""
        entries = self.net.quantize.embedding.weight  # type: ignore[union-attr]
        flat = latents.permute(0, 2, 3, 1)  # (N, h, w, c)
        squares = flat.square().sum(-1, keepdim=True) + entries.square().sum(1)  # type: ignore[operator]
        distances: Tensor = squares - 2 * flat @ entries.t()  # type: ignore[operator]
        return distances.permute(0, 3, 1, 2)

    def _relaxed(self, latents: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        """Decoded mixtures of entries, drawn by the Gumbel-softmax, and the divergence of their odds from uniform."""
        net: Any = self.net
        most = max(1, self.trainer.estimated_stepping_batches) if self._trainer is not None else 1
        done = self.global_step / most if self._trainer is not None else 1.0
        temperature = max(LAST_TEMPERATURE, LAST_TEMPERATURE ** (2 * done))
        logits = -self._distances(latents)
        uniform = torch.special.ndtr(noise).clamp(1e-6, 1 - 1e-6)
        share = softmax((logits - (-uniform.log()).log()) / temperature, 1)
        mixed = torch.einsum("nkhw,kc->nchw", share, net.quantize.embedding.weight)
        odds = softmax(logits, 1)
        divergence = (odds * (odds.clamp(min=1e-10) * odds.shape[1]).log()).sum(1).mean()
        return net.decode(mixed, force_not_quantize=True).sample, self.kl * divergence


class Discriminator(nn.Module):
    """Tells frames from decoded ones, patch by patch (Isola et al. 2017): (N, C, H, W) -> (N, 1, h, w)."""

    def __init__(self, channels: int, width: int = 32):
        super().__init__()
        widths = [channels, width, 2 * width, 4 * width]
        self.layers = nn.ModuleList(nn.Conv2d(before, after, 4, 2, 1) for before, after in pairwise(widths))
        self.last = nn.Conv2d(widths[-1], 1, 3, padding=1)

    def forward(self, frames: Tensor) -> Tensor:
        """Above 0 where they look true."""
        for layer in self.layers:
            frames = leaky_relu(layer(frames), 0.2)
        patches: Tensor = self.last(frames)
        return patches
