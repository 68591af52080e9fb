"""Follow quality and brightness along a rollout of hundreds of frames.

    python tools/studies/drift.py --out drift.json --data datasets/moving_strokes/data.yaml \\
        --rollout "clean context=runs/strokes/run-1,UniPC,10,0" \\
        --rollout "context noise 0.1=runs/strokes/run-1,UniPC,10,0.1"
    python tools/studies/drift.py --table drift.json [--plot drift.svg]

A rollout is NAME=MODEL,SAMPLER,STEPS,CONTEXT_NOISE, where "default" is a sampler too, "own" that of the model (whatever
STEPS says), and further options may follow, such as ``,rolling=true``, ``,keep_first=true`` or
``,guidance=1.5,guidance_noise=0.2``; those that are in drift.json already are not made again. The data are drawn, and
their videos as long as the rollout; or ``--films PACK`` in place of them, which begins after a quarter of each film and
shows the means over whole films as the truth. For windows of frames the tool prints, beside the same figures of the
truth, the mean brightness, the contrast (standard deviation within frames), the sharpness (mean difference between
neighbouring pixels) and the motion (mean difference from the frame before), all in grey levels, and for drawn data the
PSNR against the truth, which tells most in the first frames. The plot shows means over ten frames, so that what
flickers from block to block does not hide them.
"""

import argparse
import json
import sys
from pathlib import Path
from statistics import fmean

import torch
from jsonargparse import ArgumentParser
from torch import Tensor

import mcvd
from mcvd.data import MemmapVideos
from mcvd.data.videos import AbstractVideos
from mcvd.metrics.frames import psnr_per_frame
from mcvd.runtime.yaml_file import read_yaml
from mcvd.samplers import AbstractSampler
from mcvd.samplers.select import default_sampler, sampler_by_name
from mcvd.video.contact_sheet import contact_sheet
from mcvd.video.transforms import fit_frames


def curves(video: Tensor, before: Tensor) -> dict[str, list[float]]:
    """For each frame of uint8 (B, T, C, H, W), the mean over videos of what can be seen without a truth.

    ``before``, uint8 (B, 1, C, H, W), is the frame before the first.
    """
    x = video.float()
    moved = torch.cat([before.float(), x], 1).diff(dim=1).abs().mean((2, 3, 4))
    across, down = x.diff(dim=-1).abs().mean((2, 3, 4)), x.diff(dim=-2).abs().mean((2, 3, 4))
    figures = {"brightness": x.mean((2, 3, 4)), "contrast": x.std((2, 3, 4)), "sharpness": (across + down) / 2}
    figures["motion"] = moved
    return {name: figure.mean(0).tolist() for name, figure in figures.items()}


def held_out(config: str, num_frames: int) -> AbstractVideos:
    """The validation videos of a data.yaml, as long as wanted."""
    content = read_yaml(config)["data"]["val"]
    content.setdefault("init_args", {})["num_frames"] = num_frames
    parser = ArgumentParser()
    parser.add_argument("--val", type=AbstractVideos)
    return parser.instantiate(parser.parse_object({"val": content})).val


