#!/bin/sh
# PyTorch 2.14.1, CPU: avg_pool2d with stride 1 takes several times as long as the same means by a depthwise convolution,
# and to pool rows and then columns saves nothing for small windows.
#
# Valid input: float32 (B, C, H, W), contiguous; means over k x k neighbours, as SSIM, local variances, guided filters and optical flow
# take them. Expected: pooling, which multiplies nothing, is at least as fast as a convolution with a constant kernel, and rows then columns
# of it take 2k instead of k * k steps. Seen: on one thread the convolution (groups=C, all weights 1 / k^2) is more than three times as
# fast for k = 3, 5 and 9; pooling with (1, k) and then (k, 1) is slower than with k x k for k = 3; and unfold(...).mean(-1)
# along rows, then columns, beats k x k pooling more than ten times for k = 21. Channels-last helps where there are many channels.
# Output seen (Python 3.11, x86_64 with AVX2, one thread, 2026-11-30): (8, 32, 64, 64), k = 3: pooled 19.5 ms, by rows and
# columns 30.9, convolved 3.0, unfolded 6.9; k = 9: 63.5, 37.2, 6.4, 14.1; (1, 3, 256, 256), k = 21: 84.4, 15.4, 13.4, 3.5
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-compile torch==2.14.1 numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
import time
from statistics import median

import torch
import torch.nn.functional as F

torch.set_num_threads(1)
torch.manual_seed(0)


def milliseconds(*functions, times=9):
    """Of the processor; one after the other in turn, so that a busy machine is as busy for all."""
    spent = [[] for _ in functions]
    for turn in range(times + 1):
        for each, function in zip(spent, functions, strict=True):
            begin = time.process_time()
            function()
            if turn:
                each.append(1000 * (time.process_time() - begin))
    return [median(each) for each in spent]


def compared(shape, k):
    x = torch.rand(shape)
    weight = torch.full((shape[1], 1, k, k), 1 / k**2)
    ways = {
        "pooled": lambda: F.avg_pool2d(x, k, stride=1),
        "pooled by rows and columns": lambda: F.avg_pool2d(F.avg_pool2d(x, (1, k), stride=1), (k, 1), stride=1),
        "convolved": lambda: F.conv2d(x, weight, groups=shape[1]),
        "unfolded by rows and columns": lambda: x.unfold(3, k, 1).mean(-1).unfold(2, k, 1).mean(-1),
    }
    for way in ways.values():  # they are the same means
        torch.testing.assert_close(way(), ways["pooled"](), atol=1e-5, rtol=1e-5)
    found = dict(zip(ways, milliseconds(*ways.values()), strict=True))
    print(f"{shape}, k = {k}: " + ", ".join(f"{way} {spent:.1f} ms" for way, spent in found.items()))
    return found


for k in (3, 5, 9):
    found = compared((8, 32, 64, 64), k)
    assert found["pooled"] > 2 * found["convolved"], "pooling is as fast as a convolution now"
    if k == 3:
        assert found["pooled by rows and columns"] > 0.6 * found["pooled"], "rows and columns save time now"
found = compared((1, 3, 256, 256), 21)
assert found["pooled"] > 5 * found["unfolded by rows and columns"], "large means are fast now"
PYTHON
