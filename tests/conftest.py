"""One thread for all tests: tiny models gain nothing by more, and sums come out the same in child processes."""

import os

import torch

os.environ["OMP_NUM_THREADS"] = "1"  # for child processes
torch.set_num_threads(1)


def pytest_collection_modifyitems(items):
    """First the tests that fork trainings: after a backward pass on the meta device PyTorch's autograd refuses to run
    in a fork, and the estimate of a training's memory makes one."""
    items.sort(key=lambda item: "faults" not in item.path.parts)
