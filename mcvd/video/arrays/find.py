"""Which files of a folder are sequences, and which are the frames of one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mcvd.video.arrays.open import ENDINGS, ending_of
from mcvd.video.arrays.sequences import AbstractFields, ArrayFile, FrameFiles

Place = tuple[Path, ...]
"""A file with sequences, or the files that are the frames of one."""


def find_places(root: Path, axes: str | None, variables: Sequence[str] = ()) -> list[Place]:
    """What a path holds: a file, a folder of files, or a folder of folders of frames; in the order of their names.

    Files that hold one frame each are the frames of one sequence, those of each folder together.

    Raises:
        FileNotFoundError: there is no such file.
        VideoError: the first file cannot be read.
    """
    files = _files(root)
    if not files and root.is_dir():
        folders = [each for each in sorted(root.iterdir()) if each.is_dir() and not each.name.startswith(".")]
        places = [tuple(found) for folder in folders if (found := _files(folder))]
        files = places[0] if places else ()
    else:
        places = [tuple(files)]
    if not files:
        endings = ", ".join(ENDINGS)
        raise FileNotFoundError(f"no arrays at {root}: name a file of values or a folder of such files ({endings})")
    first = ArrayFile(files[0], axes, variables)
    first.close()
    if first.num_frames == 1 and first.num_sequences == 1:
        return places
    return [(path,) for place in places for path in place]


def open_place(
    place: Place, axes: str | None, variables: Sequence[str] = (), missing: float | None = None
) -> AbstractFields:
    """Open what `find_places` found; arguments as of `ArrayFile`."""
    if len(place) > 1:
        return FrameFiles(place, axes, variables, missing)
    return ArrayFile(place[0], axes, variables, missing)


def is_array(path: Path) -> bool:
    """Whether a path is a file that holds an array, by its name."""
    return ending_of(path) in ENDINGS and (path.is_file() or path.suffix.lower() == ".zarr")


def _files(root: Path) -> Sequence[Path]:
    if is_array(root):
        return [root] if root.exists() else []
    if not root.is_dir():
        return []
    return sorted(path for path in root.iterdir() if is_array(path) and not path.name.startswith("."))
