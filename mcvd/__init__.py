"""mcvd: masked conditional video diffusion. One model that predicts, interpolates and generates video.

The names load on first use, so that ``import mcvd`` stays fast.
"""

from typing import TYPE_CHECKING

from mcvd.runtime.lazy import lazy_exports

if TYPE_CHECKING:
    from mcvd import data, metrics, nets, noise, samplers
    from mcvd.diffusion.denoiser import Denoiser
    from mcvd.diffusion.masking import Masking
    from mcvd.frames import Condition, FrameBlock
    from mcvd.models.load import build, load
    from mcvd.models.mcvd import MCVD
    from mcvd.models.show import show
    from mcvd.video.decoders.base import VideoError
    from mcvd.video.read import read_video
    from mcvd.video.write import write_video

__version__ = "0.1.0"

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

__getattr__, __dir__ = lazy_exports(
    __name__,
    {
        "Condition": "mcvd.frames",
        "Denoiser": "mcvd.diffusion.denoiser",
        "FrameBlock": "mcvd.frames",
        "MCVD": "mcvd.models.mcvd",
        "Masking": "mcvd.diffusion.masking",
        "VideoError": "mcvd.video.decoders.base",
        "build": "mcvd.models.load",
        "data": "mcvd.data",
        "load": "mcvd.models.load",
        "metrics": "mcvd.metrics",
        "nets": "mcvd.nets",
        "noise": "mcvd.noise",
        "read_video": "mcvd.video.read",
        "samplers": "mcvd.samplers",
        "show": "mcvd.models.show",
        "write_video": "mcvd.video.write",
    },
)
