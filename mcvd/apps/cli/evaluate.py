"""``mcvd evaluate``: clips, videos sampled for them, their scores, and the card that holds them."""

from __future__ import annotations

import shlex
import sys
from argparse import ArgumentParser
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mcvd.apps.cli import options
from mcvd.apps.cli.checks import check_inputs, check_new_file
from mcvd.apps.cli.fields import add_show
from mcvd.apps.cli.options import Command, positive
from mcvd.apps.cli.say import note, say, say_json

if TYPE_CHECKING:
    from mcvd.diffusion.tasks import Task
    from mcvd.evaluation.baselines import Baseline
    from mcvd.evaluation.distances import SampleDistance
    from mcvd.evaluation.highlights import Highlight
    from mcvd.evaluation.protocols import Protocol
    from mcvd.evaluation.result_card import ResultCard
    from mcvd.metrics import FrameMetric
    from mcvd.models.look import Look
    from mcvd.models.video_model import VideoModel

EXAMPLES = """examples:
  mcvd evaluate --model drive --config datasets/driving_scenes/data.yaml --num-frames 10 --out result.json
  mcvd evaluate --model kth --val-root persons_21_to_25 --protocol mcvd-2022/kth-10-30 --out result.json
  mcvd evaluate --model nowcast --config radar.yaml --threshold 1 --threshold 10 --advection --out result.json
  mcvd evaluate --compare a.json b.json"""


def _add_arguments(command: ArgumentParser) -> None:
    options.add_model(command)
    command.add_argument("--out", metavar="result.json", help="where scores go")
    command.add_argument("--config", help="data.yaml of the data set")
    text = "the folder trained on, instead of --config or of the one in it: what was held out of it is scored"
    command.add_argument("--root", "--data.root", dest="root", metavar="FOLDER", help=text)
    text = "a folder of which nothing was trained on: all its videos are scored"
    command.add_argument("--val-root", "--data.val_root", dest="val_root", metavar="FOLDER", help=text)
    text = "such as mcvd-2022/kth-10-30: fixes clips, lengths, K and more"
    command.add_argument("--protocol", metavar="P", help=text)
    command.add_argument("--weights", metavar="FILE", help="I3D weights for FVD (default: the cache, with --protocol)")
    command.add_argument("--lpips-weights", metavar="FILE", help="AlexNet weights for LPIPS (default: as --weights)")
    text = "also this metric, such as my_metrics.FLICKER: a FrameMetric of a module on the Python path; may be repeated"
    command.add_argument("--metric", action="append", metavar="MODULE.NAME", help=text)
    text = "score forecasts that values reach X, in their unit; may be repeated (default: three in the range)"
    command.add_argument("--threshold", action="append", type=options.number, metavar="X", help=text)
    text = "also score advection: the motion of the given frames, carried on (optical flow, needs OpenCV)"
    command.add_argument("--advection", action="store_true", help=text)
    text = "add the distance of a random network: not FVD"
    command.add_argument("--random-i3d", type=options.whole, metavar="SEED", help=text)
    text = "also how probable the model finds the true frames of a block, in bits per dimension"
    command.add_argument("--likelihood", action="store_true", help=text)
    text = "only compare two cards: by how much B is better, or which setting forbids to say so"
    command.add_argument("--compare", nargs=2, metavar=("A.json", "B.json"), help=text)
    command.add_argument("--task", metavar="TASK", help="predict (default), backward, interpolate or generate")
    command.add_argument("--num-frames", type=positive, help="new frames (default: one block)")
    command.add_argument("--num-clips", type=positive, help="how many clips, evenly spread (default: 64)")
    text = "read by time at this rate (default: the model's)"
    command.add_argument("--rate", type=options.rate, metavar="HZ", help=text)
    add_show(command)
    options.add_json(command)
    options.add_processes(command, "batches")
    options.add_sampling(command)


