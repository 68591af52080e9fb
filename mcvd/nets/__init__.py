"""Networks and the ways to condition them."""

from mcvd.nets.blocks import ConditionCache
from mcvd.nets.conditioning import SPATIN, AbstractConditioning, Concat
from mcvd.nets.context import Context
from mcvd.nets.space_time_unet import SpaceTimeUNet
from mcvd.nets.unet import UNet
from mcvd.nets.unet3d import UNet3D

__all__ = ["SPATIN", "AbstractConditioning", "Concat", "ConditionCache", "Context", "SpaceTimeUNet", "UNet", "UNet3D"]
