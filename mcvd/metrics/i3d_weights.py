"""The trained weights of I3D: which files are known, where they come from, how they are checked and read."""

from __future__ import annotations

import hashlib
import urllib.error
import urllib.request
import warnings
import zipfile
from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse
from pathlib import Path

import torch
from torch import Tensor, nn
from tqdm import tqdm

from mcvd.metrics.i3d import I3D

_TIMEOUT_SECONDS = 30
_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True)
class WeightsFile:
    """A published file of weights, known by its digest.

    Args:
        name: file name in the cache.
        what: in words.
        digest: of the content, ``"sha256:..."``, or ``"git:..."`` as git names a file (SHA-1 of header and content).
        size_bytes: exact size, where it is known.
        mirrors: addresses to fetch it from, in this order.
        is_for_fvd: whether published FVDs are made with it.
    """

    name: str
    what: str
    digest: str
    size_bytes: int | None = None
    mirrors: tuple[str, ...] = ()
    is_for_fvd: bool = True


STYLEGAN_V = WeightsFile(
    name="i3d_torchscript.pt",
    what="TorchScript port of StyleGAN-V",
    digest="sha256:bec6519f66ea534e953026b4ae2c65553c17bf105611c746d904657e5860a5e2",
    size_bytes=51_235_320,
    mirrors=(
        "https://huggingface.co/flateon/FVD-I3D-torchscript/resolve/1c2d61711c52571ad617a1063e6fa691b212e184/i3d_torchscript.pt",
        "https://www.dropbox.com/s/ge9e5ujwgetktms/i3d_torchscript.pt?dl=1",
        "https://huggingface.co/ByteDance/LatentSync-1.6/resolve/main/auxiliary/i3d_torchscript.pt",
    ),
)
VIDEOGPT = WeightsFile(
    name="i3d_pretrained_400.pt",
    what="state dict of VideoGPT",
    digest="git:a867b87ac3a9097d200598b1d48a1b890d8ec744",
    mirrors=("https://github.com/songweige/TATS/raw/main/tats/fvd/i3d_pretrained_400.pt",),
)
IMAGENET = WeightsFile(
    name="rgb_imagenet.pt",
    what="I3D of the original Kinetics release (i3d_rgb_imagenet.pt, rgb_imagenet.pt)",
    digest="sha256:2609088c2e8c868187c9921c50bc225329a9057ed75e76120e0b4a397a2c7538",
    size_bytes=50_883_138,
    is_for_fvd=False,
)
KNOWN_FILES = (STYLEGAN_V, VIDEOGPT, IMAGENET)


def load_i3d(path: str | Path | None = None, *, cache: str | Path | None = None, trust: bool = False) -> nn.Module:
    """The trained I3D of FVD, ready for use: float (B, 3, T, 224, 224) in [-1, 1] -> (B, 400) logits.

    Args:
        path: a file of weights: the TorchScript port of StyleGAN-V or the state dict of VideoGPT. None: look in the
            cache, and fetch the former where neither is there.
        cache: folder of the fetched file; None is the ``checkpoints`` folder of `torch.hub`.
        trust: read ``path`` also where its checksum is not known. A TorchScript archive is a program: loading it can
            do anything that you can.

    Raises:
        FileNotFoundError: there is no such file, or it could not be fetched; says what to fetch, and where to put it.
        ValueError: the file is not known, or known not to be for FVD.

    Example:
        >>> i3d = load_i3d("i3d_torchscript.pt")  # doctest: +SKIP
    """
    path = cached_i3d(cache) if path is None else Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no file of I3D weights at {path}")
    known = identify(path)
    if known is not None and not known.is_for_fvd:
        raise ValueError(
            f"{path} is the {known.what}: another network than that of FVD, its distances cannot be compared with any "
            f"published FVD; use {STYLEGAN_V.name} ({STYLEGAN_V.mirrors[0]})"
        )
    if known is None and not trust:
        raise ValueError(
            f"{path} is none of the known files of I3D weights ({STYLEGAN_V.name}, {STYLEGAN_V.size_bytes:,} bytes, "
            f"{STYLEGAN_V.digest}; {VIDEOGPT.name}, {VIDEOGPT.digest}): a damaged download? "
            "If you trust where it comes from, say so (trust=True, --trust-weights)"
        )
    net = _ScriptedI3D(path) if _is_torchscript(path) else _from_state_dict(path)
    return net.eval().requires_grad_(False)


def cached_i3d(cache: str | Path | None = None) -> Path:
    """The file of weights in the cache; fetched, where there is none. Arguments and errors as of `load_i3d`."""
    folder = Path(torch.hub.get_dir()) / "checkpoints" if cache is None else Path(cache)
    present = [folder / file.name for file in (STYLEGAN_V, VIDEOGPT) if (folder / file.name).is_file()]
    return present[0] if present else fetch(STYLEGAN_V, folder)


def identify(path: str | Path) -> WeightsFile | None:
    """Which of the known files this is, by its content; None for any other."""
    path = Path(path)
    size = path.stat().st_size
    candidates = [known for known in KNOWN_FILES if known.size_bytes in (None, size)]
    return next((known for known in candidates if _has_digest(path, known.digest)), None)


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
        faults = []
        for address in file.mirrors:
            try:
                _download(address, path.with_name(f"{file.name}.part"), file)
                return path.with_name(f"{file.name}.part").replace(path)
            except (OSError, HTTPException, _WrongFileError) as fault:  # urllib's errors are OSErrors
                faults.append(f"{address}: {fault}")
    size = "" if file.size_bytes is None else f"{file.size_bytes:,} bytes, "
    raise FileNotFoundError(
        f"the I3D weights ({file.what}) could not be fetched: {'; '.join(faults)}\n"
        f"Fetch {file.name} ({size}{file.digest}) elsewhere, then put it at {path} or name it (--weights FILE)"
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
    if not (file.size_bytes in (None, part.stat().st_size) and _has_digest(part, file.digest)):
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


def _has_digest(path: Path, digest: str) -> bool:
    kind, _, expected = digest.partition(":")
    found = hashlib.sha256() if kind == "sha256" else hashlib.sha1(b"blob %d\0" % path.stat().st_size)
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            found.update(chunk)
    return found.hexdigest() == expected


def _is_torchscript(path: Path) -> bool:
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return any("/code/" in name for name in archive.namelist())


class _ScriptedI3D(nn.Module):
    """The archive of StyleGAN-V, called so that it neither scales nor resizes and gives logits."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        with warnings.catch_warnings():
            warnings.simplefilter(
                "ignore", FutureWarning
            )  # torch.jit is deprecated; the archive exists in no other form
            self.script = torch.jit.load(path, map_location="cpu")

    def forward(self, video: Tensor) -> Tensor:
        # Not optimised while it runs: the first calls would be computed otherwise than the later ones.
        with torch.jit.optimized_execution(False):
            return self.script(video, rescale=False, resize=False, return_features=True)


def _from_state_dict(path: Path) -> I3D:
    net = I3D()
    try:
        net.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    except Exception as fault:
        reason = str(fault).strip().splitlines()[0]
        raise ValueError(f"{path} holds no state dict of I3D as VideoGPT names it: {reason}") from fault
    return net
