"""A classifier of noisy clips as a thing: made, saved, opened, and asked for what guides a model."""

from __future__ import annotations

from collections.abc import Sequence
from math import pi
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from mcvd.diffusion.guides import NoisyClassifier
from mcvd.diffusion.parametrization import SIGMA_DATA, noisy_std
from mcvd.frames import check_format
from mcvd.models.codecs.pixels import Pixels
from mcvd.models.config import config_of, model_from_config
from mcvd.models.files import check_header, read_folder, write_folder
from mcvd.models.video_model import VideoModel
from mcvd.nets.video_classifier import VideoClassifier
from mcvd.noise import Coefficients, noisy_from_clean
from mcvd.runtime.suggest import did_you_mean

KIND = "classifier"  # the one key of its config.json, by which it is no model


class LabelClassifier(nn.Module):
    """Says of clips under any noise which label they have; see `mcvd.nets.video_classifier.VideoClassifier`.

    It is told how much noise there is, not the time: one classifier guides models of every schedule.

    Args:
        labels: their words, 2 or more.
        num_frames: of a clip.
        size: height and width of the frames.
        channels: 3 for colour, 1 for grey.
        width, multipliers, num_blocks, attention_levels, head_channels, dropout: of the network, as `mcvd.nets.UNet`.

    Examples:
        >>> classifier = LabelClassifier(["left", "right"], num_frames=2, size=(16, 16), width=8, multipliers=(1, 2))
        >>> at = Coefficients(torch.tensor([0.6]), torch.tensor([0.8]))
        >>> classifier(torch.randn(1, 2, 3, 16, 16), at).shape
        torch.Size([1, 2])
    """

    def __init__(
        self,
        labels: Sequence[str],
        num_frames: int,
        size: tuple[int, int],
        channels: int = 3,
        width: int = 32,
        multipliers: Sequence[int] = (1, 2, 3),
        num_blocks: int = 1,
        attention_levels: Sequence[int] = (),
        head_channels: int = 32,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self._arguments = {name: value for name, value in locals().items() if name not in ("self", "__class__")}
        self.labels = tuple(labels)
        if len({*self.labels}) != len(self.labels) or not all(word.strip() for word in self.labels):
            raise ValueError(f"labels are different words, got {', '.join(map(repr, self.labels))}")
        self.num_frames, self.size, self.channels = num_frames, (size[0], size[1]), channels
        check_format(self.size, None)
        trunk = (width, multipliers, num_blocks, attention_levels, head_channels, dropout)
        self.net = VideoClassifier(len(self.labels), num_frames, channels, *trunk)
        self.net.check_size(*self.size)

    def forward(self, noisy: Tensor, at: Coefficients) -> Tensor:
        """Logits (B, L) of frames (B, N, C, H, W) in [-1, 1] under noise: coefficients of (B,)."""
        label = torch.atan2(at.sigma, at.alpha) * (2000 / pi)  # 0, where clean, to 1000
        wide = at.like(noisy)
        return self.net(noisy / noisy_std(wide, SIGMA_DATA), label.to(noisy).expand(len(noisy)))

    def under_noise(self, frames: Tensor, noise: Tensor, at: Coefficients) -> Tensor:
        """Logits (B, L) of clean frames in [-1, 1] to which standard normal noise is added; for training."""
        logits: Tensor = self(noisy_from_clean(frames, noise, at.like(frames)), at)
        return logits

    def wish(self, label: str) -> NoisyClassifier:
        """The guide towards a label: ``model.generate(10, guide=classifier.wish("3"), guide_weight=4)``.

        Raises:
            ValueError: it knows no such label.
        """
        if label not in self.labels:
            few = ", ".join(self.labels[:8]) + (", ..." if len(self.labels) > 8 else "")
            raise ValueError(f"this classifier knows no {label!r}{did_you_mean(label, self.labels)} (it knows {few})")
        return NoisyClassifier(self, self.labels.index(label))

    def check_guides(self, model: VideoModel) -> None:
        """Refuse a model whose frames are not what this has learned; as models, it works at other sizes.

        Raises:
            ValueError: says what differs.
        """
        if (self.num_frames, self.channels) != (model.block.current, model.channels):
            own, its = (self.num_frames, self.channels, *self.size), (model.block.current, model.channels, *model.size)
            raise ValueError(
                f"this classifier knows clips of {_format(*own)}, and the model makes {_format(*its)}: "
                "train one for it with mcvd fit-classifier MODEL"
            )
        self.net.check_size(*model.size)
        denoiser = model.denoiser
        if not isinstance(model.codec, Pixels):
            raise ValueError("a classifier guides models of pixels, and this one diffuses other numbers (codec)")
        has_colors = model.channels > 1 and (denoiser.noise_colors is not None or model.reference_colors)
        if denoiser.gamma_noise is not None or has_colors:
            raise ValueError(
                "a classifier knows white noise, and this model has another (gamma_noise, colored_noise or "
                "reference_colors): train one with --model.colored_noise false --model.reference_colors false, or one "
                "that is told labels (signals)"
            )

    def save_pretrained(self, folder: str | Path) -> None:
        """Write config.json, model.safetensors and a README.md into a new folder, which `load_classifier` opens.

        Raises:
            FileExistsError: the folder holds something already.
        """
        config: dict[str, Any] = {KIND: config_of(LabelClassifier, self._arguments)}
        write_folder(folder, config, self.state_dict(), self._card())

    def _card(self) -> str:
        made = _format(self.num_frames, self.channels, *self.size)
        return (
            f"# A classifier of noisy clips\n\nIt tells {len(self.labels)} labels of clips of {made}, under any normal "
            f"noise, and guides video diffusion models of mcvd:\n\n```python\nfrom mcvd.models.classifier import "
            f'load_classifier\n\nguide = load_classifier("FOLDER").wish({self.labels[0]!r})\n'
            "model.predict(past, 20, guide=guide, guide_weight=4)\n```\n\nLabels: " + ", ".join(self.labels) + "\n"
        )


def load_classifier(folder: str | Path) -> LabelClassifier:
    """Open a classifier that ``mcvd fit-classifier`` wrote; its files may come from anybody.

    Raises:
        FileNotFoundError: there is none.
        ValueError: what is there is damaged, or no classifier.
        NumbersError: its weights are not finite.
    """
    stored = read_folder(Path(folder))
    arguments = stored.config.get(KIND)
    if not isinstance(arguments, dict) or len(stored.config) != 1:
        raise ValueError(f"{folder}: no classifier of mcvd fit-classifier")
    try:
        with torch.device("meta"):  # shapes without memory
            check_header(model_from_config(LabelClassifier, arguments), stored.header, folder)
        classifier = model_from_config(LabelClassifier, arguments)
    except ValueError as error:
        raise error if str(folder) in str(error) else ValueError(f"{folder}: {error}") from error
    classifier.load_state_dict(stored.weights())
    return classifier.eval().requires_grad_(False)


def _format(num_frames: int, channels: int, height: int, width: int) -> str:
    colour = {1: "grey ", 3: "colour "}.get(channels, "")
    return f"{num_frames} {colour}frames of {height}x{width}"
