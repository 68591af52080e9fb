"""Group norm, maps, scale, shift and SiLU as one pass over memory on a CPU, by C compiled at first use."""

from __future__ import annotations

import ctypes
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from mcvd.runtime.native import library_folder, load_c, openmp_parallel

_X_BF16, _SCALE_BF16, _CHANNELS_LAST, _SILU = 1, 2, 4, 8  # as in fused_norm.c
_BLOCK = 64  # positions, as there
_FEW = 1 << 15  # numbers that one thread is done with before others are awake
_DTYPES = (torch.float32, torch.bfloat16)

Pair = tuple[Tensor, Tensor]


def fused_norm(
    x: Tensor, groups: int, eps: float, modulation: Pair | None = None, maps: Pair | None = None, activate: bool = False
) -> Tensor | None:
    """Group norm times maps, times scale, each with what is added; then SiLU if asked for.

    Args:
        x: float32 or bf16 (B * K, C, H, W) on a CPU, contiguous or channels last; so is the result.
        groups: divides C.
        eps: what is added to the variance.
        modulation: scale and shift, each (B * K, C), (1, C) or (C,).
        maps: multiplied and added before them, each (B, C, H, W), of x's dtype and layout, or a half of such channels.
        activate: whether SiLU comes last.

    Returns:
        None for what it cannot do here: the caller then does without.
    """
    if not _takes(x, modulation, maps):
        return None
    with_gradient = torch.is_grad_enabled() and any(
        each.requires_grad for each in (x, *(modulation or ()), *(maps or ()))
    )
    if with_gradient and not (x.is_contiguous() and (maps is None or len(maps[0]) == len(x))):
        return None
    kernel = _kernel()
    if kernel is None:
        return None
    scale, shift = modulation or (None, None)
    gamma, beta = maps or (None, None)
    if with_gradient:
        return _FusedNorm.apply(x, scale, shift, gamma, beta, groups, eps, activate)
    return kernel.forward(x, scale, shift, gamma, beta, groups, eps, activate)[0]


def _takes(x: Tensor, modulation: Pair | None, maps: Pair | None) -> bool:
    """Whether the kernel is for such tensors: plain ones with memory on a CPU, seen by nothing that traces."""
    if x.device.type != "cpu" or x.dtype not in _DTYPES or x.ndim != 4 or not x.numel():
        return False
    if torch.compiler.is_compiling() or torch._C._are_functorch_transforms_active() or torch.jit.is_tracing():  # type: ignore[no-untyped-call]
        return False
    if not all(type(each) in (Tensor, torch.nn.Parameter) for each in (x, *(modulation or ()), *(maps or ()))):
        return False  # such as FakeTensor, which has no memory
    dense = torch.contiguous_format if x.is_contiguous() else torch.channels_last
    if not x.is_contiguous(memory_format=dense):
        return False
    if modulation is not None:
        scale, shift = modulation
        if scale.dtype not in _DTYPES or shift.dtype != scale.dtype or shift.stride() != scale.stride():
            return False
        if scale.stride(-1) != 1:
            return False
    return maps is None or _takes_maps(x, *maps)


def _takes_maps(x: Tensor, gamma: Tensor, beta: Tensor) -> bool:
    """Whether maps lie as x does, but for what may lie between samples, and between positions if channels are last."""
    if gamma.dtype != x.dtype or beta.dtype != x.dtype or gamma.stride() != beta.stride():
        return False
    if gamma.shape[1:] != x.shape[1:] or beta.shape != gamma.shape:
        return False
    _, channels, height, width = x.shape
    if x.is_contiguous():
        return gamma.stride()[1:] == (height * width, width, 1)
    return gamma.stride(1) == 1 and gamma.stride(2) == width * gamma.stride(3) and gamma.stride(3) >= channels


