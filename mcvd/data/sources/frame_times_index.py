"""The frame times of video files, remembered between starts: listing the packets of every file takes milliseconds."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from stat import S_ISREG
from typing import NamedTuple
from zipfile import BadZipFile

import numpy as np
import torch

from mcvd.runtime.atomic import atomic_write
from mcvd.runtime.digests import json_digest
from mcvd.runtime.lock import file_lock
from mcvd.video.decoders.base import VIDEO_SUFFIXES
from mcvd.video.open import engine_version
from mcvd.video.timing import FrameTimes

# Raised whenever the same file would get other times.
_FORMAT = 4
# Fewer files are looked at again in less time than anybody notices.
_MIN_FILES = 16

_Key = tuple[str, int, int]  # path, size, time of change in nanoseconds


class Probed(NamedTuple):
    """What opening a video told: its times, and what is to be told of it."""

    times: FrameTimes
    notes: tuple[str, ...]


_Look = Callable[[list[Path]], list[Probed | str]]


class FrameTimesIndex:
    """What was learnt of the video files below a folder, in one file.

    A file is known by its path, size and time of change. Pictures are not remembered.

    Args:
        root: the folder of videos.
        engine: the decoder.
        folder: where the index is kept; None: in the user's cache (`torch.hub`'s folder, which ``TORCH_HOME`` moves),
            for folders of 16 videos and more.
    """

    def __init__(self, root: Path, engine: str, folder: str | Path | None = None) -> None:
        self._min_files = _MIN_FILES if folder is None else 1
        self._version = f"{_FORMAT} {engine} {engine_version(engine)}"
        folder = Path(torch.hub.get_dir()).parent / "mcvd" if folder is None else Path(folder)
        self.path = folder / f"frame-times-{json_digest([str(root.resolve()), engine])[:16]}.npz"

    @property
    def _lock(self) -> Path:
        return self.path.with_suffix(".lock")

    def probe(self, paths: Sequence[Path], look: _Look) -> list[Probed | str]:
        """What opening tells of each video, or its fault; only what is new or has changed is opened.

        Of several processes that start at once, one opens the files, and the others wait for what it learns.

        Args:
            paths: the videos.
            look: opens videos; faults are looked at again at every start.
        """
        keys = [_key(path) for path in paths]
        if sum(key is not None for key in keys) < self._min_files:
            return look(list(paths))
        known = self._load()
        if all(key is None or key in known for key in keys):
            if self._lock.exists():  # its holder was killed after its last change, or has just saved
                with suppress(OSError), file_lock(self._lock, wait=False):
                    pass
            return _filled(paths, keys, known, look)
        with self._held():
            known = self._load()
            results = _filled(paths, keys, known, look)
            found = {
                key: result
                for key, result in zip(keys, results, strict=True)
                if key is not None and not isinstance(result, str) and result.times.is_told
            }
            if found.keys() - known.keys():
                self._save(found)
        return results

    @contextmanager
    def _held(self) -> Iterator[None]:
        """Alone with the index; on a disk that cannot be written, with others, and nothing will be remembered."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            lock = file_lock(self._lock)
            lock.__enter__()
        except OSError:
            yield
            return
        try:
            yield
        finally:
            lock.__exit__(None, None, None)

    def _load(self) -> dict[_Key, Probed]:
        try:
            with np.load(self.path, allow_pickle=False) as stored:
                if str(stored["version"]) != self._version:
                    return {}
                facts = json.loads(str(stored["facts"]))
                starts, stops, ends = stored["starts"], stored["stops"].tolist(), stored["ends"].tolist()
                ticks = stored["ticks"].tolist()
            known, first = {}, 0
            for (path, size, changed, notes), stop, end, tick in zip(facts, stops, ends, ticks, strict=True):
                times = FrameTimes(starts[first:stop], end, tick_seconds=tick)
                known[path, size, changed] = Probed(times, tuple(notes))
                first = stop
        except (OSError, EOFError, ValueError, KeyError, TypeError, BadZipFile):
            return {}  # absent, of another version or damaged: all are looked at
        return known

    def _save(self, found: dict[_Key, Probed]) -> None:
        facts = [[*key, probed.notes] for key, probed in found.items()]
        all_times = [probed.times for probed in found.values()]
        with suppress(OSError), atomic_write(self.path) as part, part.open("wb") as file:
            np.savez(
                file,
                version=np.array(self._version),
                facts=np.array(json.dumps(facts)),
                starts=np.concatenate([times.starts for times in all_times]),
                stops=np.cumsum([len(times) for times in all_times]),
                ends=np.array([times.end for times in all_times]),
                ticks=np.array([times.tick_seconds for times in all_times]),
            )


def _key(path: Path) -> _Key | None:
    """What tells a file from another, or from what it was before; None where nothing is remembered of it."""
    if path.suffix.lower() not in VIDEO_SUFFIXES:
        return None
    try:
        facts = os.stat(path)
    except OSError:
        return None
    return (os.path.abspath(path), facts.st_size, facts.st_mtime_ns) if S_ISREG(facts.st_mode) else None


def _filled(
    paths: Sequence[Path], keys: Sequence[_Key | None], known: dict[_Key, Probed], look: _Look
) -> list[Probed | str]:
    """What is known of each video, and for the others what a look tells."""
    missing = [place for place, key in enumerate(keys) if key is None or key not in known]
    looked = dict(zip(missing, look([paths[place] for place in missing]) if missing else [], strict=True))
    return [looked[place] if place in looked else known[key] for place, key in enumerate(keys)]  # type: ignore[index]
