"""For `tools/gpu_report.py`: whether fast paths are right, wait for the host, and take the memory foretold."""

from __future__ import annotations

import copy
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import torch
from gpu_timings import Setting, row
from speed import SHAPES
from torch import Tensor, nn
from torch.optim import Optimizer

from mcvd.diffusion.denoiser import Denoiser
from mcvd.frames import Condition
from mcvd.models.mcvd import MCVD
from mcvd.nets import Context, UNet, resample
from mcvd.nets.cuda_graph import CUDAGraphNet
from mcvd.nets.layers import group_norm
from mcvd.runtime.rng import TrainingNoise
from mcvd.samplers import DDIM
from mcvd.training import Muon
from mcvd.training.memory import MemoryEstimate
from mcvd.training.nonfinite import NonFiniteSkipper

sys.path.insert(0, str(Path(__file__).parents[2] / "tests"))
from reference.plain_unet import plain_forward

# Largest difference from float64 over the largest number of the answer.
FLOAT32, TF32, BF16 = 2e-5, 5e-3, 5e-2


def checks(setting: Setting) -> Iterator[dict[str, Any]]:
    """Each fast path against float64 on a CPU, on inputs that no other run has seen."""
    seed = torch.seed() % (1 << 31)
    for name in SHAPES:
        shape = setting.small(name)
        torch.manual_seed(seed)
        model = shape.model(torch.device("cpu"))
        for parameter in model.parameters():  # new residual branches are almost nothing
            nn.init.normal_(parameter, std=1 / max(1.0, parameter[0].numel() ** 0.5) if parameter.ndim > 1 else 0.1)
        net = model.denoiser.net.eval()
        past = torch.randn(2, shape.block.past, shape.channels, shape.side, shape.side)
        noisy = torch.randn(2, shape.block.current, *past.shape[2:])
        label = torch.tensor([20.0, 900.0])
        keep = torch.ones(past.shape[:2], dtype=torch.bool)
        exact = copy.deepcopy(net).double()
        with torch.no_grad():
            truth = plain_forward(exact, noisy.double(), label.double(), past.double(), keep)
        on = [each.to(setting.device) for each in (noisy, label, past, keep)]
        net.to(setting.device)
        for what, answer in _answers(net, setting.device, *on):
            limit = BF16 if "bf16" in what else FLOAT32
            yield _difference(f"{name}, {what}", answer(), truth, limit, seed)
        yield from _gradients(name, net, exact, on, seed)
    yield from _operations(setting.device, seed)


def _answers(
    net: UNet, device: torch.device, noisy: Tensor, label: Tensor, past: Tensor, keep: Tensor
) -> Iterator[tuple[str, Callable[[], Tensor]]]:
    def answer(bf16: bool, graph: bool) -> Tensor:
        with torch.inference_mode(), torch.autocast(device.type, torch.bfloat16, enabled=bf16):
            stand_in = CUDAGraphNet(net) if graph else net
            for frames in (past / 2, past):  # a recorded condition, and one that is copied into it
                condition = net.encode_condition(Context(frames, keep), cache=True)
                for _ in range(3):  # an ordinary call, one that records, one that replays
                    found = stand_in(noisy, label, condition)
        return found.float()

    for bf16 in (False, True):
        yield f"call in {'bf16' if bf16 else 'float32'}", partial(answer, bf16, False)
        if device.type == "cuda":
            yield f"call in {'bf16' if bf16 else 'float32'}, CUDA graph", partial(answer, bf16, True)


def _gradients(name: str, net: UNet, exact: UNet, inputs: list[Tensor], seed: int) -> Iterator[dict[str, Any]]:
    """All gradients of a mean square, as one vector."""
    noisy, label, past, keep = inputs
    condition = exact.encode_condition(Context(past.cpu().double(), keep.cpu()), cache=False)
    exact(noisy.cpu().double(), label.cpu().double(), condition).square().mean().backward()
    truth = torch.cat([each.grad.flatten() for each in exact.parameters()])
    for bf16 in (False, True):
        net.zero_grad()
        with torch.autocast(noisy.device.type, torch.bfloat16, enabled=bf16):
            answer = net(noisy, label, net.encode_condition(Context(past, keep), cache=False))
        answer.float().square().mean().backward()
        found = torch.cat([each.grad.flatten() for each in net.parameters()])
        what = f"{name}, gradients in {'bf16' if bf16 else 'float32'}"
        yield _difference(what, found, truth, 4 * (BF16 if bf16 else FLOAT32), seed)


