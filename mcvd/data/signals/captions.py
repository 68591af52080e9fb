"""Captions beside videos become vectors beside videos: computed once by a text encoder, and kept."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from io import BytesIO
from pathlib import Path

import numpy as np

from mcvd.data.signals.beside import SignalsBeside
from mcvd.data.sources.folder import VideoFolder
from mcvd.data.videos import SignalsError
from mcvd.runtime.atomic import atomic_write

TEXT = "text"  # the name of the vectors
_DIGEST = "text_is_of"  # of which caption by which encoder


def encode_captions(root: str | Path, encode: Callable[[Sequence[str]], np.ndarray], name: str) -> tuple[int, int, int]:
    """Write the vector of each video's caption beside it, ``text`` in ``clip.npz`` or ``signals.npz``.

    Other vectors of these files are kept. What was encoded before, the same text by the same encoder, is left as it is.

    Args:
        root: a folder of videos.
        encode: makes vectors (N, D) of N texts, such as `mcvd.data.signals.text_encoder.TextEncoder`.
        name: of the encoder; another name encodes anew.

    Returns:
        (videos, how many of them were encoded now, D).

    Raises:
        SignalsError: a video has no caption, or one that cannot be read; nothing is written then.
    """
    videos = VideoFolder(root)
    beside = [SignalsBeside(path, videos.root, 0) for path in videos.paths]
    captions = [each.caption() for each in beside]
    silent = [videos.name(index) for index, caption in enumerate(captions) if not caption]
    if silent:
        raise SignalsError(
            f"{len(silent)} of {len(captions)} videos have no caption, such as {silent[0]}: write one into "
            "clip.caption.txt beside clip.mp4, or caption.txt in a folder of frames"
        )
    digests = [hashlib.blake2b(f"{name}\n{caption}".encode(), digest_size=16).hexdigest() for caption in captions]
    due = [index for index, each in enumerate(beside) if _kept(each, digests[index]) is None]
    different = list(dict.fromkeys(captions[index] for index in due))
    vectors = dict(zip(different, encode(different), strict=True)) if different else {}
    for index in due:
        told = {TEXT: vectors[captions[index]].astype(np.float32), _DIGEST: np.array(digests[index])}
        _write(beside[index].vectors_file, beside[index].vectors() | told)
    width = len(next(iter(vectors.values()))) if vectors else _kept(beside[0], digests[0])
    return len(captions), len(due), width or 0


def _kept(beside: SignalsBeside, digest: str) -> int | None:
    """The width of the vector that is there already, None if it is of another text."""
    if not beside.vectors_file.is_file():
        return None
    with np.load(beside.vectors_file, allow_pickle=False) as arrays:
        same = _DIGEST in arrays.files and TEXT in arrays.files and str(arrays[_DIGEST]) == digest
        return arrays[TEXT].shape[-1] if same else None


def _write(path: Path, arrays: dict[str, np.ndarray]) -> None:
    content = BytesIO()
    np.savez(content, **arrays)  # type: ignore[arg-type]
    with atomic_write(path) as part:
        part.write_bytes(content.getvalue())