def run(
    compare: list[str] | None = None,
    out: str | None = None,
    model: str | None = None,
    trust: list[str] | None = None,
    device: str | None = None,
    size: tuple[int, int] | None = None,
    config: str | None = None,
    root: str | None = None,
    val_root: str | None = None,
    task: str | None = None,
    num_frames: int | None = None,
    num_clips: int | None = None,
    num_samples: int | None = None,
    protocol: str | None = None,
    weights: str | None = None,
    lpips_weights: str | None = None,
    metric: list[str] | None = None,
    threshold: list[float] | None = None,
    random_i3d: int | None = None,
    likelihood: bool = False,
    advection: bool = False,
    show: tuple[int, ...] = (),
    rate: float | None = None,
    json: bool = False,
    sampler: str | None = None,
    steps: int | None = None,
    **sampling: Any,
) -> None:
    """Score the share of this process, and in the first one write the card of all; or compare two cards."""
    from mcvd.evaluation.result_card import ResultCard, package_versions

    if compare:
        beside = {
            "--out": out,
            "--model": model,
            "--size": size,
            "--config": config,
            "--root": root,
            "--val-root": val_root,
        }
        return _compare(compare, json, [option for option, value in beside.items() if value is not None])
    out = _checked(out, config=config, root=root, val_root=val_root, weights=weights, lpips_weights=lpips_weights)

    from mcvd.apps.cli.setup import ModelChoice, choose_metric
    from mcvd.data.recipe import data_from_recipe
    from mcvd.diffusion.tasks import INTERPOLATE, task_by_name
    from mcvd.evaluation.clips import ClipBatches
    from mcvd.evaluation.evaluate import evaluate as score
    from mcvd.evaluation.highlights import Highlights
    from mcvd.evaluation.likelihood import TrueLikelihood
    from mcvd.evaluation.protocols import find_protocol
    from mcvd.metrics.frame_metrics import PSNR
    from mcvd.metrics.values import MAE
    from mcvd.models.look import Look
    from mcvd.runtime.digests import digest
    from mcvd.runtime.distributed import rank

    own_metrics = [choose_metric(path) for path in metric or ()]
    fixed = find_protocol(protocol) if protocol else None
    if fixed:
        _check_options(fixed, any((task, num_frames, num_clips, num_samples)), config, root)
    asked = task_by_name(fixed.task if fixed else task or "predict")
    sampling |= {"num_samples": num_samples or 10}
    choice = ModelChoice.of(model, trust, device, size, sampler, steps, **sampling)
    net, chosen = choice.load(asked)
    if fixed:
        _check_protocol(fixed, net)
        num_frames, num_clips, sampling["num_samples"] = fixed.num_frames, fixed.num_clips, fixed.num_samples
    named_clips, num_clips, num_frames = num_clips, num_clips or 64, num_frames or net.block.current
    if rate is not None and net.times is not None and net.times.frame_rates_hz:
        sampling["frame_rate_hz"] = rate
    rate = rate or net.frame_rate_hz
    # Without a protocol all tasks that give frames are scored on the same clips.
    context = (asked if fixed or not asked.has_context else INTERPOLATE).context_length(net.block)
    length = num_frames + sum(context)
    of_model = {
        "size": net.size,
        "channels": net.channels,
        "frame_rate_hz": rate,
        "num_frames": length,
        "signals": net.told_names,
    }
    data = data_from_recipe(config, root, val_root, trust or (), **of_model, max_val_clips=num_clips)
    data.setup()
    clips = ClipBatches(fixed.clips(data) if fixed else data.val_clips, data.batch_size, data.num_workers)
    look = Look.of(net, show)
    metrics, missing, distances = _metrics(net, fixed, lpips_weights, weights, random_i3d, length, asked, likelihood)
    highlights = Highlights(look, PSNR if look.legend is None else MAE)
    likelihoods = [TrueLikelihood(net, asked, sampling.get("seed") or 0)] if likelihood else []
    scores = score(
        net,
        clips,
        asked.name,
        num_frames=num_frames,
        metrics=[*metrics, *own_metrics],
        accumulators=[*distances, *likelihoods, highlights],
        thresholds=threshold,
        baselines=_advection(net) if advection else {},
        progress=rank() == 0,
        sampler=chosen.sampler,
        **sampling,
    )
    measured, probable, shown = (
        tuple(distance.compute() for distance in distances),
        [each.compute() for each in likelihoods],
        highlights.compute(),
    )
    if rank() != 0:
        return
    card = ResultCard(
        model="the bundled model" if model is None else model,
        data=val_root or root or config or "",
        frame_rate_hz=rate,
        device=str(net.device),
        protocol=fixed.describe() if fixed else None,
        scores=scores,
        distances=measured,
        missing=missing,
        model_digest=digest(net.state_dict()),
        data_digest=clips.digest(),
        versions=package_versions(),
        command=shlex.join(["mcvd", *sys.argv[1:]]),
        likelihood=probable[0] if probable else None,
    )
    _write(out, card, shown, look)
    _print(card, json, events=threshold is not None)
    _tell_files(out, named_clips, clips.num_clips)


def _metrics(
    model: VideoModel,
    protocol: Protocol | None,
    lpips_weights: str | None,
    weights: str | None,
    random_i3d: int | None,
    length: int,
    task: Task,
    likelihood: bool,
) -> tuple[list[FrameMetric], dict[str, str], list[SampleDistance]]:
    """The metrics of frames, the reason for each that cannot be had, and the distances between sets of videos."""
    from mcvd.evaluation.distances import distribution_metrics
    from mcvd.evaluation.frame_metrics import frame_metrics
    from mcvd.metrics.values import MAE, RMSE

    if model.codec.dtype.is_floating_point:
        if protocol or weights or lpips_weights or random_i3d is not None or likelihood:
            raise ValueError(
                "--protocol, --weights, --lpips-weights, --random-i3d and --likelihood are for pixels, not for values"
            )
        return [MAE, RMSE], {}, []
    found: tuple[list[FrameMetric], dict[str, str]] = ([], {})
    if task.has_context:
        found = frame_metrics(*model.size, protocol, lpips_weights)
    return *found, distribution_metrics(length, weights, random_i3d, protocol, model.device, not task.has_context)


