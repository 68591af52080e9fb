"""`LeRobotVideos`: data sets of LeRobot, films and tables (parquet), versions 2 and 3."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from torch import Tensor

from mcvd.data.sources.episodes import AbstractEpisodes
from mcvd.data.sources.folder import VideoFolder
from mcvd.data.videos import SignalsError, check_request
from mcvd.runtime.columns import key_of, width_of
from mcvd.runtime.suggest import did_you_mean
from mcvd.video.decoders.base import VideoError

LABEL = "label"
_OWN = (
    "timestamp",
    "frame_index",
    "episode_index",
    "index",
    "task_index",
)  # columns that tell nothing of what was done


class _Episode(NamedTuple):
    number: int
    length: int
    table: Path
    film: Path
    first: int  # its first frame in the film
    task: str


class LeRobotVideos(AbstractEpisodes):
    """One video for each episode of a LeRobot data set, with what was done in it.

    Signals are columns of its tables: ``action[6]``, ``observation.state[6]``; ``label=...`` is the task in words.

    Args:
        root: the folder of the data set, with ``meta/info.json``, downloaded or mounted.
        camera: which films, such as "observation.images.top"; None is the only ones.
        engine: the decoder; see `mcvd.video.open.open_video`.

    Raises:
        FileNotFoundError: it is no data set of LeRobot.
        ValueError: of a version that is not read, or without such films.
        ModuleNotFoundError: without the package pyarrow.
    """

    def __init__(self, root: str | Path, camera: str | None = None, engine: str = "pyav") -> None:
        self.root, self.engine = Path(root), engine
        info_file = self.root / "meta/info.json"
        if not info_file.is_file():
            raise FileNotFoundError(f"no data set of LeRobot: {info_file} is missing")
        try:
            info = json.loads(info_file.read_text())
            self.version = int(str(info["codebase_version"]).lstrip("v").partition(".")[0])
            self.frame_rate_hz = float(info["fps"])
            kinds = {name: feature["dtype"] for name, feature in info["features"].items()}
            self._chunk = int(info.get("chunks_size", 1000))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"{info_file}: not as LeRobot writes it: {error!r}") from None
        if self.version not in (2, 3) or not 0 < self.frame_rate_hz < 1e5 or self._chunk < 1:
            raise ValueError(f"{info_file}: version {info['codebase_version']}, read are 2 and 3")
        cameras = [name for name, kind in kinds.items() if kind == "video"]
        self.camera = cameras[0] if camera is None and len(cameras) == 1 else camera
        if self.camera not in cameras:
            raise ValueError(f"{root}: name its films with camera=, there are: {', '.join(cameras) or 'none'}")
        self._kinds = kinds

    @cached_property
    def _episodes(self) -> list[_Episode]:
        try:
            return self._of_version_2() if self.version == 2 else self._of_version_3()
        except (KeyError, TypeError, ValueError, IndexError) as error:
            raise ValueError(f"{self.root}/meta: not as LeRobot writes it: {error!r}") from None

    def _of_version_2(self) -> list[_Episode]:
        found = []
        for line in (self.root / "meta/episodes.jsonl").read_text().splitlines():
            about = json.loads(line)
            number = int(about["episode_index"])
            chunk, name = f"chunk-{number // self._chunk:03d}", f"episode_{number:06d}"
            film = self.root / "videos" / chunk / str(self.camera) / f"{name}.mp4"
            table = self.root / "data" / chunk / f"{name}.parquet"
            found.append(_Episode(number, int(about["length"]), table, film, 0, _task(about)))
        return found

    def _of_version_3(self) -> list[_Episode]:
        found = []
        for file in sorted((self.root / "meta/episodes").rglob("*.parquet")):
            for about in _read_parquet(file, None).to_pylist():
                table, film = (
                    self.root
                    / folder
                    / f"chunk-{about[f'{key}/chunk_index']:03d}/file-{about[f'{key}/file_index']:03d}"
                    for folder, key in (("data", "data"), (f"videos/{self.camera}", f"videos/{self.camera}"))
                )
                first = round(about[f"videos/{self.camera}/from_timestamp"] * self.frame_rate_hz)
                films = film.with_name(f"{film.name}.mp4"), table.with_name(f"{table.name}.parquet")
                found.append(_Episode(about["episode_index"], about["length"], films[1], films[0], first, _task(about)))
        return sorted(found)

    @cached_property
    def _films(self) -> tuple[VideoFolder, dict[Path, int]]:
        films = VideoFolder(self.root / "videos", self.engine)
        return films, {path: number for number, path in enumerate(films.paths)}

    def read(self, index: int, frames: Sequence[int], cover: tuple[int, int]) -> Tensor:
        """Some frames of one episode, uint8 (T, 3, H, W), just covering ``cover``."""
        episode = self._episodes[index]
        check_request(index, frames, len(self), episode.length)
        films, numbers = self._films
        if episode.film not in numbers:
            raise VideoError(f"{episode.film}: missing, or not readable")
        number = numbers[episode.film]
        if (there := len(films.times_seconds(number))) < episode.first + episode.length:
            raise VideoError(f"{episode.film}: has {there} frames, too few for {self.name(index)}")
        return films.read(number, [episode.first + frame for frame in frames], cover)

    def name(self, index: int) -> str:
        """The number of the episode."""
        return f"{self.root.name} episode {self._episodes[index].number}"

    def signal_names(self, index: int) -> list[str]:
        """The columns of numbers, and the task."""
        table, found = self._table(index), []
        for name in table.column_names:
            first = table[name][0].as_py() if len(table) else None
            if name in _OWN or isinstance(first, str | bytes | None):
                continue
            found.append(f"{name}[{len(first)}]" if isinstance(first, list) and len(first) > 1 else name)
        task = self._episodes[index].task
        return found + ([f"{LABEL}={task}"] if task else [])

    def signals(self, index: int, names: Sequence[str]) -> np.ndarray:
        """Numbers of each frame, float32 (num_frames, A)."""
        return np.concatenate([self._signal(index, name) for name in names], 1)

    def _signal(self, index: int, name: str) -> np.ndarray:
        episode, key, width = self._episodes[index], key_of(name), width_of(name)
        if name.startswith(f"{LABEL}="):
            return np.full((episode.length, 1), episode.task == name.partition("=")[2], np.float32)
        table = self._table(index)
        if key not in table.column_names:
            known = self.signal_names(index)
            meant = did_you_mean(name, known)
            raise SignalsError(f"{episode.table}: there is no {name}{meant} (there are: {', '.join(known)})")
        try:
            values = np.array(table[key].to_pylist(), np.float32).reshape(len(table), -1)
        except (ValueError, TypeError):
            raise SignalsError(f"{episode.table}: {key} is not equally many numbers in each row") from None
        if values.shape != (episode.length, width):
            raise SignalsError(
                f"{episode.table}: {name} is {values.shape[1]} numbers in {values.shape[0]} rows, expected {width} in "
                f"{episode.length}"
            )
        return values

    def _table(self, index: int) -> Any:
        episode = self._episodes[index]
        table = _read_parquet(episode.table, episode.number if self.version == 3 else None)
        return table


def _task(about: dict[str, Any]) -> str:
    tasks = about.get("tasks") or [""]
    return " ".join(str(tasks[0]).split())


@lru_cache(maxsize=64)
def _read_parquet(path: Path, episode: int | None) -> Any:
    """A table, or the rows of one episode.

    Raises:
        SignalsError: it is missing or damaged.
    """
    try:
        from pyarrow import ArrowException, parquet
    except ModuleNotFoundError:
        raise ModuleNotFoundError("LeRobot data sets need pyarrow: python -m pip install 'mcvd[lerobot]'") from None
    try:
        return parquet.read_table(path, filters=None if episode is None else [("episode_index", "=", episode)])
    except (ArrowException, OSError) as error:
        raise SignalsError(f"{path}: not readable: {str(error).splitlines()[0]}") from None
