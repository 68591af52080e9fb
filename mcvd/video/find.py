"""Which files and folders below a folder are videos."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from operator import attrgetter
from pathlib import Path

from mcvd.video.decoders.animation import num_pictures
from mcvd.video.decoders.base import ANIMATION_SUFFIXES, FRAME_SUFFIXES, VIDEO_SUFFIXES, VideoError
from mcvd.video.decoders.frame_names import find_sequences

_FEW = 32  # pictures of one ending beside videos, all of which are looked at


def find_videos(root: Path) -> Iterator[Path]:
    """Paths of the videos at or below ``root``, sorted; hidden files and folders are skipped.

    A video is a file with a known ending; a folder without subfolders and videos that holds numbered pictures, or,
    where the names before the numbers differ, each sequence of them, as ``folder/name*``; an animated picture.
    """
    if root.is_dir():
        yield from _videos_below(root, above=frozenset())
    else:
        yield root


def find_other_files(root: Path) -> list[Path]:
    """The files below ``root`` of which no video is made, sorted; hidden ones are skipped."""
    videos = set(find_videos(root)) if root.is_dir() else set()
    folders = {video if video.is_dir() else video.parent for video in videos if video.is_dir() or "*" in video.name}
    return sorted(
        file
        for file in root.rglob("*")
        if file.is_file()
        and file not in videos
        and not (file.parent in folders and file.suffix.lower() in FRAME_SUFFIXES)
        and not any(part.startswith(".") for part in file.relative_to(root).parts)
    )


def _videos_below(folder: Path, above: frozenset[Path]) -> Iterator[Path]:
    above |= {folder.resolve()}
    # By name, which is the order of the paths: these themselves are compared three times as slowly.
    entries = sorted((entry for entry in folder.iterdir() if not entry.name.startswith(".")), key=attrgetter("name"))
    # A link to a folder above would be followed for ever.
    inside = [(entry, entry.is_dir()) for entry in entries if not (entry.is_symlink() and entry.resolve() in above)]
    videos = [(entry, is_dir) for entry, is_dir in inside if is_dir or entry.suffix.lower() in VIDEO_SUFFIXES]
    others = [entry for entry, is_dir in inside if not is_dir and entry.suffix.lower() not in VIDEO_SUFFIXES]
    # A picture beside videos or above subfolders is a thumbnail or a title, not a frame.
    frames, animated = _sequences(folder, others, with_frames=not videos)
    found = [*videos, *((entry, False) for entry in (*frames, *animated))]
    for entry, is_dir in sorted(found, key=lambda entry_and_kind: entry_and_kind[0].name):
        if is_dir:
            yield from _videos_below(entry, above)
        else:
            yield entry


def _sequences(folder: Path, files: list[Path], with_frames: bool) -> tuple[list[Path], list[Path]]:
    """The sequences of frames among the pictures of a folder, as paths to open, and the animated pictures."""
    animated = _animated(files)
    pictures = [file for file in files if file.suffix.lower() in FRAME_SUFFIXES]
    if not with_frames or not pictures:
        return [], animated
    if 2 * len(animated) > len(pictures):
        pictures = [file for file in pictures if file not in set(animated)]
    try:
        sequences = [found for found in find_sequences(pictures) if found.is_numbered]
    except VideoError:
        return [folder], animated  # opening it will say what is wrong
    long = [found for found in sequences if len(found.files) > 1]
    # One among frames is no video of its own, but a mistake: reading the frames says so.
    animated = sorted(set(animated).difference(*(found.files for found in long)))
    if len(long) > 1:
        return [folder / f"{found.prefix}*" for found in long], animated
    single = not animated and any(picture.stem[-1:].isdigit() for picture in pictures)
    return ([folder] if long or single else []), animated


def _animated(files: list[Path]) -> list[Path]:
    """The animated ones; of many of one ending, as in a folder of frames, only the first is looked at."""
    by_ending: defaultdict[str, list[Path]] = defaultdict(list)
    for file in files:
        if file.suffix.lower() in ANIMATION_SUFFIXES:
            by_ending[file.suffix.lower()].append(file)
    animated = []
    for alike in by_ending.values():
        if len(alike) <= _FEW or _is_animated(alike[0]):
            animated += [file for file in alike if _is_animated(file)]
    return animated


def _is_animated(file: Path) -> bool:
    try:
        return file.is_file() and num_pictures(file) > 1  # a pipe would block for ever
    except VideoError:
        return False  # whoever reads it will say so
