#!/bin/sh
# safetensors 0.8.0: a NumPy array that lies in memory column by column is stored with its numbers in another order.
#
# Valid input: frames (W, H, T), dense and contiguous in Fortran's order, as a transposed array, MATLAB files or PCA give them.
# Expected: the same array when the file is loaded, as it is with 0.7.0, or a refusal, as from safetensors.torch. Seen: the memory as
# it lies under the right shape: every pixel elsewhere, and no word of it, from save and save_file alike.
# Output seen (Python 3.11, 2026-11-29): 0.7.0: 24 of 24 numbers at their place; 0.8.0: 2 of 24
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cat > "$folder/round_trip.py" <<'PYTHON'
import sys
import warnings

import numpy as np
import safetensors
from safetensors.numpy import load, load_file, save, save_file

warnings.simplefilter("error")  # none is given
frames = np.arange(24, dtype=np.float32).reshape(2, 3, 4).T
assert frames.flags.f_contiguous and frames.shape == (4, 3, 2)
save_file({"frames": frames}, "frames.safetensors")
for loaded in (load_file("frames.safetensors")["frames"], load(save({"frames": frames}))["frames"]):
    right = int((loaded == frames).sum())
    print(f"safetensors {safetensors.__version__}: {right} of {frames.size} numbers at their place")
    assert loaded.shape == frames.shape and right == int(sys.argv[1])
rows = np.ascontiguousarray(frames)
assert (load(save({"frames": rows}))["frames"] == frames).all()
PYTHON
cd "$folder"
for expected in 0.7.0:24 0.8.0:2; do
  "${PYTHON:-python3}" -m venv --clear "$folder/venv"
  "$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check \
    safetensors=="${expected%:*}" numpy==2.4.6
  "$folder/venv/bin/python" round_trip.py "${expected#*:}"
done
