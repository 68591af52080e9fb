"""An array in a file, of which parts are read: NumPy's files, HDF5 and NetCDF-4."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from mcvd.runtime.error_text import one_line
from mcvd.video.decoders.base import VideoError

NUMPY, ZIPPED, HDF5 = (".npy",), (".npz",), (".h5", ".hdf5", ".nc", ".nc4")
ENDINGS = NUMPY + ZIPPED + HDF5


@contextmanager
def open_array(path: Path, variable: str | None) -> Iterator[Any]:
    """An array of a file, which has ``shape`` and ``dtype`` and reads what is asked of it by ``[...]``.

    A .npy file is mapped into memory, of HDF5 and NetCDF-4 the chunks are read that are needed; of a .npz, which is
    compressed as a whole, all of the array.

    Args:
        path: of the file.
        variable: its name in a file that holds several; None: the only one of numbers with 3 axes or more.

    Raises:
        VideoError: the file cannot be read, or does not hold the variable.
        ModuleNotFoundError: h5py is needed and not there.
    """
    try:
        if path.suffix in NUMPY:
            yield np.load(path, mmap_mode="r", allow_pickle=False)
        elif path.suffix in ZIPPED:
            with np.load(path, allow_pickle=False) as file:
                name = _chosen(path, variable, {name: file[name] for name in file.files} if variable is None else file)
                yield file[name]
        else:
            with _hdf5(path) as file:
                found: dict[str, Any] = {}
                file.visititems(lambda name, item: found.update({name: item}) if hasattr(item, "shape") else None)
                yield found[_chosen(path, variable, found)]
    except (OSError, ValueError, KeyError, EOFError, RuntimeError, zipfile.BadZipFile) as error:
        if isinstance(error, VideoError):
            raise
        raise VideoError(f"{path}: cannot be read as an array ({one_line(error)})") from None


def unpacked(array: Any, part: np.ndarray) -> np.ndarray:
    """Values as float32, by the conventions of NetCDF: ``scale_factor``, ``add_offset``; ``_FillValue`` is NaN.

    Args:
        array: that `open_array` gave.
        part: what was read of it.
    """
    values = part.astype(np.float32)
    attributes = getattr(array, "attrs", {})
    missing = [attributes[name] for name in ("_FillValue", "missing_value") if name in attributes]
    gone = np.isin(part, [np.asarray(each).item() for each in missing]) if missing else None
    if "scale_factor" in attributes or "add_offset" in attributes:
        scale, offset = (float(np.asarray(attributes.get(n, d)).item()) for n, d in _PACKING.items())
        values = values * np.float32(scale) + np.float32(offset)
    if gone is not None:
        values[gone] = np.nan
    return values


_PACKING = {"scale_factor": 1.0, "add_offset": 0.0}


def _chosen(path: Path, variable: str | None, found: Any) -> str:
    if variable is not None:
        if variable not in found:
            raise VideoError(f"{path} has no array {variable!r}: it has {', '.join(sorted(found)) or 'none'}")
        return variable
    fitting = sorted(name for name, array in found.items() if len(array.shape) >= 3 and array.dtype.kind in "iuf")
    if len(fitting) != 1:
        raise VideoError(f"{path}: name the array (variable), those that fit are: {', '.join(fitting) or 'none'}")
    return fitting[0]


def _hdf5(path: Path) -> Any:
    try:
        import h5py
    except ModuleNotFoundError:
        raise ModuleNotFoundError(
            f"{path}: HDF5 and NetCDF-4 need the package h5py: python -m pip install 'mcvd[recipes]'"
        ) from None
    return h5py.File(path, "r", locking=False)
