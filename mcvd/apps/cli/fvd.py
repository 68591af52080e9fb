"""``mcvd fvd``: the distance between two folders of videos."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from mcvd.apps.cli import options
from mcvd.apps.cli.checks import check_inputs, check_new_file
from mcvd.apps.cli.options import Command, positive
from mcvd.apps.cli.say import say, say_json

EXAMPLES = """examples:
  mcvd fvd test_videos made_videos --size 128
  mcvd fvd test_videos made_videos --size 128 --weights i3d_torchscript.pt --out fvd.json
  mcvd fvd test_videos made_videos --random-i3d 0       (no weights needed; not FVD, and not called so)"""


def _add_arguments(command: ArgumentParser) -> None:
    command.add_argument("real", metavar="REAL_DIR")
    command.add_argument("fake", metavar="FAKE_DIR")
    command.add_argument("--num-frames", type=positive, metavar="T", help="length of clips, 10 or more (default: 16)")
    text = "scale and crop frames to this height and width first, such as 128 or 72x128"
    command.add_argument("--size", type=options.size, metavar="S", help=text)
    command.add_argument("--rate", type=options.rate, metavar="HZ", help=options.EVERY_FRAME)
    command.add_argument("--every-clip", action="store_true", help="all clips of each video, not the first alone")
    command.add_argument("--preprocessing", help="mcvd (default): shorter side and centre; stylegan-v: squashed")
    command.add_argument("--weights", metavar="FILE", help="I3D weights (default: downloaded once into the cache)")
    command.add_argument("--trust-weights", action="store_true", help="use weights of unknown checksum; not FVD then")
    command.add_argument("--random-i3d", type=options.whole, metavar="SEED", help="a random network instead: not FVD")
    text = "the I3D of the original Kinetics release in FILE instead: not FVD"
    command.add_argument("--kinetics-i3d", metavar="FILE", help=text)
    command.add_argument("--device", help=options.DEVICE)
    command.add_argument("--out", metavar="result.json", help="also write the number with its conditions")
    options.add_json(command)


def run(
    real: str,
    fake: str,
    rate: float | None = None,
    random_i3d: int | None = None,
    device: str | None = None,
    out: str | None = None,
    json: bool = False,
    **choices: Any,
) -> None:
    """Print the distance."""
    check_inputs(REAL=real, FAKE=fake, weights=choices.get("weights"), kinetics_i3d=choices.get("kinetics_i3d"))
    if out:
        check_new_file(out, ".json")
    from mcvd.evaluation.folders import compare_folders, format_distance
    from mcvd.runtime.atomic import write_json
    from mcvd.runtime.device import resolve_device

    result = compare_folders(
        real, fake, frame_rate_hz=rate, random_seed=random_i3d, device=resolve_device(device), **choices
    )  # fmt: skip
    if out:
        write_json(out, result.to_json())
    if json:
        return say_json(result.to_json())
    say(*format_distance(result).splitlines())


COMMAND = Command("measure the Frechet video distance between two folders of videos", run, _add_arguments, EXAMPLES)
