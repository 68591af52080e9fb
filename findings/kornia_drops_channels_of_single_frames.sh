#!/bin/sh
# kornia 0.9.0: in a VideoSequential, RandomChannelDropout changes as many frames as there are clips, all of them in the first clips.
#
# Valid input: 4 clips of 8 white frames, VideoSequential(RandomChannelDropout(p=1.0)), same_on_frame=True as it comes. Expected, as
# documented: what is drawn holds for all frames of a clip: in each clip one channel is black throughout. Seen: frames 0 to 3 of the
# first clip change, frame i in the channel that was drawn for clip i; the other clips stay as they are. A single clip loses a channel
# in its first frame alone. At p=0.5 a sixteenth of the frames changes, not half of them. With same_on_batch=True a single frame does,
# or, where same_on_frame=False, those of the first clip. A batch of frames without VideoSequential is right, and so are 57 other
# augmentations in it, which change all frames of a clip alike; here RandomChannelShuffle and RandomErasing.
# Output seen (Python 3.11, torch 2.13.0, 2026-11-30): channels dropped by frame: first clip 1 1 1 1 0 0 0 0, the others 0; same_on_batch:
# 1 0 0 0 0 0 0 0, the others 0; by frames all 1; share of frames at p=0.5: 0.067 of one clip, 0.060 of four
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-compile \
  kornia==0.9.0 torch==2.13.0 numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
import torch
from kornia.augmentation import RandomChannelDropout, RandomChannelShuffle, RandomErasing, VideoSequential

torch.set_num_threads(1)
torch.manual_seed(0)
white = torch.ones(4, 8, 3, 16, 16)


def dropped(clips, same_on_frame=True, **options):
    """How many channels of each frame are black: (B, T)."""
    augmented = VideoSequential(RandomChannelDropout(**options), same_on_frame=same_on_frame)(clips)
    return (augmented.amax((-2, -1)) == 0).sum(2)


def report(name, counts):
    print(f"{name}:", *(" ".join(map(str, clip)) for clip in counts.tolist()), sep="\n  ")
    return counts.tolist()


none = [0] * 8
assert report("four clips", dropped(white, p=1.0)) == [[1, 1, 1, 1, 0, 0, 0, 0], none, none, none]
assert report("one clip", dropped(white[:1], p=1.0)) == [[1, 0, 0, 0, 0, 0, 0, 0]]
batch = {"p": 1.0, "same_on_batch": True}
assert report("same_on_batch", dropped(white, **batch)) == [[1, 0, 0, 0, 0, 0, 0, 0], none, none, none]
assert report("same_on_batch, frames apart", dropped(white, False, **batch)) == [[1] * 8, none, none, none]
assert report("frames apart", dropped(white, False, p=1.0)) == [[1] * 8] * 4
frames = RandomChannelDropout(p=1.0)(white.flatten(0, 1))
assert ((frames.amax((-2, -1)) == 0).sum(1) == 1).all()
for clips in (white[:1], white):
    share = torch.stack([dropped(clips, p=0.5).float().mean() for _ in range(400)]).mean().item()
    print(f"{len(clips)} clips at p=0.5: {share:.3f} of the frames")
    assert 0.04 < share < 0.08

still = torch.rand(4, 1, 3, 16, 16).repeat(1, 8, 1, 1, 1)
for augmentation in (RandomChannelShuffle(p=1.0), RandomErasing(p=1.0)):
    augmented = VideoSequential(augmentation)(still)
    assert (augmented == augmented[:, :1]).all() and not torch.equal(augmented, still)
assert not (VideoSequential(RandomChannelDropout(p=1.0))(still) == still).all()
PYTHON
