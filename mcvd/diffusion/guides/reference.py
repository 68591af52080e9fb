"""What frames should look like: a picture, compared by features."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor
from torch.nn.functional import cosine_similarity


@dataclass(frozen=True)
class Reference:
    """How far the features of the frames point elsewhere than those of a picture (semantic diffusion guidance).

    From Liu et al. (2021, arXiv 2112.05744, section 3.4). With features of a space that texts share, the reference can
    be the vector of a text.

    Args:
        features: ``features(frames)`` makes vectors (M, D) of frames (M, C, H, W) in the model's range: the first
            layers of a classifier, an image encoder, or low-pass filtered pixels. Differentiable, in evaluation mode.
        wanted: float (D,), the features of the reference.
    """

    features: Callable[[Tensor], Tensor]
    wanted: Tensor

    def __call__(self, clean: Tensor, t: Tensor) -> Tensor:
        """The energy (B,): 1 minus the cosine between the features, summed over frames."""
        found = self.features(clean.flatten(0, 1)).float()
        return (1 - cosine_similarity(found, self.wanted.to(found)[None])).unflatten(0, clean.shape[:2]).sum(1)
