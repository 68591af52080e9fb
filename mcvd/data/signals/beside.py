"""What is told of a video by the files beside it: numbers of each frame, its label, vectors.

=================================== ============================================== =================================
beside                              of a video file ``clip.mp4``                   of a folder of frames
=================================== ============================================== =================================
numbers of each frame               ``clip.csv``                                   ``controls.csv``, ``actions.csv`` or
                                                                                   ``signals.csv``, in it or above it
a Donkeycar tub                                                                    its catalogs or records
the label                           ``clip.txt``, else the name of its folder      ``label.txt``, else the name of the
                                                                                   folder above
a caption                           ``clip.caption.txt``, else the label           ``caption.txt``, else the label
vectors, of a text for example      ``clip.npz``, (D,) or (frames, D) each         ``signals.npz``
=================================== ============================================== =================================
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from mcvd.data.signals.tables import Table, read_table
from mcvd.data.signals.tub import find_tub, read_tub
from mcvd.data.videos import SignalsError
from mcvd.runtime.columns import key_of, width_of
from mcvd.runtime.suggest import did_you_mean
from mcvd.video.decoders.frame_names import choose_sequence, find_sequences, frame_pictures

TABLES = ("signals.csv", "controls.csv", "actions.csv")
LABEL = "label"
MAX_LABEL = 200  # letters
MAX_CAPTION = 5000


class SignalsBeside:
    """The files beside one video.

    Args:
        video: its path, as `mcvd.video.find.find_videos` gives it.
        root: of the collection; the name of a folder below it is the label of videos in it.
        num_frames: of the video.
    """

    def __init__(self, video: Path, root: Path, num_frames: int) -> None:
        self.video, self.root, self.num_frames = video, root, num_frames
        self._folder = video if video.is_dir() else video.parent if "*" in video.name else None

    def names(self) -> list[str]:
        """What could be told: columns, the label that the video has, vectors with their width."""
        found = [name for table in self._tables() for name in table.columns]
        label = self.label()
        found += [f"{LABEL}={label}"] if label else []
        found += [f"{name}[{array.shape[-1]}]" for name, array in self.vectors().items()]
        return [*dict.fromkeys(found)]

    def read(self, names: Sequence[str]) -> np.ndarray:
        """These numbers, float32 (num_frames, A).

        Raises:
            SignalsError: one is not there, or wrong; says in which file and row.
        """
        return np.concatenate([self._read(name) for name in names], axis=1)

    def label(self) -> str:
        """The label of the video, empty where it has none."""
        file = self._file(".txt", "label.txt")
        if file.is_file():
            return _read_text(file, "label", MAX_LABEL)
        above = self.video.parent
        return above.name if above.resolve() != self.root.resolve() and self.video != self.root else ""

    def caption(self) -> str:
        """The caption of the video, else its label; empty where it has neither."""
        file = self._file(".caption.txt", "caption.txt")
        return _read_text(file, "caption", MAX_CAPTION) if file.is_file() else self.label()

    @property
    def vectors_file(self) -> Path:
        """Where its vectors are, if it has any."""
        return self._file(".npz", "signals.npz")

    def _read(self, name: str) -> np.ndarray:
        if name.startswith(f"{LABEL}="):
            label = self.label()
            if not label:
                raise SignalsError(f"{self.video}: has no label: neither a text beside it nor a folder of its own")
            return np.full((self.num_frames, 1), label == name.partition("=")[2], np.float32)
        if key_of(name) in (vectors := self.vectors()):
            return self._vector(name, vectors[key_of(name)])
        for table in self._tables():
            if name in table.columns:
                return table.column(name)[table.rows_of(self._pictures(), self.num_frames)][:, None]
        known = self.names()
        there = f"there are: {', '.join(known)}" if known else "no table, label or vectors are there"
        raise SignalsError(f"{self.video}: nothing beside it tells {name}{did_you_mean(name, known)} ({there})")

    def _vector(self, name: str, array: np.ndarray) -> np.ndarray:
        file, width = self.vectors_file, width_of(name)
        if array.shape not in ((width,), (self.num_frames, width)) or not np.isfinite(array).all():
            raise SignalsError(
                f"{file}: {key_of(name)} must be finite numbers ({width},) or ({self.num_frames}, {width}), "
                f"got {array.dtype} {array.shape}"
            )
        return np.broadcast_to(array.astype(np.float32), (self.num_frames, width))

    def _tables(self) -> Iterator[Table]:
        if self._folder is None:
            places = [self.video.with_suffix(".csv")]
        else:
            places = [folder / name for folder in (self._folder, self._folder.parent) for name in TABLES]
            if (tub := find_tub(self._folder)) is not None:
                yield read_tub(tub)
        yield from (read_table(place) for place in places if place.is_file())

    def vectors(self) -> dict[str, np.ndarray]:
        """Its vectors by name, (D,) or (frames, D).

        Raises:
            SignalsError: their file cannot be read.
        """
        file = self.vectors_file
        if not file.is_file():
            return {}
        try:
            with np.load(file, allow_pickle=False) as arrays:
                return {name: arrays[name] for name in arrays.files if arrays[name].ndim in (1, 2)}
        except (OSError, ValueError, zipfile.BadZipFile) as error:
            raise SignalsError(f"{file}: not readable: {error}") from None

    def _pictures(self) -> list[str]:
        """The names of a folder's frames, in their order."""
        if self._folder is None:
            return []
        pattern = "*" if self.video.is_dir() else self.video.name
        sequences = find_sequences(frame_pictures(self._folder, pattern))
        return [file.name for file in choose_sequence(sequences, self.video).files]

    def _file(self, suffix: str, in_folder: str) -> Path:
        return self.video.with_suffix(suffix) if self._folder is None else self._folder / in_folder


def _read_text(file: Path, kind: str, most: int) -> str:
    """The words of a file, in one line."""
    try:
        text = " ".join(file.read_text(encoding="utf-8").split())
    except UnicodeDecodeError:
        raise SignalsError(f"{file}: no text") from None
    if len(text) > most:
        raise SignalsError(f"{file}: {len(text)} letters, expected a {kind} of at most {most}")
    return text
