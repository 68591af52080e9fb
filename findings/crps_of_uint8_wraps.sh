#!/bin/sh
# scoringrules 0.10.0: the CRPS of uint8 pixels is computed in uint8, and differences wrap.
#
# Valid input: a pixel of value 5 and an ensemble of 250, 10 and 128, all uint8. Expected: the score of the same numbers
# as floats, or a refusal. Seen: other numbers without a word, by every estimator that is tried.
# Output seen (Python 3.11, 2026-11-28): fair: uint8 67.67, float 44.33; nrg: 89.00, 71.00; pwm: 51.67, 44.33.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check \
  scoringrules==0.10.0 numpy==2.4.6 scipy==1.17.1
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
import warnings

import numpy as np
import scoringrules

warnings.simplefilter("error")  # none is given
observed, members = np.array([5], np.uint8), np.array([[250, 10, 128]], np.uint8)
for estimator in ("fair", "nrg", "pwm"):
    (wrapped,) = scoringrules.crps_ensemble(observed, members, estimator=estimator)
    (right,) = scoringrules.crps_ensemble(observed.astype(float), members.astype(float), estimator=estimator)
    print(f"{estimator}: uint8 {wrapped:.2f}, float {right:.2f}")
    assert abs(wrapped - right) > 5
# By hand: mean |x - 5| less half the mean |x - x'| over pairs of different members.
members, pairs = [250.0, 10.0, 128.0], [240.0, 122.0, 118.0]
by_hand = sum(abs(x - 5) for x in members) / 3 - sum(pairs) / 3 / 2
(right,) = scoringrules.crps_ensemble(np.array([5.0]), np.array([members]), estimator="fair")
assert abs(right - by_hand) < 1e-9
PYTHON
