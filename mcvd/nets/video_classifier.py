"""A network that says of noisy frames what they show: the way down of `mcvd.nets.UNet`, and a linear map."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from torch import Tensor

from mcvd.nets.blocks import BlockConfig, ConditionCache, Level
from mcvd.nets.conditioning import Concat
from mcvd.nets.layers import conv, linear, silu
from mcvd.nets.trunk import Trunk, check_choices

MAX_LABELS = 1 << 13  # a config that is not trusted could ask for a layer without end
_NOTHING = Concat()  # there is no context


class VideoClassifier(Trunk):
    """The trunk of a U-Net down to its bottom, the mean over the picture, and a score for each label.

    As the classifiers of Dhariwal and Nichol (2021, arXiv 2105.05233, section 4): it is told the noise as the U-Net is
    told the time.

    Args:
        num_labels: 2 or more.
        num_frames: of a clip, which it sees as channels.
        channels: of a frame.
        width, multipliers, num_blocks, attention_levels, head_channels, dropout: as those of `mcvd.nets.UNet`.

    Raises:
        ValueError: for a shape that cannot be built, naming the argument to change.

    Examples:
        >>> import torch
        >>> net = VideoClassifier(10, num_frames=3, channels=1, width=8, multipliers=(1, 2))
        >>> net(torch.randn(4, 3, 1, 16, 16), torch.full((4,), 500.0)).shape
        torch.Size([4, 10])
    """

    def __init__(
        self,
        num_labels: int,
        num_frames: int,
        channels: int = 3,
        width: int = 32,
        multipliers: Sequence[int] = (1, 2, 3),
        num_blocks: int = 1,
        attention_levels: Sequence[int] = (),
        head_channels: int = 32,
        dropout: float = 0.0,
    ) -> None:
        check_choices(channels, width, multipliers, num_blocks, attention_levels, head_channels, dropout)
        super().__init__(width)
        if not 2 <= num_labels <= MAX_LABELS or not 1 <= num_frames <= 1 << 10:
            raise ValueError(
                f"a classifier has 2 to {MAX_LABELS} labels and 1 to 1024 frames, got {num_labels} and {num_frames}"
            )
        self.num_frames, self.channels = num_frames, channels
        config = BlockConfig(
            norm=partial(_NOTHING.norm, 0),
            embedding_channels=4 * width,
            dropout=dropout,
            head_channels=head_channels,
            gradient_checkpointing=False,
        )
        levels = [Level(i, width * each, i in attention_levels) for i, each in enumerate(multipliers)]
        self.first = conv(num_frames * channels, width)
        self._build_down(width, levels, num_blocks, config)
        self.final_norm = _NOTHING.norm(0, levels[-1].channels, level=len(levels) - 1, final=True)
        self.last = linear(levels[-1].channels, num_labels)

    def forward(self, noisy: Tensor, label: Tensor) -> Tensor:
        """Scores (B, num_labels), logits, of noisy frames.

        Args:
            noisy: float (B, N, C, H, W), of about unit size at every noise.
            label: float (B,), of the noise, 0 to 1000 as the times of a U-Net.
        """
        batch, _, _, *size = noisy.shape
        condition = ConditionCache(
            planes=noisy.new_empty(batch, 0, *size),
            first=None,
            modulation=self.modulation(),
            past=None,
            cached={},
            onednn=None,
        )
        scale_shift = condition.modulation(label)
        h = self.first(noisy.flatten(1, 2))
        for down in self.down:
            h = down(h, scale_shift, condition)[-1]
        h = self.middle(h, scale_shift, condition)
        h = silu(self.final_norm(h, condition.maps(self.final_norm)))
        logits: Tensor = self.last(h.mean((2, 3)))
        return logits
