#!/bin/sh
# torchvision 0.29.1: Grayscale, RandomGrayscale and RGB hand videos back as they are, without a word.
#
# Valid input: a clip of 6 frames in colour, and one of one channel, as tv_tensors.Video, by transforms.v2. Expected, by the
# docstrings ("Convert images or videos to grayscale"): what a tensor or a tv_tensors.Image of the same pixels becomes. Seen: the
# clip itself, in colour, with 3 channels where num_output_channels is 1, and with 1 channel out of RGB. The other transforms of
# colour, ColorJitter and RandomInvert among them, change videos; functional.rgb_to_grayscale refuses them with TypeError.
# Output seen (Python 3.11, torch 2.14.1, 2026-11-30): channels out of Grayscale(): tensor 1, Image 1, Video 3; share of the
# pixels in colour after RandomGrayscale(p=1): 0, 0, 1; channels out of RGB(): 3, 3, 1
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-compile \
  torchvision==0.29.1 torch==2.14.1 numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
import warnings

import torch
from torchvision import tv_tensors
from torchvision.transforms import v2

warnings.simplefilter("error")  # none is given
color = torch.tensor([200, 100, 20], dtype=torch.uint8).reshape(3, 1, 1).repeat(6, 1, 16, 16)
grey = color[:, :1].clone()
kinds = {"tensor": lambda pixels: pixels, "Image": tv_tensors.Image, "Video": tv_tensors.Video}
print(v2.Grayscale.__doc__.split("\n")[0])


def by_kind(title, transform, pixels, measure):
    seen = {name: measure(transform(kind(pixels)).as_subclass(torch.Tensor)) for name, kind in kinds.items()}
    print(f"{title}: {seen}")
    return tuple(seen.values())


def channels(pixels):
    return pixels.shape[1]


def share_in_color(pixels):
    return (pixels.amax(1) != pixels.amin(1)).float().mean().item()


def share_changed(pixels):
    return (pixels != color).any(1).float().mean().item()


assert by_kind("channels out of Grayscale()", v2.Grayscale(), color, channels) == (1, 1, 3)
assert by_kind("in colour after Grayscale(3)", v2.Grayscale(3), color, share_in_color) == (0, 0, 1)
assert by_kind("in colour after RandomGrayscale(p=1)", v2.RandomGrayscale(p=1), color, share_in_color) == (0, 0, 1)
assert by_kind("channels out of RGB()", v2.RGB(), grey, channels) == (3, 3, 1)
assert by_kind("changed by RandomInvert(p=1)", v2.RandomInvert(p=1), color, share_changed) == (1, 1, 1)
jitter = v2.ColorJitter(saturation=(0, 0))
assert by_kind("in colour without saturation", jitter, color, share_in_color) == (0, 0, 0)
try:
    v2.functional.rgb_to_grayscale(tv_tensors.Video(color))
except TypeError as error:
    print("rgb_to_grayscale:", error)
else:
    raise SystemExit("rgb_to_grayscale takes videos now")
PYTHON
