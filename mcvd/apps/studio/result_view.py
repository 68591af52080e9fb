"""What a visitor sees of the videos: pictures while they are made, then loops, scores and files."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

from mcvd.apps.studio.clip import Clip
from mcvd.apps.studio.job import PartialResult
from mcvd.apps.studio.selection import Selection
from mcvd.evaluation.baselines import blend, copy_first, copy_last
from mcvd.metrics.frames import psnr_per_frame, ssim_per_frame
from mcvd.video.page import Page
from mcvd.video.write import write_video

ALL = "all, side by side"
_MAX_COLUMNS = 14
_MAX_PICTURE = 128  # pixels: a strip of larger ones would only slow the page down
_SSIM_MIN = 11  # pixels: its window


class Showcase:
    """The made videos in their places between given frames, next to the truth where there is one.

    Args:
        clip: where the given and the true frames are.
        marks: which these are.
        made: the videos.
        fps: at which they play.
    """

    def __init__(self, clip: Clip, marks: Selection, made: PartialResult, fps: float):
        self.marks, self.made, self.fps = marks, made, fps
        self._past, self._future = (clip.frames[side.start : side.stop] for side in (marks.past, marks.future))
        self._true = marks.truth(len(clip.frames))
        self._truth = clip.frames[self._true.start : self._true.stop]

    @property
    def given(self) -> list[int]:
        """Numbers of the given frames in the videos, which begin at 0."""
        shown = self.marks.shown
        return [number - shown.start for number in shown if number in self.marks.past or number in self.marks.future]

    def videos(self) -> dict[str, Tensor]:
        """Title -> uint8 (T, C, H, W), given frames included; the truth first."""
        rows = {"truth": self._padded_truth()} if len(self._true) else {}
        rows |= {self._title(k): sample for k, sample in enumerate(self.made.frames)}
        return {title: torch.cat([self._past, video, self._future]) for title, video in rows.items()}

    def scores(self) -> dict[str, dict[str, list[float]]]:
        """Metric -> title -> value for each true frame, of the samples and of what they must beat; empty if none is."""
        if not len(self._true):
            return {}
        at = slice(self._true.start - self.marks.made.start, self._true.stop - self.marks.made.start)
        rows = {self._title(k): sample for k, sample in enumerate(self.made.frames)} | self._baseline()
        metrics = {"PSNR in dB": psnr_per_frame}
        if min(self._truth.shape[-2:]) >= _SSIM_MIN:
            metrics["SSIM"] = ssim_per_frame
        return {
            name: {title: metric(video[at], self._truth).tolist() for title, video in rows.items()}
            for name, metric in metrics.items()
        }

    def strip(self) -> str:
        """Pictures of some of the frames, as HTML to stand in a page."""
        return self._add_strip(Page("")).fragment()

    def page(self, title: str, intro: str = "") -> Page:
        """Loops, pictures and scores."""
        page = Page(title, intro)
        page.videos([(name, video, self.given, name != "truth") for name, video in self.videos().items()], self.fps)
        self._add_strip(page)
        for metric, lines in self.scores().items():
            page.curves(lines, metric, first=self._true.start)  # type: ignore[arg-type]
        return page

    def write_files(self, folder: Path, title: str, intro: str) -> dict[str, dict[str, Path]]:
        """Write everything there is to take home.

        Returns:
            Title -> ending -> file: each video and all of them side by side as mp4 and gif, and the page.
        """
        videos = self.videos()
        files: dict[str, dict[str, Path]] = {}
        for number, (name, video) in enumerate({ALL: torch.cat(list(videos.values()), -1), **videos}.items()):
            stem = "futures" if not number else name.replace(" ", "-")
            files[name] = {ending: folder / f"{stem}.{ending}" for ending in ("mp4", "gif")}
            for path in files[name].values():
                write_video(path, video, self.fps)
        files[ALL]["html"] = self.page(title, intro).write(folder / "index.html")
        return files

    def _title(self, sample: int) -> str:
        return f"sample {sample + 1}"

    def _padded_truth(self) -> Tensor:
        """The true frames, grey where the video has none."""
        padded = torch.full_like(self.made.frames[0], 128)
        at = self._true.start - self.marks.made.start
        padded[at : at + len(self._true)] = self._truth
        return padded

    def _baseline(self) -> dict[str, Tensor]:
        length = len(self.marks.made)
        if len(self._past) and len(self._future):
            return {"cross-fade": blend(self._past, self._future, length)}
        if len(self._past):
            return {"last frame repeated": copy_last(self._past, length)}
        return {"first frame repeated": copy_first(self._future, length)}

    def _add_strip(self, page: Page) -> Page:
        shown, made = self.marks.shown, self.marks.made
        count = min(len(made), _MAX_COLUMNS)
        chosen = {made[i * (len(made) - 1) // max(1, count - 1)] for i in range(count)}
        columns = [i for i, number in enumerate(shown) if number in chosen or number not in made]
        given = [place for place, column in enumerate(columns) if column in self.given]
        rows = [(name, _shrunk(video[columns]), given, name != "truth") for name, video in self.videos().items()]
        return page.strip(rows, numbers=[shown[column] for column in columns])


def _shrunk(video: Tensor) -> Tensor:
    factor = -(-max(video.shape[-2:]) // _MAX_PICTURE)
    return video if factor == 1 else avg_pool2d(video.float(), factor).round().to(torch.uint8)
