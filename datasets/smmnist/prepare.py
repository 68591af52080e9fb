"""Stochastic Moving MNIST: MNIST's pictures, fetched once through torchvision; the videos are drawn while training."""

import argparse
import shutil
import sys
from pathlib import Path

from mcvd.data.moving_mnist import FILES, find_digits, read_idx_images
from mcvd.data.preparing import check_room, digest_of
from mcvd.whole import whole

# Of the files with .gz, as torchvision and the data set's page give them.
MD5 = {True: "f68b3c2dcbeaaa9fbdd348bbdeb94873", False: "9fb629c4189551a2d022fa330f9573f3"}
COUNTS = {True: 60_000, False: 10_000}
NUM_BYTES = 70_000_000


def prepare(raw, out):
    if all((out / f"{name}.gz").exists() for name in FILES.values()):
        verify(out)
        return False
    check_room(out, NUM_BYTES)
    if raw is None:
        from torchvision.datasets import MNIST

        raw = out / "download"
        for train in FILES:
            MNIST(str(raw), train=train, download=True)
    for train, name in FILES.items():
        source = find_digits(raw, train)
        if source.suffix != ".gz":  # torchvision keeps both
            source = source.with_name(source.name + ".gz")
        with whole(out / f"{name}.gz") as part:
            shutil.copyfile(source, part)
            check(part, train)
    return True


def check(path, train):
    if digest_of(path, "md5") != MD5[train]:
        raise ValueError(f"{path}: is not MNIST's {FILES[train]}.gz (wrong md5); delete it and run again")


def verify(out):
    for train, name in FILES.items():
        check(out / f"{name}.gz", train)
        assert len(read_idx_images(out / f"{name}.gz")) == COUNTS[train]


def main(argv=None):
    parser = argparse.ArgumentParser(description="Fetch or take over MNIST's pictures for Stochastic Moving MNIST.")
    parser.add_argument("--raw", type=Path, help="a folder that has the .gz files already; fetched if left out")
    parser.add_argument("--out", type=Path, default=Path("data/smmnist"), help="default: %(default)s")
    options = parser.parse_args(argv)
    try:
        new = prepare(options.raw, options.out)
        verify(options.out)
    except (ValueError, OSError, RuntimeError) as error:
        print(f"prepare.py: {' '.join(str(error).split())}", file=sys.stderr)
        return 1
    print(f"{options.out}: 70000 digits" + ("" if new else "; there is nothing to do"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
