"""Measure larger frames: super-resolution and cascades on held-out streets, and what latents save.

    python tools/studies/larger.py enlarge MODEL
    python tools/studies/larger.py cascade MODEL
    python tools/studies/larger.py predict MODEL ...
    python tools/studies/larger.py latents

Enlarge: true small frames made larger, PSNR in dB and SSIM against the truth, beside bilinear enlargement, at several
levels of noise on the small frames and numbers of network calls (one call is about the mean of what it may be).
Cascade: what the bundled model (or --base) predicts at 64x64, made larger by the model and bilinearly, against the true
large frames. Predict: the same score of models that predict at their own size. Latents: seconds of the processor for a
network call on a block of 5 frames, for all else that a frame takes, for a frame with the default sampler, and the peak
of memory, of latent models and of a pixel model with the network of latent-256.yaml and random weights, each in a
process of its own.
"""

import argparse
import json
import resource
import subprocess
import sys
import time
from importlib.resources import files

import torch
import yaml

import mcvd
from mcvd.data.synthetic.driving.scenes import DrivingScenes
from mcvd.diffusion.super_resolution import enlarged, reduced
from mcvd.frames import model_from_pixels, pixels_from_model
from mcvd.metrics.frames import psnr_per_frame, ssim_per_frame
from mcvd.samplers import DDIM
from mcvd.samplers.select import default_sampler

HELD_OUT, FIRST, RATE_HZ = 9, 10, 10
LEVELS = (0.0, 0.05, 0.1, 0.2, 0.3)


def streets(num_streets: int, num_frames: int, size: tuple[int, int]) -> torch.Tensor:
    found = DrivingScenes(num_streets, num_frames=FIRST + num_frames, frame_rate_hz=RATE_HZ, seed=HELD_OUT)
    return torch.stack([found.read(i, range(FIRST, FIRST + num_frames), size) for i in range(num_streets)])


