"""Stochastic Moving MNIST: MNIST's pictures, fetched once through torchvision; the videos are drawn while training."""

import shutil
import sys

from mcvd.data.prepare.cli import run_prepare
from mcvd.data.prepare.packs import check_room, digest_of
from mcvd.data.synthetic.moving_mnist import FILES, find_digits, read_idx_images
from mcvd.runtime.atomic import atomic_write

# Of the files with .gz, as torchvision and the data set's page give them.
MD5 = {True: "f68b3c2dcbeaaa9fbdd348bbdeb94873", False: "9fb629c4189551a2d022fa330f9573f3"}
COUNTS = {True: 60_000, False: 10_000}
NUM_BYTES = 70_000_000


def prepare(raw, out):
    if all((out / f"{name}.gz").exists() for name in FILES.values()):
        verify(out)
        return f"{out}: 70000 digits, there is nothing to do"
    check_room(out, NUM_BYTES)
    if not raw.exists():
        from torchvision.datasets import MNIST

        for train in FILES:
            MNIST(str(raw), train=train, download=True)
    for train, name in FILES.items():
        source = find_digits(raw, train)
        if source.suffix != ".gz":  # torchvision keeps both
            source = source.with_name(source.name + ".gz")
        with atomic_write(out / f"{name}.gz") as part:
            shutil.copyfile(source, part)
            check(part, train)
    verify(out)
    return f"{out}: 70000 digits"


def check(path, train):
    if digest_of(path, "md5") != MD5[train]:
        raise ValueError(f"{path}: is not MNIST's {FILES[train]}.gz (wrong md5); delete it and run again")


def verify(out):
    for train, name in FILES.items():
        check(out / f"{name}.gz", train)
        assert len(read_idx_images(out / f"{name}.gz")) == COUNTS[train]


if __name__ == "__main__":
    sys.exit(run_prepare("smmnist", prepare, "a folder that has MNIST's .gz files; fetched if missing"))
