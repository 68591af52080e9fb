"""What a command made, on disk: videos, and a page that shows them."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from mcvd.evaluation.baselines import blend, copy_first, copy_last
from mcvd.metrics.frames import mean_squared_error, psnr_from_mse
from mcvd.models.facts import describe
from mcvd.models.mcvd import MCVD
from mcvd.runtime.atomic import atomic_write
from mcvd.video.frame_store import FrameStore
from mcvd.video.page import Page
from mcvd.video.write import write_chunks

DEFAULT_FPS = 10.0
_STRIP_COLUMNS = 24


def check_output(out: str, video: str | None = None) -> None:
    """Refuse, before any work, an output that cannot be written or would replace its own input.

    Raises:
        ValueError: it is the input, or its ending is none of ours.
        FileExistsError: a folder that holds something already.
        FileNotFoundError: there is no folder to write it to.
    """
    path = Path(out)
    if video is not None and path.exists() and os.path.samefile(path, video):
        raise ValueError(f"--out {out} is the input itself: choose another name")
    if path.suffix.lower() not in ("", ".mp4", ".gif", ".png"):
        raise ValueError(f"--out {out}: the ending must be .mp4, .gif or .png, or none for a folder")
    if not path.suffix and path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise FileExistsError(f"--out {out} is not empty: choose another folder, nothing was written")
    if not path.parent.is_dir():
        raise FileNotFoundError(f"--out {out}: there is no folder {path.parent}")


class Gallery(NamedTuple):
    """What the page of made videos tells of them.

    Args:
        title: of the page.
        model: that made them.
        options: that they were made with.
        truth: uint8 (T, C, H, W) where it is known.
    """

    title: str
    model: MCVD
    options: dict[str, Any]
    truth: Tensor | None

    @property
    def note(self) -> str:
        """All that the videos depend on, in a line."""
        sampler, seed = self.options["sampler"], self.options.get("seed", 0)
        return f"{describe(self.model)}. {sampler!r}, {sampler.num_calls} network calls a block, seed {seed}."


def write_output(
    out: str,
    made: FrameStore,
    past: Tensor,
    future: Tensor,
    fps: float | None,
    gallery: Gallery | None,
    only_new: bool = False,
) -> None:
    """Write what a command made, with the given frames around it, and say so on the standard error.

    Args:
        out: a file, which gets the samples side by side, or a folder, which gets a file for each.
        made: the samples.
        past: uint8 (P, C, H, W), given before them; P may be 0.
        future: uint8 (F, C, H, W), given after them; F may be 0.
        fps: of the videos; None is 10.
        gallery: for a page beside the file, or in the folder.
        only_new: leave the given frames out.
    """
    path, fps = Path(out), fps or DEFAULT_FPS
    num_samples, num_made = made.shape[:2]
    before, after = (past[:0], future[:0]) if only_new else (past, future)
    num_frames = len(before) + num_made + len(after)

    def pieces(number: int) -> Iterator[Tensor]:
        yield from (piece for piece in (before, *made.pieces(number), after) if len(piece))

    page = None
    if gallery:
        page = output_page(gallery.title, gallery.note, made.all(), past, future, gallery.truth, fps)
    if path.suffix:
        side = -2 if path.suffix.lower() == ".png" else -1
        rows = zip(*(pieces(number) for number in range(num_samples)), strict=True)
        write_chunks(path, (torch.cat(row, side) for row in rows), num_frames, fps)
    else:
        with atomic_write(path) as part:
            part.mkdir()
            for number in range(num_samples):
                write_chunks(part / f"sample-{number}.mp4", pieces(number), num_frames, fps)
            if page:
                page.write(part / "index.html")
    print(f"{out}: {num_samples} x {num_frames} frames at {fps:g} Hz", file=sys.stderr)
    if page:
        place = path.with_suffix(".html") if path.suffix else path / "index.html"
        print(f"{page.write(place) if path.suffix else place}: the same to look at", file=sys.stderr)


def output_page(
    title: str,
    note: str,
    samples: Tensor,
    past: Tensor,
    future: Tensor,
    truth: Tensor | None,
    fps: float,
) -> Page:
    """A page of made videos beside the truth, where it is known, and a rule that needs no model.

    Args:
        title: of the page.
        note: a paragraph below it.
        samples: uint8 (K, T, C, H, W), the made frames alone.
        past: uint8 (P, C, H, W), given before them; P may be 0.
        future: uint8 (F, C, H, W), given after them; F may be 0.
        truth: uint8 (T, C, H, W) or None.
        fps: of the videos.
    """
    num_frames = samples.shape[1]
    rows = {} if truth is None else {"truth": truth}
    rows |= {f"sample {i + 1}" if len(samples) > 1 else "made": sample for i, sample in enumerate(samples)}
    if len(past) and len(future):
        rows["cross-fade"] = blend(past[None], future[None], num_frames)[0]
    elif len(past):
        rows["last frame repeated"] = copy_last(past[None], num_frames)[0]
    elif len(future):
        rows["first frame repeated"] = copy_first(future[None], num_frames)[0]
    given = {*range(len(past)), *range(len(past) + num_frames, len(past) + num_frames + len(future))}
    shown = [
        (name, torch.cat([past, row, future]), given, name.startswith(("sample", "made"))) for name, row in rows.items()
    ]
    page = Page(title, note).videos(shown, fps)
    numbers = range(0, len(shown[0][1]), -(-len(shown[0][1]) // _STRIP_COLUMNS))
    places = {column for column, number in enumerate(numbers) if number in given}
    page.strip([(name, video[list(numbers)], places, made) for name, video, _, made in shown], numbers)
    if truth is not None and num_frames > 1:
        scored = {name: row for name, row in rows.items() if name != "truth"}
        errors = mean_squared_error(torch.stack([*scored.values()])[None], truth[None, None])
        page.curves(dict(zip(scored, psnr_from_mse(errors)[0].tolist(), strict=True)), "PSNR in dB", "made frame")
    return page
