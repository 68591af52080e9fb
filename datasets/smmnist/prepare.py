"""Stochastic Moving MNIST: MNIST's pictures, fetched once through torchvision; the videos are drawn during training."""

import sys

from mcvd.data.prepare.cli import run_prepare
from mcvd.data.prepare.mnist import prepare_mnist

if __name__ == "__main__":
    sys.exit(run_prepare("smmnist", prepare_mnist, "a folder that has MNIST's .gz files; downloaded if missing"))
