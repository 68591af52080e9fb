"""One thread for all tests: tiny models gain nothing by more, and sums come out the same in child processes."""

import os

import torch

os.environ["OMP_NUM_THREADS"] = "1"  # for child processes
torch.set_num_threads(1)
