"""mcvd: masked conditional video diffusion. One model that predicts, interpolates and generates video.

The names load on first use, so that ``import mcvd`` stays fast.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mcvd import data, metrics, nets, noise, samplers
    from mcvd.api import build, load, read_video, write_video
    from mcvd.data.readers import VideoError
    from mcvd.denoiser import Denoiser
    from mcvd.frames import Condition, FrameBlock
    from mcvd.gallery import show
    from mcvd.masking import Masking
    from mcvd.module import MCVD

__version__ = "0.1.0"

_HOMES = {
    "MCVD": "mcvd.module",
    "Condition": "mcvd.frames",
    "Denoiser": "mcvd.denoiser",
    "FrameBlock": "mcvd.frames",
    "Masking": "mcvd.masking",
    "VideoError": "mcvd.data.readers",
    "build": "mcvd.api",
    "load": "mcvd.api",
    "show": "mcvd.gallery",
    "read_video": "mcvd.data.video_in",
    "write_video": "mcvd.data.writers",
}
_ROOMS = ("data", "metrics", "nets", "noise", "samplers")

__all__ = [
    "MCVD",
    "Condition",
    "Denoiser",
    "FrameBlock",
    "Masking",
    "VideoError",
    "build",
    "data",
    "load",
    "metrics",
    "nets",
    "noise",
    "read_video",
    "samplers",
    "show",
    "write_video",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    if name in _ROOMS:
        return import_module(f"mcvd.{name}")
    raise AttributeError(f"module 'mcvd' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
