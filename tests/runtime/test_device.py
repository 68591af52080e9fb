"""What a device can do."""

import pytest
import torch

from mcvd.runtime.device import has_fast_bf16


@pytest.mark.parametrize(
    ("name", "computes", "amx", "is_fast"),
    [
        ("AMD EPYC", True, False, True),
        ("Intel Xeon", True, True, True),
        ("Intel Xeon", True, False, False),  # the instructions are there, and slower than those of float32
        ("Intel Xeon", False, False, False),
        ("", True, False, True),  # a CPU of Arm
    ],
)
def test_bf16_is_for_cpus_that_gain_by_it(monkeypatch, name, computes, amx, is_fast):
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: True)
    monkeypatch.setattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: computes, raising=False)
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"cpu_name": name, "amx_bf16": amx})
    assert has_fast_bf16(torch.device("cpu")) is is_fast
