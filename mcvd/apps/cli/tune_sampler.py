"""``mcvd tune-sampler``: the sampler of each task that a model does best in the fewest network calls."""

from __future__ import annotations

import shlex
import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mcvd.apps.cli import options
from mcvd.apps.cli.checks import MODEL, check_inputs, check_new_folder
from mcvd.apps.cli.options import Command, positive
from mcvd.apps.cli.say import note, say, say_json
from mcvd.runtime.paths import check_writable

if TYPE_CHECKING:
    from mcvd.models.video_model import VideoModel
    from mcvd.samplers import AbstractSampler

EXAMPLES = """examples:
  mcvd tune-sampler drive --config datasets/driving_scenes/data.yaml
  mcvd tune-sampler runs/small/run-1 --val-root held_out_videos --out drive
  mcvd tune-sampler drive --val-root held_out_videos --samplers UniPC DDIM --steps 4 6 8 --tasks predict"""


def _add_arguments(command: ArgumentParser) -> None:
    command.add_argument(
        "model", metavar="MODEL", help="exported folder, which gets the samplers; with --out any model"
    )
    command.add_argument(
        "--out", metavar="DIR", help="a new folder for the model with its samplers; MODEL stays as it is"
    )
    command.add_argument("--config", help="data.yaml of the data set")
    text = "the folder trained on, instead of --config or of the one in it: what was held out of it is used"
    command.add_argument("--root", "--data.root", dest="root", metavar="FOLDER", help=text)
    text = "a folder of which nothing was trained on: all its videos are used"
    command.add_argument("--val-root", "--data.val_root", dest="val_root", metavar="FOLDER", help=text)
    command.add_argument("--tasks", nargs="+", metavar="TASK", help="of these (default: all that the model can do)")
    text = "try these, also with a number of calls, as UniPC:6 (default: SASolver and UniPC)"
    command.add_argument("--samplers", nargs="+", metavar="NAME", help=text)
    text = "each that has no number with these numbers of calls"
    command.add_argument("--steps", nargs="+", type=positive, metavar="S", help=text)
    text = "clips to choose on; as many others are reported on (default: 24)"
    command.add_argument("--num-clips", type=positive, metavar="N", help=text)
    command.add_argument("--num-samples", type=positive, metavar="K", help="of each clip (default: 4)")
    command.add_argument("--num-frames", type=positive, help="new frames (default: two blocks, in a gap one)")
    command.add_argument("--precision", choices=["float32", "bf16", "fp16"], help="of the network (default: float32)")
    command.add_argument("--seed", type=options.whole, metavar="S", help="of the samples (default: 0)")
    command.add_argument("--batch-size", type=positive, metavar="B", help="videos sampled at once (default: 32)")
    command.add_argument("--device", help=options.DEVICE)
    options.add_json(command)
    options.add_trust(command)


