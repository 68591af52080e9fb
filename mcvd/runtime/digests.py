"""Digests of files' contents, remembered while a file's size and time do not change."""

from __future__ import annotations

import hashlib
import json
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mcvd.runtime.atomic import write_json


class Digests:
    """Digests by path, remembered in a JSON file; a context manager that writes it at the end.

    Args:
        memory: the JSON file. Lost or damaged it is made again; of two processes the last one's stays.

    Examples:
        >>> with Digests("digests.json") as digests:  # doctest: +SKIP
        ...     digests.of("film.mp4")
    """

    def __init__(self, memory: str | Path) -> None:
        self.memory = Path(memory)
        try:
            self._known = json.loads(self.memory.read_text())
        except (OSError, ValueError):
            self._known = {}
        if not isinstance(self._known, dict):
            self._known = {}
        self._is_changed = False

    def of(self, path: str | Path) -> str:
        """The digest of a file's content, or of the names and contents of a folder's files; 40 hexadecimal digits.

        Raises:
            OSError: if it cannot be read.
        """
        path = Path(path).resolve()
        files = sorted(path.iterdir()) if path.is_dir() else [path]
        stats = [(file.name, stat.st_size, stat.st_mtime_ns) for file in files for stat in [file.stat()]]
        state = json_digest(stats)
        known = self._known.get(str(path))
        if isinstance(known, list) and len(known) == 2 and known[0] == state:
            return str(known[1])
        digest = blake2b(digest_size=20)
        for file, (name, size, _) in zip(files, stats, strict=True):
            if path.is_dir():
                digest.update(json.dumps([name, size]).encode())
            if file.is_file():
                with file.open("rb") as content:
                    hashlib.file_digest(content, lambda: digest)
        self._known[str(path)] = [state, digest.hexdigest()]
        self._is_changed = True
        return digest.hexdigest()

    def __enter__(self) -> Digests:
        return self

    def __exit__(self, *_: object) -> None:
        if self._is_changed:
            with suppress(OSError):  # only a memory: the next start computes them again
                write_json(self.memory, self._known, indent=None)


def json_digest(value: Any) -> str:
    """The digest of a value that JSON can hold; 40 hexadecimal digits."""
    return blake2b(json.dumps(value).encode(), digest_size=20).hexdigest()


def digest(tensors: dict[str, Tensor]) -> str:
    """SHA-256 of named tensors: of their names, dtypes, shapes and bytes."""
    found = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        found.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        found.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return found.hexdigest()
