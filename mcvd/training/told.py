"""What the config of a trained model says, for commands that train something for it."""

from __future__ import annotations

from functools import lru_cache
from inspect import signature
from typing import Any

from mcvd.models.files import read_model
from mcvd.models.mcvd import MCVD


class Told:
    """What a model's config says of an argument, as a function of the model.

    Args:
        name: of an argument of `MCVD`.
    """

    def __init__(self, name: str):
        self.name = name

    def __call__(self, model: str) -> Any:
        """The value, or the default."""
        return told(model, self.name)


def told(model: str, name: str) -> Any:
    """What the config of a model, as `mcvd.load` takes it, says of an argument; the default where it says nothing."""
    return stored_config(model).get(name, signature(MCVD).parameters[name].default)


@lru_cache(maxsize=4)
def stored_config(model: str) -> dict[str, Any]:
    """The config of a model, as `mcvd.load` takes it."""
    return read_model(model).config
