"""Compare the space-time network with the 2-D one: equal parameters, equal minutes of one processor, moving strokes.

    python tools/studies/space_time.py --train space-time --minutes 30 --out runs/space-time
    python tools/studies/space_time.py --train 2d --minutes 30 --out runs/2d
    python tools/studies/space_time.py --measure runs/space-time --json space-time.json

Both train on configs/space-time.yaml; for 2d the network, the masks and the noise levels are those that a 2-D network
takes. Minutes are those of the processor in training steps; drawing the clips is not counted. What is measured, on
held-out strokes: prediction of one block (PSNR of one sample, CRPS, diversity as mean standard deviation over samples
in grey levels, seconds a frame); and for a model that takes any frames, every pattern of 3 given frames of the 9 of a
block, scored at the current frames that are not given, beside cross-fading (a copy where frames are given on one side
only).
"""

import argparse
import copy
import json
import time
from itertools import combinations
from pathlib import Path

import torch
from torch import Tensor

import mcvd
from mcvd.data.synthetic.moving_strokes import MovingStrokes
from mcvd.diffusion.guidance import conditioned
from mcvd.frames import Condition, model_from_pixels, pixels_from_model
from mcvd.metrics.frames import psnr_per_frame
from mcvd.models.mcvd import MCVD
from mcvd.runtime.rng import KeyedNoise
from mcvd.runtime.yaml_file import read_yaml
from mcvd.samplers import SASolver

CONFIG = Path(__file__).parents[2] / "configs/space-time.yaml"
BATCH, LEARNING_RATE, WARM_UP, STEPS = 16, 1e-3, 100, 10
HELD_OUT = 1  # the seed of the strokes that nothing was trained on


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--train", choices=["space-time", "2d"])
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--width", type=int, default=16, help="of either network, and of its attention heads")
    parser.add_argument("--out", type=Path, metavar="FOLDER")
    parser.add_argument("--measure", metavar="MODEL")
    parser.add_argument("--num-clips", type=int, default=32)
    parser.add_argument("--num-samples", type=int, default=4)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    if options.train and options.out:
        train(options.train, options.minutes, options.width, options.out)
    elif options.measure and options.json:
        model = mcvd.load(options.measure)
        found = {"model": options.measure, **prediction(model, options.num_clips, options.num_samples)}
        if model.masking.p_any:
            found["patterns"] = patterns(model, options.num_clips)
        options.json.write_text(json.dumps(found) + "\n")
        print({name: value for name, value in found.items() if name != "patterns"})
    else:
        parser.error("give --train and --out, or --measure and --json")


def config_of(kind: str, width: int) -> dict:
    """The model's section of the config, for either network."""
    config = {name: value for name, value in read_yaml(CONFIG)["model"].items() if name != "optimizer"}
    config["net"]["init_args"] |= {"width": width, "head_channels": width}
    if kind == "2d":
        config["net"]["class_path"] = "mcvd.nets.UNet"
        config["masking"] = {**config["masking"], "p_any": 0.0}
        del config["frame_noise"]
    return config


