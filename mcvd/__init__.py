"""mcvd: masked conditional video diffusion. One model that predicts, interpolates and generates video.

The names load on first use, so that ``import mcvd`` stays fast.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mcvd import data, metrics, nets, noise, samplers
    from mcvd.diffusion.denoiser import Denoiser
    from mcvd.diffusion.masking import Masking
    from mcvd.frames import Condition, FrameBlock
    from mcvd.models.load import build, load
    from mcvd.models.mcvd import MCVD
    from mcvd.video.decoders.base import VideoError
    from mcvd.video.page import show
    from mcvd.video.read import read_video
    from mcvd.video.write import write_video

__version__ = "0.1.0"

_HOMES = {
    "MCVD": "mcvd.models.mcvd",
    "Condition": "mcvd.frames",
    "Denoiser": "mcvd.diffusion.denoiser",
    "FrameBlock": "mcvd.frames",
    "Masking": "mcvd.diffusion.masking",
    "VideoError": "mcvd.video.decoders.base",
    "build": "mcvd.models.load",
    "load": "mcvd.models.load",
    "show": "mcvd.video.page",
    "read_video": "mcvd.video.read",
    "write_video": "mcvd.video.write",
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
