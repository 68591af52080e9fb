"""Networks and the ways to condition them."""

from mcvd.nets.blocks import ConditionCache
from mcvd.nets.conditioning import SPATIN, AbstractConditioning, Concat
from mcvd.nets.unet import UNet

__all__ = ["SPATIN", "AbstractConditioning", "Concat", "ConditionCache", "UNet"]
