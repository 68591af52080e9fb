"""The `mcvd` command: reads the command line, runs one command, turns exceptions into short messages."""

from __future__ import annotations

import argparse
import os
import sys
import warnings
from collections.abc import Callable, Sequence

DESCRIPTION = "Masked conditional video diffusion: predict, interpolate and generate video with one model."
FIT_HELP = "train a model (mcvd fit --help lists every option of model, data and trainer)"
MODEL_HELP = "exported folder, .ckpt, run folder, or user/name on the Hugging Face Hub (default: the model in the box)"
SMALLER = "make less at once: --data.batch_size for training, --batch-size for making videos"
GO_ON = "a training goes on from its last checkpoint by the same command and --ckpt_path last"
# What torch.distributed says when a process that it waits for is not there any more.
_A_PROCESS_DIED = ("Connection closed by peer", "Connection reset by peer", "terminated with signal")
SHARED = "share the samples out among N processes; they are the same (also under torchrun)"
EXAMPLES = {
    "predict": """examples:
  mcvd predict street.mp4 --num-frames 30 --out future.mp4
  mcvd predict street.mp4 --model drive --num-frames 30 --num-samples 4 --out futures/
  mcvd predict street.mp4 --num-frames 30 --at 40 --out checked.mp4 --gallery
  mcvd predict street.mp4 --model drive --num-frames 30 --backward --out before.gif""",
    "interpolate": """examples:
  mcvd interpolate street.mp4 --gap 40:45 --out mended.mp4
  mcvd interpolate street.mp4 --model drive --gap 40:45 --out mended.mp4""",
    "generate": """examples:
  mcvd generate --num-frames 60 --out made.mp4
  mcvd generate --model drive --num-frames 60 --num-samples 4 --seed 1 --out made/""",
    "evaluate": """examples:
  mcvd evaluate --model drive --config datasets/driving_scenes/data.yaml --num-frames 10 --out result.json
  mcvd evaluate --model kth --val-root persons_21_to_25 --protocol mcvd-2022/kth-10-30 --out result.json
  mcvd evaluate --compare a.json b.json""",
    "fvd": """examples:
  mcvd fvd test_videos made_videos --size 128
  mcvd fvd test_videos made_videos --size 128 --weights i3d_torchscript.pt --out fvd.json
  mcvd fvd test_videos made_videos --random-i3d 0       (no weights needed; not FVD, and not called so)""",
    "data": """examples:
  mcvd data check videos --preview preview.png
  mcvd data check videos --config configs/small.yaml
  mcvd data check datasets/kth/data.yaml --num-frames 20""",
    "convert": """example:
  mcvd convert checkpoint_700000.pt --config config.yml --out smmnist""",
    "export": """examples:
  mcvd export runs/small/run-1/last.ckpt --out drive
  mcvd export runs/small/run-1/last.ckpt --out drive --license mit --data "our own drives" --scores result.json""",
    "info": """examples:
  mcvd info
  mcvd info runs/small/run-1
  mcvd info drive --json""",
    "studio": """examples:
  mcvd studio
  mcvd studio --model drive
  mcvd studio --model drive --port 7860 --max-megabytes 50""",
    "demo": """examples:
  mcvd demo
  mcvd demo --video mine.mp4
  mcvd demo --train --out trained""",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status: 0 done, 2 wrong usage or configuration, 1 anything else."""
    # Read when torch loads: threads that wait give way. Spinning, two on a busy machine are slower than one.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ.setdefault("GOMP_SPINCOUNT", "0")
    argv = list(sys.argv[1:] if argv is None else argv)
    debug = "--debug" in argv
    argv = [word for word in argv if word != "--debug"]
    try:
        with warnings.catch_warnings():
            warnings.showwarning = _show_warning  # type: ignore[assignment]
            _run(argv)
    except KeyboardInterrupt:
        print("mcvd: interrupted", file=sys.stderr)
        return 130
    except Exception as error:
        if debug:
            raise
        print(f"mcvd: {_message(error)}", file=sys.stderr)
        return _status(error)
    return 0


def _run(argv: list[str]) -> None:
    if argv[:1] == ["fit"]:
        from mcvd.training.fit import run_fit

        run_fit(argv[1:])
    else:
        options = {key: value for key, value in vars(_parser().parse_args(argv)).items() if value is not None}
        _command(options.pop("command"))(**options)


def _show_warning(message: Warning | str, *_: object) -> None:
    """A warning is one line, without the place in the code."""
    print(f"mcvd: {message}", file=sys.stderr)


def _command(name: str) -> Callable[..., None]:
    if name == "evaluate":
        from mcvd.apps.cli.evaluate import evaluate

        return evaluate
    from mcvd.apps.cli import commands

    return getattr(commands, name)


def _message(error: Exception) -> str:
    text = str(error).strip()
    if type(error).__name__ == "OutOfMemoryError" or "can't allocate memory" in text:
        return f"out of memory: {text.splitlines()[0]}; {SMALLER}"
    if any(word in text for word in _A_PROCESS_DIED):
        return f"another process of this work has ended, its own last line says why ({text.splitlines()[0]}); {GO_ON}"
    if isinstance(error, (ValueError, OSError, FloatingPointError)) and text:
        return text
    return f"{type(error).__name__}: {text} (--debug shows where)"


def _status(error: Exception) -> int:
    from mcvd.video.decoders.base import VideoError

    return 2 if isinstance(error, ValueError) and not isinstance(error, VideoError) else 1


def _parser() -> argparse.ArgumentParser:
    import shtab

    parser = argparse.ArgumentParser(prog="mcvd", description=DESCRIPTION, epilog="With --debug, an error shows where.")
    text = "print a script that completes commands and options: mcvd --print-completion bash"
    shtab.add_argument_to(parser, "--print-completion", help=text)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    commands.add_parser("fit", help=FIT_HELP, add_help=False)

    def add(name: str, text: str) -> argparse.ArgumentParser:
        return commands.add_parser(
            name,
            help=text,
            description=text[0].upper() + text[1:] + ".",
            epilog=EXAMPLES[name],
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )

    _add_making(add)
    _add_scoring(add)
    _add_models(add)
    _add_data(add)
    return parser


Add = Callable[[str, str], argparse.ArgumentParser]


def _add_making(add: Add) -> None:
    command = add("predict", "make the frames that follow a video, or with --backward those before it")
    command.add_argument("video", metavar="VIDEO")
    _model_and_out(command)
    command.add_argument("--num-frames", type=_positive, required=True, help="how many frames to make")
    command.add_argument("--backward", action="store_true", help="make what came before")
    command.add_argument("--at", type=int, metavar="FRAME", help="go on from this frame of VIDEO, not from its end")
    command.add_argument("--only-new", action="store_true", help="leave the given frames out of OUT")
    command.add_argument("--processes", type=_positive, metavar="N", help=SHARED)
    _sampling(command)
    _rates(command)

    command = add("interpolate", "make the frames of a gap in a video anew")
    command.add_argument("video", metavar="VIDEO")
    _model_and_out(command)
    command.add_argument("--gap", type=_gap, required=True, metavar="START:END", help="frames START <= i < END")
    _sampling(command)
    _rates(command)

    command = add("generate", "make videos from nothing")
    _model_and_out(command)
    command.add_argument("--num-frames", type=_positive, required=True, help="length of each video")
    command.add_argument("--processes", type=_positive, metavar="N", help=SHARED)
    _sampling(command)
    command.add_argument("--fps", type=float, help="play OUT at this rate (default: the model's)")


def _add_scoring(add: Add) -> None:
    command = add("evaluate", "score a model against the truth and against copying frames")
    _model_and_out(command, out="result.json", required=False)
    command.add_argument("--config", help="data.yaml of the data set")
    text = "the folder trained on, instead of --config or of the one in it: what was held out of it is scored"
    command.add_argument("--root", "--data.root", dest="root", metavar="FOLDER", help=text)
    text = "a folder of which nothing was trained on: all its videos are scored"
    command.add_argument("--val-root", "--data.val_root", dest="val_root", metavar="FOLDER", help=text)
    command.add_argument(
        "--protocol", metavar="P", help="such as mcvd-2022/kth-10-30: fixes clips, lengths, K and more"
    )
    command.add_argument("--weights", metavar="FILE", help="I3D weights for FVD (default: the cache, with --protocol)")
    command.add_argument("--lpips-weights", metavar="FILE", help="AlexNet weights for LPIPS (default: as --weights)")
    command.add_argument("--random-i3d", type=int, metavar="SEED", help="add the distance of a random network: not FVD")
    command.add_argument(
        "--compare", nargs=2, metavar=("A.json", "B.json"), help="only say if two cards may be compared"
    )
    command.add_argument("--task", choices=["predict", "backward", "interpolate", "generate"], help="default: predict")
    command.add_argument("--num-frames", type=_positive, help="frames to make (default: one block)")
    command.add_argument("--num-clips", type=_positive, help="how many clips, evenly spread (default: 64)")
    text = "share the batches out among N processes; the result is the same (also under torchrun)"
    command.add_argument("--processes", type=_positive, metavar="N", help=text)
    command.add_argument("--rate", type=float, metavar="HZ", help="read by time at this rate (default: the model's)")
    command.add_argument("--json", action="store_true", help="print the card, for scripts")
    _sampling(command)

    command = add("fvd", "tell how far two folders of videos are apart (Frechet video distance)")
    command.add_argument("real", metavar="REAL_DIR")
    command.add_argument("fake", metavar="FAKE_DIR")
    command.add_argument("--num-frames", type=_positive, metavar="T", help="length of the clips compared (default: 16)")
    command.add_argument("--size", type=_positive, help="scale and crop frames to this square first")
    command.add_argument("--rate", type=float, metavar="HZ", help="read by time at this rate (default: every frame)")
    command.add_argument("--every-clip", action="store_true", help="all clips of each video, not the first alone")
    command.add_argument("--preprocessing", help="mcvd (default), stylegan-v or videogpt")
    command.add_argument("--weights", metavar="FILE", help="I3D weights (default: fetched once into the cache)")
    command.add_argument("--trust-weights", action="store_true", help="take weights of unknown checksum; not FVD then")
    command.add_argument("--random-i3d", type=int, metavar="SEED", help="a random network instead: not FVD")
    text = "the I3D of the original Kinetics release in FILE instead: not FVD"
    command.add_argument("--kinetics-i3d", metavar="FILE", help=text)
    command.add_argument("--device", help="cpu, cuda, ... (default: the best there is)")
    command.add_argument("--out", metavar="result.json", help="also write the number with its conditions")
    command.add_argument("--json", action="store_true", help="print that instead of words, for scripts")


def _add_models(add: Add) -> None:
    command = add("convert", "make a checkpoint of the published MCVD code into a model of mcvd")
    command.add_argument("checkpoint", metavar="CHECKPOINT.pt")
    command.add_argument("--config", required=True, help="the config.yml that it was trained with")
    command.add_argument("--out", required=True, metavar="DIR", help="folder for the model")
    command.add_argument("--raw", action="store_true", help="take the raw weights, not the averaged (EMA) ones")

    command = add("export", "make a training checkpoint into a folder to share")
    command.add_argument("checkpoint", metavar="CHECKPOINT.ckpt")
    command.add_argument("--out", required=True, metavar="DIR", help="folder for the model")
    command.add_argument("--data", metavar="TEXT", help="for the model card: what it was trained on")
    command.add_argument("--license", metavar="ID", help="for the model card: licence of the weights, such as mit")
    text = "for the model card: results of mcvd evaluate"
    command.add_argument("--scores", nargs="+", metavar="result.json", help=text)

    command = add("info", "tell what a model is and what it can do")
    command.add_argument("model", metavar="MODEL", nargs="?", help=MODEL_HELP)
    command.add_argument("--json", action="store_true", help="for scripts")

    command = add("studio", "try a model in the browser: drop a video, mark frames, look at several futures")
    command.add_argument("--model", help=MODEL_HELP)
    text = "address to listen on (default 127.0.0.1: nobody from outside)"
    command.add_argument("--host", help=text)
    command.add_argument("--port", type=_positive, help="default: the first free one from 7860")
    command.add_argument("--max-megabytes", type=_positive, metavar="N", help="largest upload (default 200)")
    text = "longest video, given or made, at the model's rate (default 600)"
    command.add_argument("--max-frames", type=_positive, metavar="N", help=text)
    command.add_argument("--device", help="cpu, cuda, ... (default: the best there is)")

    command = add("demo", "show all that the model in the box can do; no download, no GPU needed")
    command.add_argument("--video", metavar="VIDEO", help="a video or a folder to work on (default: invented streets)")
    command.add_argument("--train", action="store_true", help="train a small model first, in some minutes")
    command.add_argument("--out", metavar="DIR", help="a new folder for the result (default: demo, demo-2, ...)")


def _add_data(add: Add) -> None:
    command = add("data", "look at data before training on them, or pack them into shards")
    actions = command.add_subparsers(dest="action", required=True, metavar="ACTION")
    action = actions.add_parser(
        "check",
        help="probe every file, read some clips; exit status 0: training can start",
        description="Probe every file, read some clips and say whether training can start (exit status 0) or not (1).",
        epilog=EXAMPLES["data"],
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    action.add_argument("path", metavar="PATH|data.yaml", help="a folder of videos, a video, or a data.yaml")
    action.add_argument("--root", metavar="FOLDER", help="the folder of videos that a data.yaml leaves open")
    action.add_argument("--num-frames", type=_positive, metavar="T", help="frames of a clip (default: 7)")
    action.add_argument("--size", type=_positive, metavar="S", help="height and width of a clip (default: 64)")
    action.add_argument("--batch-size", type=_positive, metavar="B", help="clips in a batch (default: 8)")
    action.add_argument("--rate", type=float, metavar="HZ", help="read by time at this rate (default: every frame)")
    text = "also tell memory and time of this training (a YAML of mcvd fit); clips are as its model needs them"
    action.add_argument("--config", metavar="CONFIG", help=text)
    action.add_argument("--device", help="for --config: cpu, cuda, ... (default: the best there is)")
    action.add_argument("--json", action="store_true", help="for scripts")
    action.add_argument("--preview", metavar="FILE.png", help="write a sheet of some training clips")
    action = actions.add_parser(
        "pack",
        help="pack videos into shards that training streams from a disk or an object store",
        description="Pack videos into shards that training streams; run again to go on after an interruption.",
    )
    action.add_argument("path", metavar="PATH|data.yaml", help="a folder of videos, a video, or a data.yaml")
    action.add_argument("--out", required=True, metavar="FOLDER", help="a new folder: train, val and a data.yaml")
    action.add_argument("--root", metavar="FOLDER", help="the folder of videos that a data.yaml leaves open")
    action.add_argument("--size", type=_positive, metavar="S", help="height and width of the frames (default: 64)")
    action.add_argument("--channels", type=int, choices=[1, 3], help="1 for grey (default: 3)")
    action.add_argument("--rate", type=float, metavar="HZ", help="read by time at this rate (default: every frame)")
    action.add_argument("--num-workers", type=_positive, metavar="N", help="decoding processes (default: one a core)")


def _model_and_out(command: argparse.ArgumentParser, out: str = "OUT", required: bool = True) -> None:
    command.add_argument("--model", help=MODEL_HELP)
    text = ".mp4, .gif, .png (a strip), or a folder (one file per sample)" if out == "OUT" else "where scores go"
    command.add_argument("--out", required=required, metavar=out, help=text)
    if out == "OUT":
        text = "also a page that shows it, OUT's name with .html, or OUT/index.html"
        command.add_argument("--gallery", action="store_true", help=text)


def _sampling(command: argparse.ArgumentParser) -> None:
    command.add_argument("--num-samples", type=_positive, metavar="K", help="how many different videos")
    command.add_argument("--sampler", metavar="NAME", help="a sampler of mcvd.samplers, such as DDPM")
    command.add_argument("--steps", type=_positive, metavar="S", help="network calls for each block")
    command.add_argument("--guidance", type=float, metavar="W", help="1 (default) as trained; more follows the context")
    command.add_argument("--guidance-drops", choices=["both", "past", "future"], help="what W makes it follow")
    command.add_argument("--context-noise", type=float, metavar="L", help="steadies long videos, if trained for it")
    command.add_argument("--overlap", type=_positive, metavar="N", help="known frames that a block sees on each side")
    command.add_argument("--precision", choices=["float32", "bf16", "fp16"], help="of the network (default float32)")
    text = "the network, on a GPU with CUDA graphs (default auto: for long work on a GPU)"
    command.add_argument("--compile", choices=["auto", "always", "never"], help=text)
    command.add_argument("--seed", type=int, metavar="S", help="same seed, same video (default 0)")
    command.add_argument("--batch-size", type=_positive, metavar="B", help="videos made at once, to bound memory")
    command.add_argument("--device", help="cpu, cuda, ... (default: the best there is)")


def _rates(command: argparse.ArgumentParser) -> None:
    command.add_argument("--every-frame", action="store_true", help="take frames as they come, not at the model's rate")
    command.add_argument("--fps", type=float, help="play OUT at this rate (default: the model's)")


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1, got {value}")
    return value


def _gap(text: str) -> range:
    start, colon, end = text.partition(":")
    if not (colon and start.isdigit() and end.isdigit() and int(start) < int(end)):
        raise argparse.ArgumentTypeError(f"must be START:END with START < END, got {text!r}")
    return range(int(start), int(end))
