import itertools
import logging
import multiprocessing
import os
import subprocess
import sys

import pytest
import torch
import torch.nn.functional as F

from mcvd.nets import fused_norm as module
from mcvd.nets.fused_norm import fused_norm
from mcvd.nets.layers import group_norm, norm_silu
from mcvd.runtime.native import load_c, openmp_parallel

SHAPES = [  # B * K, C, H, W and groups: odd sizes, groups of one channel, more channels than a chunk, one position
    ((2, 32, 16, 16), 8),
    ((4, 6, 7, 11), 3),
    ((2, 5, 3, 3), 5),
    ((2, 1100, 2, 3), 11),
    ((6, 3, 1, 1), 1),
    ((1, 7, 1, 1025), 1),
    ((2, 33, 9, 16), 11),
]
LAYOUTS = [torch.contiguous_format, torch.channels_last]
has_kernel = pytest.mark.skipif(module._kernel() is None, reason="no C compiler, or threads that are not shared")


def drawn(shape, rows, samples_per_map, layout=torch.contiguous_format, dtype=torch.float32):
    """x off zero, scale and shift of so many rows (0: none, 1-D for -1), and maps if there are samples for them."""
    generator = torch.Generator().manual_seed(sum(shape))

    def normal(*size):
        return torch.randn(size, generator=generator)

    offset = 3 * normal(shape[1], 1, 1) + 2
    x = (1.5 * normal(*shape) + offset).to(dtype).contiguous(memory_format=layout)
    size = (shape[1],) if rows == -1 else (rows, shape[1])
    modulation = (1 + 0.5 * normal(*size), normal(*size)) if rows else None
    of_maps = (shape[0] // samples_per_map if samples_per_map else 0, *shape[1:])
    both = torch.cat([1 + normal(*of_maps), normal(*of_maps)], dim=1).to(dtype).contiguous(memory_format=layout)
    maps = both.chunk(2, dim=1)  # with gaps, as a network makes them
    maps = maps if samples_per_map == 1 else tuple(each.clone() for each in maps)
    return x, modulation and tuple(each.to(dtype) for each in modulation), maps if samples_per_map else None


def plain(x, groups, modulation, maps, activate, dtype=torch.float64):
    """By its definition, in float64 unless asked for less."""
    y = F.group_norm(x.to(dtype), groups, eps=1e-5)
    if maps is not None:
        gamma, beta = (each.to(dtype).repeat_interleave(len(x) // len(each), dim=0) for each in maps)
        y = y * gamma + beta
    if modulation is not None:
        scale, shift = (each.to(dtype).reshape(-1, x.shape[1], 1, 1) for each in modulation)
        y = y * scale + shift
    return F.silu(y) if activate else y


@has_kernel
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(("shape", "groups"), SHAPES)
def test_it_is_no_less_exact_than_pytorch(shape, groups, layout):
    ours, theirs = [], []
    for rows, maps, activate in itertools.product((0, -1, 1, shape[0]), (0, 1, shape[0]), (False, True)):
        x, modulation, maps = drawn(shape, rows, maps, layout)
        made = fused_norm(x, groups, 1e-5, modulation, maps, activate)
        exact = plain(x, groups, modulation, maps, activate)
        single = plain(x, groups, modulation, maps, activate, torch.float32)
        assert made.stride() == x.stride()
        ours.append((made - exact).square().mean().sqrt())
        theirs.append((single - exact).square().mean().sqrt())
        torch.testing.assert_close(made.double(), exact, rtol=3e-6, atol=3e-6)
    assert sum(ours) <= 1.05 * sum(theirs)


@has_kernel
@pytest.mark.parametrize("layout", LAYOUTS)
def test_statistics_are_exact_where_the_mean_is_far_from_zero(layout):
    x = drawn((2, 16, 32, 32), 0, 0, layout)[0] + 1000
    made, exact = fused_norm(x, 4, 1e-5), plain(x, 4, None, None, False)
    worst = (plain(x, 4, None, None, False, torch.float32) - exact).abs().max()
    assert (made - exact).abs().max() <= worst


@has_kernel
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(("shape", "groups"), SHAPES)
def test_bf16_is_rounded_once(shape, groups, layout):
    for rows, maps in itertools.product((0, 1, shape[0]), (0, 1)):
        x, modulation, maps = drawn(shape, rows, maps, layout, torch.bfloat16)
        made = fused_norm(x, groups, 1e-5, modulation, maps, True)
        assert made.dtype == torch.bfloat16
        exact = plain(x, groups, modulation, maps, True)
        torch.testing.assert_close(made.double(), exact, rtol=2**-8, atol=1e-5)


@has_kernel
def test_what_is_not_a_number_and_what_is_huge():
    for layout in LAYOUTS:
        x = torch.linspace(-1, 1, 2 * 4 * 9).view(2, 4, 3, 3).contiguous(memory_format=layout)
        x[0, 0, 0, 0] = float("nan")
        made = fused_norm(x, 2, 1e-5, None, None, True)
        assert made[0, :2].isnan().all() and made[0, 2:].isfinite().all() and made[1].isfinite().all()
    scale, shift = torch.ones(1, 4), torch.tensor([[-1e5, -90.0, 90.0, 1e5]])
    made = fused_norm(torch.zeros(1, 4, 2, 2), 2, 1e-5, (scale, shift), None, True)
    torch.testing.assert_close(made[0, :, 0, 0], torch.tensor([0.0, 0.0, 90.0, 1e5]), rtol=0, atol=1e-18)


@has_kernel
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize(("shape", "groups"), SHAPES[:4])
def test_gradients_are_those_of_autograd(shape, groups, dtype):
    for rows, with_maps, activate in itertools.product((0, -1, 1, shape[0]), (0, 1), (False, True)):
        x, modulation, maps = drawn(shape, rows, with_maps, dtype=dtype)
        leaves = [x, *(modulation or ()), *(maps or ())]
        gradient = torch.randn(shape, generator=torch.Generator().manual_seed(1)).to(dtype)
        exact = [each.double().requires_grad_() for each in leaves]
        for each in leaves:
            each.requires_grad_()
        made = fused_norm(x, groups, 1e-5, modulation, maps, activate)
        found = torch.autograd.grad(made, leaves, gradient)
        of_modulation, of_maps = exact[1 : 1 + len(modulation or ())], exact[1 + len(modulation or ()) :]
        y = plain(exact[0], groups, of_modulation or None, of_maps or None, activate)
        wanted = torch.autograd.grad(y, exact, gradient.double())
        tolerance = 1e-5 if dtype == torch.float32 else 2**-7
        for ours, theirs in zip(found, wanted, strict=True):
            assert ours.dtype == dtype
            unit = theirs.abs().max().clamp(min=1.0)
            torch.testing.assert_close(ours.double() / unit, theirs / unit, rtol=tolerance, atol=tolerance)


@has_kernel
def test_only_what_needs_a_gradient_gets_one():
    x, (scale, shift), _ = drawn((2, 8, 4, 4), 2, 0)
    scale.requires_grad_()
    fused_norm(x, 2, 1e-5, (scale, shift), None, True).sum().backward()
    assert scale.grad is not None and x.grad is None and shift.grad is None


@has_kernel
def test_the_number_of_threads_changes_no_bit():
    threads = torch.get_num_threads()
    try:
        for layout, dtype in itertools.product(LAYOUTS, (torch.float32, torch.bfloat16)):
            x, modulation, maps = drawn((2, 32, 48, 40), 2, 1, layout, dtype)
            x.requires_grad_(layout == torch.contiguous_format)
            found = []
            for number in (1, 2, 3):
                torch.set_num_threads(number)
                made = fused_norm(x, 8, 1e-5, modulation, maps, True)
                found.append([made.detach(), *(torch.autograd.grad(made.sum(), x) if x.requires_grad else ())])
            for other in found[1:]:
                assert all(torch.equal(one, two) for one, two in zip(found[0], other, strict=True))
    finally:
        torch.set_num_threads(threads)


def test_without_a_compiler_it_is_as_before(monkeypatch):
    monkeypatch.setattr(module, "_kernel", lambda: None)
    for layout in LAYOUTS:
        for rows, with_maps in itertools.product((0, 1, 2), (0, 1)):
            x, modulation, maps = drawn((2, 24, 6, 5), rows, with_maps, layout)
            made = norm_silu(x, 1e-5, *(modulation or (None, None)), maps)
            torch.testing.assert_close(made.double(), plain(x, 6, modulation, maps, True), rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(group_norm(x, 1e-5).double(), plain(x, 6, None, None, False), rtol=1e-5, atol=1e-5)


def test_what_it_cannot_take_is_left_to_pytorch():
    x = torch.randn(2, 8, 4, 4)
    maps = (torch.ones(1, 8, 4, 4, requires_grad=True), torch.zeros(1, 8, 4, 4))
    assert fused_norm(x.double(), 2, 1e-5) is None
    assert fused_norm(x[..., ::2], 2, 1e-5) is None
    assert fused_norm(x, 2, 1e-5, None, maps) is None  # the gradient of maps that samples share
    assert norm_silu(x, 1e-6, None, None, maps).requires_grad
    assert torch.func.vmap(lambda each: norm_silu(each[None], 1e-5, None, None)[0])(x).shape == x.shape
    compiled = torch.compile(lambda each: norm_silu(each, 1e-5, None, None), backend="eager", fullgraph=True)
    torch.testing.assert_close(compiled(x), plain(x, 2, None, None, True, torch.float32))


SOURCE = "long twice(long number) { return 2 * number; }\n"


def in_another_process(source, folder, answers):
    library = load_c(source, folder)
    answers.put(library is not None and library.twice(21))


@has_kernel
def test_two_processes_may_compile_at_once(tmp_path):
    source, folder = tmp_path / "twice.c", tmp_path / "cache"
    source.write_text(SOURCE)
    context = multiprocessing.get_context("spawn")
    answers = context.Queue()
    processes = [context.Process(target=in_another_process, args=(source, folder, answers)) for _ in range(2)]
    for process in processes:
        process.start()
    assert [answers.get(timeout=120) for _ in processes] == [42, 42]
    for process in processes:
        process.join()
    assert [path.suffix for path in folder.iterdir()] == [".so"]


@has_kernel
def test_what_was_compiled_is_loaded_without_a_compiler(tmp_path, monkeypatch):
    source = tmp_path / "twice.c"
    source.write_text(SOURCE)
    assert load_c(source, tmp_path).twice(4) == 8
    monkeypatch.setattr("shutil.which", lambda name: None)
    monkeypatch.setattr(subprocess, "run", None)
    assert load_c(source, tmp_path).twice(4) == 8
    source.write_text(SOURCE.replace("2 *", "3 *"))  # another text is another library
    assert load_c(source, tmp_path) is None


def test_a_compiler_that_fails_is_told_to_who_debugs(tmp_path, caplog):
    source = tmp_path / "broken.c"
    source.write_text("this is no C\n")
    with caplog.at_level(logging.DEBUG, logger="mcvd.runtime.native"):
        assert load_c(source, tmp_path / "cache") is None
    assert all(record.levelno == logging.DEBUG for record in caplog.records) and "broken.c" in caplog.text


def test_a_cache_that_cannot_be_written_is_done_without(tmp_path):
    source, folder = tmp_path / "twice.c", tmp_path / "file"
    source.write_text(SOURCE)
    folder.write_text("not a folder")
    assert load_c(source, folder) is None


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looked for on Linux alone")
def test_the_threads_are_torchs():
    assert openmp_parallel()


def test_importing_compiles_nothing(tmp_path):
    command = "import mcvd.nets.unet, mcvd.nets.fused_norm as module; print(module._kernel.cache_info().currsize)"
    environment = {**os.environ, "TORCH_HOME": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", command], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["0"] and not list(tmp_path.rglob("*.so"))
