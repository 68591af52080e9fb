#!/bin/sh
# diffusers 0.42.1: the KL divergence of a video's latents is not summed over their width.
#
# Valid input: two videos through AutoencoderKLWan, the distribution of their latents is (2, 4, 2, 8, 16). Expected: kl() gives a
# number for each video, the sum over all its latents, as it does for pictures. Seen: (2, 16): channels, times and rows are
# summed, columns stay, and a loss of kl().mean() or kl()[0] weighs a sixteenth of what it says. nll() is the same. Where the
# batch is as large as the latents are wide, it even has the shape of a number for each of them, twice.
# Output seen (Python 3.11, torch 2.13.0, 2026-11-29): kl() of 2 videos (2, 16), nll() (2, 16); mean 16.00 times too small; of
# 2 pictures (2,), as summed by hand
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-compile \
  diffusers==0.42.1 torch==2.13.0 numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
import torch
from diffusers import AutoencoderKL, AutoencoderKLWan

torch.manual_seed(0)


def by_hand(latents):
    """Of each Gaussian from a standard normal one, summed over all but the first axis."""
    return (latents.mean**2 + latents.var - 1 - latents.logvar).flatten(1).sum(1) / 2


sizes = {"base_dim": 8, "dim_mult": [1, 1, 1, 1], "num_res_blocks": 1}
videos = AutoencoderKLWan(z_dim=4, latents_mean=[0.0] * 4, latents_std=[1.0] * 4, **sizes)
pictures = AutoencoderKL(block_out_channels=(32,), latent_channels=4)
with torch.no_grad():
    of_videos = videos.encode(torch.rand(2, 3, 5, 64, 128) * 2 - 1).latent_dist
    of_pictures = pictures.encode(torch.rand(2, 3, 8, 16) * 2 - 1).latent_dist
assert of_videos.mean.shape == (2, 4, 2, 8, 16) and of_pictures.mean.shape == (2, 4, 8, 16)
found, right = of_videos.kl(), by_hand(of_videos)
nll = of_videos.nll(of_videos.mean)
print(f"kl() of 2 videos: {tuple(found.shape)}, nll(): {tuple(nll.shape)}, their latents {tuple(of_videos.mean.shape)}")
print(f"the mean of kl() is {right.mean() / found.mean():.2f} times too small")
assert found.shape == nll.shape == (2, 16)
assert torch.allclose(found.sum(1), right) and torch.allclose(found.mean() * 16, right.mean())
print(f"kl() of 2 pictures: {tuple(of_pictures.kl().shape)}")
assert torch.allclose(of_pictures.kl(), by_hand(of_pictures))
PYTHON