def bilinear(video: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    return pixels_from_model(enlarged(model_from_pixels(video), size))


def row(title: str, made: torch.Tensor, truth: torch.Tensor) -> None:
    psnr, ssim = (score(made[:, None], truth[:, None]) for score in (psnr_per_frame, ssim_per_frame))
    print(f"| {title} | {psnr.mean():.2f} | {ssim.mean():.4f} |", flush=True)


def enlarge(path: str, num_streets: int, num_frames: int, calls: list[int]) -> None:
    model = mcvd.load(path)
    truth = streets(num_streets, num_frames, model.size)
    low = reduced(truth, model.low_size)
    print("| made by | PSNR, dB | SSIM |\n|---|---|---|")
    row("bilinear", bilinear(low, model.size), truth)
    for steps in calls:
        for level in LEVELS:
            made = model.enlarge(low, sampler=DDIM(num_steps=steps), low_noise=level, progress=False)
            row(f"model, DDIM with {steps} calls, low_noise {level:g}", made, truth)
    row("model, its default sampler", model.enlarge(low, progress=False), truth)


def cascade(path: str, base_path: str | None, num_streets: int, num_frames: int, calls: list[int]) -> None:
    stage, base = mcvd.load(path), mcvd.load() if base_path is None else mcvd.load(base_path)
    clip = streets(num_streets, base.block.past + num_frames, stage.size)
    past, truth = clip[:, : base.block.past], clip[:, base.block.past :]
    small = base.predict(reduced(past, base.size), num_frames, sampler=DDIM(num_steps=2), progress=False)
    print("| made larger by | PSNR, dB | SSIM |\n|---|---|---|")
    row("bilinear", bilinear(small, stage.size), truth)
    before = past[:, -stage.block.past :] if stage.block.past else past[:, :0]
    for steps in calls:
        for level in LEVELS:
            options = {"sampler": DDIM(num_steps=steps), "low": small, "low_noise": level, "progress": False}
            row(
                f"model, DDIM with {steps} calls, low_noise {level:g}",
                stage.predict(before, num_frames, **options),
                truth,
            )


def predict(paths: list[str], num_streets: int, num_frames: int, calls: list[int]) -> None:
    print("| predicted by | PSNR, dB | SSIM |\n|---|---|---|")
    for path in paths:
        model = mcvd.load(path)
        clip = streets(num_streets, model.block.past + num_frames, model.size)
        past, truth = clip[:, : model.block.past], clip[:, model.block.past :]
        row(f"{path}: the last frame again", past[:, -1:].expand(-1, num_frames, -1, -1, -1), truth)
        for steps in calls:
            begin = time.process_time()
            made = model.predict(past, num_frames, sampler=DDIM(num_steps=steps), progress=False)
            seconds = (time.process_time() - begin) / truth.shape[0] / num_frames
            row(f"{path}, DDIM with {steps} calls, {seconds:.3f} s of the processor a frame", made, truth)


CODEC = {
    "block_out_channels": [32, 64, 64],
    "down_block_types": ["DownEncoderBlock2D"] * 3,
    "up_block_types": ["UpDecoderBlock2D"] * 3,
    "layers_per_block": 1,
    "norm_num_groups": 8,
    "latent_channels": 4,
    "mid_block_add_attention": False,
}


CODECS = {
    "patches": {"kind": "PatchAutoencoder"},
    "patches of 8": {"kind": "PatchAutoencoder", "arguments": {"patch": 8, "latent_channels": 16}},
    "AutoencoderKL": {"kind": "AutoencoderKL", "arguments": CODEC},
}


def one(kind: str, size: int, calls: int) -> None:
    """Predict a block; prints seconds of a network call, and for a frame of all else, and bytes."""
    config = yaml.safe_load(files("mcvd.configs").joinpath("latent-256.yaml").read_text())["model"]
    config |= {"size": [size, size], "codec": {"class_path": "mcvd.models.codecs.Pixels"}}
    if kind in CODECS:
        config["codec"] = {"class_path": "mcvd.models.codecs.Latents", "init_args": CODECS[kind]}
    torch.manual_seed(0)
    model = mcvd.build(config).eval().requires_grad_(False)
    past = streets(1, 2, (size, size))
    model.predict(past, 5, sampler=DDIM(num_steps=1), progress=False)
    seconds, few = {}, 1
    for number in (few, few + calls):
        begin = time.process_time()
        model.predict(past, 5, sampler=DDIM(num_steps=number), progress=False)
        seconds[number] = time.process_time() - begin
    call = (seconds[few + calls] - seconds[few]) / calls
    found = {"call": call, "rest": (seconds[few] - few * call) / 5}
    found["peak"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    found["parameters"] = sum(each.numel() for each in model.denoiser.parameters())
    print(json.dumps(found))


def latents(sizes: list[int], kinds: list[str], calls: int) -> None:
    default = default_sampler().num_calls
    print(f"| size | model | a call | all else, a frame | a frame, {default} calls | peak, MB |")
    print("|---|---|---|---|---|---|")
    for size in sizes:
        for kind in kinds:
            words = [sys.executable, __file__, "one", kind, str(size), "--calls", str(calls)]
            found = json.loads(subprocess.run(words, check=True, capture_output=True, text=True).stdout)
            frame = found["rest"] + default * found["call"] / 5
            row = (f"{found['call']:.3f}", f"{found['rest']:.4f}", f"{frame:.3f}", f"{found['peak'] / 1e6:.0f}")
            print(f"| {size} | {kind}, {found['parameters'] / 1e6:.1f} M | {' | '.join(row)} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    for name in ("enlarge", "cascade"):
        command = commands.add_parser(name)
        command.add_argument("model")
        command.add_argument("--base")
        command.add_argument("--num-streets", type=int, default=8)
        command.add_argument("--num-frames", type=int, default=8)
        command.add_argument("--calls", type=int, nargs="+", default=[1, 2, 5])
    command = commands.add_parser("predict")
    command.add_argument("models", nargs="+")
    command.add_argument("--num-streets", type=int, default=4)
    command.add_argument("--num-frames", type=int, default=8)
    command.add_argument("--calls", type=int, nargs="+", default=[2])
    command = commands.add_parser("latents")
    command.add_argument("--sizes", type=int, nargs="+", default=[128, 256])
    command.add_argument("--kinds", nargs="+", default=["pixel", *CODECS])
    command.add_argument("--calls", type=int, default=4, help="that are timed")
    command = commands.add_parser("one")
    command.add_argument("kind", choices=["pixel", *CODECS])
    command.add_argument("size", type=int)
    command.add_argument("--calls", type=int, default=4)
    asked = parser.parse_args()
    if asked.command == "enlarge":
        enlarge(asked.model, asked.num_streets, asked.num_frames, asked.calls)
    elif asked.command == "cascade":
        cascade(asked.model, asked.base, asked.num_streets, asked.num_frames, asked.calls)
    elif asked.command == "predict":
        predict(asked.models, asked.num_streets, asked.num_frames, asked.calls)
    elif asked.command == "latents":
        latents(asked.sizes, asked.kinds, asked.calls)
    else:
        one(asked.kind, asked.size, asked.calls)


if __name__ == "__main__":
    main()
