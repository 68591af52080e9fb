"""Compare the space-time network with the 2-D one: equal parameters, equal minutes of one processor, the same recipe.

    python tools/studies/space_time.py --train space-time --minutes 6 --out runs/space-time
    python tools/studies/space_time.py --train 2d --minutes 6 --out runs/2d
    python tools/studies/space_time.py --train space-time --minutes 6 --stills 0.5 --out runs/stills
    python tools/studies/space_time.py --train space-time --same-tasks --data streets --size 32 --out runs/streets
    python tools/studies/space_time.py --measure runs/space-time --json space-time.json

Data are moving strokes, streets (`mcvd.data.DrivingScenes`), or a folder of films as `MemmapVideos` takes them, with
the held-out ones in another (``--held-out``). All train on the model of configs/space-time.yaml at another size and
width; for 2d the network, the masks and the noise levels are those that a 2-D network takes, and with ``--same-tasks``
for the space-time network as well. Otherwise that one also sees any frames given and frames from long before
(``--far``), and ``--stills`` is the share of clips that are pictures of other strokes in place of films. With several
``--rates`` clips have each as often as the others, and the network is told which. Minutes are those of the processor in
training steps; drawing the clips is not counted. What is measured, on held-out films:
prediction of one block (PSNR of one sample and of the mean of samples, CRPS, diversity as mean standard deviation over
samples in grey levels, seconds a frame); and for a model that takes any frames, every pattern of 3 given frames of the
9 of a block, scored at the current frames that are not given, beside cross-fading (a copy where frames are given on one
side only), the nearest given frame, and what the model expects, which is its estimate from noise alone, in one call;
their CRPS is their mean absolute error.
"""

import argparse
import copy
import json
import time
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import torch
from torch import Tensor

import mcvd
from mcvd.data import DrivingScenes, MemmapVideos, MovingStrokes
from mcvd.data.videos import AbstractVideos
from mcvd.diffusion.guidance import conditioned
from mcvd.frames import Condition, model_from_pixels, pixels_from_model
from mcvd.metrics.ensemble import crps
from mcvd.metrics.frames import psnr_per_frame
from mcvd.models.mcvd import MCVD
from mcvd.runtime.rng import KeyedNoise, keyed_generator
from mcvd.runtime.yaml_file import read_yaml
from mcvd.samplers import SASolver

CONFIG = Path(__file__).parents[2] / "configs/space-time.yaml"
WARM_UP, STEPS = 100, 10
NUM_FILMS, FILM_FRAMES, STREET_SECONDS, NUM_STILLS, FAR_SECONDS = 400, 310, 3, 4000, 30
HELD_OUT, STILLS = 1, 2  # the seeds of the strokes that nothing was trained on, and of those that are pictures alone


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--train", choices=["space-time", "2d"])
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--data", default="strokes", help="strokes, streets, or a folder of films")
    parser.add_argument("--held-out", metavar="FOLDER", help="of films, to measure on")
    parser.add_argument(
        "--rates", type=float, nargs="+", default=[10.0], help="in Hz, of the streets; told, if several"
    )
    parser.add_argument("--same-tasks", action="store_true", help="no task that the 2-D network does not take")
    parser.add_argument("--batch", type=int, default=32, help="clips in a training step")
    parser.add_argument("--width", type=int, default=12, help="of either network, and of its attention heads")
    parser.add_argument("--multipliers", type=int, nargs="+", default=[1, 2], help="of either network")
    parser.add_argument("--reference", choices=["context", "given"], default="given", help="where any frames are given")
    parser.add_argument("--patch", type=int, default=1, help="of the space-time network")
    parser.add_argument("--size", type=int, default=8, help="height and width of the frames")
    parser.add_argument("--num-shapes", type=int, default=1, help="letters in a film")
    parser.add_argument("--learning-rate", type=float, default=2e-3)
    parser.add_argument("--far", type=float, default=0.2, help="share of clips whose first frame is from long before")
    parser.add_argument("--stills", type=float, default=0.0, help="share of clips that are pictures")
    parser.add_argument("--out", type=Path, metavar="FOLDER")
    parser.add_argument("--measure", metavar="MODEL")
    parser.add_argument("--num-clips", type=int, default=32)
    parser.add_argument("--num-samples", type=int, default=4)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    if options.train and options.out:
        train(options)
    elif options.measure and options.json:
        model = mcvd.load(options.measure)
        found = {"model": options.measure}
        for rate in options.rates:
            video = held_out(options, model, rate)
            found[f"{rate:g} Hz"] = prediction(model, video, options.num_samples, rate)
        if model.masking.p_any:
            found["patterns"] = patterns(model, video, options.num_samples)
        options.json.write_text(json.dumps(found) + "\n")
        print({name: value for name, value in found.items() if name != "patterns"}, flush=True)
    else:
        parser.error("give --train and --out, or --measure and --json")


