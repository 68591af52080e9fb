"""The same work in several processes that know each other through `torch.distributed`."""

from __future__ import annotations

import atexit
import logging
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, distributed, multiprocessing


def spawn(work: Callable[..., None], world_size: int, **options: Any) -> None:
    """Do the work in some new processes of this machine, on the CPU, and wait for all of them.

    Args:
        work: a function of a module; asks `torch.distributed` which share is its own.
        world_size: how many processes.
        options: what the work is called with, in each.

    Raises:
        Exception: the first that any of them raised; the others are ended.
    """
    logging.getLogger("torch.multiprocessing.spawn").setLevel(logging.ERROR)  # the error is told once, by who asked
    errors = multiprocessing.get_context("spawn").SimpleQueue()
    num_threads = max(1, torch.get_num_threads() // world_size)
    with tempfile.TemporaryDirectory() as folder:
        settings = (world_size, num_threads, f"file://{folder}/meeting", errors, work, options)
        try:
            multiprocessing.spawn(_process, settings, nprocs=world_size)
        except multiprocessing.ProcessRaisedException as fault:
            raise fault if errors.empty() else errors.get() from None


@contextmanager
def process_group() -> Iterator[None]:
    """Where ``torchrun`` started this process: joined to the others. Otherwise nothing."""
    if not distributed.is_torchelastic_launched():
        yield
        return
    if torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    distributed.init_process_group("cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo")
    try:
        yield
    finally:
        distributed.destroy_process_group()


def rank() -> int:
    """The number of this process, 0 where it is alone."""
    return distributed.get_rank() if distributed.is_initialized() else 0


def world_size() -> int:
    """How many processes share the work."""
    return distributed.get_world_size() if distributed.is_initialized() else 1


def all_gather(mine: Any) -> list[Any]:
    """What each process has, in the order of their ranks."""
    if not distributed.is_initialized():
        return [mine]
    found: list[Any] = [None] * distributed.get_world_size()
    distributed.all_gather_object(found, mine)
    return found


def sum_over_processes(mine: Tensor) -> Tensor:
    """The sum of a tensor of each process, which all call this; alone, the tensor itself."""
    if distributed.is_initialized():
        mine = mine.clone()
        distributed.all_reduce(mine)
    return mine


def shard_range(count: int) -> range:
    """Which of so many things this process makes; all of them where it is alone."""
    return range(count * rank() // world_size(), count * (rank() + 1) // world_size())


def _process(
    number: int,
    world_size: int,
    num_threads: int,
    meeting: str,
    errors: multiprocessing.SimpleQueue,
    work: Callable[..., None],
    options: dict[str, Any],
) -> None:
    torch.set_num_threads(num_threads)
    distributed.init_process_group("gloo", init_method=meeting, rank=number, world_size=world_size)
    try:
        work(**options)
    except Exception as error:
        errors.put(error)
        raise
    finally:
        distributed.destroy_process_group()
    # All is done: in the last part of an ordinary exit threads of PyTorch that are still there may abort the process.
    # What multiprocessing gives back before, such as the lock of a progress bar, is given back.
    atexit.register(os._exit, 0)
