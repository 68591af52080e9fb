"""Published files of weights: where they come from, how they are fetched and checked."""

from __future__ import annotations

import hashlib
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse
from pathlib import Path

import torch
from tqdm import tqdm

_TIMEOUT_SECONDS = 30
_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True)
class WeightsFile:
    """A published file of weights, known by its digest.

    Args:
        name: file name in the cache.
        what: in words.
        digest: of the content, ``"sha256:..."``, or ``"git:..."`` as git names a file (SHA-1 of header and content);
            its first digits are enough.
        size_bytes: exact size, where it is known.
        mirrors: addresses to fetch it from, in this order.
        option: of the command line, that names the file.
        instead: what to do without the file, as the end of a sentence.
        is_for_fvd: whether published FVDs are made with it.
    """

    name: str
    what: str
    digest: str
    size_bytes: int | None = None
    mirrors: tuple[str, ...] = ()
    option: str = "--weights"
    instead: str = ""
    is_for_fvd: bool = True


def cache_folder() -> Path:
    """Where fetched weights are kept: the ``checkpoints`` folder of `torch.hub`, which ``TORCH_HOME`` moves."""
    return Path(torch.hub.get_dir()) / "checkpoints"


def fetch(file: WeightsFile, folder: str | Path) -> Path:
    """Download a file of weights, unless it is there; what an earlier attempt left unfinished is continued.

    The file appears under its name only when size and checksum are right. Until then it is ``<name>.part``. Several
    processes may ask at once: one downloads, the others wait.

    Args:
        file: what to fetch, from the first of its mirrors that has it.
        folder: where to put it.

    Raises:
        FileNotFoundError: no mirror gave the right file; names the reason of each, and what to do by hand.
    """
    from filelock import FileLock  # a dependency of torch

    path = Path(folder) / file.name
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(path.with_name(f"{file.name}.lock")):
        if path.is_file():
            return path
        faults: dict[str, list[str]] = {}
        for address in file.mirrors:
            try:
                _download(address, path.with_name(f"{file.name}.part"), file)
                return path.with_name(f"{file.name}.part").replace(path)
            except (OSError, HTTPException, _WrongFileError) as fault:  # urllib's errors are OSErrors
                reason = str(fault).removeprefix("<urlopen error ").removesuffix(">")
                faults.setdefault(reason, []).append(urllib.parse.urlsplit(address).netloc)
    size = "" if file.size_bytes is None else f"{file.size_bytes:,} bytes, "
    reasons = "; ".join(f"{reason} ({', '.join(dict.fromkeys(hosts))})" for reason, hosts in faults.items())
    raise FileNotFoundError(
        f"the weights ({file.what}) could not be fetched: {reasons}\n"
        f"Fetch {file.mirrors[0]} where there is a network ({size}{file.digest}), then put it at {path} or "
        f"name it ({file.option} FILE){file.instead}"
    )


class _WrongFileError(Exception):
    """What a mirror sent is not the file."""


def _download(address: str, part: Path, file: WeightsFile) -> None:
    """Make ``part`` the whole file, checked."""
    have = part.stat().st_size if part.exists() else 0
    if file.size_bytes is None or have < file.size_bytes:
        request = urllib.request.Request(address, headers={"Range": f"bytes={have}-"} if have else {})
        try:
            with urllib.request.urlopen(request, timeout=_TIMEOUT_SECONDS) as response:
                _save(response, part, have, file)
        except urllib.error.HTTPError as error:
            if error.code != 416:  # what is asked for lies behind the end: perhaps nothing is missing
                raise
    if not (file.size_bytes in (None, part.stat().st_size) and has_digest(part, file.digest)):
        size = part.stat().st_size
        part.unlink()
        raise _WrongFileError(f"what arrived, {size:,} bytes, has not the checksum {file.digest}")


def _save(response: HTTPResponse, part: Path, have: int, file: WeightsFile) -> None:
    """Append what comes to ``part``; from its beginning where the server does not know ranges."""
    continued = response.status == 206 and response.headers.get("Content-Range", "").startswith(f"bytes {have}-")
    start = have if continued else 0
    length = response.headers.get("Content-Length")
    total = start + int(length) if length else None
    if None not in (total, file.size_bytes) and total != file.size_bytes:
        raise _WrongFileError(f"it holds {total:,} bytes, not {file.size_bytes:,}")
    # disable=None: no bar where the output is not a terminal.
    bar = tqdm(total=total, initial=start, unit="B", unit_scale=True, desc=file.name, disable=None)
    with bar, part.open("ab" if start else "wb") as out:
        while chunk := response.read(_CHUNK_BYTES):
            out.write(chunk)
            bar.update(len(chunk))
            if file.size_bytes is not None and out.tell() > file.size_bytes:
                break  # a page without end is not read to its end
    if total is not None and part.stat().st_size < total:
        raise ConnectionError(f"the connection broke after {part.stat().st_size:,} of {total:,} bytes")


def has_digest(path: Path, digest: str) -> bool:
    """Whether the content of a file has this digest, as `WeightsFile` writes it."""
    kind, _, expected = digest.partition(":")
    found = hashlib.sha256() if kind == "sha256" else hashlib.sha1(b"blob %d\0" % path.stat().st_size)
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            found.update(chunk)
    return found.hexdigest().startswith(expected)