def config_of(kind: str, options: argparse.Namespace) -> dict:
    """The model's section of the config, for either network."""
    config = {name: value for name, value in read_yaml(CONFIG)["model"].items() if name != "optimizer"}
    channels = 1 if options.data == "strokes" else 3
    config |= {"size": [options.size, options.size], "frame_rate_hz": options.rates[0], "channels": channels}
    choices = {"width": options.width, "head_channels": options.width, "multipliers": options.multipliers}
    config["net"]["init_args"] |= choices | {"attention_levels": []}
    config["net"]["init_args"]["conditioning"]["init_args"]["tell_motion"] = True
    if kind == "space-time" and not options.same_tasks:
        config["masking"]["p_any"] = 0.4
        config |= {"frame_noise": {"p_own": 0.1, "p_rising": 0.2}, "times": {"max_far_seconds": FAR_SECONDS}}
        config["reference"] = options.reference
    else:
        config["masking"]["p_any"] = 0.0
        config["reference"] = "context"
        del config["frame_noise"]
    if len(options.rates) > 1:
        config["times"] = config.get("times", {}) | {"frame_rates_hz": options.rates}
    if kind == "space-time":
        config["net"]["init_args"]["patch"] = options.patch
    else:
        config["net"]["class_path"] = "mcvd.nets.UNet"
    return config


def train(options: argparse.Namespace) -> None:
    """Train for so many minutes, with averaged weights and a learning rate that falls over the last fifth."""
    kind, minutes = options.train, options.minutes
    torch.manual_seed(0)
    model = mcvd.build(config_of(kind, options)).train()
    assert isinstance(model, MCVD)
    averages = copy.deepcopy(model)
    optimizer = torch.optim.AdamW(model.parameters(), lr=options.learning_rate, betas=(0.9, 0.99), weight_decay=0.0)
    films = pool(source(options, NUM_FILMS, options.data, seed=0), model.size)
    drawn = MovingStrokes(NUM_STILLS if options.stills else 1, 1, options.num_shapes, seed=STILLS)
    stills = torch.cat(pool(drawn, model.size))
    far = options.far * bool(model.times and model.times.max_far_seconds)
    spent, step, losses = 0.0, 0, []
    print(kind, sum(each.numel() for each in model.parameters()), "parameters", flush=True)
    while spent < minutes * 60:
        batch = batch_of(films, stills, model, step, options, far)
        begin = time.process_time()
        share = spent / (minutes * 60)
        for group in optimizer.param_groups:
            group["lr"] = options.learning_rate * min(1, (step + 1) / WARM_UP, (1 - share) / 0.2 + 0.01)
        if model.denoiser.reference is not None and step < 200:
            films_alone = batch["video"][~batch["unrelated"]]
            model.denoiser.reference.measure(*model.block.split(model_from_pixels(films_alone)))
        loss = model.loss(batch).mean()
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1000.0)
        optimizer.step()
        decay = min(0.998, (1 + step) / (10 + step))
        for mean, now in zip(averages.state_dict().values(), model.state_dict().values(), strict=True):
            if mean.is_floating_point():
                mean.lerp_(now, 1 - decay)
            else:
                mean.copy_(now)
        spent += time.process_time() - begin
        step += 1
        losses.append(loss.item() / batch["video"][0, : model.block.current].numel())
        if step % 50 == 0:
            print(f"{kind}: step {step}, {spent / 60:.1f} min, loss {sum(losses[-50:]) / 50:.4f}", flush=True)
    averages.save_pretrained(options.out)


