"""What a sampler can be steered towards, one wish a file; see `mcvd.diffusion.guidance.guided`."""

from mcvd.diffusion.guides.classifier import Classifier
from mcvd.diffusion.guides.known_frames import KnownFrames
from mcvd.diffusion.guides.noisy_classifier import NoisyClassifier
from mcvd.diffusion.guides.reference import Reference

__all__ = ["Classifier", "KnownFrames", "NoisyClassifier", "Reference"]
