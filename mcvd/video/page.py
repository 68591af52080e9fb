"""A page that shows results: one HTML file that holds its videos, pictures and tables and opens anywhere, offline."""

from __future__ import annotations

import base64
import tempfile
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from html import escape
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from mcvd.runtime.atomic import atomic_write
from mcvd.video.chart import line_chart
from mcvd.video.page_style import GIVEN, GUEST_STYLE, MADE, PAGE_STYLE, PARTS_STYLE, TRUTH
from mcvd.video.timing import DEFAULT_FPS
from mcvd.video.write import write_video

_LEGEND = {
    "given": "given to the model",
    "made": "made by the model",
    "truth": "what the model did not see, or a rule to compare with",
}
_MEDIA_TYPES = {".mp4": "video/mp4", ".gif": "image/gif", ".png": "image/png", ".jpg": "image/jpeg"}
_SHOWN_PIXELS = 192  # smaller videos are enlarged to about this: mp4 keeps colour at half resolution only
_BORDER_PIXELS = 6


class VideoFigure(NamedTuple):
    """A video on a page; wherever one is wanted a tuple of the first few of these will do.

    Args:
        caption: what it is.
        video: uint8 (T, C, H, W), or the path of a .mp4, .gif, .png or .jpg file, which is shown as it is.
        given: numbers of the frames that the model was given; they get a blue border.
        made: whether the others were made (orange border) or are the truth (grey border); None: no borders at all.
    """

    caption: str
    video: Tensor | Path | str
    given: Collection[int] = ()
    made: bool | None = True


class Column(NamedTuple):
    """A column of a table.

    Args:
        title: its head.
        digits: after the decimal point; None for a column of words.
        best: `max` or `min`, which of the numbers is set in bold; None for none.
    """

    title: str
    digits: int | None = 2
    best: Callable | None = None