def _advection(model: VideoModel) -> dict[str, Baseline]:
    from mcvd.evaluation.advection import Advection, import_opencv
    from mcvd.evaluation.baselines import Baseline

    import_opencv()
    return {"advection": Baseline("advection by optical flow", Advection(model.codec), num_given=2)}


def _checked(out: str | None, **paths: str | None) -> str:
    """Where the scores go, after a look at all paths."""
    if out is None:
        raise ValueError("say where the scores go: --out result.json")
    check_new_file(out, ".json")
    check_inputs(**paths)
    if not any(paths[name] for name in ("config", "root", "val_root")):
        raise ValueError("name the videos: --config data.yaml, --root FOLDER or --val-root FOLDER")
    return out


def _write(out: str, card: ResultCard, shown: Sequence[Highlight], look: Look) -> None:
    """The card, and the page beside it."""
    from mcvd.evaluation.report import card_page
    from mcvd.runtime.atomic import write_json
    from mcvd.video.timing import playing_fps

    write_json(out, card.to_json())
    card_page(card, shown, playing_fps(card.frame_rate_hz), look.legend).write(Path(out).with_suffix(".html"))


def _print(card: ResultCard, json: bool, events: bool) -> None:
    """The card on the terminal; of events, which the page tells too, those of thresholds that were asked for."""
    from mcvd.evaluation.ensemble_report import format_events
    from mcvd.evaluation.report import format_card

    if json:
        return say_json(card.to_json())
    say(*format_card(card).splitlines())
    if events and card.scores.ensemble:
        say(*format_events(card.scores.ensemble))
    for caution in dict.fromkeys(caution for distance in card.distances for caution in distance.cautions):
        note(f"mcvd: {caution}")


def _tell_files(out: str, num_asked: int | None, num_scored: int) -> None:
    """Where the card lies, and whether it tells of as many clips as were asked for."""
    if num_asked and num_scored < num_asked:
        note(f"mcvd: {num_asked} clips were asked for, {num_scored} were scored: the held-out videos hold no more")
    note(f"{out}: the result card; {Path(out).with_suffix('.html')}: the same as a page")


def _compare(cards: list[str], json: bool, beside: list[str]) -> None:
    """Say what differs between two cards, and by how much; options ``beside`` have no meaning there."""
    from mcvd.evaluation.comparison import changes_as_text, changes_between
    from mcvd.evaluation.result_card import compare_cards, read_card

    if beside:
        raise ValueError(f"--compare reads two cards and scores nothing: leave out {', '.join(beside)}")
    lines = compare_cards(*cards).splitlines()
    first, second = map(read_card, cards)
    changes = changes_between(first, second)
    if json:
        return say_json({"comparable": True, "summary": lines, "scores": [change.to_json() for change in changes]})
    say(*lines, f"A is {cards[0]}, B is {cards[1]}; both on the same {first.scores.num_clips} clips")
    say(*changes_as_text(changes))


def _check_options(protocol: Protocol, fixes: bool, config: str | None, root: str | None) -> None:
    """Refuse options that a protocol rules out; ``fixes`` says that one was given which it fixes itself."""
    if fixes:
        raise ValueError("--protocol fixes --task, --num-frames, --num-clips and --num-samples: leave them out")
    if protocol.starts == "random" and root and not (config or (Path(root) / "val").is_dir()):
        raise ValueError(
            f"--protocol {protocol.name} scores a test split, {protocol.data}, and --root {root} means what was held "
            "out of a folder that was trained on: name the folder of the split with --val-root"
        )


def _check_protocol(protocol: Protocol, model: VideoModel) -> None:
    from mcvd.diffusion.tasks import task_by_name

    asked: dict[str, Any] = {"size": protocol.size}
    has = {"size": tuple(model.size), "past": model.block.past, "future": model.block.future}
    task = task_by_name(protocol.task)
    if task.gives_past:
        asked["past"] = protocol.past
    if task.gives_future:
        asked["future"] = protocol.future
    for name, value in asked.items():
        if value is not None and value != has[name]:
            hint = f": --size {value[0]}x{value[1]} scores it so" if name == "size" else ""
            raise ValueError(
                f"--protocol {protocol.name} asks for a model of {name} {value}, this one has {has[name]}{hint}"
            )
    if protocol.in_one_block and protocol.num_frames and model.block.current < protocol.num_frames:
        raise ValueError(
            f"--protocol {protocol.name} asks for a model that makes {protocol.num_frames} frames at once, this one "
            f"makes {model.block.current}"
        )


COMMAND = Command(
    "score a model against the ground truth, beside copying frames", run, _add_arguments, EXAMPLES, shared=True
)
