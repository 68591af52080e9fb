"""Measure a codec of streets and roads at 128x128, for latent models.

    python tools/studies/latents.py pack DATA --films FILMS
    python tools/studies/latents.py codec CODEC DATA
    python tools/studies/latents.py channels CODEC DATA

Pack: streets and road clips at 128x128, written once so that no training draws or decodes; held-out streets (other
seed) and roads (another drive) beside them. Codec: PSNR in dB and SSIM of held-out frames that went through it, beside
frames that were made four times smaller and larger again, and the share of its entries that are used, if it has some.
Channels: how widely each channel of the latents varies, and how far noise on it moves the frame, in units of its own
standard deviation and in units of one for all channels: where the latter differs less from channel to channel, one
scale for all is nearer to pixels than one for each.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import interpolate

import mcvd
from mcvd.data import DrivingScenes, MemmapVideos
from mcvd.data.sources.memmap import write_pack
from mcvd.diffusion.parametrization import SIGMA_DATA
from mcvd.frames import model_from_pixels, pixels_from_model
from mcvd.metrics.frames import psnr_per_frame, ssim_per_frame
from mcvd.models.codecs import Latents

SIZE, RATE_HZ = (128, 128), 10
SEEDS = {"train": 0, "val": 9}
NUM_STREETS, NUM_FRAMES, FIRST = {"train": 700, "val": 16}, {"train": 9, "val": 20}, 10
EVERY = 4  # of held-out frames
NOISE = 0.2  # of a channel, by its standard deviation


def pack(folder: Path, films: Path) -> None:
    for split, seed in SEEDS.items():
        streets = DrivingScenes(
            NUM_STREETS[split], num_frames=FIRST + NUM_FRAMES[split], frame_rate_hz=RATE_HZ, seed=seed
        )
        frames = range(FIRST, FIRST + NUM_FRAMES[split])
        drawn = ((streets.name(i), channels_last(streets.read(i, frames, SIZE))) for i in range(len(streets)))
        write_pack(folder / split / "streets", drawn, RATE_HZ)
        write_pack(folder / split / "roads", filmed(films / split / "road"), RATE_HZ)


def filmed(folder: Path) -> Iterator[tuple[str, np.ndarray]]:
    for path in sorted(folder.iterdir()):
        yield path.name, channels_last(mcvd.read_video(path, SIZE, frame_rate_hz=RATE_HZ))


def channels_last(video: Tensor) -> np.ndarray:
    return video.permute(0, 2, 3, 1).contiguous().numpy()


def codec(source: str, folder: Path) -> None:
    made, net = Latents(source=source).with_network()
    print("| held out | codec, PSNR | SSIM | 4 times smaller and larger, PSNR | SSIM |\n|---|---|---|---|---|")
    used: set[int] = set()
    for kind in ("streets", "roads"):
        videos = MemmapVideos(folder / "val" / kind)
        frames = torch.cat([videos.read(i, range(len(videos.times_seconds(i))), SIZE) for i in range(len(videos))])
        frames = frames[::EVERY]
        latents = made.encode(frames)
        row = []
        for shown in (made.decode(latents), smaller(frames)):
            row += [score(shown[None, None], frames[None, None]).mean() for score in (psnr_per_frame, ssim_per_frame)]
        print(f"| {kind} | " + " | ".join(f"{each:.4g}" for each in row) + " |", flush=True)
        if hasattr(net, "quantize"):
            with torch.no_grad():
                used |= set(net.quantize(net.encode(model_from_pixels(frames)).latents)[2][2].flatten().tolist())
    if used:
        print(f"entries used: {len(used)} of {net.quantize.n_e}")


def channels(source: str, folder: Path) -> None:
    made, _ = Latents(source=source).with_network()
    videos = MemmapVideos(folder / "val" / "streets")
    frames = torch.cat([videos.read(i, range(0, 20, 10), SIZE) for i in range(len(videos))])
    latents, scale = made.encode(frames), torch.tensor(made.std) / SIGMA_DATA
    std = latents.std((0, 2, 3)) * scale
    shown, generator = made.decode(latents, rounded=False), torch.Generator().manual_seed(0)
    seen = []
    for channel in range(len(std)):
        noisy = latents.clone()
        noise = torch.randn(noisy[:, channel].shape, generator=generator)
        noisy[:, channel] += NOISE * std[channel] / scale[channel] * noise
        seen.append(float((made.decode(noisy, rounded=False) - shown).square().mean().sqrt()) / NOISE)
    by_own, by_one = torch.tensor(seen), torch.tensor(seen) * std.square().mean().sqrt() / std
    print("| standard deviation | changed by noise of its own scale | of one scale |\n|---|---|---|")
    for each in zip(std.tolist(), by_own.tolist(), by_one.tolist(), strict=True):
        print("| " + " | ".join(f"{value:.3g}" for value in each) + " |")
    print(
        "largest by smallest: " + ", ".join(f"{float(each.max() / each.min()):.2f}" for each in (std, by_own, by_one))
    )


def smaller(frames: Tensor) -> Tensor:
    small = interpolate(model_from_pixels(frames), scale_factor=0.25, mode="area")
    return pixels_from_model(interpolate(small, scale_factor=4, mode="bilinear"))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    command = commands.add_parser("pack")
    command.add_argument("folder", type=Path)
    command.add_argument("--films", type=Path, required=True)
    for name in ("codec", "channels"):
        command = commands.add_parser(name)
        command.add_argument("source")
        command.add_argument("folder", type=Path)
    asked = parser.parse_args()
    if asked.command == "pack":
        pack(asked.folder, asked.films)
    elif asked.command == "channels":
        channels(asked.source, asked.folder)
    else:
        codec(asked.source, asked.folder)
