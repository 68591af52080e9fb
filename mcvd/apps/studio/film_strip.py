"""The film strip on which a visitor marks frames: pictures, style and behaviour in the browser."""

from __future__ import annotations

import base64
from collections.abc import Collection
from io import BytesIO
from pathlib import Path

from torch import Tensor

from mcvd.video.palette import CONTEXT, GENERATED

_PICTURE_PIXELS = 72  # height in the browser

TEMPLATE = '<div class="film" role="group" aria-label="film strip: drag over frames to mark them"></div>'
_COLOURS = f".film {{ --picture: {_PICTURE_PIXELS}px; --context: {CONTEXT}; --generated: {GENERATED}; }}\n"
STYLE = _COLOURS + Path(__file__).with_suffix(".css").read_text()
BEHAVIOUR = Path(__file__).with_suffix(".js").read_text()


def pictures(frames: Tensor) -> list[str]:
    """Small pictures of uint8 (T, C, H, W), as data URIs."""
    from PIL import Image

    uris = []
    for frame in frames:
        image = Image.fromarray(frame.permute(1, 2, 0).squeeze(-1).numpy(force=True))
        if image.height > 2 * _PICTURE_PIXELS:
            image.thumbnail((4 * _PICTURE_PIXELS, 2 * _PICTURE_PIXELS))
        file = BytesIO()
        image.save(file, "jpeg", quality=85)
        uris.append(f"data:image/jpeg;base64,{base64.b64encode(file.getvalue()).decode()}")
    return uris


def kinds(num_frames: int, context: Collection[int], generated: range) -> str:
    """One letter for each frame of a video: c context, g to be generated, - neither.

    Examples:
        >>> kinds(6, [1, 2], range(3, 5))
        '-ccgg-'
    """
    return "".join("c" if i in context else "g" if i in generated else "-" for i in range(num_frames))
