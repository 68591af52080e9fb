"""Samplers: one method per file, all of them frozen dataclasses that see only ``denoise(noisy, t)``."""

from mcvd.samplers.adaptive_sde import AdaptiveSDE
from mcvd.samplers.annealed_langevin import AnnealedLangevin
from mcvd.samplers.base import AbstractGridSampler, AbstractSampler
from mcvd.samplers.consistent_annealed_langevin import ConsistentAnnealedLangevin
from mcvd.samplers.ddim import DDIM
from mcvd.samplers.ddpm import DDPM
from mcvd.samplers.diffusers_scheduler import Diffusers
from mcvd.samplers.dpm_solver_pp import DPMSolverPP
from mcvd.samplers.heun import Heun
from mcvd.samplers.pndm import PNDM
from mcvd.samplers.predictor_corrector import PredictorCorrector
from mcvd.samplers.sa_solver import SASolver
from mcvd.samplers.sde_dpm_solver_pp import SDEDPMSolverPP
from mcvd.samplers.spacing import AbstractSpacing, Karras, LogSNR, Uniform
from mcvd.samplers.unipc import UniPC

__all__ = [
    "DDIM",
    "DDPM",
    "PNDM",
    "AbstractGridSampler",
    "AbstractSampler",
    "AbstractSpacing",
    "AdaptiveSDE",
    "AnnealedLangevin",
    "ConsistentAnnealedLangevin",
    "DPMSolverPP",
    "Diffusers",
    "Heun",
    "Karras",
    "LogSNR",
    "PredictorCorrector",
    "SASolver",
    "SDEDPMSolverPP",
    "UniPC",
    "Uniform",
]
