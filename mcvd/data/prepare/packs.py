"""Preparing a data set as packs that are made once."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from mcvd.data.sources.memmap import INDEX, MemmapVideos, check_pack, write_pack
from mcvd.runtime.atomic import remove_stale_parts, write_json
from mcvd.runtime.disk import check_free_space

RECORD = "prepared.json"


@dataclass(frozen=True)
class Pack:
    """A part of a data set that is prepared in one go: the work that an interruption loses.

    Args:
        name: its folder below the prepared data, such as ``"train/person01"``.
        num_bytes: its approximate size.
        videos: yields its videos: (name, uint8 (T, H, W, C)).
    """

    name: str
    num_bytes: int
    videos: Callable[[], Iterator[tuple[str, NDArray[np.uint8]]]]


def prepare_packs(out: str | Path, packs: Sequence[Pack], frame_rate_hz: float) -> bool:
    """Make the missing packs below ``out``, verify all of them and write the record ``prepared.json``.

    Args:
        out: folder for the prepared data.
        packs: the whole data set.
        frame_rate_hz: of all its videos.

    Returns:
        Whether there was anything to do.

    Raises:
        OSError: if the disk has too little space for the missing packs; nothing is written then.
        ValueError: if a pack is damaged, or there is nothing to prepare.
    """
    out = Path(out)
    if not packs:
        raise ValueError(f"{out}: nothing was found to prepare it from")
    for folder in {out, *((out / pack.name).parent for pack in packs)}:
        remove_stale_parts(folder)
    if is_prepared(out, [pack.name for pack in packs]):
        return False
    missing = [pack for pack in packs if not (out / pack.name / INDEX).exists()]
    check_free_space(out, sum(pack.num_bytes for pack in missing))
    out.mkdir(parents=True, exist_ok=True)
    for pack in tqdm(missing, f"Preparing {out}", disable=None):
        write_pack(out / pack.name, pack.videos(), frame_rate_hz)
    for pack in tqdm(packs, "Verifying", disable=None):
        check_pack(out / pack.name)
    record = {"packs": {pack.name: json.loads((out / pack.name / INDEX).read_text())["sha256"] for pack in packs}}
    write_json(out / RECORD, record)
    return True


def is_prepared(out: str | Path, names: Sequence[str] | None = None) -> bool:
    """Whether ``out`` was prepared to the end, and every recorded pack still has its size.

    Args:
        out: the folder.
        names: packs that must be recorded; None: any.

    Raises:
        ValueError: if a recorded pack is missing or has changed.
    """
    record = Path(out) / RECORD
    if not record.exists():
        return False
    recorded = json.loads(record.read_text())["packs"]
    for name in recorded:
        check_pack(Path(out) / name, content=False)
    return names is None or set(names) <= set(recorded)


def describe(out: str | Path) -> str:
    """The splits of prepared data, one line each."""
    lines = []
    for split in sorted(path for path in Path(out).iterdir() if path.is_dir() and not path.name.startswith(".")):
        videos = MemmapVideos(str(split))
        frames = sum(len(videos.times_seconds(index)) for index in range(len(videos)))
        lines.append(f"{split}: {len(videos)} videos, {frames} frames")
    return "\n".join(lines)