class Page:
    """A page to be filled from top to bottom, then written.

    Args:
        title: of the page.
        intro: a paragraph below it.

    Example::

        page = Page("Moving digits", "A model of 2 million parameters after ten minutes of training.")
        page.section("Prediction", "Two frames are given, eighteen made.")
        page.videos([("truth", clip, range(2), False), ("sample 1", samples[0], range(2))], fps=10)
        page.table([Column("PSNR dB", 2, max)], [("last frame repeated", [14.1]), ("model", [19.7])])
        page.write("demo/index.html")
    """

    def __init__(self, title: str, intro: str = "") -> None:
        self._title = title
        self._intro = intro
        self._parts: list[str] = []
        self._has_marks = False

    def section(self, heading: str, text: str = "") -> Page:
        """Begin a section: a heading and a paragraph."""
        self._parts.append(f"<h2>{escape(heading)}</h2>{_paragraph(text)}")
        return self

    def text(self, text: str) -> Page:
        """Add a paragraph."""
        self._parts.append(_paragraph(text))
        return self

    def videos(self, shown: Iterable[VideoFigure | tuple], fps: float = DEFAULT_FPS) -> Page:
        """Add videos side by side; they play by themselves, again and again.

        Args:
            shown: what to show, see `VideoFigure`.
            fps: frames per second; files keep their own.
        """
        figures = []
        for item in map(_figure, shown):
            if isinstance(item.video, Tensor):
                self._has_marks |= item.made is not None
                media = _video_element(_encode(_marked(item), fps), "video/mp4", item.caption)
            else:
                path = Path(item.video)
                if path.suffix not in _MEDIA_TYPES:
                    raise ValueError(f"{path} cannot be shown: choose one of {', '.join(_MEDIA_TYPES)}")
                media = _video_element(path.read_bytes(), _MEDIA_TYPES[path.suffix], item.caption)
            figures.append(f"<figure>{media}<figcaption>{escape(item.caption)}</figcaption></figure>")
        self._parts.append(f'<div class="videos">{"".join(figures)}</div>')
        return self

    def strip(self, shown: Iterable[VideoFigure | tuple], numbers: Sequence[int] | None = None) -> Page:
        """Add videos as rows of pictures below each other, one column per frame.

        Args:
            shown: what to show, tensors only; see `VideoFigure`.
            numbers: heads of the columns; None counts from 0.
        """
        rows = [_figure(item) for item in shown]
        num_frames = max(len(_pixels(row)) for row in rows)
        self._has_marks = True
        heads = range(num_frames) if numbers is None else numbers
        cells = ["<tr><th></th>" + "".join(f"<th>{number}</th>" for number in heads) + "</tr>"]
        for row in rows:
            pictures = "".join(
                f'<td><img class="{_kind(row, t)}" src="{_picture(frame)}" alt="{escape(row.caption)}, frame {t}"></td>'
                for t, frame in enumerate(_pixels(row))
            )
            cells.append(f'<tr><th scope="row">{escape(row.caption)}</th>{pictures}</tr>')
        self._parts.append(
            f'<div class="scroll"><table class="strip" style="--frames:{num_frames}">{"".join(cells)}</table></div>'
        )
        return self

    def table(
        self,
        columns: Sequence[Column],
        rows: Sequence[tuple[str, Sequence[float | str]]],
        *,
        not_ranked: Collection[str] = (),
        caption: str = "",
    ) -> Page:
        """Add a table with the best number of each column in bold.

        Args:
            columns: see `Column`.
            rows: (title, one value per column).
            not_ranked: titles of rows that cannot be best, such as those chosen by their score.
            caption: under which conditions the numbers hold.
        """
        best = [
            column.best([values[c] for title, values in rows if title not in not_ranked]) if column.best else None
            for c, column in enumerate(columns)
        ]
        body = []
        for title, values in rows:
            cells = []
            for column, value, top in zip(columns, values, best, strict=True):
                text = escape(str(value)) if column.digits is None else f"{value:.{column.digits}f}"
                is_best = value == top and title not in not_ranked
                cells.append(f"<td><b>{text}</b></td>" if is_best else f"<td>{text}</td>")
            body.append(f'<tr><th scope="row">{escape(title)}</th>{"".join(cells)}</tr>')
        head = "".join(f'<th scope="col">{escape(column.title)}</th>' for column in columns)
        self._parts.append(
            f'<div class="scroll"><table class="scores"><thead><tr><th></th>{head}</tr></thead>'
            f"<tbody>{''.join(body)}</tbody></table></div>{_paragraph(caption, 'note')}"
        )
        return self

    def curves(self, lines: dict[str, Sequence[float]], y_title: str, x_title: str = "frame", first: int = 1) -> Page:
        """Add a chart.

        Args:
            lines: for each name the values at x = first, first + 1, ...
            y_title: name and unit of the values.
            x_title: what is counted along x.
            first: of the x values.
        """
        self._parts.append(line_chart(lines, y_title, x_title, first))
        return self

    def charts(self, charts: Mapping[str, Mapping[str, Sequence[float]]], x_title: str = "frame") -> Page:
        """Add charts side by side.

        Args:
            charts: for the name and unit of the values of each the lines of it, as in `curves`.
            x_title: what is counted along x, from 1.
        """
        drawn = (line_chart(dict(lines), y_title, x_title) for y_title, lines in charts.items())
        self._parts.append(f'<div class="charts">{"".join(drawn)}</div>')
        return self

    def facts(self, facts: Mapping[str, Any]) -> Page:
        """Add names and what they stand for, one below the other; long values are broken into lines."""
        items = "".join(f"<dt>{escape(name)}</dt><dd>{escape(str(value))}</dd>" for name, value in facts.items())
        self._parts.append(f'<dl class="facts">{items}</dl>')
        return self

    def html(self) -> str:
        """The page as text."""
        return (
            '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
            '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
            # The browser itself is told that nothing is to be fetched and nothing to be run.
            '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; img-src data:; media-src data:; '
            "style-src 'unsafe-inline'\">\n"
            f"<title>{escape(self._title)}</title>\n<style>{PAGE_STYLE}{PARTS_STYLE}</style>\n</head>\n"
            '<body>\n<main class="mcvd">\n'
            f"<header><h1>{escape(self._title)}</h1>{_paragraph(self._intro, 'intro')}{self._legend()}</header>\n"
            + "\n".join(self._parts)
            + "\n</main>\n</body>\n</html>\n"
        )

    def fragment(self) -> str:
        """What was added, without title and intro, as HTML to stand in another page: a notebook, a web application."""
        style = f"<style>{PARTS_STYLE}{GUEST_STYLE}</style>"
        return f'<div class="mcvd">{style}{self._legend()}{"".join(self._parts)}</div>'

    _repr_html_ = fragment  # as the last value of a notebook's cell a page shows itself

    def _legend(self) -> str:
        marks = "".join(f'<span><i class="{kind}"></i>{words}</span>' for kind, words in _LEGEND.items())
        return f'<p class="legend">{marks}</p>' if self._has_marks else ""

    def write(self, path: str | Path) -> Path:
        """Write the page, whole or not at all; a file of this name is replaced.

        Returns:
            The path.
        """
        with atomic_write(path) as part:
            part.write_text(self.html(), encoding="utf-8")
        return Path(path)


