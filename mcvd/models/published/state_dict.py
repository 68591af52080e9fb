"""Names of the published MCVD state dict -> names of our U-Net, as data that is checked in both directions.

The published code keeps all modules in one list, `unet.all_modules.{i}`, in order of construction; ours have names.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from mcvd.nets import UNet, UNet3D

# Constants of the noise schedule that the published state dict carries beside the weights.
BUFFERS = frozenset({"betas", "alphas", "alphas_prev", "unet.sigmas", "k", "k_cum", "theta_t"})


@dataclass(frozen=True)
class Part:
    """A layer inside a published module and the one it becomes.

    Args:
        published: names of the layers which, stacked along the outputs, make ours; "" is the module itself.
        ours: name inside our module.
        matrix: a published `NIN`, whose W (in, out) is the transpose of our weight.
        added: axes of size 1 of our weight that the published one lacks.
    """

    published: tuple[str, ...]
    ours: str
    matrix: bool = False
    added: tuple[int, ...] = ()

    @property
    def leaves(self) -> tuple[tuple[str, str], ...]:
        """Published and our names of the tensors of the layer."""
        return (("W", "weight"), ("b", "bias")) if self.matrix else (("weight", "weight"), ("bias", "bias"))


Convolution = Callable[[Sequence[str], str], tuple[Part, ...]]
"""What a convolution consists of: from the published names of those that are stacked, and ours, to parts."""


def _flat(published: Sequence[str], ours: str) -> tuple[Part, ...]:
    """Of the 2-D networks; a linear map of all."""
    return (Part(tuple(published), ours),)


def _full(published: Sequence[str], ours: str) -> tuple[Part, ...]:
    """Over frames, height and width at once."""
    return (Part(tuple(_dotted(name, "conv") for name in published), ours),)


def _factorized(published: Sequence[str], ours: str) -> tuple[Part, ...]:
    """Over height and width, then over the frames."""
    space, time = (tuple(_dotted(name, f"{axis}_conv") for name in published) for axis in ("space", "time"))
    return Part(space, _dotted(ours, "space"), added=(2,)), Part(time, _dotted(ours, "time"), added=(3, 4))


def _attention(prefix: str = "", ours: str = "") -> tuple[Part, ...]:
    return (
        Part((_dotted(prefix, "GroupNorm_0"),), _dotted(ours, "norm")),
        Part(tuple(_dotted(prefix, f"NIN_{i}") for i in range(3)), _dotted(ours, "qkv"), matrix=True),
        Part((_dotted(prefix, "NIN_3"),), _dotted(ours, "out"), matrix=True),
    )


def _spatin(prefix: str, ours: str, conv: Convolution) -> tuple[Part, ...]:
    return (
        *conv([f"{prefix}.converter"], _dotted(ours, "converter")),
        *conv([f"{prefix}.mlp_shared.0"], _dotted(ours, "hidden")),
        *conv([f"{prefix}.mlp_gamma", f"{prefix}.mlp_beta"], _dotted(ours, "gamma_beta")),
    )


def _block(conv: Convolution) -> tuple[Part, ...]:
    return (
        *_flat(["actnorm0.Dense_0"], "embed0"),
        *_spatin("actnorm0.Norm_0", "norm0", conv),
        *conv(["Conv_0"], "conv0"),
        *_flat(["actnorm1.Dense_0"], "embed1"),
        *_spatin("actnorm1.Norm_0", "norm1", conv),
        *conv(["Conv_1"], "conv1"),
        *conv(["Conv_2"], "skip"),
    )


PLAIN = _flat([""], "")


@dataclass(frozen=True)
class Translation:
    """Where one of our tensors comes from.

    Args:
        published: names of the published tensors which, stacked along the first axis, make ours.
        ours: name in our state dict.
        transposed: whether the published ones are transposed first.
        added: axes of ours, of size 1, that the published ones lack.
    """

    published: tuple[str, ...]
    ours: str
    transposed: bool
    added: tuple[int, ...] = ()

    def read(self, state: Mapping[str, Tensor]) -> Tensor:
        """Our tensor, a float32 copy."""
        parts = torch.cat([state[name].t() if self.transposed else state[name] for name in self.published]).float()
        for axis in self.added:
            parts = parts.unsqueeze(axis)
        return parts

    def published_shape(self, ours: Sequence[int]) -> tuple[int, ...]:
        """Shape of each published tensor that goes into ours of this shape."""
        rest = [size for axis, size in enumerate(ours) if axis > 0 and axis not in self.added]
        part = (ours[0] // len(self.published), *rest)
        return part[::-1] if self.transposed else part


def translations(net: UNet | UNet3D) -> list[Translation]:
    """Where each tensor of our network stands in the published state dict, in the published order.

    Examples:
        >>> from mcvd.frames import FrameBlock
        >>> net = UNet(FrameBlock(2, 3), width=8, multipliers=[1, 2], attention_levels=[])
        >>> next(each for each in translations(net) if each.ours == "down.0.blocks.1.conv0.weight").published
        ('unet.all_modules.4.Conv_0.weight',)
    """
    names = net.state_dict().keys()
    # A place without weights (no attention there, no past embedding) takes no number in the published list.
    places = [each for each in _places(net) if any(name.startswith(f"{each[0]}.") for name in names)]
    candidates = (
        Translation(
            published=tuple(_dotted(f"unet.all_modules.{i}", layer, leaf) for layer in part.published),
            ours=_dotted(place, part.ours, our_leaf),
            transposed=part.matrix and our_leaf == "weight",
            added=part.added if our_leaf == "weight" else (),
        )
        for i, (place, parts) in enumerate(places)
        for part in parts
        for leaf, our_leaf in part.leaves
    )
    return [each for each in candidates if each.ours in names]


def translate(net: UNet | UNet3D, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Our state dict from a published one (no `module.` prefixes; buffers are ignored).

    Raises:
        ValueError: when a tensor is missing, left over or of another shape.
    """
    table = translations(net)
    state = _with_present_names(table, state)
    wanted = {name for each in table for name in each.published}
    found = state.keys() - BUFFERS
    if wanted != found:
        raise ValueError(
            "the weights do not fit the configuration: "
            f"{_listed('missing', wanted - found)}; {_listed('surplus', found - wanted)}; is this the right config.yml?"
        )
    ours = net.state_dict()
    result = {}
    for each in table:
        shapes = [tuple(state[name].shape) for name in each.published]
        expected = each.published_shape(ours[each.ours].shape)
        if shapes != [expected] * len(shapes):
            raise ValueError(
                f"the weights do not fit the configuration: {each.published[0]} has shape {shapes[0]}, "
                f"expected {expected}; is this the right config.yml?"
            )
        result[each.ours] = each.read(state)
    return result


