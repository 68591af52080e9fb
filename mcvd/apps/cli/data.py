"""``mcvd data check``, ``pack``, ``encode`` and ``encode-text``: data before a training."""

from __future__ import annotations

from argparse import ArgumentParser, RawDescriptionHelpFormatter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mcvd.apps.cli import options
from mcvd.apps.cli.checks import check_inputs, check_new_file, check_new_folder
from mcvd.apps.cli.options import Command, positive
from mcvd.apps.cli.say import note, say, say_json
from mcvd.runtime.paths import check_writable

if TYPE_CHECKING:
    from mcvd.data.video_clips import VideoClips
    from mcvd.training.cost import TrainingEstimate

EXAMPLES = """examples:
  mcvd data check videos --preview preview.png
  mcvd data check videos --config configs/small.yaml
  mcvd data check datasets/kth/data.yaml --num-frames 20"""


def _add_arguments(command: ArgumentParser) -> None:
    actions = command.add_subparsers(dest="action", required=True, metavar="ACTION")
    check = actions.add_parser(
        "check",
        help="probe every file, read some clips; exit status 0: training can start",
        description="Probe every file, read some clips and say whether training can start (exit status 0) or not (1).",
        epilog=EXAMPLES,
        formatter_class=RawDescriptionHelpFormatter,
    )
    pack = actions.add_parser(
        "pack",
        help="pack videos into shards that training streams from a disk or an object store",
        description="Pack videos into shards that training streams; after an interruption the same command resumes.",
    )
    text = (
        "Encode all frames of the training videos with a codec; mcvd fit --data.latents then needs no encoder. "
        "After an interruption the same command resumes."
    )
    latents = actions.add_parser(
        "encode", help="encode the training videos with the codec of a latent model, once", description=text
    )
    encode = actions.add_parser(
        "encode-text",
        help="make vectors of the captions beside videos, once, for models that are told texts",
        description="Make a vector of the caption beside each video, and keep it beside the video (clip.npz).",
    )
    encode.add_argument("path", metavar="FOLDER", help="a folder of videos with captions beside them")
    text = "a text encoder of transformers or sentence-transformers, such as all-MiniLM-L6-v2"
    encode.add_argument("--encoder", required=True, metavar="FOLDER", help=text)
    for action in (check, pack, latents, encode):
        options.add_json(action)
    for action in (check, pack, latents):
        action.add_argument("path", metavar="PATH|data.yaml", help="a folder of videos, a video, or a data.yaml")
        action.add_argument("--root", metavar="FOLDER", help="the folder of videos that a data.yaml leaves open")
        text = "height and width of the frames, such as 64 (default) or 72x128"
        action.add_argument("--size", type=options.size, metavar="S", help=text)
        action.add_argument("--rate", type=options.rate, metavar="HZ", help=options.EVERY_FRAME)
        options.add_trust(action)
    check.add_argument("--num-frames", type=positive, metavar="T", help="frames of a clip (default: 7)")
    check.add_argument("--batch-size", type=positive, metavar="B", help="clips in a batch (default: 8)")
    text = "also tell memory and time of this training (a YAML of mcvd fit); clips are as its model needs them"
    check.add_argument("--config", metavar="CONFIG", help=text)
    check.add_argument("--device", help=f"for --config: {options.DEVICE}")
    check.add_argument("--preview", metavar="FILE.png", help="write a contact sheet of some training clips")
    pack.add_argument("--out", required=True, metavar="FOLDER", help="a new folder: train, val and a data.yaml")
    for action in (pack, latents):
        action.add_argument("--channels", type=int, choices=[1, 3], help="1 for grey (default: 3)")
    latents.add_argument("--codec", required=True, metavar="FOLDER|NAME", help="of mcvd fit-codec, or from the Hub")
    latents.add_argument("--out", required=True, metavar="FOLDER", help="a new folder, for --data.latents of mcvd fit")
    latents.add_argument("--device", help=options.DEVICE)
    pack.add_argument("--num-workers", type=positive, metavar="N", help="decoding processes (default: one a core)")