def source(options: argparse.Namespace, num_videos: int, data: str, seed: int) -> AbstractVideos:
    """The films of a name, or of a folder."""
    if data == "strokes":
        return MovingStrokes(num_videos, FILM_FRAMES, options.num_shapes, seed=seed)
    if data == "streets":
        return DrivingScenes(num_videos, round(STREET_SECONDS * max(options.rates)), max(options.rates), seed=seed)
    return MemmapVideos(data)


def pool(films: AbstractVideos, size: tuple[int, int]) -> list[Tensor]:
    """All frames of each film, uint8 (T, C, H, W), their middle where they are wider."""
    found = [films.read(each, range(len(films.times_seconds(each))), size) for each in range(len(films))]
    left = [(each.shape[3] - size[1]) // 2 for each in found]
    return [each[..., x : x + size[1]] for each, x in zip(found, left, strict=True)]


def held_out(options: argparse.Namespace, model, rate: float) -> Tensor:
    """So many blocks that nothing was trained on, uint8 (V, P + N + F, C, H, W), from films spread over all of them."""
    films = pool(source(options, options.num_clips, options.held_out or options.data, seed=HELD_OUT), model.size)
    stride = round(max(options.rates) / rate)
    length = stride * (model.block.num_frames - 1) + 1
    each = -(-options.num_clips // len(films))
    starts = [(film, (len(film) - length) * i // each) for film in films for i in range(each)]
    return torch.stack([film[start : start + length : stride] for film, start in starts[: options.num_clips]])


def batch_of(
    films: list[Tensor], stills: Tensor, model: MCVD, step: int, options: argparse.Namespace, p_far: float
) -> dict:
    """Clips with their times, some with a first frame from long before, some of pictures that belong to none."""
    random, length, size = keyed_generator(0, step), model.block.num_frames, options.batch
    videos, times, unrelated = [], [], []
    for _ in range(size):
        film = films[random.integers(len(films))]
        rate = options.rates[random.integers(len(options.rates))] if len(options.rates) > 1 else options.rates[0]
        stride = round(max(options.rates) / rate)
        start = int(random.integers(1, len(film) - stride * (length - 1) - 1))
        is_far, is_still = random.random(2) < (p_far, options.stills)
        frames, seconds = start + stride * torch.arange(length), torch.arange(length) / rate
        if is_far:  # each order of magnitude as often as the next
            steps = int((min(start // stride, FAR_SECONDS * rate) + 1) ** random.random())
            frames[0] -= steps * stride
            seconds[0] -= steps / rate
        videos.append(stills[random.permutation(len(stills))[:length]] if is_still else film[frames])
        times.append(seconds)
        unrelated.append(bool(is_still))
    batch = {"video": torch.stack(videos), "unrelated": torch.tensor(unrelated)}
    batch["index"] = list(range(step * size, (step + 1) * size))
    return batch | ({"times": torch.stack(times)} if model.times is not None else {})


@torch.inference_mode()
def prediction(model, video: Tensor, num_samples: int, rate: float) -> dict[str, float]:
    """One block after its past."""
    past, truth, _ = model.block.split(video)
    begin = time.process_time()
    told = {"frame_rate_hz": rate} if model.times and model.times.frame_rates_hz else {}
    options = {"num_samples": num_samples, "sampler": SASolver(STEPS), "progress": False}
    made = model.predict(past, model.block.current, **options, **told)
    seconds = time.process_time() - begin
    return scores(made, truth) | {
        "psnr copy": psnr_per_frame(past[:, -1:].expand_as(truth), truth).mean().item(),
        "error copy": (past[:, -1:].float() - truth.float()).abs().mean().item(),
        "seconds a frame": seconds / made[..., 0, 0, 0].numel(),
        "val loss": val_loss(model, video, rate),
    }


def scores(made: Tensor, truth: Tensor) -> dict[str, float]:
    """Of uint8 samples (B, K, T, C, H, W) of the truth (B, T, C, H, W); CRPS and diversity in grey levels."""
    return {
        "psnr": psnr_per_frame(made, truth[:, None].expand_as(made)).mean().item(),
        "psnr of mean": psnr_per_frame(made.float().mean(1).round().byte(), truth).mean().item(),
        "mse of mean": (made.float().mean(1).round() - truth.float()).square().mean().item(),
        "crps": crps(made, truth).mean().item(),
        "diversity": made.float().std(1).mean().item(),
    }


@torch.no_grad()
def val_loss(model, video: Tensor, rate: float) -> float:
    """Of prediction, the mean over 20 times with the same noise for every model."""
    past, current, future = model.block.split(model_from_pixels(video))
    condition = Condition.visible(past, future).null(past=False)
    if model.times and model.times.frame_rates_hz:
        places = torch.arange(-model.block.past, model.block.current + model.block.future)
        condition = replace(condition, times=(places * model.frame_rate_hz / rate).expand(len(video), -1))
    found = []
    for number in range(20):
        t = torch.full((len(video),), (number + 0.5) / 20)
        noise = KeyedNoise([(number, clip) for clip in range(len(video))])(current)
        found.append(model.denoiser.loss(current, condition, t, noise).mean() / current[0].numel())
    return torch.stack(found).mean().item()


@torch.inference_mode()
def patterns(model, video: Tensor, num_samples: int) -> list[dict]:
    """For each pattern of 3 given frames of 9: scores of the hidden current frames, beside those of the baselines."""
    frames, block, found = model_from_pixels(video), model.block, []
    past, current, future = block.split(frames)
    inside = slice(block.past, block.past + block.current)
    again = current.repeat_interleave(num_samples, 0)
    for given in combinations(range(block.num_frames), 3):
        keep = torch.tensor([each in given for each in range(block.num_frames)]).expand(len(video), -1)
        keep_past, keep_current, keep_future = keep.split([block.past, block.current, block.future], dim=1)
        condition = Condition(past, future, keep_past, keep_future).showing(current, keep_current)
        bound = model.denoiser.bind(condition)
        draw = KeyedNoise([(sample, clip) for clip in range(len(video)) for sample in range(num_samples)])
        known, kept = bound.from_frames(again), keep_current.repeat_interleave(num_samples, 0)

        def denoise(noisy, t, bound=bound, known=known, kept=kept):
            estimate = conditioned(bound, known, kept)(noisy, t)
            return torch.where(kept[..., None, None, None], known, estimate)

        first = draw(again)
        expected = bound.to_frames(denoise(first, first.new_ones(len(first))))[::num_samples]  # of all frames there are
        sampler = SASolver(STEPS, clip=model.denoiser.reference is None)
        sample = bound.to_frames(sampler(denoise, draw(again), model.denoiser.schedule, draw))
        hidden = ~keep[0, inside]
        truth = video[:, inside][:, hidden]
        made = pixels_from_model(sample)[:, hidden].unflatten(0, (len(video), num_samples))
        entry = {"given": given, "model": scores(made, truth)}
        fills = {"one call": expected, "cross-fade": cross_fade(frames, given)[:, inside]}
        for name, fill in (fills | {"nearest": nearest(frames, given)[:, inside]}).items():
            filled = pixels_from_model(fill[:, hidden])
            entry[name] = scores(filled[:, None].expand(-1, 2, -1, -1, -1, -1), truth)
        found.append(entry)
    print(table(found), flush=True)
    return found


def table(found: list[dict]) -> str:
    """Means over patterns, and in how many of them the model is better than each baseline."""
    lines = []
    for name in ("model", "one call", "cross-fade", "nearest"):
        means = {score: sum(each[name][score] for each in found) / len(found) for score in found[0][name]}
        lines.append(f"{name}: " + ", ".join(f"{score} {mean:.2f}" for score, mean in means.items()))
    for name in ("cross-fade", "nearest"):
        for score, sign in (("psnr", 1), ("psnr of mean", 1), ("mse of mean", -1), ("crps", -1)):
            better = {
                made: sum(sign * (each[made][score] - each[name][score]) > 0 for each in found)
                for made in ("model", "one call")
            }
            lines.append(f"better than {name} by {score}, of {len(found)} patterns: {better}")
    return "\n".join(lines)


def nearest(frames: Tensor, given: tuple[int, ...]) -> Tensor:
    """Every frame a copy of its nearest given one, of the earlier of two as near."""
    return frames[:, [min(given, key=lambda each: abs(each - place)) for place in range(frames.shape[1])]]


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
