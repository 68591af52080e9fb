"""I3D, the video network whose logits FVD compares: Inception-v1 with all filters inflated to three dimensions."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

MIN_FRAMES = 9
NUM_LOGITS = 400
INPUT_SIZE = 224


class I3D(nn.Module):
    """I3D of Carreira and Zisserman (2017), made for inference: videos to the 400 logits of Kinetics.

    Parameters are named and shaped as in the published PyTorch ports, so that their state dicts load. The arithmetic
    is that of the TensorFlow graph ``deepmind/i3d-kinetics-400``, from which FVD is defined: "same" padding, batch
    norms without a scale and with epsilon 1e-3, mean logits over time. (One port computes with epsilon 1e-5.)

    Examples:
        >>> I3D().eval()(torch.zeros(2, 3, 10, 64, 64)).shape
        torch.Size([2, 400])
    """

    def __init__(self) -> None:
        super().__init__()
        self.Conv3d_1a_7x7 = _Unit(3, 64, kernel=7, stride=2)
        self.Conv3d_2b_1x1 = _Unit(64, 64, kernel=1)
        self.Conv3d_2c_3x3 = _Unit(64, 192, kernel=3)
        self.Mixed_3b = _Inception(192, (64, 96, 128, 16, 32, 32))
        self.Mixed_3c = _Inception(256, (128, 128, 192, 32, 96, 64))
        self.Mixed_4b = _Inception(480, (192, 96, 208, 16, 48, 64))
        self.Mixed_4c = _Inception(512, (160, 112, 224, 24, 64, 64))
        self.Mixed_4d = _Inception(512, (128, 128, 256, 24, 64, 64))
        self.Mixed_4e = _Inception(512, (112, 144, 288, 32, 64, 64))
        self.Mixed_4f = _Inception(528, (256, 160, 320, 32, 128, 128))
        self.Mixed_5b = _Inception(832, (256, 160, 320, 32, 128, 128))
        self.Mixed_5c = _Inception(832, (384, 192, 384, 48, 128, 128))
        self.logits = _Logits()

    def forward(self, video: Tensor) -> Tensor:
        """The logits of whole videos.

        Args:
            video: float (B, 3, T, H, W) in [-1, 1], T 9 or more. The published network takes 224 x 224 pixels; of
                other sizes, the mean over all places is taken where there it is that of 7 x 7.

        Returns:
            (B, 400), not normalised.
        """
        if video.ndim != 5 or video.shape[1] != 3 or video.shape[2] < MIN_FRAMES:
            raise ValueError(
                f"I3D takes videos (B, 3, T, H, W) of {MIN_FRAMES} frames or more, got {tuple(video.shape)}: "
                "it halves time three times and then averages pairs"
            )
        h = self.Conv3d_1a_7x7(video)  # (B, 64, T/2, H/2, W/2)
        h = max_pool_same(h, (1, 3, 3), (1, 2, 2))  # (B, 64, T/2, H/4, W/4)
        h = self.Conv3d_2c_3x3(self.Conv3d_2b_1x1(h))
        h = max_pool_same(h, (1, 3, 3), (1, 2, 2))  # (B, 192, T/2, H/8, W/8)
        h = self.Mixed_3c(self.Mixed_3b(h))
        h = max_pool_same(h, (3, 3, 3), (2, 2, 2))  # (B, 480, T/4, H/16, W/16)
        h = self.Mixed_4f(self.Mixed_4e(self.Mixed_4d(self.Mixed_4c(self.Mixed_4b(h)))))
        h = max_pool_same(h, (2, 2, 2), (2, 2, 2))  # (B, 832, T/8, H/32, W/32)
        h = self.Mixed_5c(self.Mixed_5b(h))  # (B, 1024, T/8, H/32, W/32)
        h = h.mean((3, 4), keepdim=True)
        h = (h[:, :, :-1] + h[:, :, 1:]) / 2  # average pool over 2 in time, stride 1
        return self.logits(h).mean(2).flatten(1)


def random_i3d(seed: int = 0) -> I3D:
    """An I3D that has learned nothing: fixed random filters, the same ones for the same seed on every machine.

    Random features do react to noise, blur and motion, so a distance between them ranks gross faults without any
    download. It is not FVD, has another scale, and must never be called so.
    """
    generator = torch.Generator().manual_seed(seed)
    net = I3D()
    for name, parameter in net.named_parameters():
        if name.endswith("conv3d.weight"):
            fan_in = parameter[0].numel()
            nn.init.normal_(parameter, std=(2 / fan_in) ** 0.5, generator=generator)  # keeps the variance under ReLU
    bias = net.logits.conv3d.bias
    assert bias is not None
    nn.init.zeros_(bias)
    return net.eval().requires_grad_(False)


def max_pool_same(x: Tensor, kernel: tuple[int, int, int], stride: tuple[int, int, int]) -> Tensor:
    """Max pooling with the "same" padding of TensorFlow, (B, C, T, H, W) -> (B, C, ceil(T / stride), ...)."""
    before, after = same_padding(x.shape[2:], kernel, stride)
    if x.device.type == "cpu" and not (torch.is_grad_enabled() and x.requires_grad):
        return _max_pool_by_axis(_pad(x, before, after, float("-inf")), kernel, stride)
    if before == after:
        return functional.max_pool3d(x, kernel, stride, padding=before)
    return functional.max_pool3d(_pad(x, before, after, float("-inf")), kernel, stride)


def _max_pool_by_axis(x: Tensor, kernel: tuple[int, int, int], stride: tuple[int, int, int]) -> Tensor:
    """The maxima of windows, along one axis after the other: the same numbers, and a CPU reads whole rows at once."""
    for axis, (window, step) in enumerate(zip(kernel, stride, strict=True), start=2):
        last = x.shape[axis] - window
        parts = [x[(slice(None),) * axis + (slice(i, i + last + 1, step),)] for i in range(window)]
        x = parts[0] if window == 1 else torch.maximum(parts[0], parts[1])
        for part in parts[2:]:
            torch.maximum(x, part, out=x)
    return x


def conv_same(x: Tensor, weight: Tensor, bias: Tensor | None, stride: tuple[int, int, int]) -> Tensor:
    """Convolution with the "same" padding of TensorFlow, (B, C, T, H, W) -> (B, D, ceil(T / stride), ...)."""
    before, after = same_padding(x.shape[2:], tuple(weight.shape[2:]), stride)
    if before == after:
        return functional.conv3d(x, weight, bias, stride, padding=before)
    return functional.conv3d(_pad(x, before, after, 0.0), weight, bias, stride)


def same_padding(
    size: tuple[int, ...], kernel: tuple[int, ...], stride: tuple[int, ...]
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """What TensorFlow's "same" pads before and after each axis, so that ceil(size / stride) windows fit.

    Half of it goes before and an odd one after, hence more after than before for even sizes with stride 2.

    Examples:
        >>> same_padding((224, 7), kernel=(7, 3), stride=(2, 2))
        ((2, 1), (3, 1))
    """
    axes = zip(size, kernel, stride, strict=True)
    total = [max((-(-length // step) - 1) * step + window - length, 0) for length, window, step in axes]
    before = tuple(pad // 2 for pad in total)
    return before, tuple(pad - half for pad, half in zip(total, before, strict=True))


def _pad(x: Tensor, before: tuple[int, ...], after: tuple[int, ...], value: float) -> Tensor:
    last_axis_first = zip(reversed(before), reversed(after), strict=True)
    return functional.pad(x, [pad for pair in last_axis_first for pad in pair], value=value)


class _Unit(nn.Module):
    """Convolution, batch norm, ReLU."""

    def __init__(self, channels_in: int, channels_out: int, kernel: int, stride: int = 1) -> None:
        super().__init__()
        self.conv3d = nn.Conv3d(channels_in, channels_out, kernel, stride, bias=False)
        self.bn = nn.BatchNorm3d(channels_out, eps=1e-3)

    def forward(self, x: Tensor) -> Tensor:
        x = conv_same(x, self.conv3d.weight, None, self.conv3d.stride)  # type: ignore[arg-type]
        return functional.relu(self.bn(x), inplace=True)


class _Inception(nn.Module):
    """Four views of the same input side by side.

    Args:
        channels_in: of the input.
        widths: channels of b0, b1a, b1b, b2a, b2b, b3b.
    """

    def __init__(self, channels_in: int, widths: tuple[int, int, int, int, int, int]) -> None:
        super().__init__()
        b0, b1a, b1b, b2a, b2b, b3b = widths
        self.b0 = _Unit(channels_in, b0, kernel=1)
        self.b1a = _Unit(channels_in, b1a, kernel=1)
        self.b1b = _Unit(b1a, b1b, kernel=3)
        self.b2a = _Unit(channels_in, b2a, kernel=1)
        self.b2b = _Unit(b2a, b2b, kernel=3)
        self.b3b = _Unit(channels_in, b3b, kernel=1)

    def forward(self, x: Tensor) -> Tensor:
        pooled = max_pool_same(x, (3, 3, 3), (1, 1, 1))
        return torch.cat([self.b0(x), self.b1b(self.b1a(x)), self.b2b(self.b2a(x)), self.b3b(pooled)], 1)


class _Logits(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv3d = nn.Conv3d(1024, NUM_LOGITS, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv3d(x)
