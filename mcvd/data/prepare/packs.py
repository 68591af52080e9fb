"""Preparing a data set as packs that are made once, and the downloads that they are made from."""

from __future__ import annotations

import hashlib
import json
import os
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from mcvd.data.sources.memmap import INDEX, MemmapVideos, check_pack, write_pack
from mcvd.runtime.atomic import atomic_write, remove_stale_parts
from mcvd.runtime.disk import check_free_space

_CHUNK = 1 << 20
RECORD = "prepared.json"


@dataclass(frozen=True)
class Download:
    """One file of a data set's origin.

    Args:
        url: where it is.
        num_bytes: its size; None where the origin does not tell and nobody published it.
        digest: ``"sha256:..."`` or ``"md5:..."`` in hexadecimal; None where none was published.
    """

    url: str
    num_bytes: int | None = None
    digest: str | None = None

    @property
    def name(self) -> str:
        """The file's name."""
        return PurePosixPath(urllib.parse.urlparse(self.url).path).name


def check_file(path: str | Path, download: Download) -> None:
    """Raise unless a file has the size and the digest that its origin published.

    Raises:
        ValueError: if it has not.
    """
    path = Path(path)
    size = path.stat().st_size
    if download.num_bytes is not None and size != download.num_bytes:
        raise ValueError(f"{path}: has {size} bytes, {download.num_bytes} expected; delete it and run again")
    if download.digest is not None:
        kind, _, expected = download.digest.partition(":")
        found = digest_of(path, kind)
        if found != expected:
            raise ValueError(f"{path}: its {kind} is {found}, {expected} expected; delete it and run again")


def digest_of(path: Path, kind: str = "sha256") -> str:
    """Hexadecimal digest of a file's content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, kind).hexdigest()


def fetch(download: Download, folder: str | Path) -> Path:
    """The file of a download in ``folder``, fetched unless it is there; a broken transfer goes on where it stopped.

    It has its name only when it is complete and verified; until then ``.NAME.download`` holds what has arrived.

    Raises:
        OSError: if the origin cannot be reached, or the disk has too little room.
        ValueError: if size or digest are not those published.
    """
    target = Path(folder) / download.name
    if target.exists():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f".{target.name}.download")
    have = part.stat().st_size if part.exists() else 0
    if download.num_bytes is None or have != download.num_bytes:
        _transfer(download, part, have)
    try:
        check_file(part, download)
    except ValueError as error:
        part.unlink()  # To go on from wrong bytes would never end well.
        raise ValueError(f"{download.url}: {str(error).split(': ', 1)[1]}") from None
    os.replace(part, target)
    return target


def _transfer(download: Download, part: Path, have: int) -> None:
    check_free_space(part.parent, (download.num_bytes or 0) - have)
    request = urllib.request.Request(download.url, headers={"Range": f"bytes={have}-"} if have else {})
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            resumed = answer.status == 206
            have = have if resumed else 0
            length = int(answer.headers.get("Content-Length") or 0)
            check_free_space(part.parent, length)
            total = have + length if length else None
            bar = tqdm(desc=download.name, total=total, initial=have, unit="B", unit_scale=True, disable=None)
            with bar, part.open("ab" if resumed else "wb") as file:
                while chunk := answer.read(_CHUNK):
                    file.write(chunk)
                    bar.update(len(chunk))
    except urllib.error.URLError as error:
        raise OSError(
            f"{download.url}: cannot be fetched ({getattr(error, 'reason', error)}); run again to go on, "
            f"or put the file into {part.parent} yourself"
        ) from None
    size = part.stat().st_size
    if total is not None and size < total:
        raise OSError(f"{download.url}: the connection ended after {size} of {total} bytes; run again to go on")


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
    if is_prepared(out, [pack.name for pack in packs]):
        return False
    missing = [pack for pack in packs if not (out / pack.name / INDEX).exists()]
    check_free_space(out, sum(pack.num_bytes for pack in missing))
    out.mkdir(parents=True, exist_ok=True)
    for pack in missing:
        remove_stale_parts(out / pack.name)
    for pack in tqdm(missing, f"Preparing {out}", disable=None):
        write_pack(out / pack.name, pack.videos(), frame_rate_hz)
    for pack in tqdm(packs, "Verifying", disable=None):
        check_pack(out / pack.name)
    record = {"packs": {pack.name: json.loads((out / pack.name / INDEX).read_text())["sha256"] for pack in packs}}
    with atomic_write(out / RECORD) as part:
        part.write_text(json.dumps(record, indent=1) + "\n")
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
