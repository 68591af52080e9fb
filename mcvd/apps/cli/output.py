"""What a command sampled, on disk: videos, and a page that shows them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor

from mcvd.apps.cli.checks import check_new_folder
from mcvd.apps.cli.render import Rendered
from mcvd.apps.cli.say import note, say_json
from mcvd.apps.result_page import add_psnr, add_result
from mcvd.diffusion.options import SamplingOptions
from mcvd.models.video_model import VideoModel
from mcvd.runtime.atomic import atomic_write, remove_stale_parts
from mcvd.runtime.workdir import is_complete, is_marked, mark_complete, unmark
from mcvd.video.frame_store import FrameStore
from mcvd.video.page import Page
from mcvd.video.timing import DEFAULT_FPS
from mcvd.video.write import write_chunks


class MakesPage(Protocol):
    """What makes the page of ``--gallery``."""

    def page(self, samples: Tensor, past: Tensor, future: Tensor, fps: float) -> Page:
        """The page; arguments as in `mcvd.apps.result_page.add_result`."""


class Gallery(NamedTuple):
    """What the page of ``--gallery`` says.

    Args:
        title: of the page.
        model: that sampled them.
        options: of sampling.
        target: the true frames, uint8 (T, C, H, W), where they are known.
    """

    title: str
    model: VideoModel
    options: SamplingOptions
    target: Tensor | None = None

    def page(self, samples: Tensor, past: Tensor, future: Tensor, fps: float) -> Page:
        """The page; arguments as in `mcvd.apps.result_page.add_result`."""
        sampler = self.options.sampler
        assert sampler is not None
        many = f"{len(samples)} samples" if len(samples) > 1 else "One sample"
        how = f"{many} by {type(sampler).__name__} with {sampler.num_calls} network calls for each block."
        page = Page(self.title, f"{self.model.facts().sentence} {how} Seed {self.options.seed} makes the same again.")
        add_result(page, samples, past, future, self.target, fps)
        if self.target is not None and samples.shape[1] > 1:
            add_psnr(page, samples, past, future, self.target)
        return page


def write_output(
    out: str,
    rendered: Rendered,
    past: Tensor,
    future: Tensor,
    fps: float | None,
    gallery: MakesPage | None,
    only_new: bool = False,
    json: bool = False,
) -> None:
    """Write what a command sampled, with the given frames around it, and say so on the standard error.

    Args:
        out: a file, which gets the samples side by side, or a folder, which gets a file for each.
        rendered: the samples; without any, nothing is written.
        past: uint8 (P, C, H, W), given before them; P may be 0.
        future: uint8 (F, C, H, W), given after them; F may be 0.
        fps: of the videos; None is `DEFAULT_FPS`.
        gallery: for a page beside the file, or in the folder.
        only_new: leave the given frames out.
        json: also print on the standard output what was written.
    """
    stores = rendered.stores
    if not stores:  # the first of several processes writes for all
        return
    path, fps = Path(out), fps or DEFAULT_FPS
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
    if path.suffix:
        side = -2 if path.suffix.lower() == ".png" else -1
        rows = zip(*videos, strict=True)
        write_chunks(path, (torch.cat(row, side) for row in rows), num_frames, fps)
    else:
        with atomic_write(path) as part:
            part.mkdir()
            for number, video in enumerate(videos):
                write_chunks(part / f"sample-{number}.mp4", video, num_frames, fps)
            if page:
                page.write(part / "index.html")
            mark_complete(path, asked, part)
    note(f"{out}: {num_videos} x {num_frames} frames at {fps:g} Hz")
    if page:
        note(f"{page.write(place) if path.suffix else place}: the same as a page")
    if json:
        say_json(result)
