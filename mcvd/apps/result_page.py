"""Samples on a page: their futures beside the ground truth, and where they agree and where they do not."""

from __future__ import annotations

from collections.abc import Collection

import torch
from torch import Tensor
from torch.nn.functional import pad

from mcvd.evaluation.baselines import simplest_baseline
from mcvd.metrics.frames import mean_squared_error, psnr_from_mse
from mcvd.metrics.spread import error_map, expected_error, spread_map
from mcvd.video.page import Page, VideoFigure

TRUTH = "ground truth"
SPREAD, ERROR = "spread of the samples", "|ground truth - mean of the samples|"
_MAX_COLUMNS = 24


def add_result(page: Page, samples: Tensor, past: Tensor, future: Tensor, target: Tensor | None, fps: float) -> None:
    """Add the videos, on the clock; of several samples where they differ; and some frames as a strip.

    Args:
        page: gets them.
        samples: uint8 (K, T, C, H, W), the generated frames alone.
        past: uint8 (P, C, H, W), given before them; P may be 0.
        future: uint8 (F, C, H, W), given after them; F may be 0.
        target: the true frames, uint8 (T, C, H, W), where they are known.
        fps: at which the videos play.
    """
    futures = ({} if target is None else {TRUTH: target}) | named_samples(samples)
    baselines = simplest_baseline(past, future, samples.shape[1])
    num_frames = len(past) + samples.shape[1] + len(future)
    given = {*range(len(past)), *range(num_frames - len(future), num_frames)}
    shown = {title: torch.cat([past, row, future]) for title, row in (futures | baselines).items()}
    figures = [VideoFigure(title, row, given, title.startswith("sample")) for title, row in shown.items()]
    add_futures(page, figures, past, future, fps, baselines)
    if len(samples) > 1 and given:
        add_spread(page, samples, past, future, target, fps)
    numbers = range(0, num_frames, -(-num_frames // _MAX_COLUMNS))
    columns = {column for column, number in enumerate(numbers) if number in given}
    page.strip([row._replace(video=row.pixels[list(numbers)], context=columns) for row in figures], numbers)


def add_futures(
    page: Page, figures: list[VideoFigure], past: Tensor, future: Tensor, fps: float, baselines: Collection[str] = ()
) -> None:
    """Add videos: several samples that share given frames as a fan, others side by side.

    Args:
        page: gets them.
        figures: the videos, with their given frames.
        past, future, fps: as in `add_result`.
        baselines: captions of those that are baselines.
    """
    if sum(figure.role == "sample" for figure in figures) == 1 or not len(past) + len(future):
        page.videos(figures, fps)
    else:
        root, label = (past[-1], "last given frame") if len(past) else (future[0], "first given frame")
        page.fan(figures, root, label, fps, baselines)


def add_spread(page: Page, samples: Tensor, past: Tensor, future: Tensor, target: Tensor | None, fps: float) -> None:
    """Add where samples differ, and where their mean misses the truth, as maps on the clock and by time.

    Arguments as in `add_result`, K being 2 or more. Where frames are given, nothing differs.
    """
    maps = {SPREAD: spread_map(samples)}
    if target is not None:
        maps[ERROR] = error_map(samples, target)
    whole = {title: pad(values, (0, 0, 0, 0, len(past), len(future))) for title, values in maps.items()}
    page.maps(whole, "grey levels", fps, range(len(past), len(past) + samples.shape[1]))
    overall = [float(values.square().mean().sqrt()) for values in maps.values()]
    text = f"Between {len(samples)} samples a pixel varies by {overall[0]:.1f} grey levels (standard deviation)."
    if target is not None:
        expected = expected_error(overall[0], len(samples))
        text += (
            f" Their mean misses the ground truth by {overall[1]:.1f}; if the samples were as varied as the truth is, "
            f"it would miss it by {expected:.1f}."
        )
    page.text(text)


def add_psnr(page: Page, samples: Tensor, past: Tensor, future: Tensor, target: Tensor) -> None:
    """Add the PSNR of each frame of the samples and of the baseline, as curves; arguments as in `add_result`."""
    baselines = simplest_baseline(past, future, samples.shape[1])
    rows = named_samples(samples) | baselines
    errors = mean_squared_error(torch.stack([*rows.values()])[None], target[None, None])
    curves = dict(zip(rows, psnr_from_mse(errors)[0].tolist(), strict=True))
    page.curves(curves, "PSNR in dB", "generated frame", baselines=[*baselines], at=len(past))


def named_samples(samples: Tensor) -> dict[str, Tensor]:
    """What each sample is called, and it; uint8 (K, T, C, H, W)."""
    return {f"sample {k + 1}" if len(samples) > 1 else "sample": sample for k, sample in enumerate(samples)}
