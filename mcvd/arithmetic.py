"""What a device computes quickly."""

from __future__ import annotations

import torch

NO_BF16 = "this CPU has no arithmetic for bf16 and would imitate it, many times slower than float32"


def computes_bf16(device: torch.device) -> bool:
    """Whether bf16 saves time on a device: not on CPUs that only imitate it (x86 without AVX-512)."""
    if device.type != "cpu":
        return True
    return torch.backends.mkldnn.is_available() and torch.ops.mkldnn._is_mkldnn_bf16_supported()
