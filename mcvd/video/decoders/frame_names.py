"""Which pictures of a folder are the frames of one video, told by their names."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

import numpy as np

from mcvd.video.decoders.base import FRAME_SUFFIXES, VideoError

# A date with a time, a number with decimals, or a plain number: each counts as one number.
_NUMBER = re.compile(r"\d{4}[-_.]?\d\d[-_.]?\d\d[-_.T ]\d\d[-_.:h]?\d\d[-_.:m]?\d\d(?:[-_.,]\d+)?|\d+(?:\.\d+)*")
_MAX_NAMED = 5


@dataclass(frozen=True)
class FrameSequence:
    """Pictures that are the frames of one video.

    Args:
        prefix: what their names have before the number.
        files: in the order of their numbers; without any number, of their names.
        notes: what their names leave in doubt, a sentence each.
        is_numbered: whether their names hold numbers.
    """

    prefix: str
    files: tuple[Path, ...]
    notes: tuple[str, ...] = ()
    is_numbered: bool = True


def frame_pictures(folder: Path, pattern: str = "*") -> list[Path]:
    """The pictures of a folder whose names match a pattern such as ``A_*`` or ``*.jpg``; hidden ones are not meant."""
    try:
        entries = [file for file in folder.iterdir() if file.suffix.lower() in FRAME_SUFFIXES]
    except PermissionError:
        raise VideoError(f"{folder}: permission denied") from None
    return [file for file in entries if not file.name.startswith(".") and fnmatchcase(file.name, pattern)]


def find_sequences(pictures: Iterable[Path]) -> list[FrameSequence]:
    """Divide pictures of one folder into videos: each has the same name before the number, which is the last that
    differs from picture to picture.

    Returns:
        The sequences in the order of their names. Pictures without a number make one, if there are no others.

    Raises:
        VideoError: if two pictures of one video have the same number, as frames and masks do.

    Examples:
        >>> names = ["A_2.png", "A_10.png", "B_1.png", "B_2.png"]
        >>> [[file.name for file in found.files] for found in find_sequences(map(Path, names))]
        [['A_2.png', 'A_10.png'], ['B_1.png', 'B_2.png']]
    """
    pictures = sorted(pictures, key=natural_order)
    by_shape: defaultdict[str, list[Path]] = defaultdict(list)
    for picture in pictures:
        by_shape[_NUMBER.sub("0", picture.stem)].append(picture)
    unnumbered = [picture for picture in pictures if not _NUMBER.search(picture.stem)]
    if len(unnumbered) == len(pictures):
        return [FrameSequence("", tuple(pictures), is_numbered=False)] if pictures else []
    videos: defaultdict[str, list[tuple[str, Path]]] = defaultdict(list)
    for alike in by_shape.values():
        if _NUMBER.search(alike[0].stem):
            for prefix, number, picture in _divided(alike):
                videos[prefix].append((number, picture))
    notes = []
    if unnumbered:
        notes.append(f"{_listed(unnumbered)}: left out, as other pictures beside are numbered")
    return [_sequence(prefix, members, notes) for prefix, members in sorted(videos.items(), key=_by_prefix)]


def choose_sequence(sequences: Sequence[FrameSequence], path: Path) -> FrameSequence:
    """The one video among the pictures of a folder, or the one that a pattern such as ``A_*`` names.

    Raises:
        VideoError: if there are several; says how to name one.
    """
    if len(sequences) == 1:
        return sequences[0]
    named = [found for found in sequences if f"{found.prefix}*" == path.name]
    if named:
        return named[0]
    long = [found for found in sequences if len(found.files) > 1]
    if len(long) == 1:
        others = [found.files[0] for found in sequences if found is not long[0]]
        note = f"{_listed(others)}: left out, as the name before the number is another one"
        return FrameSequence(long[0].prefix, long[0].files, (*long[0].notes, note))
    folder = path if path.is_dir() else path.parent
    each = [f"{found.prefix}* ({len(found.files)})" for found in sequences]
    shown = ", ".join(each[:_MAX_NAMED]) + (f" and {len(each) - _MAX_NAMED} more" if len(each) > _MAX_NAMED else "")
    raise VideoError(
        f"{path}: holds {len(sequences)} sequences of pictures, {shown}; name one, for example "
        f"{folder / (sequences[0].prefix + '*')}"
    )


def natural_order(file: Path) -> tuple[list[tuple[int, str]], str]:
    """Sorts 2.png before 10.png: numbers within names count as numbers."""
    parts = re.findall(r"\d+|\D+", file.name)
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in parts], file.name


def _divided(alike: list[Path]) -> list[tuple[str, str, Path]]:
    """(name before the number, number, picture) for pictures whose names differ in numbers alone."""
    numbers = [[match.span() for match in _NUMBER.finditer(picture.stem)] for picture in alike]
    texts = [[picture.stem[slice(*span)] for span in spans] for picture, spans in zip(alike, numbers, strict=True)]
    differing = [place for place in range(len(numbers[0])) if len({text[place] for text in texts}) > 1]
    chosen = differing[-1] if differing else len(numbers[0]) - 1
    for place in reversed(differing):
        # A number of which no two pictures of one video would exist is no frame number: a time beside it, for example.
        sizes = Counter(picture.stem[: spans[place][0]] for picture, spans in zip(alike, numbers, strict=True))
        if len(sizes) <= len(alike) // 2:
            chosen = place
            break
    return [
        (picture.stem[: spans[chosen][0]], text[chosen], picture)
        for picture, spans, text in zip(alike, numbers, texts, strict=True)
    ]


def _sequence(prefix: str, members: list[tuple[str, Path]], notes: Sequence[str]) -> FrameSequence:
    members = sorted(members, key=lambda member: natural_order(member[1]))
    values = [_value(number) for number, _ in members]
    first_of: dict[tuple[int, ...], tuple[str, Path]] = {}
    for value, member in zip(values, members, strict=True):
        other = first_of.setdefault(value, member)
        if other is not member:
            pair = (other, member)
            kinds = sorted({f"*{file.name[len(prefix) + len(number) :]}" for number, file in pair})
            folder, names = member[1].parent, " and ".join(file.name for _, file in pair)
            advice = "keep one kind in a folder of its own"
            if len(kinds) > 1:
                advice += f", or name one kind: {' or '.join(str(folder / kind) for kind in kinds)}"
            raise VideoError(f"{folder}: {names} have the same number (frames and masks?); {advice}")
    files = tuple(picture for _, (_, picture) in sorted(zip(values, members, strict=True), key=lambda pair: pair[0]))
    gaps = _gaps(sorted(value[0] for value in values)) if all(len(value) == 1 for value in values) else ""
    return FrameSequence(prefix, files, (*notes, *([gaps] if gaps else [])))


def _value(number: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", number))


def _gaps(numbers: list[int]) -> str:
    """Where numbers that rise regularly leave some out, in words; empty if nowhere."""
    if len(numbers) < 3:
        return ""
    steps = np.diff(np.array(numbers, dtype=object)).astype(np.float64)
    after = np.flatnonzero(steps > 1.5 * np.median(steps))
    if not len(after):
        return ""
    where = ", ".join(f"{numbers[place]} to {numbers[place + 1]}" for place in after[:_MAX_NAMED].tolist())
    more = f" and {len(after) - _MAX_NAMED} more" if len(after) > _MAX_NAMED else ""
    return f"the numbers of its pictures jump from {where}{more}: taken as shown without a pause"


def _by_prefix(item: tuple[str, list[tuple[str, Path]]]) -> tuple[list[tuple[int, str]], str]:
    return natural_order(Path(item[0] or "."))


def _listed(files: list[Path]) -> str:
    names = ", ".join(file.name for file in files[:_MAX_NAMED])
    return names + (f" and {len(files) - _MAX_NAMED} more" if len(files) > _MAX_NAMED else "")
