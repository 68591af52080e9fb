"""The method: what is masked, denoised and generated, on tensors; knows no file format and no Lightning."""

from mcvd.diffusion.block_store import BlockStore
from mcvd.diffusion.denoiser import Denoiser
from mcvd.diffusion.distillation import Distillation
from mcvd.diffusion.engine import GenerationEngine
from mcvd.diffusion.masking import Masking
from mcvd.diffusion.options import SamplingOptions
from mcvd.diffusion.task_samplers import TaskSamplers
from mcvd.diffusion.tasks import Task

__all__ = [
    "BlockStore",
    "Denoiser",
    "Distillation",
    "GenerationEngine",
    "Masking",
    "SamplingOptions",
    "Task",
    "TaskSamplers",
]
