"""Videos and frames as a page holds them: files inside of its HTML, with a border that says where a frame is from."""

from __future__ import annotations

import base64
import tempfile
from collections.abc import Collection
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from mcvd.video.palette import CONTEXT, GENERATED, TARGET, rgb
from mcvd.video.transforms import check_video
from mcvd.video.write import write_video

_MEDIA_TYPES = {".mp4": "video/mp4", ".gif": "image/gif", ".png": "image/png", ".jpg": "image/jpeg"}
_SHOWN_PIXELS = 192  # smaller videos are enlarged to about this: mp4 keeps colour at half resolution only
_BORDER_PIXELS = 6
_BORDERS = {"context": rgb(CONTEXT), "generated": rgb(GENERATED), "target": rgb(TARGET)}


class VideoFigure(NamedTuple):
    """A video on a page; wherever one is wanted a tuple of the first few of these will do.

    Args:
        caption: what it is.
        video: uint8 (T, C, H, W), or the path of a .mp4, .gif, .png or .jpg file, which is shown as it is.
        context: numbers of the frames that the model was given; they get a blue border.
        generated: whether the others are generated (orange border) or the ground truth or a baseline (grey border);
            None: no borders at all.
    """

    caption: str
    video: Tensor | Path | str
    context: Collection[int] = ()
    generated: bool | None = True

    @property
    def pixels(self) -> Tensor:
        """uint8 (T, C, H, W)."""
        if not isinstance(self.video, Tensor):
            raise ValueError(f"{self.video} is a file: only tensors are shown as single frames")
        return self.video

    @property
    def role(self) -> str:
        """What a page's script knows it by: ``truth`` (or a baseline), ``sample`` or nothing."""
        return "" if self.generated is None else "sample" if self.generated else "truth"

    def kind(self, frame: int) -> str:
        """Where a frame is from: ``context``, ``generated`` or ``target``."""
        return "context" if frame in self.context else "generated" if self.generated else "target"


@dataclass(frozen=True)
class Media:
    """What an element of HTML shows.

    Args:
        uri: the file itself, as a data URI.
        is_picture: whether it is an ``img``, not a ``video``.
        num_frames: of a video, 0 where the file alone knows.
        fps: of a video, likewise.
        size: height and width in pixels, None where the file alone knows.
    """

    uri: str
    is_picture: bool = False
    num_frames: int = 0
    fps: float = 0.0
    size: tuple[int, int] | None = None


def figure_of(item: VideoFigure | tuple) -> VideoFigure:
    """Complete a tuple, and refuse what is no video by its caption."""
    shown = VideoFigure(*item)
    if isinstance(shown.video, Tensor):
        check_video(shown.video, repr(shown.caption))
    return shown


def media_of(shown: VideoFigure, fps: float) -> Media:
    """The video of a figure; a file is taken as it is.

    Raises:
        ValueError: a browser cannot show a file of that ending.
    """
    if isinstance(shown.video, Tensor):
        video = _marked(shown)
        height, width = video.shape[-2:]
        return Media(_encode(video, fps), False, len(video), fps, (height, width))
    path = Path(shown.video)
    if path.suffix not in _MEDIA_TYPES:
        raise ValueError(f"{path} cannot be shown: choose one of {', '.join(_MEDIA_TYPES)}")
    media_type = _MEDIA_TYPES[path.suffix]
    return Media(_data_uri(path.read_bytes(), media_type), media_type.startswith("image/"))


def picture_of(frame: Tensor) -> Media:
    """The exact pixels of uint8 (C, H, W)."""
    from PIL import Image

    pixels = frame.permute(1, 2, 0).squeeze(-1).numpy(force=True)
    file = BytesIO()
    Image.fromarray(pixels).save(file, "png", optimize=True)
    height, width = frame.shape[-2:]
    return Media(_data_uri(file.getvalue(), "image/png"), True, size=(height, width))


def _marked(shown: VideoFigure) -> Tensor:
    """The video enlarged, each frame with its border in colour if it has one, uint8 (T, 3, H', W')."""
    video = shown.pixels.expand(-1, 3, -1, -1)
    scale = max(1, round(_SHOWN_PIXELS / min(video.shape[-2:])))
    video = video.repeat_interleave(scale, -2).repeat_interleave(scale, -1)
    if shown.generated is None:
        return video
    borders = [_BORDERS[shown.kind(t)] for t in range(len(video))]
    height, width = (side + 2 * _BORDER_PIXELS for side in video.shape[-2:])
    framed = torch.tensor(borders, dtype=torch.uint8)[..., None, None].repeat(1, 1, height, width)
    framed[..., _BORDER_PIXELS:-_BORDER_PIXELS, _BORDER_PIXELS:-_BORDER_PIXELS] = video
    return framed


def _encode(video: Tensor, fps: float) -> str:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "video.mp4"
        write_video(path, video, fps=fps)
        return _data_uri(path.read_bytes(), "video/mp4")


def _data_uri(content: bytes, media_type: str) -> str:
    return f"data:{media_type};base64,{base64.b64encode(content).decode()}"