def train(kind: str, minutes: float, width: int, out: Path) -> None:
    """Train for so many minutes, with averaged weights and a learning rate that falls over the last fifth."""
    torch.manual_seed(0)
    model = mcvd.build(config_of(kind, width)).train()
    assert isinstance(model, MCVD)
    averages = copy.deepcopy(model)
    optimizer = torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE, betas=(0.9, 0.99), weight_decay=0.0)
    strokes = MovingStrokes(num_videos=20_000, seed=0)
    spent, step, losses = 0.0, 0, []
    print(kind, sum(each.numel() for each in model.parameters()), "parameters", flush=True)
    while spent < minutes * 60:
        numbers = [(step * BATCH + each) % len(strokes) for each in range(BATCH)]
        video = clips(strokes, numbers, model, 3 * (step // 1250))
        begin = time.process_time()
        share = spent / (minutes * 60)
        for group in optimizer.param_groups:
            group["lr"] = LEARNING_RATE * min(1, (step + 1) / WARM_UP, (1 - share) / 0.2 + 0.01)
        if model.denoiser.reference is not None and step < 200:
            model.denoiser.reference.measure(*model.block.split(model_from_pixels(video)))
        with torch.autocast("cpu", torch.bfloat16):
            loss = model.loss({"video": video, "index": [step * BATCH + each for each in range(BATCH)]}).mean()
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1000.0)
        optimizer.step()
        decay = min(0.998, (1 + step) / (10 + step))
        for mean, now in zip(averages.state_dict().values(), model.state_dict().values(), strict=True):
            if mean.is_floating_point():
                mean.lerp_(now, 1 - decay)
        spent += time.process_time() - begin
        step += 1
        losses.append(loss.item() / video[0, : model.block.current].numel())
        if step % 50 == 0:
            print(f"{kind}: step {step}, {spent / 60:.1f} min, loss {sum(losses[-50:]) / 50:.4f}", flush=True)
    averages.save_pretrained(out)


def clips(strokes: MovingStrokes, numbers: list[int], model, start: int = 0) -> Tensor:
    """Clips of a block, uint8 (B, P + N + F, C, H, W)."""
    frames = [start % 8 + each for each in range(model.block.num_frames)]
    return torch.stack([strokes.read(number, frames, model.size) for number in numbers])


def prediction(model, num_clips: int, num_samples: int) -> dict[str, float]:
    """One block after its past."""
    video = clips(MovingStrokes(num_videos=num_clips, seed=HELD_OUT), [*range(num_clips)], model)
    past, truth, _ = model.block.split(video)
    begin = time.process_time()
    made = model.predict(past, model.block.current, num_samples=num_samples, sampler=SASolver(STEPS), progress=False)
    seconds = time.process_time() - begin
    x, y = made.float(), truth.float()[:, None]
    apart = (x[:, :, None] - x[:, None]).abs().sum((1, 2)) / (num_samples * (num_samples - 1))
    crps = (x - y).abs().mean(1) - apart / 2
    return {
        "psnr": psnr_per_frame(made, truth[:, None].expand_as(made)).mean().item(),
        "psnr copy": psnr_per_frame(past[:, -1:].expand_as(truth), truth).mean().item(),
        "crps": crps.mean().item(),
        "diversity": x.std(1).mean().item(),
        "seconds a frame": seconds / made[..., 0, 0, 0].numel(),
        "val loss": val_loss(model, video),
    }


@torch.no_grad()
def val_loss(model, video: Tensor) -> float:
    """Of prediction, the mean over 20 times with the same noise for every model."""
    past, current, future = model.block.split(model_from_pixels(video))
    condition = Condition.visible(past, future).null(past=False)
    found = []
    for number in range(20):
        t = torch.full((len(video),), (number + 0.5) / 20)
        noise = KeyedNoise([(number, clip) for clip in range(len(video))])(current)
        found.append(model.denoiser.loss(current, condition, t, noise).mean() / current[0].numel())
    return torch.stack(found).mean().item()


@torch.inference_mode()
def patterns(model, num_clips: int) -> list[dict]:
    """For each pattern of 3 given frames of 9: PSNR of the hidden current frames, of the model and of cross-fading."""
    video = clips(MovingStrokes(num_videos=num_clips, seed=HELD_OUT), [*range(num_clips)], model)
    frames, block, found = model_from_pixels(video), model.block, []
    past, current, future = block.split(frames)
    inside = slice(block.past, block.past + block.current)
    for given in combinations(range(block.num_frames), 3):
        keep = torch.tensor([each in given for each in range(block.num_frames)]).expand(num_clips, -1)
        keep_past, keep_current, keep_future = keep.split([block.past, block.current, block.future], dim=1)
        bound = model.denoiser.bind(Condition(past, future, keep_past, keep_future))
        draw = KeyedNoise([(0, clip) for clip in range(num_clips)])
        known = bound.from_frames(current)

        def denoise(noisy, t, bound=bound, known=known, keep=keep_current):
            estimate = conditioned(bound, known, keep)(noisy, t)
            return torch.where(keep[..., None, None, None], known, estimate)

        sampler = SASolver(STEPS, clip=model.denoiser.reference is None)
        sample = bound.to_frames(sampler(denoise, draw(current), model.denoiser.schedule, draw))
        hidden = ~keep[0, inside]
        truth = video[:, inside][:, hidden]
        faded = pixels_from_model(cross_fade(frames, given)[:, inside][:, hidden])
        made = psnr_per_frame(pixels_from_model(sample)[:, hidden], truth).mean().item()
        found.append({"given": given, "model": made, "cross-fade": psnr_per_frame(faded, truth).mean().item()})
    better = sum(each["model"] > each["cross-fade"] for each in found)
    print(f"better than cross-fading in {better} of {len(found)} patterns")
    for name in ("model", "cross-fade"):
        print(name, sum(each[name] for each in found) / len(found))
    return found


def cross_fade(frames: Tensor, given: tuple[int, ...]) -> Tensor:
    """Every frame between its nearest given ones, or a copy of the nearest."""
    made = []
    for place in range(frames.shape[1]):
        before = max((each for each in given if each <= place), default=min(given))
        after = min((each for each in given if each >= place), default=max(given))
        share = 0.0 if after == before else (place - before) / (after - before)
        near = after if place > max(given) or place < min(given) else before
        made.append(frames[:, near] if after == before else frames[:, before].lerp(frames[:, after], share))
    return torch.stack(made, 1)


if __name__ == "__main__":
    main()
