"""What a command sampled, on disk: videos, and a page that shows them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor

from mcvd.apps.cli.checks import check_new_folder
from mcvd.apps.cli.render import Rendered
from mcvd.apps.cli.say import note, say_json
from mcvd.apps.result_page import Result, add_result, add_scores
from mcvd.diffusion.options import SamplingOptions
from mcvd.models.codecs import Scale
from mcvd.models.look import PIXEL_LOOK, Look
from mcvd.models.video_model import VideoModel
from mcvd.runtime.atomic import atomic_write, remove_stale_parts
from mcvd.runtime.workdir import is_complete, is_marked, mark_complete, unmark
from mcvd.video.arrays.write import WRITTEN, FieldFacts, write_fields
from mcvd.video.frame_store import FrameStore
from mcvd.video.page import Page
from mcvd.video.timing import playing_fps
from mcvd.video.write import write_chunks

_MAX_GIVEN = 4  # given frames that a page shows on each side


class MakesPage(Protocol):
    """What makes the page of ``--gallery``."""

    def page(self, samples: Tensor, past: Tensor, future: Tensor, fps: float) -> Page:
        """The page; arguments as in `mcvd.apps.result_page.Result`."""


class Gallery(NamedTuple):
    """What the page of ``--gallery`` says. Of a long video it shows the frames around those that were generated.

    Args:
        title: of the page.
        model: that sampled them.
        options: of sampling.
        target: the true frames, (T, C, H, W), where they are known.
        look: how videos are shown.
    """

    title: str
    model: VideoModel
    options: SamplingOptions
    target: Tensor | None = None
    look: Look = PIXEL_LOOK

    def page(self, samples: Tensor, past: Tensor, future: Tensor, fps: float) -> Page:
        """The page; arguments as in `mcvd.apps.result_page.Result`."""
        sampler = self.options.sampler
        many = f"{len(samples)} samples" if len(samples) > 1 else "One sample"
        by = "rolling denoising" if sampler is None else f"{sampler.label} with {sampler.num_calls} network calls"
        how = f"{many} by {by}{'' if sampler is None else ' for each block'}."
        how += f" Seed {self.options.seed} makes the same again."
        if max(len(past), len(future)) > _MAX_GIVEN:
            how += " Of the given frames only the nearest are shown here."
        num_hidden = max(0, len(past) - _MAX_GIVEN)
        past, future = past[num_hidden:], future[:_MAX_GIVEN]
        page = Page(self.title, f"{self.model.facts().sentence} {how}", num_hidden)
        result = Result(samples, past, future, self.target, fps, self.look)
        add_result(page, result)
        if self.target is not None and samples.shape[1] > 1:
            add_scores(page, result)
        return page


class Form(NamedTuple):
    """In which form videos are written.

    Args:
        look: how they are shown, where they are written as pictures.
        fps: at which films play; None: as fast as the frames come, or as films do where that is too slow.
        rate_hz: frames per second of the videos; None: nobody knows it.
        ending: of the files in a folder.
    """

    look: Look = PIXEL_LOOK
    fps: float | None = None
    rate_hz: float | None = None
    ending: str = ".mp4"

    @classmethod
    def of(cls, look: Look, fps: float | None, rate_hz: float | None, given: str | None = None) -> Form:
        """Of the results for a given video: of a model of values its files are as the given one, or of NumPy."""
        if look.legend is None:
            return cls(look, fps, rate_hz)
        suffix = Path(given or "").suffix.lower()
        return cls(look, fps, rate_hz, suffix if suffix in WRITTEN else WRITTEN[0])

    def write(self, path: Path, videos: Sequence[Iterator[Tensor]], shape: tuple[int, int, int, int, int]) -> None:
        """Write the chunks of videos of one shape (N, T, C, H, W) together as one file, by its ending."""
        suffix, look = path.suffix.lower(), self.look
        if suffix in WRITTEN:
            return write_fields(path, videos, self._facts(shape))
        side = -2 if suffix == ".png" else -1
        rows = (torch.cat([look.pictures(video) for video in row], side) for row in zip(*videos, strict=True))
        if suffix == ".png":
            write_chunks(path, look.strip(rows), shape[1] + (look.legend is not None), self.playing_fps)
        else:
            write_chunks(path, look.film(rows), shape[1], self.playing_fps)

    def said_rate(self, path: Path) -> str:
        """At which rate the frames of a result come."""
        is_film = (path.suffix.lower() or self.ending) not in WRITTEN
        rate = self.playing_fps if is_film else self.rate_hz
        return "" if rate is None else f" at {rate:g} Hz"

    @property
    def playing_fps(self) -> float:
        """Frames per second of films."""
        return self.fps or playing_fps(self.rate_hz)

    def _facts(self, shape: tuple[int, int, int, int, int]) -> FieldFacts:
        codec = self.look.codec
        times = None if self.rate_hz is None else np.arange(shape[1]) / self.rate_hz
        if not isinstance(codec, Scale):
            return FieldFacts(shape, np.dtype(np.uint8), times_seconds=times)
        missing = None if codec.missing is None else float(codec.missing)
        return FieldFacts(shape, np.dtype(np.float32), codec.unit, codec.names, missing, times)


def write_output(
    out: str,
    rendered: Rendered,
    past: Tensor,
    future: Tensor,
    form: Form,
    gallery: MakesPage | None,
    only_new: bool = False,
    json: bool = False,
) -> None:
    """Write what a command sampled, with the given frames around it, and say so on the standard error.

    Args:
        out: a file, which gets the samples side by side, or a folder, which gets a file for each.
        rendered: the samples; without any, nothing is written.
        past: (P, C, H, W), given before them; P may be 0.
        future: (F, C, H, W), given after them; F may be 0.
        form: of the files.
        gallery: for a page beside the file, or in the folder.
        only_new: leave the given frames out.
        json: also print on the standard output what was written.
    """
    stores = rendered.stores
    if not stores:  # the first of several processes writes for all
        return
    path, fps = Path(out), form.playing_fps
    past, future = (form.look.codec.as_written(side) for side in (past, future))
    before, after = (past[:0], future[:0]) if only_new else (past, future)
    num_frames, num_videos = len(before) + stores[0].shape[1] + len(after), sum(store.shape[0] for store in stores)
    result: dict[str, Any] = {"out": out, "num_videos": num_videos, "num_frames": num_frames, "fps": fps}
    place = path.with_suffix(".html") if path.suffix else path / "index.html"
    if gallery:
        result["page"] = str(place)
    asked = rendered.settings | {"fps": fps, "only_new": only_new, "gallery": bool(gallery)}
    if is_marked(path):
        remove_stale_parts(path.parent)
        if is_complete(path, asked):
            note(f"{out}: complete, the command was ended after it was written")
            return say_json(result) if json else None
        unmark(path)
        check_new_folder(out)

    def chunks(store: FrameStore, number: int) -> Iterator[Tensor]:
        yield from (chunk for chunk in (before, *store.chunks(number), after) if len(chunk))

    videos = [chunks(store, number) for store in stores for number in range(store.shape[0])]
    page = None
    if gallery:
        samples = torch.cat([store.all() for store in stores if store.shape[0]])
        page = gallery.page(samples, past, future, fps)
    shape = num_videos, num_frames, *stores[0].shape[2:]
    if path.suffix:
        form.write(path, videos, shape)
    else:
        with atomic_write(path) as part:
            part.mkdir()
            for number, video in enumerate(videos):
                form.write(part / f"sample-{number}{form.ending}", [video], (1, *shape[1:]))
            if page:
                page.write(part / "index.html")
            mark_complete(path, asked, part)
    note(f"{out}: {num_videos} x {num_frames} frames{form.said_rate(path)}")
    if page:
        note(f"{page.write(place) if path.suffix else place}: the same as a page")
    if json:
        say_json(result)
