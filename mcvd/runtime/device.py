"""Devices: which one to compute on, what it computes quickly, and its free memory."""

from __future__ import annotations

from pathlib import Path

import psutil
import torch

NO_BF16 = "this CPU has no fast arithmetic for bf16: it would take longer than float32"


def has_fast_bf16(device: torch.device) -> bool:
    """Whether bf16 saves time on a device.

    On a CPU not where it is only imitated (x86 without AVX-512), nor on one of Intel with AVX512-bf16 and without AMX,
    or with AMX hidden by a virtual machine: a Sapphire Rapids took 1.4 times as long in bf16 (PyTorch 2.14.1).
    """
    if device.type != "cpu":
        return True
    if not (torch.backends.mkldnn.is_available() and torch.ops.mkldnn._is_mkldnn_bf16_supported()):
        return False
    processor = torch.cpu.get_capabilities()
    return processor.get("amx_bf16", False) or "intel" not in processor.get("cpu_name", "").lower()


GIBIBYTE = 1 << 30


def size_text(num_bytes: int) -> str:
    """A number of bytes for people: ``745 MiB``, ``1.5 GiB``."""
    unit, name = (GIBIBYTE, "GiB") if num_bytes >= GIBIBYTE else (GIBIBYTE >> 10, "MiB")
    return f"{float(f'{num_bytes / unit:.3g}'):g} {name}"  # 1010 MiB, not 1.01e+03


def free_bytes(device: torch.device) -> int:
    """Memory of a device that is free now; on a CPU what the machine and its container leave."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    return min(psutil.virtual_memory().available, _free_in_container())


def _free_in_container() -> int:
    """What the control group of the process leaves, version 2; without a limit more than any machine has."""
    folder = Path("/sys/fs/cgroup")
    try:
        limit, used = (int((folder / name).read_text()) for name in ("memory.max", "memory.current"))
    except (OSError, ValueError):  # no such groups, or the limit is "max"
        return 1 << 62
    return limit - used


def resolve_device(name: str | None) -> torch.device:
    """The device of a name; without one, the GPU where there is one.

    Raises:
        ValueError: there is no such kind of device, or this machine has none.
    """
    try:
        device = torch.device(name or ("cuda" if torch.cuda.is_available() else "cpu"))
    except RuntimeError:
        raise ValueError(f"--device {name}: there is no such kind of device; there are {_there_are()}") from None
    if device.type in ("cuda", "mps"):
        count = torch.cuda.device_count() if device.type == "cuda" else int(torch.backends.mps.is_available())
        if (device.index or 0) >= count:
            raise ValueError(f"--device {name}: this machine has no such device; there are {_there_are()}")
    return device


def _there_are() -> str:
    """The devices of this machine, in words."""
    gpus = [f"cuda:{number}" for number in range(torch.cuda.device_count())]
    return ", ".join(["cpu", *gpus, *(["mps"] if torch.backends.mps.is_available() else [])])
