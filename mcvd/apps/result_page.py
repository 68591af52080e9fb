"""Samples on a page: their futures beside the ground truth, and where they agree and where they do not."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import Tensor
from torch.nn.functional import pad

from mcvd.evaluation.baselines import simplest_baseline
from mcvd.metrics.frames import mean_squared_error, psnr_from_mse
from mcvd.metrics.spread import error_map, expected_error, spread_map
from mcvd.metrics.values import mean_absolute_error
from mcvd.models.look import PIXEL_LOOK, Look
from mcvd.video.page import Page, VideoFigure

TRUTH = "ground truth"
SPREAD, ERROR = "spread of the samples", "|ground truth - mean of the samples|"
MAX_COLUMNS = 24


@dataclass(frozen=True)
class Result:
    """What a page shows of a work: the samples, and what is known around them and in their place.

    Args:
        samples: (K, T, C, H, W), the generated frames alone.
        past: (P, C, H, W), given before them; P may be 0.
        future: (F, C, H, W), given after them; F may be 0.
        target: the true frames, (T, C, H, W), where they are known.
        fps: at which the videos play.
        look: how videos are shown.
    """

    samples: Tensor
    past: Tensor
    future: Tensor
    target: Tensor | None
    fps: float
    look: Look = PIXEL_LOOK

    def known(self) -> Result:
        """With NaN for the numbers that stand for missing values."""
        known_values = self.look.codec.known_values
        samples, past, future = (known_values(each) for each in (self.samples, self.past, self.future))
        target = None if self.target is None else known_values(self.target)
        return replace(self, samples=samples, past=past, future=future, target=target)


def add_result(page: Page, result: Result) -> None:
    """Add the videos, on the clock; of several samples where they differ; and some frames as a strip."""
    result = result.known()
    figures = _add_videos(page, result)
    num_frames, given = len(figures[0].pixels), figures[0].context
    if len(result.samples) > 1 and given:
        sides = result.past, result.future
        add_spread(page, result.samples, *sides, result.target, result.fps, result.look.unit)
    numbers = range(0, num_frames, -(-num_frames // MAX_COLUMNS))
    columns = {column for column, number in enumerate(numbers) if number in given}
    rows = [row._replace(video=row.pixels[list(numbers)], context=columns) for row in figures]
    page.strip(rows, [page.first_frame + number for number in numbers])


def add_result_videos(page: Page, result: Result) -> None:
    """Add the videos alone."""
    _add_videos(page, result.known())


def _add_videos(page: Page, known: Result) -> list[VideoFigure]:
    """The ground truth, where it is known, the samples and the baseline, with the given frames around them."""
    past, future, samples, look = known.past, known.future, known.samples, known.look
    futures = ({} if known.target is None else {TRUTH: known.target}) | named_samples(samples)
    baselines = simplest_baseline(past, future, samples.shape[1])
    num_frames = len(past) + samples.shape[1] + len(future)
    given = {*range(len(past)), *range(num_frames - len(future), num_frames)}
    rows = {title: torch.cat([past, row, future]) for title, row in (futures | baselines).items()}
    shown = {title: look.pictures(row) for title, row in rows.items()}
    figures = [VideoFigure(title, row, given, title.startswith("sample")) for title, row in shown.items()]
    page.colours(look.legend)
    add_futures(page, figures, look.pictures(past), look.pictures(future), known.fps, baselines)
    return figures


def add_futures(
    page: Page, figures: list[VideoFigure], past: Tensor, future: Tensor, fps: float, baselines: Collection[str] = ()
) -> None:
    """Add videos: several samples that share given frames as a fan, others side by side.

    Args:
        page: gets them.
        figures: the videos, with their given frames.
        past, future, fps: as of `Result`.
        baselines: captions of those that are baselines.
    """
    if sum(figure.role == "sample" for figure in figures) == 1 or not len(past) + len(future):
        page.videos(figures, fps)
    else:
        root, label = (past[-1], "last given frame") if len(past) else (future[0], "first given frame")
        page.fan(figures, root, label, fps, baselines)


def add_spread(
    page: Page,
    samples: Tensor,
    past: Tensor,
    future: Tensor,
    target: Tensor | None,
    fps: float,
    unit: str = PIXEL_LOOK.unit,
) -> None:
    """Add where samples differ, and where their mean misses the truth, as maps on the clock and by time.

    Arguments as of `Result`, K being 2 or more; ``unit`` is that of the videos. Where frames are given, nothing
    differs.
    """
    maps = {SPREAD: spread_map(samples)}
    if target is not None:
        maps[ERROR] = error_map(samples, target)
    whole = {title: pad(values, (0, 0, 0, 0, len(past), len(future))) for title, values in maps.items()}
    page.maps(whole, unit, fps, range(len(past), len(past) + samples.shape[1]))
    overall = [float(values.square().nanmean().sqrt()) for values in maps.values()]
    said = partial(_number, exact=unit != PIXEL_LOOK.unit)
    text = f"Between {len(samples)} samples a pixel varies by {said(overall[0])} {unit} (standard deviation)."
    if target is not None:
        expected = expected_error(overall[0], len(samples))
        text += (
            f" Their mean misses the ground truth by {said(overall[1])}; if the samples varied as much as the truth "
            f"does, it would miss it by {said(expected)}."
        )
    page.text(text)


def _number(value: float, exact: bool) -> str:
    return f"{value:.3g}" if exact else f"{value:.1f}"


def add_scores(page: Page, result: Result) -> None:
    """Add how far each frame of the samples and of the baseline is from the truth, which is known."""
    known, look = result.known(), result.look
    assert known.target is not None
    if look.legend is None:
        return add_psnr(page, known.samples, known.past, known.future, known.target)
    baselines = simplest_baseline(known.past, known.future, known.samples.shape[1])
    rows = named_samples(known.samples) | baselines
    curves = {name: mean_absolute_error(row, known.target).tolist() for name, row in rows.items()}
    title = f"mean absolute error {f'in {look.unit}' if look.unit else ''}"
    page.curves(curves, title, baselines=[*baselines], at=len(known.past))


def add_psnr(page: Page, samples: Tensor, past: Tensor, future: Tensor, target: Tensor) -> None:
    """Add the PSNR of each frame of the samples and of the baseline, as curves; arguments as of `Result`."""
    baselines = simplest_baseline(past, future, samples.shape[1])
    rows = named_samples(samples) | baselines
    errors = mean_squared_error(torch.stack([*rows.values()])[None], target[None, None])
    curves = dict(zip(rows, psnr_from_mse(errors)[0].tolist(), strict=True))
    page.curves(curves, "PSNR in dB", baselines=[*baselines], at=len(past))


def named_samples(samples: Tensor) -> dict[str, Tensor]:
    """What each sample is called, and it; uint8 (K, T, C, H, W)."""
    return {f"sample {k + 1}" if len(samples) > 1 else "sample": sample for k, sample in enumerate(samples)}
