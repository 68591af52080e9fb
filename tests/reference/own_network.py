"""Classes of a user's own, as they stand in a module beside mcvd."""

import os
from dataclasses import dataclass

from mcvd.frames import FrameBlock
from mcvd.nets import SPATIN, AbstractConditioning, Concat, UNet

HERE = os.path.dirname(__file__)


@dataclass(frozen=True)
class Both(AbstractConditioning):
    """The context enters at the first convolution and in every norm."""

    width: int = 8
    tell_mask: bool = True
    tell_noise: bool = False

    def first_planes(self, num_planes):
        """All of them."""
        return num_planes

    def norm(self, num_planes, channels, level, final=False):
        """That of SPATIN."""
        return SPATIN(self.width).norm(num_planes, channels, level, final)


class OwnUNet(UNet):
    """A network of one's own."""

    def __init__(
        self,
        block: FrameBlock,
        channels: int,
        width: int = 8,
        conditioning: AbstractConditioning = Concat(),
        words: list[str] | None = None,
    ):
        super().__init__(
            block, channels, width, multipliers=(1, 2), attention_levels=(), head_channels=8, conditioning=conditioning
        )
        self.words = words


class WithoutAnnotation(UNet):
    """A network whose arguments have no types."""

    def __init__(self, block, channels, conditioning=Concat()):
        super().__init__(block, channels, 8, (1, 2), attention_levels=(), head_channels=8, conditioning=conditioning)
