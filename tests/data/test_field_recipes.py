"""The recipes of fields on miniatures of the real layout: names, arrays and attributes as archives have them."""

from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from reference.grib import write_grib

from mcvd.apps.cli.main import main
from mcvd.data.recipe import data_from_recipe
from mcvd.models.codecs import Scale
from mcvd.video.arrays.reader import FieldReader

h5py = pytest.importorskip("h5py", reason="fields are an extra")
h5netcdf = pytest.importorskip("h5netcdf", reason="fields are an extra")
pytest.importorskip("xarray", reason="fields are an extra")
pytest.importorskip("eccodes", reason="GRIB is an extra")

RANDOM = np.random.default_rng(0)


def sevir(folder):
    vil = RANDOM.integers(0, 255, (2, 24, 24, 49), np.uint8)
    vil[0, :3, :, 5] = 255
    folder.mkdir(parents=True)
    with h5py.File(folder / "SEVIR_VIL_STORMEVENTS_2019_0701_1231.h5", "w") as file:
        file["id"] = np.array([b"S842194", b"S848370"])
        file.create_dataset("vil", data=vil, chunks=(1, 24, 24, 1))
    values = vil[0].transpose(2, 0, 1).astype(np.float32)
    return np.where(values == 255, np.nan, values)[:, None], 300


def mrms(folder):
    """As wgrib2 writes it: a time axis of one, whole seconds since 1970, 9.999e20 where there is nothing."""
    rates = RANDOM.gamma(0.3, 5, (24, 16, 20)).astype(np.float32)
    rates[:, :2] = -3
    (folder / "2024-05-01").mkdir(parents=True)
    for number, rate in enumerate(rates):
        stamp = f"20240501-{12 + number // 12:02d}{5 * (number % 12):02d}00"
        with h5netcdf.File(folder / "2024-05-01" / f"MRMS_PrecipRate_00.00_{stamp}.nc", "w") as file:
            file.dimensions = {"time": 1, "latitude": 16, "longitude": 20}
            for axis, size in (("latitude", 16), ("longitude", 20)):
                file.create_variable(axis, (axis,), data=0.01 * np.arange(size)).attrs["units"] = "degrees"
            time = file.create_variable("time", ("time",), data=np.array([1714564800.0 + 300 * number]))
            time.attrs["units"] = "seconds since 1970-01-01 00:00:00.0 0:00"
            axes = ("time", "latitude", "longitude")
            found = file.create_variable(
                "PrecipRate_0mabovemeansealevel", axes, data=rate[None], fillvalue=np.float32(9.999e20)
            )
            found.attrs["units"] = "mm/hr"
    return np.where(rates == -3, np.nan, rates)[:, None], 300


def mrms_as_published(folder):
    """GRIB 2 in .gz, a quantity of NOAA's own table, packed as PNG of 16 bits."""
    rates = np.round(128 * RANDOM.gamma(0.3, 5, (24, 16, 20))) / 128  # whose steps are powers of two
    rates[:, :2] = -3
    (folder / "2024-05-01").mkdir(parents=True)
    own = {"centre": 161, "discipline": 209, "parameterCategory": 6, "parameterNumber": 1, "bitsPerValue": 16}
    for number, rate in enumerate(rates):
        stamp = f"20240501-{12 + number // 12:02d}{5 * (number % 12):02d}00"
        write_grib(
            folder / "2024-05-01" / f"MRMS_PrecipRate_00.00_{stamp}.grib2.gz", rate[None], packing="grid_png", **own
        )
    return np.where(rates == -3, np.nan, rates).astype(np.float32)[:, None], 300


def goes(folder):
    """Cloud and moisture imagery of all bands: packed whole numbers, and a flag of quality for each."""
    counts = RANDOM.integers(0, 4000, (24, 3, 16, 18)).astype(np.int16)
    counts[:, 1, 0] = -1
    (folder / "day122").mkdir(parents=True)
    for number, bands in enumerate(counts):
        start = f"s2024122{18 + number // 6:02d}{10 * (number % 6):02d}170"
        with h5netcdf.File(folder / "day122" / f"OR_ABI-L2-MCMIPC-M6_G16_{start}_e0_c0.nc", "w") as file:
            file.dimensions = {"y": 16, "x": 18}
            file.create_variable("t", (), data=np.float64(number)).attrs["units"] = "seconds since 2000-01-01 12:00:00"
            for band, values in zip(("C08", "C10", "C13"), bands, strict=True):
                found = file.create_variable(f"CMI_{band}", ("y", "x"), data=values, fillvalue=np.int16(-1))
                found.attrs.update({"scale_factor": np.float32(0.05), "add_offset": np.float32(180), "units": "K"})
                file.create_variable(f"DQF_{band}", ("y", "x"), data=np.zeros((16, 18), np.int8))
    return np.where(counts == -1, np.nan, counts * np.float32(0.05) + np.float32(180)), 600


@pytest.mark.parametrize("write", [sevir, mrms, mrms_as_published, goes])
def test_a_recipe_reads_the_real_layout(write, tmp_path, monkeypatch, capsys):
    name = write.__name__.partition("_")[0]
    recipe = f"{__file__.split('tests')[0]}datasets/{name}/data.yaml"
    monkeypatch.chdir(tmp_path)  # recipes name folders relative to where one works
    expected, step = write(tmp_path / "data" / name / "train")
    write(tmp_path / "data" / name / "val")
    height, width = expected.shape[-2:]
    data = data_from_recipe(recipe, num_frames=5, size=(height, width), num_workers=0)
    data.setup()
    videos = data.train_clips.videos
    assert videos.times_seconds(0)[:3] == pytest.approx(step * np.arange(3)) and videos.channels == expected.shape[1]
    found = videos.read(0, range(len(expected)), (height, width))
    torch.testing.assert_close(found, torch.from_numpy(np.float32(expected)), equal_nan=True, rtol=1e-5, atol=1e-4)
    assert data.val_clips[0]["video"].shape == (5, expected.shape[1], height, width)
    assert data.frame_rate_hz == pytest.approx(1 / step, rel=1e-6)
    assert main(["data", "check", recipe, "--num-frames", "5", "--size", "16"]) == 0
    assert "missing: " in capsys.readouterr().out


@pytest.mark.parametrize(("write", "options"), [(sevir, ("NHWT", ("vil",), 0)), (mrms_as_published, ())])
def test_a_model_of_a_recipe_knows_what_is_missing_in_a_file_of_the_archive(write, options, tmp_path):
    name = write.__name__.partition("_")[0]
    recipe = yaml.safe_load(Path(f"{__file__.split('tests')[0]}datasets/{name}/data.yaml").read_text())
    scale = Scale(**recipe["model"]["codec"]["init_args"])
    expected, _ = write(tmp_path / "a")
    with FieldReader(next((tmp_path / "a").iterdir()), *options) as reader:
        found = reader.read(range(reader.num_frames))
    torch.testing.assert_close(scale.known_values(found), torch.from_numpy(np.float32(expected)), equal_nan=True)
    again = scale.decode(scale.encode(found))
    assert torch.equal(again == scale.missing, torch.from_numpy(np.isnan(expected)))
