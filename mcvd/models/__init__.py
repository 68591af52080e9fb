"""A model as a thing: built, loaded, saved, shared, described."""

from typing import TYPE_CHECKING

from mcvd.runtime.lazy import lazy_exports

if TYPE_CHECKING:
    from mcvd.models.facts import ModelFacts, num_parameters
    from mcvd.models.load import BOX, build
    from mcvd.models.mcvd import MCVD
    from mcvd.models.pretrained import Pretrained
    from mcvd.models.video_model import VideoModel

# Not `load`: that is the name of a module of this package; it is `mcvd.load`.
__getattr__, __dir__ = lazy_exports(
    __name__,
    {
        "BOX": "mcvd.models.load",
        "MCVD": "mcvd.models.mcvd",
        "ModelFacts": "mcvd.models.facts",
        "Pretrained": "mcvd.models.pretrained",
        "VideoModel": "mcvd.models.video_model",
        "build": "mcvd.models.load",
        "num_parameters": "mcvd.models.facts",
    },
)
