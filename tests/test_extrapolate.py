"""tools/extrapolate.py, which made the last step to the weights in the box."""

import runpy
import sys
from pathlib import Path

import pytest
import torch
from tiny import tiny_model

import mcvd

TOOL = Path(__file__).parents[1] / "tools" / "extrapolate.py"


@pytest.mark.parametrize("share", ["-1", "0", "0.4"])
def test_the_way_of_a_training_is_gone_on(share, tmp_path, monkeypatch):
    before, after = tiny_model(), tiny_model()
    with torch.no_grad():
        for weight in after.parameters():
            weight.add_(torch.randn_like(weight))
    before.save_pretrained(tmp_path / "before")
    after.save_pretrained(tmp_path / "after")

    words = [TOOL, tmp_path / "before", tmp_path / "after", f"--by={share}", "--out", tmp_path / "further"]
    monkeypatch.setattr(sys, "argv", [str(word) for word in words])
    runpy.run_path(str(TOOL), run_name="__main__")

    further = mcvd.load(tmp_path / "further")
    for old, new, made in zip(before.parameters(), after.parameters(), further.parameters(), strict=True):
        torch.testing.assert_close(made, new + float(share) * (new - old))
