"""Verified copies of MNIST's pictures and labels, from which `mcvd.data.StochasticMovingMNIST` draws."""

from __future__ import annotations

import shutil
from pathlib import Path

from mcvd.data.synthetic.moving_mnist import FILES, LABEL_FILES, find_file
from mcvd.runtime.atomic import atomic_write, remove_stale_parts
from mcvd.runtime.disk import check_free_space
from mcvd.runtime.download import has_digest

# Of the files with .gz, as torchvision and the data set's page give them.
MD5 = {
    FILES[True]: "f68b3c2dcbeaaa9fbdd348bbdeb94873",
    FILES[False]: "9fb629c4189551a2d022fa330f9573f3",
    LABEL_FILES[True]: "d53e105ee54ea40749a09fcbcd1e9432",
    LABEL_FILES[False]: "ec29112dd5afa0611ce80d1b7f02629c",
}
NUM_BYTES = 70_000_000


def prepare_mnist(raw: Path, out: Path) -> str:
    """Copy MNIST's files of pictures and labels into ``out``, verified; a second run only verifies them.

    Args:
        raw: a folder that has them; downloaded into it through torchvision if it does not exist.
        out: the prepared data.

    Returns:
        What was done, in one line.

    Raises:
        ValueError: if a file is not MNIST's.
        OSError: if the disk has too little space, or nothing can be downloaded.
    """
    remove_stale_parts(out)
    is_done = all((out / f"{name}.gz").exists() for name in MD5)
    if not is_done:
        check_free_space(out, NUM_BYTES)
        if not raw.exists():
            from torchvision.datasets import MNIST

            for train in FILES:
                MNIST(str(raw), train=train, download=True)
        for name in MD5:
            source = find_file(raw, name)
            if source.suffix != ".gz":  # torchvision leaves both
                source = source.with_name(source.name + ".gz")
            with atomic_write(out / f"{name}.gz") as part:
                shutil.copyfile(source, part)
                _check(part, name)
    for name in MD5:
        _check(out / f"{name}.gz", name)
    return f"{out}: 70000 digits" + (", there is nothing to do" if is_done else "")


def _check(path: Path, name: str) -> None:
    if not has_digest(path, f"md5:{MD5[name]}"):
        raise ValueError(f"{path}: is not MNIST's {name}.gz (wrong md5); delete it and run again")