def show(videos: Tensor | Mapping[str, Tensor], fps: float = DEFAULT_FPS) -> Page:
    """Videos side by side, to be the last value of a notebook's cell: they play in it by themselves.

    Args:
        videos: uint8 (T, C, H, W), several as (B, T, C, H, W) or (B, K, T, C, H, W), or named ones, each (T, C, H, W).
        fps: frames per second.

    Returns:
        A page, which a notebook shows and ``write`` saves.

    Example::

        mcvd.show({"filmed": video, "made": future[0]})
    """
    if isinstance(videos, Tensor):
        several = videos.flatten(0, -5) if videos.ndim > 4 else videos[None]
        videos = {str(number) if len(several) > 1 else "": video for number, video in enumerate(several)}
    return Page("Videos").videos([VideoFigure(name, video, made=None) for name, video in videos.items()], fps)


def _figure(item: VideoFigure | tuple) -> VideoFigure:
    shown = VideoFigure(*item)
    video = shown.video
    if isinstance(video, Tensor) and (video.dtype != torch.uint8 or video.ndim != 4 or video.shape[1] not in (1, 3)):
        raise ValueError(
            f"{shown.caption!r} must be uint8 (T, C, H, W) with 1 or 3 channels, got {video.dtype} {tuple(video.shape)}"
        )
    return shown


def _kind(shown: VideoFigure, frame: int) -> str:
    return "given" if frame in shown.given else "made" if shown.made else "truth"


def _pixels(shown: VideoFigure) -> Tensor:
    if not isinstance(shown.video, Tensor):
        raise ValueError(f"{shown.video} is a file: only tensors are shown as single frames")
    return shown.video


def _marked(shown: VideoFigure) -> Tensor:
    """The video enlarged, each frame with its border in colour if it has one, uint8 (T, 3, H', W')."""
    video = _pixels(shown).expand(-1, 3, -1, -1)
    scale = max(1, round(_SHOWN_PIXELS / min(video.shape[-2:])))
    video = video.repeat_interleave(scale, -2).repeat_interleave(scale, -1)
    if shown.made is None:
        return video
    colours = {"given": GIVEN, "made": MADE, "truth": TRUTH}
    borders = [list(bytes.fromhex(colours[_kind(shown, t)][1:])) for t in range(len(video))]
    height, width = (side + 2 * _BORDER_PIXELS for side in video.shape[-2:])
    framed = torch.tensor(borders, dtype=torch.uint8)[..., None, None].repeat(1, 1, height, width)
    framed[..., _BORDER_PIXELS:-_BORDER_PIXELS, _BORDER_PIXELS:-_BORDER_PIXELS] = video
    return framed


def _encode(video: Tensor, fps: float) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "video.mp4"
        write_video(path, video, fps=fps)
        return path.read_bytes()


def _data_uri(content: bytes, media_type: str) -> str:
    return f"data:{media_type};base64,{base64.b64encode(content).decode()}"


def _video_element(content: bytes, media_type: str, caption: str) -> str:
    uri = _data_uri(content, media_type)
    if media_type.startswith("image/"):
        return f'<img src="{uri}" alt="{escape(caption)}">'
    return f'<video autoplay loop muted playsinline aria-label="{escape(caption)}" src="{uri}"></video>'


def _picture(frame: Tensor) -> str:
    """uint8 (C, H, W) -> a PNG as data URI."""
    from PIL import Image

    pixels = frame.permute(1, 2, 0).squeeze(-1).numpy(force=True)
    file = BytesIO()
    Image.fromarray(pixels).save(file, "png", optimize=True)
    return _data_uri(file.getvalue(), "image/png")


def _paragraph(text: str, kind: str = "") -> str:
    return f"<p{f' class={kind}' if kind else ''}>{escape(text)}</p>" if text else ""
