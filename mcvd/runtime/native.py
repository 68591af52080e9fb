"""C of this package, compiled on the machine that runs it, once, and kept in the user's cache."""

from __future__ import annotations

import ctypes
import hashlib
import logging
import os
import platform
import shutil
import subprocess
from functools import cache
from pathlib import Path

import torch

from mcvd.runtime.atomic import atomic_write

_FLAGS = (
    *("-O3", "-march=native", "-fno-math-errno", "-fno-trapping-math", "-fopenmp-simd", "-shared", "-fPIC"),
    "-fno-thread-jumps",  # GCC would divide twice in every SiLU
)
_WIDE = ("-mprefer-vector-width=512",)  # of x86: GCC takes half the width by itself
_MOST_SECONDS = 60
_log = logging.getLogger(__name__)


def library_folder() -> Path:
    """Where compiled code is kept: a folder of `torch.hub`, which ``TORCH_HOME`` moves."""
    return Path(torch.hub.get_dir()) / "mcvd"


def load_c(source: Path, folder: Path) -> ctypes.CDLL | None:
    """The library of a C file, compiled for this processor unless that was done before.

    Several processes may ask at once: each compiles, and the files that they write are the same.

    Args:
        source: the file.
        folder: where libraries are kept; the name there tells the text, how it is compiled, processor and user.

    Returns:
        None where it cannot be had: no compiler, or one that fails, or a folder that cannot be written. Why, is logged
        for debugging: all that uses compiled code does without.
    """
    try:
        compiler = next(filter(None, map(shutil.which, ("cc", "gcc", "clang"))), None)
        text, processor = source.read_bytes(), sorted(torch.cpu.get_capabilities().items())
        flags = (*_FLAGS, *(_WIDE if platform.machine() in ("x86_64", "AMD64") else ()))
        user = os.getuid() if os.name == "posix" else ""
        told = repr((text, flags, processor, platform.platform(), user))
        library = folder / f"{source.stem}-{hashlib.sha256(told.encode()).hexdigest()[:20]}.so"
        if not library.exists():
            if compiler is None:
                _log.debug("%s is not compiled: there is no C compiler", source.name)
                return None
            with atomic_write(library) as part:
                command = [compiler, *flags, "-o", str(part), str(source), "-lm"]
                subprocess.run(
                    command, check=True, capture_output=True, timeout=_MOST_SECONDS, stdin=subprocess.DEVNULL
                )
        if os.name == "posix" and library.stat().st_uid != os.getuid():
            _log.debug("%s is not loaded: it belongs to somebody else", library)
            return None
        return ctypes.CDLL(str(library))
    except (OSError, subprocess.SubprocessError) as error:
        said = error.stderr.decode(errors="replace") if isinstance(error, subprocess.CalledProcessError) else ""
        _log.debug("%s is not compiled: %s %s", source.name, error, said)
        return None


@cache
def openmp_parallel() -> int | None:
    """The address of ``GOMP_parallel`` in the OpenMP library that torch runs on: its threads, not others beside them.

    None where it is not found; it is looked for on Linux alone.
    """
    try:
        lines = Path("/proc/self/maps").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return None
    paths = dict.fromkeys(line.split(maxsplit=5)[5] for line in lines if line.count("/") and "omp" in line)
    names = [path for path in paths if Path(path).name.startswith(("libgomp", "libomp", "libiomp"))]
    # Other packages may have brought their own.
    for path in sorted(names, key=lambda path: Path(torch.__file__).parent.parent not in Path(path).parents):
        try:
            return ctypes.cast(ctypes.CDLL(path).GOMP_parallel, ctypes.c_void_p).value
        except (OSError, AttributeError):
            continue
    return None
