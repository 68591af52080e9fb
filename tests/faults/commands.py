"""The commands that are killed, and what they read."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from reference.published import checkpoint_of, choices, random_state, write
from reference.tiny import pixels, tiny_model
from reference.tiny_fit import TINY

import mcvd
import mcvd.training.fit
from faults.forked import forked, said
from faults.kills import one_level
from mcvd.apps.cli import setup
from mcvd.apps.cli.main import main
from mcvd.data.prepare.packs import Pack, prepare_packs
from mcvd.models.codecs.autoencoders import new_autoencoder, write_autoencoder
from mcvd.models.files import LAST
from mcvd.models.mcvd import MCVD
from mcvd.training.memory import MemoryEstimate

OLDER = b"an older result"
CODEC = {"width": 8, "latent_channels": 2, "encoder_blocks": 1, "decoder_blocks": 1}
_LOADED: dict[str, MCVD] = {}


@dataclass(frozen=True)
class Command:
    """What is killed.

    Args:
        name: in the table.
        run: does the work in a folder of its own; gets that and the folder of inputs; returns the exit status.
        world_size: processes that do it together; any of them is killed.
        spawns: it starts them itself, by ``--processes``; otherwise they are forks that know each other.
        is_whole: what it writes appears complete or not at all.
        before: a file that is there already and is written over.
        share: of the kills of a recorded run, beside 1 of the others.
    """

    name: str
    run: Callable[[Path, Path], int]
    world_size: int = 1
    spawns: bool = False
    is_whole: bool = True
    before: str | None = None
    share: float = 1.0

    def begin(self, folder: Path) -> None:
        """Make its folder."""
        folder.mkdir(parents=True)
        if self.before:
            (folder / self.before).write_bytes(OLDER)


def make_inputs(folder: Path) -> None:
    """What the commands read: in a process of its own, so that no thread of PyTorch or FFmpeg is forked later."""

    def work(_: int) -> int:
        model = tiny_model(channels=3)
        model.save_pretrained(folder / "model")
        torch.save({"config": model.config, "state_dict": model.state_dict()}, folder / "own.ckpt")
        mcvd.write_video(folder / "given.gif", pixels(9, 3, 16, 16), fps=10)
        for number in range(3):
            mcvd.write_video(folder / "videos" / f"{number}.gif", pixels(9, 3, 16, 16, seed=number), fps=10)
        state = random_state()
        write(folder, checkpoint_of(state, state), choices(prob_mask_cond=0.5, prob_mask_future=0.5))
        (folder / "fit.yaml").write_text(yaml.safe_dump(_fit_config(folder)))
        (folder / "fit-codec.yaml").write_text(yaml.safe_dump(_fit_codec_config(folder)))
        torch.manual_seed(0)
        net = new_autoencoder("PatchAutoencoder", CODEC)
        write_autoencoder(folder / "codec", "PatchAutoencoder", CODEC, net.state_dict(), {})
        return 0

    folder.mkdir(parents=True)
    assert forked(1, work, folder / "log") == [0], said(folder / "log")


def preload(inputs: Path) -> None:
    """Open the model of `make_inputs` in this process: forks that `use_loaded` are done in a third of the time."""
    _LOADED[str(inputs / "model")] = mcvd.load(inputs / "model")


def use_loaded() -> None:
    """In a fork: take models that are loaded already; loading one changes no file."""
    setup.load = lambda source, **options: _LOADED.get(source) or mcvd.load(source, **options)
    MemoryEstimate.at = lambda *_: 1 << 20  # looking ahead takes most of a training's time, and changes none either


def _fit_config(folder: Path) -> dict[str, Any]:
    sampler = {"class_path": "mcvd.samplers.DDIM", "init_args": {"num_steps": 1}}
    return one_level() | {
        "data": {"root": str(folder / "videos"), "max_val_clips": 2, "batch_size": 2, "num_workers": 0},
        "trainer": TINY["trainer"] | {"max_steps": 4, "val_check_interval": 2},
        "checkpoints": {"every_n_steps": 2, "keep_every_n_steps": 2},
        "preview": {"every_n_steps": 4, "num_videos": 1, "sampler": sampler},
    }


def _fit_codec_config(folder: Path) -> dict[str, Any]:
    config = _fit_config(folder)
    model = {"size": [16, 16], "arguments": CODEC, "warmup_steps": 2}
    return {"model": model} | {name: config[name] for name in ("data", "trainer", "checkpoints")}


def _fit(out: Path, inputs: Path) -> int:
    runs = sorted(out.glob(f"runs/*/{LAST}"))
    words = [
        "--config",
        str(inputs / "fit.yaml"),
        f"--trainer.default_root_dir={out}/runs",
        f"--data.cache={out}/cache",
    ]
    return main(["fit", *words, *(["--ckpt_path=last"] if runs else [])])


def _fit_codec(out: Path, inputs: Path) -> int:
    runs = sorted(out.glob(f"runs/*/{LAST}"))
    words = ["--config", str(inputs / "fit-codec.yaml"), f"--trainer.default_root_dir={out}/runs"]
    return main(["fit-codec", *words, *(["--ckpt_path=last"] if runs else [])])


def _fit_together(out: Path, inputs: Path) -> int:
    runs = sorted(out.glob(f"runs/*/{LAST}"))
    words = ["--config", str(inputs / "fit.yaml"), f"--trainer.default_root_dir={out}/runs", "--data.batch_size=1"]
    words += ["--trainer.strategy=ddp", "--trainer.devices=2", "--model.net.init_args.dropout=0"]
    return main(["fit", *words, *(["--ckpt_path=last"] if runs else [])])


def _sampling(command: str, name: str, *options: str) -> Callable[[Path, Path], int]:
    def run(out: Path, inputs: Path) -> int:
        video = [] if command == "generate" else [str(inputs / "given.gif")]
        words = ["--model", str(inputs / "model"), "--device=cpu", "--sampler=DDIM", "--steps=1", "--every-frame"]
        words = words[:-1] if command == "generate" else words
        return main([command, *video, *words, "--out", str(out / name), *options])

    return run


def _under_torchrun(work: Callable[[Path, Path], int]) -> Callable[[Path, Path], int]:
    def run(out: Path, inputs: Path) -> int:
        os.environ["TORCHELASTIC_RUN_ID"] = "kills"  # so that PyTorch takes it for torchrun
        return work(out, inputs)

    return run


def _evaluate(out: Path, inputs: Path) -> int:
    words = ["--model", str(inputs / "model"), "--val-root", str(inputs / "videos"), "--num-clips=1", "--num-samples=1"]
    return main(["evaluate", *words, "--num-frames=1", "--steps=1", "--device=cpu", "--out", str(out / "result.json")])


def _export(out: Path, inputs: Path) -> int:
    return main(["export", str(inputs / "own.ckpt"), "--out", str(out / "exported")])


def _convert(out: Path, inputs: Path) -> int:
    (checkpoint,) = inputs.glob("*.pt")
    (config,) = inputs.glob("*.yml")
    return main(["convert", str(checkpoint), "--config", str(config), "--out", str(out / "converted")])


def _pack(out: Path, inputs: Path) -> int:
    words = [str(inputs / "videos"), "--size=16", "--num-workers=1", "--out", str(out / "packed")]
    return main(["data", "pack", *words])


def _encode(out: Path, inputs: Path) -> int:
    words = [str(inputs / "videos"), "--size=16", "--codec", str(inputs / "codec"), "--device=cpu"]
    return main(["data", "encode", *words, "--out", str(out / "latents")])


def _prepare(out: Path, inputs: Path) -> int:
    def videos(number: int) -> Iterator[tuple[str, np.ndarray]]:
        yield f"video {number}", np.full((3, 8, 8, 3), number, np.uint8)

    packs = [Pack(f"train/{number}", 576, lambda number=number: videos(number)) for number in range(3)]
    prepare_packs(out / "prepared", packs, 10)
    return 0


PAGE = "--gallery"
FOUR = "--num-frames=4"
SAMPLES = (FOUR, "--num-samples=2")
COMMANDS = [
    Command("fit, cached, with previews", _fit, is_whole=False, share=1.2),
    Command("fit in two processes (DDP)", _fit_together, world_size=2, is_whole=False, share=0.4),
    Command("predict to an mp4", _sampling("predict", "future.mp4", FOUR)),
    Command("predict to an mp4 that is there", _sampling("predict", "old.mp4", "--num-frames=2"), before="old.mp4"),
    Command("predict to a folder, with a page", _sampling("predict", "futures", FOUR, PAGE)),
    Command("predict to an mp4, with a page", _sampling("predict", "future.mp4", "--num-frames=2", PAGE)),
    Command(
        "predict with --processes 2", _sampling("predict", "two.gif", "--processes=2", *SAMPLES),
        world_size=2, spawns=True, share=0.05,
    ),
    Command("interpolate to a gif", _sampling("interpolate", "gap.gif", "--gap=4:6")),
    Command("generate to a strip", _sampling("generate", "strip.png", *SAMPLES)),
    Command("generate in two processes", _under_torchrun(_sampling("generate", "two", *SAMPLES)), world_size=2),
    Command("evaluate", _evaluate),
    Command("export", _export),
    Command("convert", _convert),
    Command("data pack", _pack, is_whole=False),
    Command("fit-codec", _fit_codec, is_whole=False),
    Command("data encode", _encode),
    Command("prepare", _prepare, is_whole=False, share=2),
]  # fmt: skip
