#!/bin/sh
# torchmetrics 1.9.0: RelativeAverageSpectralError is 64 times too large, and grows with the square of its window.
#
# Valid input: a prediction that is 0.1 above a truth of 0.5 everywhere. Expected: 100 / mean x RMSE, 20 per cent, whatever the
# window. Seen: 1280 with the window of 8, 320 with 4 and 5120 with 16: the mean over each window is divided by the
# window's area once more. The class and the function do the same; RootMeanSquaredErrorUsingSlidingWindow is right, and so
# is ErrorRelativeGlobalDimensionlessSynthesis, the same 20 per cent by its ratio of 4.
# Output seen (Python 3.11, torch 2.13.0, 2026-11-29): window 4: 320.0; 8: 1280.0; 16: 5120.0; ERGAS x 4: 20.0
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-compile \
  torchmetrics==1.9.0 torch==2.13.0 numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
import torch
import torchmetrics.image as metrics
from torchmetrics.functional.image import relative_average_spectral_error

truth = torch.full((2, 3, 64, 64), 0.5)
predicted = truth + 0.1
right = 100 / truth.mean() * (predicted - truth).square().mean().sqrt()
for window in (4, 8, 16):
    metric = metrics.RelativeAverageSpectralError(window)
    metric.update(predicted, truth)
    seen = metric.compute()
    rmse = metrics.RootMeanSquaredErrorUsingSlidingWindow(window)(predicted, truth)
    print(f"window {window}: {seen:.1f}, by hand {right:.1f}; RMSE in windows {rmse:.3f}")
    assert torch.isclose(seen, right * window**2, rtol=1e-4) and torch.isclose(rmse, torch.tensor(0.1), rtol=1e-4)
    assert torch.isclose(relative_average_spectral_error(predicted, truth, window), seen)
global_error = metrics.ErrorRelativeGlobalDimensionlessSynthesis(ratio=4)(predicted, truth)
print(f"ERGAS x 4: {4 * global_error:.1f}")
assert torch.isclose(4 * global_error, right, rtol=1e-4)
PYTHON
