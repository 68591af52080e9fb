"""What a model's numbers mean: pixels, latents of an autoencoder, or values with a scale and a unit."""

from typing import TYPE_CHECKING

from mcvd.runtime.lazy import lazy_exports

if TYPE_CHECKING:
    from mcvd.models.codecs.base import AbstractCodec
    from mcvd.models.codecs.latents import Latents
    from mcvd.models.codecs.patch_autoencoder import PatchAutoencoder
    from mcvd.models.codecs.pixels import Pixels
    from mcvd.models.codecs.scale import Scale

_EXPORTS = {
    "AbstractCodec": "base",
    "Latents": "latents",
    "PatchAutoencoder": "patch_autoencoder",
    "Pixels": "pixels",
    "Scale": "scale",
}

__getattr__, __dir__ = lazy_exports(
    __name__, {name: f"mcvd.models.codecs.{module}" for name, module in _EXPORTS.items()}
)
