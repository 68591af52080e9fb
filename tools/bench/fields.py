"""How fast clips of large arrays are read, as a share of the library's own reading of the same frames.

    python tools/bench/fields.py --folder SCRATCH

Writes a Zarr of 100,000 frames and a NetCDF of 5 GB into a new folder below SCRATCH and deletes them at the end.
Windows at random places are read by the library and by `mcvd.data.ArrayVideos` in turn; the median of the pairs' ratios
counts. Memory is told for each quarter of the reads.
"""

import argparse
import json
import shutil
import statistics
import tempfile
import time
from pathlib import Path

import h5netcdf
import numpy as np
import psutil
import torch
import xarray
import zarr

from mcvd.data import ArrayVideos


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--reads", type=int, default=200)
    parser.add_argument("--zarr-frames", type=int, default=100_000)
    parser.add_argument("--netcdf-frames", type=int, default=5_000, help="of 1 MB each")
    options = parser.parse_args()
    torch.set_num_threads(1)
    work = Path(tempfile.mkdtemp(dir=options.folder))
    try:
        for make, count in ((make_zarr, options.zarr_frames), (make_netcdf, options.netcdf_frames)):
            path, size, raw = make(work, count)
            print(json.dumps(measure(path, size, raw, options.reads)), flush=True)
    finally:
        shutil.rmtree(work)


def make_zarr(work, count):
    path = work / "fields.zarr"
    array = zarr.create_array(str(path), shape=(count, 64, 64), chunks=(50, 64, 64), dtype="float32")
    for start in range(0, count, 1000):
        array[start : start + 1000] = noise(start, min(1000, count - start), 64)
    opened = zarr.open(str(path), mode="r")
    return path, 64, lambda start, stop: opened[start:stop]


def make_netcdf(work, count):
    path = work / "fields.nc"
    with h5netcdf.File(path, "w") as file:
        file.dimensions = {"time": count, "y": 512, "x": 512}
        array = file.create_variable("rain", ("time", "y", "x"), np.float32, chunks=(1, 512, 512))
        for start in range(0, count, 20):
            array[start : start + 20] = noise(start, min(20, count - start), 512)
    opened = xarray.open_dataset(path, engine="h5netcdf", cache=False)["rain"].variable
    return path, 512, lambda start, stop: opened[start:stop].values


def noise(seed, count, side):
    return np.random.default_rng(seed).random((count, side, side), np.float32)


def measure(path, size, raw, reads, frames=20):
    videos = ArrayVideos(path)
    length = len(videos.times_seconds(0))
    places = np.random.default_rng(0).integers(0, length - frames, reads).tolist()
    ratios, memory, ours = [], [], []
    for number, start in enumerate(places):
        wanted = range(start, start + frames)
        ways = {
            "raw": lambda a=start: raw(a, a + frames),
            "ours": lambda w=wanted: videos.read(0, w, (size, size)),
        }
        seconds, read = {}, {}
        # The first to come finds the pages cold: in turn.
        for name in ("raw", "ours") if number % 2 else ("ours", "raw"):
            began = time.perf_counter()
            read[name] = ways[name]()
            seconds[name] = time.perf_counter() - began
        assert np.array_equal(read["raw"], read["ours"][:, 0].numpy())
        ratios.append(seconds["raw"] / seconds["ours"])
        ours.append(seconds["ours"])
        memory.append(psutil.Process().memory_info().rss / 1e6)
    part = reads // 4
    return {
        "file": path.name,
        "frames": length,
        "bytes": sum(each.stat().st_size for each in ([path] if path.is_file() else path.rglob("*")) if each.is_file()),
        "reads": reads,
        "share_of_raw": round(statistics.median(ratios), 3),
        "share_of_raw_total": round(sum(r * s for r, s in zip(ratios, ours, strict=True)) / sum(ours), 3),
        "ms_a_read": round(1e3 * statistics.median(ours), 2),
        "memory_mb": [round(statistics.median(memory[i : i + part])) for i in range(0, 4 * part, part)],
    }


if __name__ == "__main__":
    main()
