"""Names of the published MCVD state dict -> names of our U-Net, as data that is checked in both directions.

The published code keeps all modules in one list, `unet.all_modules.{i}`, in order of construction; ours have names.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from mcvd.nets import UNet

# Constants of the noise schedule that the published state dict carries beside the weights.
BUFFERS = frozenset({"betas", "alphas", "alphas_prev", "unet.sigmas", "k", "k_cum", "theta_t"})


@dataclass(frozen=True)
class Part:
    """A layer inside a published module and the one it becomes.

    Args:
        published: names of the layers which, stacked along the outputs, make ours; "" is the module itself.
        ours: name inside our module.
        matrix: a published `NIN`, whose W (in, out) is the transpose of our weight.
    """

    published: tuple[str, ...]
    ours: str
    matrix: bool = False

    @property
    def leaves(self) -> tuple[tuple[str, str], ...]:
        """Published and our names of the tensors of the layer."""
        return (("W", "weight"), ("b", "bias")) if self.matrix else (("weight", "weight"), ("bias", "bias"))


def _spatin(prefix: str, ours: str) -> tuple[Part, Part]:
    hidden = Part((f"{prefix}.mlp_shared.0",), f"{ours}hidden")
    return hidden, Part((f"{prefix}.mlp_gamma", f"{prefix}.mlp_beta"), f"{ours}gamma_beta")


PLAIN = (Part(("",), ""),)
BLOCK = (
    Part(("actnorm0.Dense_0",), "embed0"),
    *_spatin("actnorm0.Norm_0", "norm0."),
    Part(("Conv_0",), "conv0"),
    Part(("actnorm1.Dense_0",), "embed1"),
    *_spatin("actnorm1.Norm_0", "norm1."),
    Part(("Conv_1",), "conv1"),
    Part(("Conv_2",), "skip"),
)
ATTENTION = (
    Part(("GroupNorm_0",), "norm"),
    Part(("NIN_0", "NIN_1", "NIN_2"), "qkv", matrix=True),
    Part(("NIN_3",), "out", matrix=True),
)
FINAL_NORM = (Part(("Norm_0",), ""), *_spatin("Norm_0", ""))


@dataclass(frozen=True)
class Translation:
    """Where one of our tensors comes from.

    Args:
        published: names of the published tensors which, stacked along the first axis, make ours.
        ours: name in our state dict.
        transposed: whether the published ones are transposed first.
    """

    published: tuple[str, ...]
    ours: str
    transposed: bool

    def read(self, state: Mapping[str, Tensor]) -> Tensor:
        """Our tensor, a float32 copy."""
        parts = [state[name].t() if self.transposed else state[name] for name in self.published]
        return torch.cat(parts).float()


def translations(net: UNet) -> list[Translation]:
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
        )
        for i, (place, parts) in enumerate(places)
        for part in parts
        for leaf, our_leaf in part.leaves
    )
    return [each for each in candidates if each.ours in names]


def translate(net: UNet, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
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
        expected = _published_shape(each, tuple(ours[each.ours].shape))
        if shapes != [expected] * len(shapes):
            raise ValueError(
                f"the weights do not fit the configuration: {each.published[0]} has shape {shapes[0]}, "
                f"expected {expected}; is this the right config.yml?"
            )
        result[each.ours] = each.read(state)
    return result


def _places(net: UNet) -> Iterator[tuple[str, tuple[Part, ...]]]:
    """Our modules that may hold weights, in the published order of construction, with what they consist of."""
    for name in ("embed0", "embed1", "past_embedding", "first"):
        yield name, PLAIN
    for i, down in enumerate(net.down):
        for j in range(len(down.blocks)):  # type: ignore[arg-type]
            yield f"down.{i}.blocks.{j}", BLOCK
            yield f"down.{i}.attentions.{j}", ATTENTION
        yield f"down.{i}.downsample", BLOCK
    yield "middle.block0", BLOCK
    yield "middle.attention", ATTENTION
    yield "middle.block1", BLOCK
    for i in reversed(range(len(net.up))):
        for j in range(len(net.up[i].blocks)):  # type: ignore[arg-type]
            yield f"up.{i}.blocks.{j}", BLOCK
        yield f"up.{i}.attention", ATTENTION
        yield f"up.{i}.upsample", BLOCK
    yield "final_norm", FINAL_NORM
    yield "last", PLAIN


def _with_present_names(table: list[Translation], state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The state with the older names of the final norm (one level less) brought up to date."""
    present = {
        each.published[0].replace(".Norm_0.", "."): each.published[0]
        for each in table
        if each.ours in ("final_norm.weight", "final_norm.bias")
    }
    return {present.get(name, name): tensor for name, tensor in state.items()}


def _published_shape(each: Translation, ours: tuple[int, ...]) -> tuple[int, ...]:
    """Shape of each published tensor that goes into one of ours."""
    part = (ours[0] // len(each.published), *ours[1:])
    return part[::-1] if each.transposed else part


def _dotted(*names: str) -> str:
    return ".".join(name for name in names if name)


def _listed(kind: str, names: Iterable[str]) -> str:
    """``3 missing (first, second, ...)``."""
    names = sorted(names)
    shown = f" ({', '.join(names[:3])}{', ...' if len(names) > 3 else ''})" if names else ""
    return f"{len(names)} {kind}{shown}"