def run(
    model: str,
    out: str | None = None,
    config: str | None = None,
    root: str | None = None,
    val_root: str | None = None,
    tasks: list[str] | None = None,
    samplers: list[str] | None = None,
    steps: list[int] | None = None,
    num_clips: int = 24,
    num_frames: int | None = None,
    device: str | None = None,
    json: bool = False,
    trust: list[str] | None = None,
    **sampling: Any,
) -> None:
    """Measure, choose, and give the model its samplers."""
    check_inputs(config=config, root=root, val_root=val_root)
    if out is not None:
        check_new_folder(out, MODEL)
    elif not {"config.json", "model.safetensors"} <= _names_in(model):
        raise ValueError(f"{model} is no exported folder that could get the samplers: name a new one with --out")
    else:
        check_writable(Path(model), f"MODEL {model}")

    from dataclasses import replace

    from mcvd.apps.cli.setup import check_pixels, load_for_command
    from mcvd.data.recipe import data_from_recipe
    from mcvd.diffusion.tasks import TASKS, task_by_name
    from mcvd.evaluation.result_card import package_versions
    from mcvd.evaluation.tuning import CANDIDATES, Trial, clips_in_two, described, frames_for, tune
    from mcvd.runtime.digests import digest

    net = load_for_command(model, device, trust)
    check_pixels(net)
    if net.low_size is not None:
        raise ValueError("samplers are tuned for the tasks of one model: name the base of a cascade, the folder in it")
    able = [name for name, reason in net.facts().tasks.items() if reason is None]
    wanted = [task_by_name(name).name for name in tasks] if tasks else able
    for name in wanted:
        if name not in able:
            raise ValueError(f"--tasks {name}: {net.facts().tasks[name]}")
    candidates = _candidates(samplers, steps) if samplers or steps else CANDIDATES
    longest = max(num_frames or frames_for(TASKS[name], net.block.current) for name in wanted)
    of_model = {"size": net.size, "channels": net.channels, "frame_rate_hz": net.frame_rate_hz}
    length = net.block.past + longest + net.block.future
    data = data_from_recipe(
        config, root, val_root, trust or (), **of_model, num_frames=length, max_val_clips=2 * num_clips
    )
    choosing, reporting = clips_in_two(data, num_clips)
    before = net.samplers

    found = {}
    for name in wanted:
        in_use = net.sampler_for(TASKS[name])

        def tell(trial: Trial, in_use: AbstractSampler = in_use) -> None:
            title = described(trial.sampler) + (" (in use)" if trial.sampler == in_use else "")
            note(f"mcvd: {trial.sampler.num_calls:3} calls, CRPS {trial.mean('crps'):.3f}: {title}")

        note(f"mcvd: {TASKS[name].title}: {len(choosing)} clips to choose on, {len(reporting)} others to report on")
        found[name] = tune(
            net, choosing, reporting, name, candidates=candidates, num_frames=num_frames, on_trial=tell, **sampling
        )
    net.samplers = replace(before, **{name: each.chosen for name, each in found.items()})
    lines = [line for each in found.values() for line in ["", *each.table()]]
    table = {
        "data": val_root or root or config,
        "clips": {"choosing": digest({"clips": choosing}), "reporting": digest({"clips": reporting})},
        "num_clips": [len(choosing), len(reporting)],
        "sampling": sampling,
        "model_digest": digest(net.state_dict()),
        "device": str(net.device),
        "versions": package_versions(),
        "command": shlex.join(["mcvd", *sys.argv[1:]]),
        "tasks": {name: each.to_json() for name, each in found.items()},
    }
    _write(net, model, out, _about(table, len(reporting)) + lines, table)
    if json:
        return say_json(table)
    say(*lines[1:], "", f"{out or model} samples from now on:")
    say(*(f"  {TASKS[name].title}: {net.facts().samplers[name]}" for name in wanted))


def _write(net: VideoModel, model: str, out: str | None, lines: list[str], table: dict[str, Any]) -> None:
    from mcvd.models.own_samplers import write_samplers

    if out is not None:
        net.save_pretrained(out)
        card = Path(model) / "README.md"
        if card.is_file():  # what it says of data and licence stays
            from mcvd.runtime.atomic import atomic_write

            with atomic_write(Path(out) / card.name) as part:
                part.write_bytes(card.read_bytes())
    write_samplers(out or model, net.facts(), net.samplers, lines, table)


def _about(table: dict[str, Any], num_clips: int) -> list[str]:
    from mcvd.runtime.markdown import as_code

    return [
        "",
        f"Chosen by {as_code(table['command'])}; {num_clips} clips that no choice was made on: the best sampler in "
        "numbers, the others against it with 95% intervals. All that was measured is in `samplers.json`.",
    ]


def _candidates(names: list[str] | None, steps: list[int] | None) -> list[AbstractSampler]:
    from mcvd.apps.cli.setup import choose_sampler
    from mcvd.samplers.select import has_steps, split_steps

    found = []
    for name in names or ["SASolver", "UniPC"]:
        one = choose_sampler(name, None)
        counts = steps if steps and has_steps(one) and split_steps(name)[1] is None else [None]
        found += [choose_sampler(name, count) for count in counts]
    return found


def _names_in(folder: str) -> set[str]:
    return {path.name for path in Path(folder).iterdir()} if Path(folder).is_dir() else set()


HELP = "measure which samplers a model does its tasks with best, in the fewest calls, and give them to it"
COMMAND = Command(HELP, run, _add_arguments, EXAMPLES)
