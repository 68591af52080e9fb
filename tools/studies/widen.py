"""Gives a trained model more channels on some levels: it computes the same until it is trained further.

    python tools/studies/widen.py MODEL OUT --multipliers 2 1 2 3

MODEL is anything that `mcvd.load` takes, or "box" for the bundled one, with a `mcvd.nets.UNet` conditioned by
`mcvd.nets.Concat`. New channels are groups of their own for the norms. They start as those of a new network, and
nothing reads them yet; Net2Net (Chen et al. 2016, arXiv 1511.05641) copies channels
instead. Levels with attention keep theirs.
"""

import argparse
import copy
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor, nn

import mcvd
from mcvd.models.load import BOX
from mcvd.nets import UNet
from mcvd.nets.blocks import ResBlock


class Places:
    """Where the old channels are among the new ones; all feature maps of a network are such."""

    def __init__(self, places: Tensor, num_new: int) -> None:
        self.places, self.num_new = places, num_new

    @classmethod
    def first(cls, old: int, new: int) -> "Places":
        return cls(torch.arange(old), new)

    def __add__(self, other: "Places") -> "Places":
        """Side by side, as a skip is put beside what comes from below."""
        return Places(torch.cat([self.places, self.num_new + other.places]), self.num_new + other.num_new)


def widen_conv(new: nn.Conv2d, old: nn.Module, into: Places, outof: Places) -> None:
    """Old outputs see old inputs alone; ``into`` are the inputs' places, ``outof`` the outputs'."""
    new.weight[outof.places] = 0
    if isinstance(old, nn.Conv2d):
        new.weight[outof.places[:, None], into.places] = old.weight
        new.bias[outof.places] = old.bias
    else:  # it was the identity
        new.weight[outof.places, into.places, 0, 0] = 1
        new.bias[outof.places] = 0


def widen_block(new: ResBlock, old: ResBlock, into: Places, outof: Places) -> None:
    """A residual block, with what the time tells its norms."""
    for own, other, channels in ((new.embed0, old.embed0, into), (new.embed1, old.embed1, outof)):
        rows = torch.cat([channels.places, channels.num_new + channels.places])  # scales, then shifts
        own.weight[rows], own.bias[rows] = other.weight, other.bias
    widen_conv(new.conv0, old.conv0, into, outof)
    widen_conv(new.conv1, old.conv1, outof, outof)
    if isinstance(new.skip, nn.Conv2d):
        widen_conv(new.skip, old.skip, into, outof)
    elif isinstance(old.skip, nn.Conv2d):
        raise SystemExit("a block that changed the number of channels would no longer do so: take other multipliers")


@torch.no_grad()
def widen(new: UNet, old: UNet) -> None:
    """Bring the weights of a network into a wider one."""
    levels = [Places.first(a.blocks[0].conv0.out_channels, b.blocks[0].conv0.out_channels) for a, b in both(old, new)]
    for name in ("embed0", "embed1", "first"):
        getattr(new, name).load_state_dict(getattr(old, name).state_dict())
    h = Places.first(old.width, new.width)
    skips = [h]
    for level, (before, after) in zip(levels, both(old, new), strict=True):
        for own, other in zip(after.blocks, before.blocks, strict=True):
            widen_block(own, other, h, level)
            h = level
            skips.append(h)
        after.attentions.load_state_dict(before.attentions.state_dict())
        if after.downsample is not None:
            widen_block(after.downsample, before.downsample, h, level)
            skips.append(h)
    new.middle.load_state_dict(old.middle.state_dict())
    for level, before, after in reversed([*zip(levels, old.up, new.up, strict=True)]):
        for own, other in zip(after.blocks, before.blocks, strict=True):
            widen_block(own, other, h + skips.pop(), level)
            h = level
        after.attention.load_state_dict(before.attention.state_dict())
        if after.upsample is not None:
            widen_block(after.upsample, before.upsample, h, level)
    new.final_norm.weight[levels[0].places] = old.final_norm.weight
    new.final_norm.bias[levels[0].places] = old.final_norm.bias
    widen_conv(new.last, old.last, levels[0], Places.first(old.last.out_channels, new.last.out_channels))


def both(old: UNet, new: UNet) -> Iterator[tuple[nn.Module, nn.Module]]:
    """The levels on the way down of both."""
    return zip(old.down, new.down, strict=True)


def main() -> None:
    """Widen a model, compare what both predict, and save it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("out", type=Path)
    parser.add_argument("--multipliers", type=int, nargs="+", required=True)
    arguments = parser.parse_args()
    old = mcvd.load(BOX if arguments.model == "box" else arguments.model)
    config = copy.deepcopy(dict(old.config))
    config["net"]["init_args"]["multipliers"] = arguments.multipliers
    new = mcvd.build(config)
    state = old.state_dict()
    new.load_state_dict({name: each for name, each in state.items() if ".net." not in name}, strict=False)
    widen(new.denoiser.net, old.denoiser.net)
    past = torch.randint(0, 256, (1, old.block.past, old.channels, *old.size), dtype=torch.uint8)
    apart = (old.predict(past, num_frames=3).int() - new.predict(past, num_frames=3).int()).abs().max().item()
    if apart > 1:
        raise SystemExit(f"the wider model predicts something else, {apart} grey levels away")
    new.save_pretrained(arguments.out)
    numbers = [sum(each.numel() for each in model.denoiser.net.parameters()) for model in (old, new)]
    print(
        f"{numbers[0] / 1e6:.2f} M parameters are {numbers[1] / 1e6:.2f} M, predictions differ by {apart} grey levels"
    )


if __name__ == "__main__":
    main()
