"""Pictures that show their number, alone and animated."""

import numpy as np
import torch
from PIL import Image


def numbered(number, size=(32, 64)):
    """A picture that shows its number as black and white bars, the lowest bit on the left."""
    bits = np.array([255 * (number >> bit & 1) for bit in range(8)], np.uint8)
    return Image.fromarray(np.broadcast_to(bits.repeat(size[1] // 8)[None, :, None], (*size, 3)).copy())


def numbers(video):
    """The numbers that frames (T, C, H, W) show."""
    bits = video[:, 0, video.shape[2] // 2, video.shape[3] // 16 :: video.shape[3] // 8] > 127
    return (bits * 2 ** torch.arange(8)).sum(dim=1).tolist()


def write_numbered(folder, names, size=(32, 64)):
    """Pictures of these names, which show 0, 1, 2, ..."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, name in enumerate(names):
        numbered(number, size).save(folder / name)
    return folder


def write_animation(path, shown, milliseconds=100, **options):
    """An animated picture whose frames show these numbers."""
    first, *others = map(numbered, shown)
    path.parent.mkdir(exist_ok=True)
    timing = {} if path.suffix == ".tif" else {"duration": milliseconds}
    first.save(path, save_all=True, append_images=others, **timing, **options)
    return path
