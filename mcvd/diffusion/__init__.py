"""The method: what is masked, denoised and generated, on tensors; knows no file format and no Lightning."""

from typing import TYPE_CHECKING

from mcvd.runtime.lazy import lazy_exports

if TYPE_CHECKING:
    from mcvd.diffusion.block_store import BlockStore
    from mcvd.diffusion.denoiser import Denoiser
    from mcvd.diffusion.engine import GenerationEngine
    from mcvd.diffusion.masking import Masking
    from mcvd.diffusion.options import SamplingOptions
    from mcvd.diffusion.tasks import Task

__all__ = ["BlockStore", "Denoiser", "GenerationEngine", "Masking", "SamplingOptions", "Task"]

__getattr__, __dir__ = lazy_exports(
    __name__,
    {
        "BlockStore": "mcvd.diffusion.block_store",
        "Denoiser": "mcvd.diffusion.denoiser",
        "GenerationEngine": "mcvd.diffusion.engine",
        "Masking": "mcvd.diffusion.masking",
        "SamplingOptions": "mcvd.diffusion.options",
        "Task": "mcvd.diffusion.tasks",
    },
)
