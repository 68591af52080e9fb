"""What a visitor sees of the videos: pictures while they are sampled, then loops, scores and files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

from mcvd.apps.result_page import TRUTH, add_futures, add_spread
from mcvd.apps.studio.clip import Clip
from mcvd.apps.studio.selection import Selection
from mcvd.evaluation.baselines import simplest_baseline
from mcvd.metrics.frames import psnr_per_frame, ssim_per_frame
from mcvd.video.page import Page, VideoFigure
from mcvd.video.write import write_video

ALL = "all, side by side"
_MAX_COLUMNS = 14
_MAX_PICTURE = 128  # pixels: a strip of larger ones would only slow the page down
_SSIM_MIN = 11  # pixels: its window


class ResultView:
    """The samples in their places between the given frames, next to the ground truth where there is one.

    Args:
        clip: where the given and the true frames are.
        selection: which these are.
        samples: uint8 (K, T, C, H, W), the generated frames alone.
        fps: at which they play.
    """

    def __init__(self, clip: Clip, selection: Selection, samples: Tensor, fps: float):
        self.selection, self.samples, self.fps = selection, samples, fps
        self._past, self._future = (clip.frames[side.start : side.stop] for side in (selection.past, selection.future))
        known = self._numbers = selection.target(len(clip.frames))
        self._target = clip.frames[known.start : known.stop]
        self._known = slice(known.start - selection.generated.start, known.stop - selection.generated.start)

    @property
    def given(self) -> list[int]:
        """Numbers of the given frames in the videos, which begin at 0."""
        return [number - self.selection.shown.start for number in self.selection.given]

    def videos(self) -> dict[str, Tensor]:
        """Title -> uint8 (T, C, H, W), given frames included; the ground truth first, grey where the video has none."""
        rows = self._titled_samples()
        if len(self._target):
            padded = torch.full_like(self.samples[0], 128)
            padded[self._known] = self._target
            rows = {TRUTH: padded} | rows
        return {title: torch.cat([self._past, video, self._future]) for title, video in rows.items()}

    def scores(self) -> dict[str, dict[str, list[float]]]:
        """Metric -> title -> value for each frame of the ground truth, of the samples and of a baseline.

        NaN at keyframes: there is nothing to score.
        """
        if not len(self._target):
            return {}
        rows = self._titled_samples() | simplest_baseline(self._past, self._future, self.samples.shape[1])
        metrics = {"PSNR in dB": psnr_per_frame}
        if min(self._target.shape[-2:]) >= _SSIM_MIN:
            metrics["SSIM"] = ssim_per_frame
        scored = torch.tensor([number not in self.selection.keyframes for number in self._numbers])

        def values(metric: Callable[[Tensor, Tensor], Tensor], video: Tensor) -> list[float]:
            return metric(video[self._known], self._target).where(scored, torch.nan).tolist()

        return {
            name: {title: values(metric, video) for title, video in rows.items()} for name, metric in metrics.items()
        }

    def strip(self) -> str:
        """Pictures of some of the frames, as HTML to stand in a page."""
        return self._add_strip(Page("", first_frame=self.selection.shown.start)).fragment(with_script=False)

    def page(self, title: str, intro: str = "") -> Page:
        """Videos, where they differ, pictures and scores."""
        page = Page(title, intro, first_frame=self.selection.shown.start)
        figures = [VideoFigure(name, video, self.given, name != TRUTH) for name, video in self.videos().items()]
        add_futures(page, figures, self._past, self._future, self.fps)
        if len(self.samples) > 1 and self.given:
            target = self._target if len(self._target) == self.samples.shape[1] else None
            add_spread(page, self.samples, self._past, self._future, target, self.fps)
        self._add_strip(page)
        first = self.selection.generated.start + self._known.start
        baselines = simplest_baseline(self._past, self._future, 1) if self.given else ()
        at = first - self.selection.shown.start
        return page.charts(self.scores(), first=first, baselines=[*baselines], at=at) if self.scores() else page

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

    def _titled_samples(self) -> dict[str, Tensor]:
        return {f"sample {k + 1}": sample for k, sample in enumerate(self.samples)}

    def _add_strip(self, page: Page) -> Page:
        shown, generated = self.selection.shown, self.selection.generated
        count = min(len(generated), _MAX_COLUMNS)
        chosen = {generated[i * (len(generated) - 1) // max(1, count - 1)] for i in range(count)}
        columns = [i for i, number in enumerate(shown) if number in chosen or number not in generated]
        given = [place for place, column in enumerate(columns) if column in self.given]
        rows = [(name, _shrunk(video[columns]), given, name != TRUTH) for name, video in self.videos().items()]
        return page.strip(rows, numbers=[shown[column] for column in columns])


def _shrunk(video: Tensor) -> Tensor:
    factor = -(-max(video.shape[-2:]) // _MAX_PICTURE)
    return video if factor == 1 else avg_pool2d(video.float(), factor).round().to(torch.uint8)