def _operations(device: torch.device, seed: int) -> Iterator[dict[str, Any]]:
    x, scale, shift = torch.randn(3, 48, 20, 28) + 3, torch.randn(3, 48), torch.randn(3, 48)
    for what, run in (
        ("downsample", lambda x, *_: resample.downsample(x)),
        ("upsample", lambda x, *_: resample.upsample(x)),
        ("group norm, scale, shift", lambda x, scale, shift: group_norm(x, 1e-5, scale, shift)),
    ):
        truth = run(x.double(), scale.double(), shift.double())
        for dtype, limit in ((torch.float32, FLOAT32), (torch.bfloat16, BF16)):
            found = run(*(each.to(device, dtype) for each in (x, scale, shift)))
            yield _difference(f"{what}, {str(dtype).removeprefix('torch.')}", found, truth, limit, seed)
    numbers = [7, 1 << 40]
    here, there = (TrainingNoise(seed, torch.device(each))(numbers, (3, 8, 8)) for each in ("cpu", device))
    same = all(torch.equal(a, b.cpu()) for a, b in zip(here.normal, there.normal, strict=True))
    yield row("noise of training is that of a CPU, bit by bit", same, "", goal=True)


def _difference(what: str, found: Tensor, truth: Tensor, limit: float, seed: int) -> dict[str, Any]:
    difference = ((found.detach().cpu().double() - truth).abs().max() / truth.abs().max()).item()
    return row(what, difference, "of the largest", goal=limit, met=difference <= limit, note=f"seed {seed}")


def waits(setting: Setting) -> Iterator[dict[str, Any]]:
    """How often the steps of a sampler and a training step wait for the host, by torch's own account."""
    shape = setting.shape("smmnist")
    model = shape.model(setting.device)
    past = torch.zeros(2, shape.block.past, shape.channels, shape.side, shape.side, device=setting.device)
    current = torch.zeros(2, shape.block.current, *past.shape[2:], device=setting.device)
    condition, t = Condition.visible(past, past[:, :0]), torch.full((2,), 0.5, device=setting.device)
    adam, muon = torch.optim.Adam(model.parameters(), fused=True), Muon(model.parameters())
    skipper = NonFiniteSkipper(setting.device)

    def sample() -> None:
        with torch.inference_mode():
            denoise = model.denoiser.bind(condition)
            DDIM(4)(denoise, current, model.denoiser.schedule)

    def step(optimizer: Optimizer) -> None:
        optimizer.zero_grad()
        model.denoiser.loss(current, condition, t, current).mean().backward()
        skipper.skip_if_not_finite(optimizer, model.parameters())
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()

    def noise() -> None:
        TrainingNoise(0, setting.device)([1, 2], current.shape[1:])

    for what, run in (
        ("four steps of a sampler", sample),
        ("a training step, Adam", partial(step, adam)),
        ("a training step, Muon", partial(step, muon)),
        ("the noise of a batch", noise),
    ):
        run()
        if setting.device.type != "cuda":
            yield row(f"waits in {what}", 0, "times", note="counted on a GPU alone")
            continue
        with _counted_waits() as found:
            run()
        yield row(
            f"waits in {what}", len(found), "times", goal=0, met=not found, note="; ".join(sorted(set(found)))[:200]
        )


@contextmanager
def _counted_waits() -> Iterator[list[str]]:
    """Where the host waited, one line for each time."""
    places: list[str] = []

    def note(message: Warning | str, category: type, filename: str, lineno: int, *_: Any) -> None:
        if "synchroniz" in str(message):
            places.append(f"{Path(filename).name}:{lineno}")

    torch.cuda.synchronize()
    torch.cuda.set_sync_debug_mode("warn")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            warnings.showwarning = note  # type: ignore[assignment]
            yield places
    finally:
        torch.cuda.set_sync_debug_mode("default")


def memory(setting: Setting) -> Iterator[dict[str, Any]]:
    """The estimate of a training step's memory beside the peak of a real one, on a GPU."""
    for name in ("smmnist", "cityscapes"):
        shape = setting.shape(name)
        model: MCVD = shape.model(setting.device)
        scope = partial(torch.autocast, setting.device.type, torch.bfloat16)
        foretold = MemoryEstimate(model, setting.device, scope, num_copies=0).at(shape.batch)
        what = f"{name}, batches of {shape.batch}: estimate over peak"
        if setting.device.type != "cuda":
            yield row(what, foretold / 2**20, "MiB foretold", note="the peak is read on a GPU alone")
            continue
        torch.cuda.reset_peak_memory_stats(setting.device)
        _train(model.denoiser, model, shape, scope)
        peak = torch.cuda.max_memory_reserved(setting.device)
        yield row(
            what, foretold / peak, "times", goal=0.1, met=abs(foretold / peak - 1) <= 0.1, note=f"{peak >> 20} MiB"
        )


def _train(denoiser: Denoiser, model: MCVD, shape: Any, scope: Callable[[], Any]) -> None:
    past = torch.zeros(shape.batch, shape.block.past, shape.channels, shape.side, shape.side, device=model.device)
    current = torch.zeros(shape.batch, shape.block.current, *past.shape[2:], device=model.device)
    t, optimizer = (
        torch.full((shape.batch,), 0.5, device=model.device),
        torch.optim.Adam(model.parameters(), fused=True),
    )
    for _ in range(2):
        with scope():
            loss = denoiser.loss(current, Condition.visible(past, past[:, :0]), t, current).mean()
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
