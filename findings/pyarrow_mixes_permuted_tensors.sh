#!/bin/sh
# pyarrow 26.0.1: tensors whose axes are permuted come back with their numbers, or their axes, elsewhere.
#
# Valid input: frames (T, C, H, W), stored as fixed-shape tensors (C, H, W) with permutation [1, 2, 0], as the format's definition
# has it, to be read as (H, W, C). Expected: frames.transpose(0, 2, 3, 1). Seen: that shape, with most pixels elsewhere, and
# no word: strides are worked out for axes of other lengths. FixedShapeTensorArray.from_numpy_ndarray of such a transposed
# view stores the inverse permutation, [2, 0, 1], and gives (T, W, C, H) back. A single frame, array[i], is mixed even where two
# axes change places and the whole array is right, unless they are the last two.
# Output seen (Python 3.11, 2026-11-29): permutation [1, 2, 0]: 17% of the numbers at their place; from a view (2, 3, 4, 2):
# (2, 4, 2, 3); [1, 0, 2]: all right, of a single frame 50%; [0, 1, 2] and [0, 2, 1]: all right
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check pyarrow==26.0.1 numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
import warnings

import numpy as np
import pyarrow as pa

warnings.simplefilter("error")  # none is given
frames = np.arange(2 * 2 * 3 * 4, dtype=np.uint8).reshape(2, 2, 3, 4)  # as they lie: (T, C, H, W)


def share(seen, wanted):
    """Of the numbers at their place; nothing where the shape is another."""
    return float((seen == wanted).mean()) if seen.shape == wanted.shape else 0.0


def read(permutation):
    """As typed: all frames, and the first by itself; from a view of NumPy: shape and all frames."""
    wanted = frames.transpose(0, *(1 + axis for axis in permutation))
    kind = pa.fixed_shape_tensor(pa.uint8(), frames.shape[1:], permutation=permutation)
    storage = pa.FixedSizeListArray.from_arrays(pa.array(frames.ravel()), frames[0].size)
    typed = pa.ExtensionArray.from_storage(kind, storage)
    view = pa.FixedShapeTensorArray.from_numpy_ndarray(wanted)
    shares = [share(typed.to_numpy_ndarray(), wanted), share(typed[0].to_numpy(), wanted[0])]
    back = view.to_numpy_ndarray()
    print(f"{permutation}: of the numbers right {shares[0]:.0%}, of a single frame {shares[1]:.0%}; view {wanted.shape} is {back.shape}")
    return [*(each == 1 for each in shares), share(back, wanted) == 1]


assert read([0, 1, 2]) == [True, True, True]
assert read([0, 2, 1]) == [True, True, True]
assert read([1, 0, 2]) == [True, False, True]
assert read([2, 1, 0]) == [True, False, True]
assert read([1, 2, 0]) == [False, False, False]
assert read([2, 0, 1]) == [False, False, False]
PYTHON
