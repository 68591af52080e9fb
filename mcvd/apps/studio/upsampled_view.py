"""What a visitor sees of upsampled videos: pictures while they are sampled, then loops and files."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from mcvd.apps.cli.output import Form
from mcvd.apps.studio.take_home import write_files
from mcvd.apps.upsampled_page import Comparison, add_nearest, add_upsampled
from mcvd.video.page import Page

_GREY = 128


class UpsampledView:
    """The samples beside the given video and beside what needs no model.

    Args:
        comparison: what the samples are looked at beside.
        samples: (K, T, C, H, W), whole videos as the model makes them.
        form: how they are shown and written.
        is_done: bool (T,), which frames are there.
    """

    def __init__(self, comparison: Comparison, samples: Tensor, form: Form, is_done: Tensor):
        self._comparison, self._form, self._look = comparison, form, form.look
        self._samples = self._look.codec.known_values(samples)
        self._is_done = is_done[:, None, None, None]

    def strip(self) -> str:
        """Pictures of some of the frames, as HTML to stand in a page; grey is what is not sampled yet."""
        figures = self._comparison.figures(self._samples, self._look)
        figures = [
            each._replace(video=each.pixels.where(self._is_done, _GREY)) if each.generated else each for each in figures
        ]
        page = Page("").colours(self._look.legend)
        return add_nearest(page, figures, self._samples, self._comparison).fragment(with_script=False)

    def page(self, title: str, intro: str = "") -> Page:
        """Videos, where they differ, and pictures."""
        page = Page(title, intro)
        return add_upsampled(page, self._samples, self._comparison, self._form.playing_fps, self._look)

    def write_files(self, folder: Path, title: str, intro: str) -> dict[str, dict[str, Path]]:
        """See `mcvd.apps.studio.take_home.write_files`."""
        figures = self._comparison.figures(self._samples, self._look)
        videos = {each.caption: each.pixels for each in figures}
        made = [each.caption for each in figures if each.generated]
        values = dict(zip(made, torch.unbind(self._samples), strict=True))
        return write_files(folder, videos, values, self._form, self.page(title, intro))
