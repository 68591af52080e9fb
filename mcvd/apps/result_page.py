"""Samples on a page: between their context, beside the ground truth and a baseline."""

from __future__ import annotations

import torch
from torch import Tensor

from mcvd.evaluation.baselines import simplest_baseline
from mcvd.metrics.frames import mean_squared_error, psnr_from_mse
from mcvd.video.page import Page, VideoFigure

TRUTH = "ground truth"
_MAX_COLUMNS = 24


def add_result(page: Page, samples: Tensor, past: Tensor, future: Tensor, target: Tensor | None, fps: float) -> None:
    """Add videos that play, and some of their frames as a strip.

    Args:
        page: gets them.
        samples: uint8 (K, T, C, H, W), the generated frames alone.
        past: uint8 (P, C, H, W), given before them; P may be 0.
        future: uint8 (F, C, H, W), given after them; F may be 0.
        target: the true frames, uint8 (T, C, H, W), where they are known.
        fps: at which the videos play.
    """
    rows = _rows(samples, past, future, target)
    num_frames = len(past) + samples.shape[1] + len(future)
    given = {*range(len(past)), *range(num_frames - len(future), num_frames)}
    shown = {title: torch.cat([past, row, future]) for title, row in rows.items()}
    page.videos([VideoFigure(title, row, given, title.startswith("sample")) for title, row in shown.items()], fps)
    numbers = range(0, num_frames, -(-num_frames // _MAX_COLUMNS))
    columns = {column for column, number in enumerate(numbers) if number in given}
    strips = [
        VideoFigure(title, row[list(numbers)], columns, title.startswith("sample")) for title, row in shown.items()
    ]
    page.strip(strips, numbers)


def add_psnr(page: Page, samples: Tensor, past: Tensor, future: Tensor, target: Tensor) -> None:
    """Add the PSNR of each frame of the samples and of the baseline, as curves; arguments as in `add_result`."""
    rows = _rows(samples, past, future, None)
    errors = mean_squared_error(torch.stack([*rows.values()])[None], target[None, None])
    page.curves(dict(zip(rows, psnr_from_mse(errors)[0].tolist(), strict=True)), "PSNR in dB", "new frame")


def _rows(samples: Tensor, past: Tensor, future: Tensor, target: Tensor | None) -> dict[str, Tensor]:
    rows = {} if target is None else {TRUTH: target}
    rows |= {f"sample {k + 1}" if len(samples) > 1 else "sample": sample for k, sample in enumerate(samples)}
    return rows | simplest_baseline(past, future, samples.shape[1])