class _Kernel:
    """The two functions of fused_norm.c, for tensors that `_takes` lets through."""

    def __init__(self, library: ctypes.CDLL, parallel: int) -> None:
        pointer, number = ctypes.c_void_p, ctypes.c_int64
        self._forward, self._backward, self._parallel = library.mcvd_norm_forward, library.mcvd_norm_backward, parallel
        self._forward.argtypes = [*[pointer] * 8, *[number] * 8, ctypes.c_double, number, pointer, number]
        self._backward.argtypes = [*[pointer] * 12, *[number] * 7, pointer, number]
        self._forward.restype = self._backward.restype = None

    def forward(
        self,
        x: Tensor,
        scale: Tensor | None,
        shift: Tensor | None,
        gamma: Tensor | None,
        beta: Tensor | None,
        groups: int,
        eps: float,
        activate: bool,
    ) -> Pair:
        """The result, and the statistics (B * K, groups, 2) that `backward` takes."""
        batch, channels, height, width = x.shape
        y, last = torch.empty_like(x), not x.is_contiguous()
        blocks = -(-height * width // _BLOCK) if last else 0
        # One piece of memory: statistics, then the sums of the blocks.
        work = torch.empty(2 * batch * (groups + blocks * channels), dtype=torch.float64)
        self._forward(
            x.data_ptr(),
            y.data_ptr(),
            *map(_address, (scale, shift, gamma, beta)),
            work.data_ptr(),
            work.data_ptr() + 16 * batch * groups,
            *(batch, channels, height * width, groups, _row_stride(scale)),
            *((0, 0) if gamma is None else (gamma.stride(0), gamma.stride(3))),
            batch // len(gamma) if gamma is not None else 1,
            eps,
            _flags(x, scale, activate) | (_CHANNELS_LAST if last else 0),
            self._parallel,
            _num_threads(x),
        )
        return y, work[: 2 * batch * groups]

    def backward(self, gradient: Tensor, saved: tuple[Any, ...], groups: int, activate: bool) -> list[Tensor | None]:
        """The gradients of x, scale, shift, gamma and beta."""
        x, scale, shift, gamma, beta, statistics = saved
        batch, channels, height, width = x.shape
        of_x, sums = torch.empty_like(x), torch.empty(2, batch, channels)
        maps = [None if each is None else torch.empty_like(x) for each in (gamma, beta)]
        self._backward(
            x.data_ptr(),
            gradient.data_ptr(),
            of_x.data_ptr(),
            *map(_address, (scale, shift)),
            sums.data_ptr(),
            sums[1].data_ptr(),
            *map(_address, (gamma, beta, *maps)),
            statistics.data_ptr(),
            *(batch, channels, height * width, groups, _row_stride(scale), 0 if gamma is None else gamma.stride(0)),
            _flags(x, scale, activate),
            self._parallel,
            _num_threads(x),
        )
        if scale is None:
            return [of_x, None, None, *maps]
        both = sums if scale.ndim == 2 and len(scale) == batch else sums.sum(1, keepdim=scale.ndim == 2)
        return [of_x, *both.to(scale.dtype).unbind(), *maps]


class _FusedNorm(torch.autograd.Function):
    """`fused_norm` with its gradients; it keeps x and the statistics, and computes the rest again."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, *others: Any) -> Tensor:
        kernel = _kernel()
        assert kernel is not None
        *_, ctx.groups, _, ctx.activate = others
        y, statistics = kernel.forward(x, *others)
        ctx.save_for_backward(x, *others[:4], statistics)
        return y

    @staticmethod
    @once_differentiable  # type: ignore[untyped-decorator]
    def backward(ctx: Any, gradient: Tensor) -> Any:
        kernel = _kernel()
        assert kernel is not None
        gradients = kernel.backward(gradient.contiguous(), ctx.saved_tensors, ctx.groups, ctx.activate)
        return *gradients, None, None, None


@cache
def _kernel() -> _Kernel | None:
    """The compiled kernel; None where there is none, or none that shares torch's threads, or if it errs."""
    parallel = openmp_parallel()
    library = load_c(Path(__file__).with_suffix(".c"), library_folder()) if parallel else None
    if library is None or parallel is None:
        return None
    kernel = _Kernel(library, parallel)
    return kernel if _is_right(kernel) else None


def _is_right(kernel: _Kernel) -> bool:
    """Whether it computes what PyTorch does, of a few numbers: compilers err, too."""
    x = torch.linspace(-3, 4, 2 * 6 * 77).sin().view(2, 6, 7, 11) + torch.linspace(-1, 2, 6).view(6, 1, 1)
    scale, shift = torch.linspace(0.5, 2, 12).view(2, 6), torch.linspace(-1, 1, 12).view(2, 6)
    expected = torch.nn.functional.group_norm(x.double(), 3) * scale[..., None, None] + shift[..., None, None]
    expected = torch.nn.functional.silu(expected).float()
    layouts = (x, x.contiguous(memory_format=torch.channels_last))
    made = (kernel.forward(each, scale, shift, None, None, 3, 1e-5, True)[0] for each in layouts)
    return all(torch.allclose(each, expected, rtol=1e-5, atol=1e-5) for each in made)


def _address(x: Tensor | None) -> int | None:
    return None if x is None else x.data_ptr()


def _row_stride(scale: Tensor | None) -> int:
    """Numbers between the scales of two samples, 0 where all have the same."""
    return scale.stride(0) if scale is not None and scale.ndim == 2 and len(scale) > 1 else 0


def _flags(x: Tensor, scale: Tensor | None, activate: bool) -> int:
    scale_bf16 = scale is not None and scale.dtype == torch.bfloat16
    return _X_BF16 * (x.dtype == torch.bfloat16) | _SCALE_BF16 * scale_bf16 | _SILU * activate


def _num_threads(x: Tensor) -> int:
    return torch.get_num_threads() if x.numel() > _FEW else 1
