"""The small whole files that the fuzzer damages, and what opens each of them."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from functools import cache
from pathlib import Path

import av
import h5py
import numpy as np
import torch
import yaml
from crc32c import crc32c

import mcvd
from mcvd.data.prepare.tfrecord import bytes_features, read_records
from mcvd.data.recipe import data_from_recipe
from mcvd.data.sources.hdf5 import Hdf5Videos
from mcvd.data.sources.memmap import FRAMES, INDEX, MemmapVideos, check_pack, write_pack
from mcvd.evaluation.report import card_page, format_card
from mcvd.evaluation.result_card import read_card
from mcvd.models.card import model_card
from mcvd.models.facts import ModelFacts
from mcvd.models.published.checkpoint import build_net, read_published
from mcvd.models.published.config import translate_config
from mcvd.models.published.state_dict import translations
from mcvd.training.config_files import check_config_files
from mcvd.training.fit import CALLBACKS, option_names
from mcvd.video.open import open_video
from reference.pictures import write_animation
from reference.result_card import CARD
from reference.side_data import write_messages, write_motion_jpeg, write_tags

MAX_FILE_BYTES = 1 << 20  # of videos to damage: a large one costs seconds each time

PUBLISHED = {
    "data": {"image_size": 16, "channels": 1, "num_frames": 2, "num_frames_cond": 2, "num_frames_future": 1},
    "model": {
        "arch": "unetmore", "version": "DDPM", "ngf": 8, "ch_mult": [1, 2], "num_res_blocks": 1,
        "attn_resolutions": [8], "n_head_channels": 8, "spade": True, "spade_dim": 8, "cond_emb": True,
        "sigma_dist": "linear", "sigma_begin": 0.02, "sigma_end": 0.0001, "num_classes": 100, "dropout": 0.1,
    },
}  # fmt: skip
RECIPE = {
    "train": {
        "class_path": "mcvd.data.DrivingScenes",
        "init_args": {"num_videos": 2, "num_frames": 12, "seed": 0},
    },
    "num_frames": 7,
    "size": [16, 16],
    "batch_size": 2,
    "augment": {"brightness": 0.1},
}
FIT = {
    "model": {
        "block": {"past": 1, "current": 2},
        "net": {
            "class_path": "mcvd.nets.UNet",
            "init_args": {"width": 8, "conditioning": {"class_path": "mcvd.nets.SPATIN"}},
        },
        "schedule": {"class_path": "mcvd.noise.Cosine"},
        "optimizer": {"class_path": "torch.optim.AdamW", "init_args": {"lr": 0.001}},
    },
    "data": RECIPE,
    "trainer": {"max_steps": 3, "callbacks": [{"class_path": "lightning.pytorch.callbacks.Timer"}], "logger": False},
    "ema": {"decay": 0.9},
}
OURS = {
    "block": {"past": 2, "current": 2, "future": 1},
    "size": [16, 16],
    "channels": 1,
    "masking": {"p_past": 0.5, "p_future": 0.5},
    "schedule": {"class_path": "mcvd.noise.Cosine", "init_args": {"num_steps": 100}},
    "net": {
        "class_path": "mcvd.nets.UNet",
        "init_args": {"width": 8, "multipliers": [1, 2], "num_blocks": 1, "attention_levels": [1], "head_channels": 8},
    },
}


@dataclasses.dataclass(frozen=True)
class Target:
    """Files that are whole, the one of them that is damaged, and what opens them.

    Args:
        name: of the row in the report.
        files: folder of whole files, copied before each damage.
        victims: names of the files in it, of which one is damaged.
        read: opens the folder's copy; gets the folder and the victim's name.
        weight: its share of the inputs, less where one costs more.
        is_alone: the damaged file is read without the others.
    """

    name: str
    files: Path
    victims: tuple[str, ...]
    read: Callable[[Path, str], object]
    weight: float = 1.0
    is_alone: bool = False


def targets(folder: Path, videos: Path | None) -> list[Target]:
    """Everything that opens a file, with small whole files written into ``folder``."""
    made = {
        name: folder / name
        for name in (
            "video",
            "checkpoint",
            "exported",
            "published",
            "shard",
            "card",
            "pictures",
            "side_data",
            "recipe",
            "fit",
            "pack",
            "records",
        )
    }
    for path in made.values():
        path.mkdir()
    if videos is None or not videos.is_dir():
        videos = made["video"]
        _write_videos(videos)
    model = mcvd.build(OURS)
    facts = model.facts()
    torch.save({"config": OURS, "state_dict": model.state_dict()}, made["checkpoint"] / "last.ckpt")
    model.save_pretrained(made["exported"] / "model")
    net = build_net(translate_config(PUBLISHED))
    torch.save([_published_state(net), {}, 3, 70, _published_state(net)], made["published"] / "checkpoint.pt")
    (made["published"] / "config.yml").write_text(yaml.safe_dump(PUBLISHED))
    with h5py.File(made["shard"] / "shard.hdf5", "w") as file:
        for video in range(3):
            file[f"len/{video}"] = 4
            for frame in range(4):
                file.create_dataset(f"{video}/{frame}", data=np.full((8, 8, 3), frame, np.uint8), compression="gzip")
    (made["card"] / "card.json").write_text(json.dumps(CARD.to_json(), indent=1))
    for number, suffix in enumerate(("png", "jpg", "bmp", "webp")):
        with av.open(str(videos / "white.mp4") if (videos / "white.mp4").exists() else _any_video(videos)) as source:
            next(source.decode(video=0)).to_image().resize((32, 24)).save(made["pictures"] / f"{number}.{suffix}")
    _write_side_data(made["side_data"])
    (made["recipe"] / "data.yaml").write_text(yaml.safe_dump({"data": RECIPE}))
    (made["fit"] / "fit.yaml").write_text(yaml.safe_dump(FIT))
    write_pack(
        made["pack"] / "pack", [("a", np.zeros((4, 8, 8, 3), np.uint8)), ("b", np.ones((3, 8, 8, 3), np.uint8))], 25.0
    )
    _write_record(made["records"] / "a.tfrecord", b"\x0a\x11\x0a\x0f\x0a\x01a\x12\x0a\x0a\x08\x0a\x06pixels")
    names = tuple(sorted(path.name for path in videos.iterdir() if 0 < path.stat().st_size < MAX_FILE_BYTES))
    pictures = tuple(sorted(path.name for path in made["pictures"].iterdir()))
    return [
        Target("video", videos, names, lambda at, name: _read_video(at / name), 4, is_alone=True),
        Target("pictures", made["pictures"], pictures, lambda at, name: _read_video(at)),
        Target(
            "side data, animation", made["side_data"], tuple(sorted(path.name for path in made["side_data"].iterdir())),
            lambda at, name: _read_video(at / name), 1.5, is_alone=True,
        ),
        Target("training checkpoint", made["checkpoint"], ("last.ckpt",), lambda at, name: mcvd.load(at / name), 0.15),
        Target(
            "exported folder", made["exported"] / "model", ("config.json", "model.safetensors"),
            lambda at, name: mcvd.load(at), 0.4,
        ),
        Target(
            "published checkpoint", made["published"], ("checkpoint.pt", "config.yml"),
            lambda at, name: read_published(at / "checkpoint.pt", at / "config.yml"), 0.1,
        ),
        Target("HDF5 shard", made["shard"], ("shard.hdf5",), lambda at, name: _read_shard(at)),
        Target("data recipe", made["recipe"], ("data.yaml",), lambda at, name: _read_recipe(at / name), 0.5),
        Target("config of fit", made["fit"], ("fit.yaml",), lambda at, name: _read_fit(at / name), 2),
        Target("prepared pack", made["pack"] / "pack", (INDEX, FRAMES), lambda at, name: _read_pack(at), 2),
        Target("TFRecord", made["records"], ("a.tfrecord",), lambda at, name: _read_records(at / name), 2),
        Target("result card", made["card"], ("card.json",), lambda at, name: _read_card(at / name, facts), 5),
    ]  # fmt: skip


def _write_videos(folder: Path) -> None:
    """A few frames in the commonest formats."""
    for name, codec in (("a.mp4", "libx264"), ("b.mkv", "mpeg4"), ("c.webm", "libvpx"), ("d.gif", "gif")):
        with av.open(str(folder / name), "w") as container:
            stream = container.add_stream(codec, rate=25, width=64, height=48)
            stream.pix_fmt = "rgb8" if codec == "gif" else "yuv420p"
            for number in range(8):
                frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 30 * number, np.uint8), format="rgb24")
                container.mux(stream.encode(frame))
            container.mux(stream.encode())


def _write_side_data(folder: Path) -> None:
    """Videos with everything beside their pictures that FFmpeg knows, and pictures that are animated."""
    write_motion_jpeg(folder / "exif.avi")
    write_messages(folder / "h264.ts", "libx264")
    write_messages(folder / "hevc.ts", "libx265")
    write_tags(folder / "tags.mkv")
    for suffix in ("webp", "png", "tif", "avif"):
        write_animation(folder / f"animated.{suffix}", range(4))


def _any_video(folder: Path) -> str:
    return str(sorted(folder.iterdir())[0])


def _published_state(net: torch.nn.Module) -> dict[str, torch.Tensor]:
    state, ours = {}, {name: tuple(tensor.shape) for name, tensor in net.state_dict().items()}
    for each in translations(net):
        size, *rest = ours[each.ours]
        shape = (size // len(each.published), *rest)
        state |= {f"module.{name}": torch.ones(shape[::-1] if each.transposed else shape) for name in each.published}
    return state


def _read_video(path: Path) -> None:
    with open_video(path) as reader:
        reader.read(sorted({0, min(reader.num_frames - 1, 12)}), cover=(32, 32))


def _read_shard(folder: Path) -> None:
    videos = Hdf5Videos(str(folder))
    for index in range(min(3, len(videos))):
        videos.read(index, [0, 3], (8, 8))


def _write_record(path: Path, data: bytes) -> None:
    def checked(part: bytes) -> bytes:
        crc = crc32c(part)
        return part + ((((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF).to_bytes(4, "little")

    path.write_bytes((checked(len(data).to_bytes(8, "little")) + checked(data)) * 2)


def _read_records(path: Path) -> None:
    for record in read_records(path):
        bytes_features(record)
    content = path.read_bytes()
    # The first of two equal records without its checksums, which let no damage through.
    bytes_features(content[12 : len(content) // 2 - 4])


@cache
def _options() -> list[str]:
    return option_names()


def _read_fit(path: Path) -> None:
    check_config_files(["--config", str(path)], CALLBACKS, _options())


def _read_card(path: Path, facts: ModelFacts) -> None:
    """As a comparison, a page and the README of a model do."""
    card = read_card(path)
    card_page(card, [])
    format_card(card)
    model_card(facts, "name", {"scores": [path]})


def _read_recipe(path: Path) -> None:
    data_from_recipe(path)


def _read_pack(folder: Path) -> None:
    check_pack(folder)
    videos = MemmapVideos(str(folder))
    for index in range(min(3, len(videos))):
        videos.read(index, [0], (8, 8))
