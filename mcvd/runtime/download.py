"""Published files: fetched from where they are published, resumed after a break, and verified."""

from __future__ import annotations

import hashlib
import urllib.error
import urllib.parse
import urllib.request
from contextlib import suppress
from dataclasses import dataclass, replace
from http.client import HTTPException, HTTPResponse
from pathlib import Path, PurePosixPath

import torch
from tqdm import tqdm

from mcvd.runtime.atomic import flush
from mcvd.runtime.disk import check_free_space
from mcvd.runtime.lock import file_lock

_TIMEOUT_SECONDS = 60
_CHUNK_BYTES = 1 << 20


class DownloadError(FileNotFoundError, ValueError):
    """No address gave the right file: nothing came, or something else."""


@dataclass(frozen=True)
class Download:
    """A published file.

    Args:
        mirrors: addresses to fetch it from, in this order.
        num_bytes: exact size; None where nobody published it.
        digest: of the content, ``"sha256:..."``, ``"md5:..."``, or ``"git:..."`` as git names a file (SHA-1 of header
            and content); its first digits are enough. None where none was published.
        name: of the file; by default as in its first address.
        what: in words.
        instead: what else can be done without it, to end a sentence.
    """

    mirrors: tuple[str, ...]
    num_bytes: int | None = None
    digest: str | None = None
    name: str = ""
    what: str = ""
    instead: str = ""

    def __post_init__(self) -> None:
        if not self.name:
            object.__setattr__(self, "name", PurePosixPath(urllib.parse.urlparse(self.mirrors[0]).path).name)

    @property
    def facts(self) -> str:
        """Size and digest in words, as far as they were published."""
        size = "" if self.num_bytes is None else f"{self.num_bytes:,} bytes"
        return ", ".join(filter(None, (size, self.digest)))


def cache_folder() -> Path:
    """Where fetched weights are kept: the ``checkpoints`` folder of `torch.hub`, which ``TORCH_HOME`` moves."""
    return Path(torch.hub.get_dir()) / "checkpoints"


def fetch(download: Download, folder: str | Path) -> Path:
    """Download a file into ``folder``, unless it is there; an interrupted download is resumed.

    The file appears under its name only when size and digest are right. Until then it is ``<name>.part``. Several
    processes may ask at once: one downloads, the others wait.

    Returns:
        Its path.

    Raises:
        DownloadError: no mirror gave the right file; one line with the reason of each, and what to do by hand.
        OSError: the disk has too little space.
    """
    path = Path(folder) / download.name
    lock = path.with_name(f"{download.name}.lock")
    if path.is_file():
        if lock.exists():  # its holder was killed when it had the file, or has just got it
            with suppress(OSError), file_lock(lock, wait=False):
                pass
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{download.name}.part")
    faults: dict[str, list[str]] = {}
    with file_lock(lock):
        if path.is_file():
            return path
        for address in download.mirrors:
            have = part.stat().st_size if part.exists() else 0
            check_free_space(part.parent, (download.num_bytes or 0) - have)
            try:
                _transfer(address, part, have, download)
                flush(part)
                return part.replace(path)
            except (OSError, HTTPException, _WrongFileError) as fault:  # urllib's errors are OSErrors
                reason = str(fault).removeprefix("<urlopen error ").removesuffix(">")
                faults.setdefault(reason, []).append(urllib.parse.urlsplit(address).netloc)
    facts = f" ({download.facts})" if download.facts else ""
    reasons = "; ".join(f"{reason} ({', '.join(dict.fromkeys(hosts))})" for reason, hosts in faults.items())
    raise DownloadError(
        f"{download.what or download.name} could not be fetched: {reasons}; run again to resume, or fetch "
        f"{download.mirrors[0]}{facts} yourself and put it at {path}{download.instead}"
    )


class _WrongFileError(Exception):
    """What a mirror sent is not the file."""


def _transfer(address: str, part: Path, have: int, download: Download) -> None:
    """Make ``part``, of which ``have`` bytes are there, the whole file, checked."""
    if download.num_bytes is None or have < download.num_bytes:
        request = urllib.request.Request(address, headers={"Range": f"bytes={have}-"} if have else {})
        try:
            with urllib.request.urlopen(request, timeout=_TIMEOUT_SECONDS) as response:
                _save(response, part, have, download)
        except urllib.error.HTTPError as error:
            if error.code != 416:  # what is asked for lies behind the end: perhaps nothing is missing
                raise
    size = part.stat().st_size
    if download.num_bytes not in (None, size) or not has_digest(part, download.digest):
        found = replace(download, num_bytes=size, digest=download.digest and digest_of(part, download.digest)).facts
        part.unlink()  # resumed, wrong bytes would stay wrong
        raise _WrongFileError(f"what arrived, {found}, is not what was published, {download.facts}")


def _save(response: HTTPResponse, part: Path, have: int, download: Download) -> None:
    """Append what comes to ``part``; from its beginning where the server does not know ranges."""
    is_resumed = response.status == 206 and response.headers.get("Content-Range", "").startswith(f"bytes {have}-")
    start = have if is_resumed else 0
    length = response.headers.get("Content-Length")
    total = start + int(length) if length else None
    if None not in (total, download.num_bytes) and total != download.num_bytes:
        raise _WrongFileError(f"it holds {total:,} bytes, not {download.num_bytes:,}")
    check_free_space(part.parent, int(length or 0))
    # disable=None: no bar where the output is not a terminal.
    bar = tqdm(total=total, initial=start, unit="B", unit_scale=True, desc=download.name, disable=None)
    with bar, part.open("ab" if start else "wb") as out:
        while chunk := response.read(_CHUNK_BYTES):
            out.write(chunk)
            bar.update(len(chunk))
            if download.num_bytes is not None and out.tell() > download.num_bytes:
                break  # a page without end is not read to its end
    if total is not None and part.stat().st_size < total:
        raise ConnectionError(f"the connection broke after {part.stat().st_size:,} of {total:,} bytes")


def has_digest(path: Path, digest: str | None) -> bool:
    """Whether the content of a file has this digest, as `Download` writes it; true of None."""
    return digest is None or digest_of(path, digest).startswith(digest)


def digest_of(path: Path, like: str) -> str:
    """The digest of a file's content, of the kind of another digest, as `Download` writes it: ``"sha256:..."``."""
    kind = like.partition(":")[0]
    with path.open("rb") as file:
        if kind == "git":
            start = hashlib.sha1(b"blob %d\0" % path.stat().st_size)
            found = hashlib.file_digest(file, lambda: start)
        else:
            found = hashlib.file_digest(file, kind)
    return f"{kind}:{found.hexdigest()}"