def filmed(pack: Path, size: tuple[int, int], num_past: int) -> tuple[Tensor, list[Tensor]]:
    """What rollouts begin with, uint8 (B, P, C, H, W), and the whole films, (T, C, H, W) each, cut to the size."""
    videos = MemmapVideos(pack)
    lengths = [len(videos.times_seconds(number)) for number in range(len(videos))]
    whole = [videos.read(number, range(length), size) for number, length in enumerate(lengths)]
    films = [fit_frames(film, size, videos.channels) for film in whole]
    return torch.stack([film[len(film) // 4 :][:num_past] for film in films]), films


def means(films: list[Tensor], num_frames: int) -> dict[str, list[float]]:
    """`curves` of whole films, as constants: means over films."""
    each = [curves(film[None, 1:], film[None, :1]) for film in films]
    return {name: [sum(fmean(found[name]) for found in each) / len(each)] * num_frames for name in each[0]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--table", type=Path, metavar="JSON", help="only print the table of results")
    parser.add_argument("--plot", type=Path, metavar="SVG", help="with --table: also draw it (needs matplotlib)")
    parser.add_argument("--rollout", action="append", metavar="NAME=MODEL,SAMPLER,STEPS,NOISE[,OPTION=VALUE]")
    parser.add_argument("--data", help="data.yaml with a drawn collection")
    parser.add_argument("--films", type=Path, metavar="PACK", help="a pack of films in place of it")
    parser.add_argument("--num-frames", type=int, default=300)
    parser.add_argument("--num-clips", type=int, default=16)
    parser.add_argument("--window", type=int, default=25, help="frames that a row of the table is the mean of")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--precision", default="float32", choices=["float32", "bf16", "fp16"])
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--out", type=Path, metavar="JSON")
    parser.add_argument("--sheet", type=Path, metavar="FOLDER", help="also a picture of the first clip of each rollout")
    options = parser.parse_args()
    if options.table:
        results = json.loads(options.table.read_text())
        print(table(results, options.window))
        if options.plot:
            plot(results, options.plot)
    elif options.rollout and (options.data or options.films) and options.out:
        run(options)
    else:
        parser.error("give --rollout, --data or --films, and --out to measure, or --table to see what was measured")


def run(options: argparse.Namespace) -> None:
    """Make what is not yet in the results."""
    results = json.loads(options.out.read_text()) if options.out.exists() else {}
    for rollout in options.rollout:
        name, _, choices = rollout.partition("=")
        if name in results:
            continue
        path, sampler, steps, noise, *more = choices.split(",")
        chosen = {name: json.loads(value) for name, _, value in (each.partition("=") for each in more)}
        how = {"steps": int(steps)} if "rolling" in chosen else {"sampler": chosen_sampler(sampler, int(steps))}
        model = mcvd.load(path).to(options.device)
        if options.films:
            past, films = filmed(options.films, model.size, model.block.past)
            truth, of_truth = None, means(films, options.num_frames)
        else:
            videos = held_out(options.data, model.block.past + options.num_frames)
            frames = range(model.block.past + options.num_frames)
            clips = torch.stack([videos.read(i, frames, model.size) for i in range(options.num_clips)])
            past, truth = clips[:, : model.block.past], clips[:, model.block.past :]
            of_truth = curves(truth, past[:, -1:])
        made = model.predict(
            past,
            options.num_frames,
            **how,
            **chosen,
            context_noise=float(noise),
            seed=options.seed,
            precision=options.precision,
            progress=True,
        )
        if options.sheet:
            options.sheet.mkdir(parents=True, exist_ok=True)
            rows = {f"{name} {number}": each for number, each in enumerate(made[: 1 if truth is not None else None])}
            rows |= {} if truth is None else {"truth": truth[0]}
            places = torch.linspace(0, options.num_frames - 1, 20).long()
            sheet = contact_sheet({title: row[places] for title, row in rows.items()}, min_height=48)
            sheet.save(options.sheet / f"{name.replace(' ', '-')}.png")
        results |= {"truth": of_truth, name: curves(made, past[:, -1:])}
        if truth is not None:
            results[name]["psnr"] = psnr_per_frame(made, truth).mean(0).tolist()
        options.out.write_text(json.dumps(rounded(results)) + "\n")
        print(table(results, options.window), flush=True)


def chosen_sampler(name: str, num_steps: int) -> AbstractSampler | None:
    """That of a name, the default one, or None for the model's own."""
    if name == "own":
        return None
    return default_sampler(num_steps=num_steps) if name == "default" else sampler_by_name(name, num_steps)


def rounded(results: dict[str, dict[str, list[float]]]) -> dict[str, dict[str, list[float]]]:
    """A hundredth of a grey level is enough."""
    return {
        name: {figure: [round(value, 2) for value in curve] for figure, curve in found.items()}
        for name, found in results.items()
    }


def table(results: dict[str, dict[str, list[float]]], window: int) -> str:
    """Means over the first, the middle and the last window of frames."""
    length = len(results["truth"]["brightness"])
    starts = [0, length // 2 - window // 2, length - window]
    titles = [f"{start + 1} to {start + window}" for start in starts]
    lines = ["| figure | rollout | frames " + " | ".join(titles) + " |", "|---" * 5 + "|"]
    for figure in ("brightness", "contrast", "sharpness", "motion", "psnr"):
        for name, found in results.items():
            if figure in found:
                cells = [f"{sum(found[figure][start : start + window]) / window:.2f}" for start in starts]
                lines.append(f"| {figure} | {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def plot(results: dict[str, dict[str, list[float]]], out: Path, mean_of: int = 10) -> None:
    """Each figure against the frame."""
    import matplotlib

    sys.path.insert(0, str(Path(__file__).parents[1] / "figures"))
    from save_figure import save

    matplotlib.use("Agg")
    from matplotlib import pyplot

    drawing, axes = pyplot.subplots(2, 2, figsize=(9, 5.4), layout="constrained", sharex=True)
    titles = {
        "brightness": "brightness, grey levels",
        "contrast": "contrast, grey levels",
        "sharpness": "sharpness, grey levels",
        "psnr": "PSNR, dB",
    }
    for axis, (figure, title) in zip(axes.flat, titles.items(), strict=True):
        for number, (name, found) in enumerate(results.items()):
            if figure in found:
                curve = torch.tensor(found[figure]).unfold(0, mean_of, mean_of // 2).mean(1).tolist()
                frames = [mean_of / 2 + mean_of // 2 * i for i in range(len(curve))]
                color = "black" if name == "truth" else f"C{number - 1}"
                axis.plot(frames, curve, lw=1.4, color=color, label=name)
        axis.set_title(title, fontsize=10)
        axis.grid(alpha=0.25)
    for axis in axes[1]:
        axis.set_xlabel("frame")
    drawing.legend(*axes[0][0].get_legend_handles_labels(), loc="outside lower center", ncols=3, fontsize=9)
    save(drawing, out)


if __name__ == "__main__":
    main()
