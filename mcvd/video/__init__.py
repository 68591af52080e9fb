"""Video files in, video files out, and videos on a page; knows no data set and no model."""

from typing import TYPE_CHECKING

from mcvd.runtime.lazy import lazy_exports

if TYPE_CHECKING:
    from mcvd.video.decoders.base import AbstractReader, VideoError
    from mcvd.video.open import open_video
    from mcvd.video.read import read_video
    from mcvd.video.write import write_video

__all__ = ["AbstractReader", "VideoError", "open_video", "read_video", "write_video"]

__getattr__, __dir__ = lazy_exports(
    __name__,
    {
        "AbstractReader": "mcvd.video.decoders.base",
        "VideoError": "mcvd.video.decoders.base",
        "open_video": "mcvd.video.open",
        "read_video": "mcvd.video.read",
        "write_video": "mcvd.video.write",
    },
)
