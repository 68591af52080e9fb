"""What upsampling made of a video, on a page: beside the video that was given, and beside what needs no model."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from torch import Tensor

from mcvd.apps.result_page import MAX_COLUMNS, add_spread, named_samples
from mcvd.diffusion.super_resolution import enlarged
from mcvd.evaluation.baselines import cross_faded
from mcvd.models.look import Look
from mcvd.video.page import Page, VideoFigure

GIVEN = "given"
_DETAIL = 4  # a window of this part of height and width is shown large
_DETAIL_COLUMNS = 8


class Comparison(NamedTuple):
    """What upsampled videos are looked at beside, frame by frame on one clock.

    Args:
        given: frames of the given video, (T, C, H, W), made as large and as many as the upsampled ones.
        note: how, in a sentence.
        baseline: title and frames, (T, C, H, W), of what needs no model.
        own: numbers of the frames that are the given video's own, which no model touched.
        near: numbers of the frames that show most of what the model did, in a row.
        detail: height and width of the part of a frame to be shown large, the one that the model changed most; None:
            frames are shown whole.
    """

    given: Tensor
    note: str
    baseline: tuple[str, Tensor]
    own: range
    near: range
    detail: tuple[int, int] | None = None

    @classmethod
    def more_frames(cls, video: Tensor, factor: int) -> Comparison:
        """Of a video (N, C, H, W) of values or uint8 pixels, brought to ``factor`` times its frame rate.

        The frames to look at are those around the two given frames that differ most.
        """
        num_frames = (len(video) - 1) * factor + 1
        held = video.repeat_interleave(factor, 0)[:num_frames]
        change = (video[1:].float() - video[:-1].float()).square().nan_to_num().flatten(1).mean(1)
        num_gaps = min(len(change), max(1, (MAX_COLUMNS - 1) // factor))
        first = int(change.unfold(0, num_gaps, 1).sum(1).argmax())
        near = range(first * factor, min(num_frames, first * factor + min(num_gaps * factor + 1, MAX_COLUMNS)))
        note = f"Of the given video each frame stays {factor} times as long, so that all play at one pace."
        return cls(held, note, ("cross-fade", cross_faded(video, factor)), range(0, num_frames, factor), near)

    @classmethod
    def larger_frames(cls, low: Tensor, size: tuple[int, int], look: Look) -> Comparison:
        """Of a video (T, C, h, w) as a model takes it, made as large as ``size``."""
        codec = look.codec
        factors = [side // small for side, small in zip(size, low.shape[-2:], strict=True)]
        coarse = codec.known_values(low).repeat_interleave(factors[0], -2).repeat_interleave(factors[1], -1)
        bilinear = codec.known_values(codec.decode(enlarged(codec.encode(low), size)))
        near = range(0, len(low), max(1, len(low) // _DETAIL_COLUMNS))
        detail = (max(1, size[0] // _DETAIL), max(1, size[1] // _DETAIL))
        note = f"The given video has {low.shape[-1]}x{low.shape[-2]} pixels, shown as squares."
        return cls(coarse, note, ("bilinear", bilinear), range(0), near, detail)

    def figures(self, samples: Tensor, look: Look) -> list[VideoFigure]:
        """The given video, the baseline and the samples (K, T, C, H, W), all of them values or uint8 pixels."""
        found = [VideoFigure(GIVEN, look.pictures(self.given), range(len(self.given)), False)]
        found.append(VideoFigure(self.baseline[0], look.pictures(self.baseline[1]), self.own, False))
        named = named_samples(samples).items()
        return found + [VideoFigure(title, look.pictures(video), self.own) for title, video in named]


def add_upsampled(page: Page, samples: Tensor, comparison: Comparison, fps: float, look: Look) -> Page:
    """Add the videos on the clock, where several samples differ, and pictures of where the model did most.

    Args:
        page: gets them.
        samples: (K, T, C, H, W), whole videos as the model makes them.
        comparison: what they are looked at beside.
        fps: at which they play.
        look: how videos are shown.
    """
    samples = look.codec.known_values(samples)
    figures = comparison.figures(samples, look)
    page.colours(look.legend).videos(figures, fps).text(comparison.note, note=True)
    if len(samples) > 1 and not comparison.own:  # between frames of its own a map would flicker
        nothing = samples[0, :0]
        add_spread(page, samples, nothing, nothing, None, fps, look.unit)
    return add_nearest(page, figures, samples, comparison)


def add_nearest(page: Page, figures: list[VideoFigure], samples: Tensor, comparison: Comparison) -> Page:
    """Add the frames, or the part of them, that show most of what the model did; ``samples`` as in `figures`."""
    numbers = [*comparison.near]
    rows = [each._replace(video=each.pixels[numbers]) for each in figures]
    if comparison.detail is None:
        page.text("Around the given frames that differ most:")
    else:
        top, left = _most_changed(samples[0, numbers], comparison.baseline[1][numbers], comparison.detail)
        height, width = comparison.detail
        rows = [row._replace(video=row.pixels[..., top : top + height, left : left + width]) for row in rows]
        page.text(
            f"The part of {height}x{width} pixels, from row {top} and column {left}, where the model differs most from "
            f"{comparison.baseline[0]} enlargement:"
        )
    own = {column for column, number in enumerate(numbers) if number in comparison.own}
    marked = [rows[0]._replace(context=range(len(numbers))), *(row._replace(context=own) for row in rows[1:])]
    return page.strip(marked, [page.first_frame + number for number in numbers])


def _most_changed(sample: Tensor, baseline: Tensor, window: tuple[int, int]) -> tuple[int, int]:
    """Row and column where a window of two videos (T, C, H, W) begins in which they differ most."""
    change = (sample.float() - baseline.float()).square().nan_to_num().mean((0, 1))  # (H, W)
    sums = change.unfold(0, window[0], 1).unfold(1, window[1], 1).sum((-1, -2))
    place = int(sums.argmax())
    return place // sums.shape[1], place % sums.shape[1]


class UpsampledGallery(NamedTuple):
    """The page of ``--gallery`` of an upsampled video.

    Args:
        title: of the page.
        intro: a paragraph below it.
        look: how videos are shown.
        comparison: called with the samples (K, T, C, H, W).
    """

    title: str
    intro: str
    look: Look
    comparison: Callable[[Tensor], Comparison]

    def page(self, samples: Tensor, past: Tensor, future: Tensor, fps: float) -> Page:
        """The page; arguments as in `mcvd.apps.result_page.Result`, and nothing given before and after."""
        return add_upsampled(Page(self.title, self.intro), samples, self.comparison(samples), fps, self.look)
