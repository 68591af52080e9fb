"""Unpacking of archives that are not trusted."""

from __future__ import annotations

import shutil
import stat
import tarfile
import zipfile
from pathlib import Path, PurePosixPath
from typing import IO

from tqdm import tqdm

from mcvd.runtime.atomic import atomic_write, remove_stale_parts
from mcvd.runtime.disk import check_free_space
from mcvd.runtime.error_text import one_line

_CHUNK_BYTES = 1 << 20


def unpack(archive: str | Path, folder: str | Path) -> Path:
    """Unpack a .zip, .tar or .tar.gz into a new folder, atomically; a folder that is not empty is left as it is.

    Archives are not trusted: names that lead out of the folder, links and devices are refused.

    Args:
        archive: the file.
        folder: what it is unpacked into.

    Returns:
        ``folder``.

    Raises:
        ValueError: if the archive is damaged or holds such a name.
        OSError: if the disk has too little space.
    """
    archive, folder = Path(archive), Path(folder)
    if folder.is_dir() and any(folder.iterdir()):
        remove_stale_parts(folder.parent)
        return folder
    extract = _extract_zip if archive.suffix.lower() == ".zip" else _extract_tar
    try:
        with atomic_write(folder) as part:
            part.mkdir()
            extract(archive, part)
    except (tarfile.TarError, zipfile.BadZipFile, EOFError) as error:
        raise ValueError(f"{archive}: cannot be unpacked ({one_line(error)}); get it again") from None
    return folder


def _store(content: IO[bytes], archive: Path, folder: Path, name: str) -> None:
    path = PurePosixPath(name.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or ":" in name:
        raise ValueError(f"{archive}: refused, it holds the name {name!r}, which leads out of its folder")
    target = folder / path
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("wb") as sink:
        shutil.copyfileobj(content, sink, _CHUNK_BYTES)


def _extract_zip(archive: Path, folder: Path) -> None:
    with zipfile.ZipFile(archive) as file:
        members = [member for member in file.infolist() if not member.is_dir()]
        check_free_space(folder.parent, sum(member.file_size for member in members))
        for member in tqdm(members, f"Unpacking {archive.name}", disable=None):
            if stat.S_ISLNK(member.external_attr >> 16):
                raise ValueError(f"{archive}: refused, it holds the link {member.filename!r}")
            with file.open(member) as content:
                _store(content, archive, folder, member.filename)


def _extract_tar(archive: Path, folder: Path) -> None:
    if archive.suffix == ".tar":
        check_free_space(folder.parent, archive.stat().st_size)
    # One pass: a compressed archive is read from its start for each member that is looked up.
    with tarfile.open(archive) as file:
        for member in tqdm(file, f"Unpacking {archive.name}", disable=None):
            if member.isdir():
                continue
            if not member.isreg():
                raise ValueError(f"{archive}: refused, {member.name!r} is neither a file nor a folder")
            content = file.extractfile(member)
            assert content is not None  # it is a regular file
            with content:
                _store(content, archive, folder, member.name)
