"""Videos of numbers to files of arrays: NumPy, HDF5, NetCDF, Zarr, TIFF; part by part, whole or not at all."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from mcvd.runtime.atomic import atomic_write
from mcvd.video.arrays.base import needs

FLOAT = np.dtype(np.float32)
VALUES, TIME = "values", "time"  # names of the arrays in a file
_NAME_OF = {"N": "sample", "T": TIME, "C": "channel", "H": "y", "W": "x"}


@dataclass(frozen=True)
class FieldFacts:
    """What a file says of its array.

    Args:
        shape: (N, T, C, H, W); N sequences are an axis only where there are several, channels likewise.
        dtype: of the numbers.
        unit: of the values.
        names: of the channels.
        missing: the number that stands for a missing value; None: there is none.
        times_seconds: of the frames, float64 (T,); None: nobody knows them.
    """

    shape: tuple[int, int, int, int, int]
    dtype: np.dtype = FLOAT
    unit: str = ""
    names: Sequence[str] = ()
    missing: float | None = None
    times_seconds: np.ndarray | None = None

    @property
    def axes(self) -> str:
        """Letters of the axes that the array in the file has, as of `mcvd.data.ArrayVideos`."""
        several, _, channels, _, _ = self.shape
        return ("N" if several > 1 else "") + "T" + ("C" if channels > 1 else "") + "HW"

    @property
    def stored_shape(self) -> tuple[int, ...]:
        """Of the array in the file."""
        return tuple(size for letter, size in zip("NTCHW", self.shape, strict=True) if letter in self.axes)

    @property
    def dims(self) -> tuple[str, ...]:
        """Names of its axes."""
        return tuple(_NAME_OF[letter] for letter in self.axes)

    @property
    def attributes(self) -> dict[str, Any]:
        """By the names of NetCDF."""
        found: dict[str, Any] = {"units": self.unit} if self.unit else {}
        return found | ({"channel_names": ", ".join(self.names)} if self.names else {})


def write_fields(path: str | Path, videos: Sequence[Iterable[Tensor]], facts: FieldFacts) -> None:
    """Write videos in the form that the ending of the name asks for, holding one chunk in memory at a time.

    The file appears under its name only when it is complete; one of that name is replaced, a folder with something in
    it is not.

    Args:
        path: ends in one of `WRITTEN`.
        videos: the chunks of each, (n, C, H, W), from the first frame to the last.
        facts: of the file.

    Raises:
        ValueError: the ending is another, or a TIFF is to hold several videos.
        ModuleNotFoundError: the format needs a package that is not installed.
    """
    path = Path(path)
    write = _WRITERS.get(path.suffix.lower())
    if write is None:
        raise ValueError(f"cannot write {path.name}: a file of values ends in {', '.join(WRITTEN)}")
    if facts.shape[0] > 1 and path.suffix.lower() in SINGLE:
        raise ValueError(f"cannot write {path.name}: a TIFF holds one video, name a folder for several")

    def parts() -> Iterator[tuple[int, int, np.ndarray]]:
        for number, video in enumerate(videos):
            start = 0
            for chunk in video:
                values = chunk.detach().cpu().numpy().astype(facts.dtype, copy=False)
                yield number, start, values if "C" in facts.axes else values[:, 0]
                start += len(chunk)

    with atomic_write(path) as part:
        write(part, parts(), facts)


Parts = Iterator[tuple[int, int, np.ndarray]]


def _write_npy(path: Path, parts: Parts, facts: FieldFacts) -> None:
    with path.open("wb") as file:
        _put_npy(file, parts, facts)


def _write_npz(path: Path, parts: Parts, facts: FieldFacts) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        with archive.open(f"{VALUES}.npy", "w", force_zip64=True) as file:
            _put_npy(file, parts, facts)
        if facts.times_seconds is not None:
            with archive.open(f"{TIME}.npy", "w") as file:
                np.lib.format.write_array(file, facts.times_seconds)


def _put_npy(file: Any, parts: Parts, facts: FieldFacts) -> None:
    head = {"descr": np.lib.format.dtype_to_descr(facts.dtype), "fortran_order": False, "shape": facts.stored_shape}
    np.lib.format.write_array_header_1_0(file, head)
    for _, _, values in parts:  # they come in the order of the file
        file.write(np.ascontiguousarray(values).tobytes())


def _write_hdf5(path: Path, parts: Parts, facts: FieldFacts) -> None:
    try:
        import h5py
    except ModuleNotFoundError:
        raise needs("h5py", path, "recipes") from None
    with h5py.File(path, "w") as file:
        chunk = (*[1] * (len(facts.stored_shape) - 2), *facts.stored_shape[-2:])
        array = file.create_dataset(VALUES, facts.stored_shape, facts.dtype, chunks=chunk, compression="gzip")
        array.attrs.update(facts.attributes)
        if facts.missing is not None:
            array.attrs["_FillValue"] = np.asarray(facts.missing, facts.dtype)
        for axis, name in zip(array.dims, facts.dims, strict=True):
            axis.label = name
        if facts.times_seconds is not None:
            file[TIME] = facts.times_seconds
            file[TIME].attrs["units"] = "seconds"
        _put(array, parts, facts)


def _write_netcdf(path: Path, parts: Parts, facts: FieldFacts) -> None:
    try:
        import h5netcdf
    except ModuleNotFoundError:
        raise needs("h5netcdf", path, "fields") from None
    with h5netcdf.File(path, "w") as file:
        file.dimensions = dict(zip(facts.dims, facts.stored_shape, strict=True))
        fill = None if facts.missing is None else np.asarray(facts.missing, facts.dtype)[()]
        array = file.create_variable(VALUES, facts.dims, facts.dtype, fillvalue=fill, compression="gzip")
        array.attrs.update(facts.attributes)
        if facts.times_seconds is not None:
            times = file.create_variable(TIME, (TIME,), np.float64, data=facts.times_seconds)
            times.attrs["units"] = "seconds"
        _put(array, parts, facts)


def _write_zarr(path: Path, parts: Parts, facts: FieldFacts) -> None:
    try:
        import zarr
    except ModuleNotFoundError:
        raise needs("zarr", path, "fields") from None
    group = zarr.create_group(str(path))
    chunk = (*[1] * (len(facts.stored_shape) - 2), *facts.stored_shape[-2:])
    attributes = facts.attributes | ({} if facts.missing is None else {"missing_value": float(facts.missing)})
    options = {"shape": facts.stored_shape, "chunks": chunk, "dimension_names": facts.dims, "attributes": attributes}
    array = group.create_array(VALUES, dtype=facts.dtype, **options)  # type: ignore[arg-type]
    if facts.times_seconds is not None:
        times = group.create_array(TIME, data=facts.times_seconds, dimension_names=(TIME,))
        times.attrs["units"] = "seconds"
    _put(array, parts, facts)


def _write_tiff(path: Path, parts: Parts, facts: FieldFacts) -> None:
    try:
        import tifffile
    except ModuleNotFoundError:
        raise needs("tifffile", path, "fields") from None
    tags = [] if facts.missing is None else [(42113, "s", 0, f"{facts.missing:g}", True)]  # GDAL's missing value
    size = np.prod(facts.stored_shape) * facts.dtype.itemsize
    with tifffile.TiffWriter(path, bigtiff=bool(size > 3e9)) as file:
        planes = (plane for _, _, values in parts for plane in values.reshape(-1, *values.shape[-2:]))
        file.write(
            planes,
            shape=facts.stored_shape,
            dtype=facts.dtype,
            photometric="minisblack",
            metadata={"axes": facts.axes.replace("H", "Y").replace("W", "X")},
            extratags=tags,
        )


def _put(array: Any, parts: Parts, facts: FieldFacts) -> None:
    for number, start, values in parts:
        place = (slice(start, start + len(values)),)
        array[(number, *place) if "N" in facts.axes else place] = values


_WRITERS: dict[str, Callable[[Path, Parts, FieldFacts], None]] = {
    ".npy": _write_npy,
    ".npz": _write_npz,
    ".h5": _write_hdf5,
    ".hdf5": _write_hdf5,
    ".nc": _write_netcdf,
    ".nc4": _write_netcdf,
    ".zarr": _write_zarr,
    ".tif": _write_tiff,
    ".tiff": _write_tiff,
}
WRITTEN = tuple(_WRITERS)
"""Endings of files of values that can be written."""
SINGLE = (".tif", ".tiff")
"""Those of them that hold one video."""
