"""Samplers: one method per file, all of them frozen dataclasses that see only ``denoise(noisy, t)``."""

from mcvd.samplers.base import AbstractSampler
from mcvd.samplers.ddim import DDIM
from mcvd.samplers.ddpm import DDPM

__all__ = ["DDIM", "DDPM", "AbstractSampler"]