def _places(net: UNet | UNet3D) -> Iterator[tuple[str, tuple[Part, ...]]]:
    """Our modules that may hold weights, in the published order of construction, with what they consist of."""
    over_frames = isinstance(net, UNet3D)
    conv: Convolution = _flat
    if isinstance(net, UNet3D):
        conv = _factorized if net.factorized else _full
    block, outer = _block(conv), conv([""], "")
    attention = (*_attention("space_att", "space"), *_attention("time_att", "time")) if over_frames else _attention()
    final_norm = (*_flat(["Norm_0"], ""), *_spatin("Norm_0", "", conv))
    mixer = _flat([""], "weights")

    for name in ("embed0", "embed1", "past_embedding"):
        yield name, PLAIN
    yield "first", outer
    num_skips = 1
    for i, down in enumerate(net.down):
        for j in range(len(down.blocks)):  # type: ignore[arg-type]
            yield f"down.{i}.blocks.{j}", block
            yield f"down.{i}.attentions.{j}", attention
            num_skips += 1
        yield f"down.{i}.downsample", block
        num_skips += down.downsample is not None
    yield "middle.block0", block
    yield "middle.attention", attention
    yield "middle_mixer", mixer
    yield "middle.block1", block
    for i in reversed(range(len(net.up))):
        for j in range(len(net.up[i].blocks)):  # type: ignore[arg-type]
            num_skips -= 1
            yield f"skip_mixers.{num_skips}", mixer
            yield f"up.{i}.blocks.{j}", block
        yield f"up.{i}.attention", attention
        yield f"up.{i}.upsample", block
    yield "final_norm", final_norm
    yield "last", outer


def _with_present_names(table: list[Translation], state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The state with the older names of the final norm (one level less) brought up to date."""
    present = {
        each.published[0].replace(".Norm_0.", "."): each.published[0]
        for each in table
        if each.ours in ("final_norm.weight", "final_norm.bias")
    }
    return {present.get(name, name): tensor for name, tensor in state.items()}


def _dotted(*names: str) -> str:
    return ".".join(name for name in names if name)


def _listed(kind: str, names: Iterable[str]) -> str:
    """``3 missing (first, second, ...)``."""
    names = sorted(names)
    shown = f" ({', '.join(names[:3])}{', ...' if len(names) > 3 else ''})" if names else ""
    return f"{len(names)} {kind}{shown}"