def run(
    action: str,
    path: str,
    root: str | None = None,
    rate: float | None = None,
    config: str | None = None,
    batch_size: int | None = None,
    device: str | None = None,
    trust: list[str] | None = None,
    **choices: Any,
) -> None:
    """Open the data and do one of the actions."""
    from mcvd.data.recipe import data_from_recipe
    from mcvd.data.sources.memmap import FRAMES, INDEX
    from mcvd.video.decoders.base import VideoError

    check_inputs(PATH=path, root=root, encoder=choices.get("encoder"))
    if action == "encode-text":
        return _encode_text(path, **choices)
    if preview := choices.get("preview"):
        check_new_file(preview, ".png", "--preview")
    if action == "encode":
        check_new_folder(choices["out"], may_hold=frozenset({FRAMES, INDEX}))
    elif out := choices.get("out"):
        _check_pack(out, root or path)
    if config:
        from mcvd.training.named_configs import find_config

        config = str(find_config(config))
    is_recipe = Path(path).suffix.lower() in (".yaml", ".yml")
    facts: dict[str, Any] = {"frame_rate_hz": rate, "batch_size": batch_size}
    facts |= {name: choices.pop(name, None) for name in ("num_frames", "size", "channels")}
    planned = None
    if config:
        from mcvd.runtime.device import resolve_device
        from mcvd.training.cost import training_estimate

        planned = training_estimate(config, batch_size, resolve_device(device))
        model = planned.model
        facts |= {"num_frames": model.block.num_frames, "size": model.size, "channels": model.channels}
        facts["signals"] = model.told_names
        facts["batch_size"] = planned.batch_size
    try:
        found = data_from_recipe(path if is_recipe else None, root if is_recipe else path, trust=trust or (), **facts)
    except FileNotFoundError as error:
        raise VideoError(f"training cannot start: {error}") from None
    if action == "pack":
        _pack(found, **choices)
    elif action == "encode":
        _encode(found, device=device, **choices)
    else:
        _check(found, planned, **choices)


def _check(found: VideoClips, planned: TrainingEstimate | None, preview: str | None = None, json: bool = False) -> None:
    from mcvd.data.check import check_data, write_preview
    from mcvd.video.decoders.base import VideoError

    report = check_data(found)
    if planned and report.clips:
        report = report.extended(*planned.cost(report.clips))
    if json:
        say_json(report.to_json())
    else:
        say(*report.lines)
    if preview and report.clips:
        write_preview(preview, report.clips)
        note(f"preview: {preview}")
    if report.problem:
        raise VideoError(f"training cannot start: {report.problem}")
    if not json:
        say("training can start")


def _check_pack(out: str, source: str) -> None:
    """Refuse to pack into the folder of the videos, or into one that holds something else."""
    folder, videos = Path(out).resolve(), Path(source).resolve()
    if folder == videos or folder in videos.parents:
        raise ValueError(f"--out {out} holds the videos themselves: name a new folder")
    if (folder / "train").is_dir():  # of an earlier run of the same command
        check_writable(folder, f"--out {out}")
    else:
        check_new_folder(out)


def _pack(found: VideoClips, out: str, num_workers: int | None = None, json: bool = False) -> None:
    from mcvd.data.sources.shard_writer import pack_data

    if found.latents is not None:
        raise ValueError("a recipe with latents cannot be packed: shards hold frames, leave out latents")

    num_videos, is_new = pack_data(found, out, num_workers)
    counts = ", ".join(f"{side}: {number} videos" for side, number in num_videos.items())
    say(f"{out}: {counts}" + ("" if is_new else "; there is nothing to do"))
    if json:
        say_json({"out": out, "num_videos": num_videos, "is_new": is_new})


def _encode(found: VideoClips, codec: str, out: str, device: str | None = None, json: bool = False) -> None:
    from mcvd.data.sources.latents import write_latents
    from mcvd.models.codecs.latents import Latents
    from mcvd.runtime.device import resolve_device
    from mcvd.runtime.progress import progress_bar

    made, net = Latents(source=codec).with_network()
    assert net is not None
    if made.digest is None:
        raise ValueError(
            f"{made!r} codes frames together, so that latents depend on where a clip begins: they are made in training"
        )
    net.to(resolve_device(device))
    height, width = made.frame_size(found.spec.size)
    size = height, width, made.planes(found.spec.channels)
    videos = found.training_videos()
    num_frames = sum(len(videos.times_seconds(number)) for number in range(len(videos)))
    with progress_bar(num_frames, "frames", not json) as bar:
        is_new = write_latents(out, videos, found.spec, size, made.encode, made.digest, bar.update, log=note)
    what = f"{out}: {num_frames} frames of {len(videos)} videos as latents of {height}x{width}"
    say(what if is_new else f"{what}; there is nothing to do")
    if json:
        say_json({"out": out, "num_videos": len(videos), "num_frames": num_frames, "is_new": is_new})


def _encode_text(path: str, encoder: str, json: bool = False) -> None:
    from mcvd.data.signals.captions import TEXT, encode_captions
    from mcvd.data.signals.text_encoder import TextEncoder

    folder = Path(encoder).resolve()
    num_videos, num_new, width = encode_captions(path, TextEncoder(folder), folder.name)
    done = f"captions of {num_videos} videos, {num_new} of them encoded now"
    say(f"{done}; train with model.signals.names [{TEXT}[{width}]]")
    if json:
        say_json({"out": path, "num_videos": num_videos, "num_new": num_new, "signal": f"{TEXT}[{width}]"})


COMMAND = Command("look at data before training on them, or pack them into shards", run, _add_arguments)
