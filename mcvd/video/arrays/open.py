"""Open an array in a file by the format that its name says."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from mcvd.runtime.error_text import one_line
from mcvd.video.arrays.base import OpenArray
from mcvd.video.arrays.dicom import open_dicom
from mcvd.video.arrays.grib import open_grib
from mcvd.video.arrays.hdf5 import open_hdf5
from mcvd.video.arrays.netcdf import open_netcdf
from mcvd.video.arrays.numpy_file import open_npy, open_npz
from mcvd.video.arrays.picture import open_picture
from mcvd.video.arrays.tiff import open_tiff
from mcvd.video.arrays.zarr_file import open_zarr
from mcvd.video.decoders.base import VideoError

_FORMATS: dict[str, Callable[[Path, str | None], OpenArray]] = {
    ".npy": open_npy,
    ".npz": open_npz,
    ".h5": open_hdf5,
    ".hdf5": open_hdf5,
    ".nc": open_netcdf,
    ".nc4": open_netcdf,
    ".zarr": open_zarr,
    ".zip": open_zarr,
    ".tif": open_tiff,
    ".tiff": open_tiff,
    ".dcm": open_dicom,
    ".png": open_picture,
    ".grib2": open_grib,
    ".grib2.gz": open_grib,
    ".grb2": open_grib,
    ".grb2.gz": open_grib,
    ".grib": open_grib,
    ".grib.gz": open_grib,
    ".grb": open_grib,
    ".grb.gz": open_grib,
}
ENDINGS = tuple(_FORMATS)
AMBIGUOUS = (".tif", ".tiff", ".png", ".zip")
"""Endings of files that may as well be pictures or something else."""


def ending_of(path: Path) -> str:
    """The end of a name that tells the format, small, that before a .gz with it.

    Examples:
        >>> ending_of(Path("MRMS_20240501-120000.grib2.gz")), ending_of(Path("rain.1.NC"))
        ('.grib2.gz', '.nc')
    """
    suffix = path.suffix.lower()
    return path.with_suffix("").suffix.lower() + suffix if suffix == ".gz" else suffix


def open_array(path: Path, variable: str | None = None) -> OpenArray:
    """An array of a file, of which parts are read; whoever opens it closes it.

    Args:
        path: of the file, or of the folder of a Zarr.
        variable: its name in a file that holds several; None: the only one of numbers that fits.

    Raises:
        VideoError: the file cannot be read, or does not hold the variable.
        ModuleNotFoundError: a package is needed that is not installed.
    """
    with array_faults(path):
        return _FORMATS[ending_of(path)](path, variable)


@contextmanager
def array_faults(path: Path) -> Iterator[None]:
    """Turn what libraries raise of a damaged file into one `VideoError` that names it."""
    try:
        yield
    except (VideoError, ModuleNotFoundError, FileNotFoundError, MemoryError):
        raise
    except Exception as error:  # the libraries have no common base below it
        raise VideoError(f"{path}: cannot be read as an array ({one_line(error)[:200]})") from None
