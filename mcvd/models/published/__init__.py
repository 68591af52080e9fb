"""Checkpoints and configurations of the published MCVD code, translated into ours."""

from typing import TYPE_CHECKING

from mcvd.runtime.lazy import lazy_exports

if TYPE_CHECKING:
    from mcvd.models.published.checkpoint import PublishedModel, read_published

__getattr__, __dir__ = lazy_exports(
    __name__,
    {
        "PublishedModel": "mcvd.models.published.checkpoint",
        "read_published": "mcvd.models.published.checkpoint",
    },
)
