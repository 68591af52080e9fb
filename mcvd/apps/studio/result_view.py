"""What a visitor sees of the videos: pictures while they are sampled, then loops, scores and files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

from mcvd.apps.cli.output import Form
from mcvd.apps.result_page import TRUTH, add_futures, add_spread
from mcvd.apps.studio.clip import Clip
from mcvd.apps.studio.selection import Selection
from mcvd.apps.studio.take_home import write_files
from mcvd.evaluation.baselines import simplest_baseline
from mcvd.metrics.frames import psnr_per_frame, ssim_per_frame
from mcvd.metrics.values import mean_absolute_error
from mcvd.video.page import Page, VideoFigure

_MAX_COLUMNS = 14
_MAX_PICTURE = 128  # pixels: a strip of larger ones would only slow the page down
_SSIM_MIN = 11  # pixels: its window
_GREY = 128


class ResultView:
    """The samples in their places between the given frames, next to the ground truth where there is one.

    Args:
        clip: where the given and the true frames are.
        selection: which these are.
        samples: (K, T, C, H, W), the generated frames alone.
        form: how they are shown and written.
        is_done: bool (T,), which frames are generated already; None: all.
    """

    def __init__(self, clip: Clip, selection: Selection, samples: Tensor, form: Form, is_done: Tensor | None = None):
        self.selection, self.form, self.look = selection, form, form.look
        self.samples = self.look.codec.known_values(samples)
        self._is_done = torch.ones(samples.shape[1], dtype=torch.bool) if is_done is None else is_done
        given = self.look.codec.known_values(clip.frames)
        self._past, self._future = (given[side.start : side.stop] for side in (selection.past, selection.future))
        known = self._numbers = selection.target(len(clip.frames))
        self._target = given[known.start : known.stop]
        self._known = slice(known.start - selection.generated.start, known.stop - selection.generated.start)

    @property
    def given(self) -> list[int]:
        """Numbers of the given frames in the videos, which begin at 0."""
        return [number - self.selection.shown.start for number in self.selection.given]

    def videos(self) -> dict[str, Tensor]:
        """Title -> pictures, uint8 (T, 1 or 3, H, W), given frames included, the ground truth first.

        Grey is what the video does not have, and what is not generated yet.
        """
        pictures = self.look.pictures
        is_there = self._is_done[:, None, None, None]
        rows = {name: pictures(video).where(is_there, _GREY) for name, video in self._titled_samples().items()}
        if len(self._target):
            padded = torch.full_like(next(iter(rows.values())), _GREY)
            padded[self._known] = pictures(self._target)
            rows = {TRUTH: padded} | rows
        past, future = pictures(self._past), pictures(self._future)
        return {title: torch.cat([past, video, future]) for title, video in rows.items()}

    def scores(self) -> dict[str, dict[str, list[float]]]:
        """Metric -> title -> value for each frame of the ground truth, of the samples and of a baseline.

        NaN at keyframes: there is nothing to score.
        """
        if not len(self._target):
            return {}
        rows = self._titled_samples() | simplest_baseline(self._past, self._future, self.samples.shape[1])
        metrics = {"PSNR in dB": psnr_per_frame}
        if self.look.legend is not None:
            metrics = {f"mean absolute error in {self.look.unit}".removesuffix(" in "): mean_absolute_error}
        elif min(self._target.shape[-2:]) >= _SSIM_MIN:
            metrics["SSIM"] = ssim_per_frame
        scored = torch.tensor([number not in self.selection.keyframes for number in self._numbers])

        def values(metric: Callable[[Tensor, Tensor], Tensor], video: Tensor) -> list[float]:
            return metric(video[self._known], self._target).where(scored, torch.nan).tolist()

        return {
            name: {title: values(metric, video) for title, video in rows.items()} for name, metric in metrics.items()
        }

    def strip(self) -> str:
        """Pictures of some of the frames, as HTML to stand in a page."""
        page = Page("", first_frame=self.selection.shown.start).colours(self.look.legend)
        return self._add_strip(page).fragment(with_script=False)

    def page(self, title: str, intro: str = "") -> Page:
        """Videos, where they differ, pictures and scores."""
        page = Page(title, intro, first_frame=self.selection.shown.start)
        page.colours(self.look.legend)
        figures = [VideoFigure(name, video, self.given, name != TRUTH) for name, video in self.videos().items()]
        past, future, fps = self.look.pictures(self._past), self.look.pictures(self._future), self.form.playing_fps
        add_futures(page, figures, past, future, fps)
        if len(self.samples) > 1 and self.given:
            target = self._target if len(self._target) == self.samples.shape[1] else None
            add_spread(page, self.samples, self._past, self._future, target, fps, self.look.unit)
        self._add_strip(page)
        first = self.selection.generated.start + self._known.start
        baselines = simplest_baseline(self._past, self._future, 1) if self.given else ()
        at = first - self.selection.shown.start
        return page.charts(self.scores(), first=first, baselines=[*baselines], at=at) if self.scores() else page

    def write_files(self, folder: Path, title: str, intro: str) -> dict[str, dict[str, Path]]:
        """See `mcvd.apps.studio.take_home.write_files`."""
        values = {name: torch.cat([self._past, each, self._future]) for name, each in self._titled_samples().items()}
        return write_files(folder, self.videos(), values, self.form, self.page(title, intro))

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
