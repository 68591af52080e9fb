"""Formats of arrays: each against the reading of its own library, its times, missing values, workers, and damage."""

import gzip
from datetime import datetime

import numpy as np
import pytest
import torch
from reference.grib import ABSENT, message, write_grib

from mcvd.data import ArrayVideos, VideoClips
from mcvd.video.arrays import grib as grib_files
from mcvd.video.arrays.axes import axes_from_names
from mcvd.video.arrays.open import open_array
from mcvd.video.arrays.times import seconds_of, seconds_of_names
from mcvd.video.decoders.base import VideoError

xarray = pytest.importorskip("xarray", reason="fields are an extra")
zarr = pytest.importorskip("zarr", reason="fields are an extra")
tifffile = pytest.importorskip("tifffile", reason="fields are an extra")
pydicom = pytest.importorskip("pydicom", reason="fields are an extra")
eccodes = pytest.importorskip("eccodes", reason="GRIB is an extra")
cv2 = pytest.importorskip("cv2", reason="fields are an extra")

T, H, W = 9, 8, 10
FIELDS = np.random.default_rng(0).gamma(0.5, 4, (T, H, W)).astype(np.float32)
FIELDS[2, 1:3, 4] = np.nan
COUNTS = np.where(np.isnan(FIELDS), -1, np.round(FIELDS * 100)).astype(np.int16)
GOES = "hours since 2024-05-01 06:00"


def dataset():
    values = xarray.DataArray(
        FIELDS,
        dims=("time", "lat", "lon"),
        coords={"time": ("time", 0.25 * np.arange(T), {"units": GOES})},
        attrs={"units": "mm h-1"},
    )
    return xarray.decode_cf(xarray.Dataset({"rain": values}))


PACKED = {"rain": {"dtype": "int16", "scale_factor": 0.01, "add_offset": 1.0, "_FillValue": -1}}


def netcdf4(path):
    dataset().to_netcdf(path / "a.nc", engine="h5netcdf", encoding=PACKED)
    return xarray.load_dataset(path / "a.nc")["rain"].values


def netcdf3(path):
    dataset().to_netcdf(path / "a.nc", engine="scipy", encoding=PACKED)
    return xarray.load_dataset(path / "a.nc")["rain"].values


def zarr_of_xarray(version):
    def write(path):
        dataset().to_zarr(path / "a.zarr", encoding=PACKED, zarr_format=version, consolidated=False)
        return xarray.open_zarr(path / "a.zarr", consolidated=False)["rain"].values

    return write


def zarr_alone(path):
    array = zarr.create_array(str(path / "a.zarr"), shape=FIELDS.shape, chunks=(2, 8, 5), dtype="float32")
    array[:] = FIELDS
    return zarr.open(str(path / "a.zarr"), mode="r")[:]


def zarr_zip(path):
    store = zarr.storage.ZipStore(path / "a.zip", mode="w")
    zarr.create_array(store, name="rain", data=FIELDS, chunks=(3, 8, 10))
    store.close()
    return FIELDS


def tiff_stack(path):
    tifffile.imwrite(path / "a.tif", COUNTS, photometric="minisblack", metadata={"axes": "TYX"})
    return tifffile.imread(path / "a.tif").astype(np.float32)


def tiff_compressed(path):
    scale = '<GDALMetadata><Item name="S" sample="0" role="scale">0.01</Item></GDALMetadata>'
    tags = [(42113, "s", 0, "-1", True), (42112, "s", 0, scale, True)]
    with tifffile.TiffWriter(path / "a.tif") as file:
        for page in COUNTS:
            file.write(page, compression="zlib", contiguous=False, photometric="minisblack", extratags=tags)
    stored = np.stack([page.asarray() for page in tifffile.TiffFile(path / "a.tif").pages])
    return np.where(stored == -1, np.nan, stored.astype(np.float32) * np.float32(0.01))


def geotiff_series(path):
    """A file for each scan, as archives of satellites and radars have them."""
    (path / "scans").mkdir()
    for number, page in enumerate(FIELDS):
        name = path / "scans" / f"B13_20240501_{6 + number // 4:02d}{15 * (number % 4):02d}.tif"
        tifffile.imwrite(name, page, extratags=[(42113, "s", 0, "nan", True)])
    return np.stack([tifffile.imread(each) for each in sorted((path / "scans").iterdir())])


def dicom(path):
    data = pydicom.Dataset()
    data.file_meta = pydicom.dataset.FileMetaDataset()
    data.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    data.file_meta.MediaStorageSOPClassUID = data.SOPClassUID = pydicom.uid.UltrasoundMultiFrameImageStorage
    data.file_meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID = pydicom.uid.generate_uid()
    data.Rows, data.Columns, data.NumberOfFrames, data.SamplesPerPixel = H, W, T, 1
    data.BitsAllocated, data.BitsStored, data.HighBit, data.PixelRepresentation = 16, 16, 15, 1
    data.PhotometricInterpretation, data.RescaleSlope, data.RescaleIntercept = "MONOCHROME2", 2, -1024
    data.FrameTime, data.PixelPaddingValue = 40.0, -1
    data.add_new("PixelData", "OW", COUNTS.tobytes())
    data.save_as(path / "a.dcm", enforce_file_format=True)
    stored = pydicom.dcmread(path / "a.dcm").pixel_array
    return np.where(stored == -1, np.nan, stored * np.float32(2) - 1024).astype(np.float32)


def rescaled(slope):
    """A group of functions of an enhanced DICOM, with a slope, and slope - 10 for an intercept."""
    group, rescale = pydicom.Dataset(), pydicom.Dataset()
    rescale.RescaleSlope, rescale.RescaleIntercept, rescale.RescaleType = slope, slope - 10, "HU"
    group.PixelValueTransformationSequence = [rescale]
    return group


def pictures(path):
    """Thermal cameras write 16 bits."""
    (path / "a").mkdir()
    for number, page in enumerate(COUNTS):
        cv2.imwrite(str(path / "a" / f"{number:04d}.png"), (page + 30_000).astype(np.uint16))
    return np.stack([cv2.imread(str(each), cv2.IMREAD_UNCHANGED) for each in sorted((path / "a").iterdir())])


def npz(path):
    np.savez_compressed(path / "a.npz", rain=FIELDS, time=900.0 * np.arange(T))
    return FIELDS


def grib(ending):
    """By ecCodes' own reading, of real packing and a bitmap for what is missing."""

    def write(path):
        write_grib(path / f"a{ending}", FIELDS)
        content = (path / f"a{ending}").read_bytes()
        (path / "plain").write_bytes(gzip.decompress(content) if ending.endswith(".gz") else content)
        fields = []
        with (path / "plain").open("rb") as file:
            while (handle := eccodes.codes_grib_new_from_file(file)) is not None:
                fields.append(eccodes.codes_get_array(handle, "values").reshape(H, W))
                eccodes.codes_release(handle)
        (path / "plain").unlink()
        return np.where(np.stack(fields) == ABSENT, np.nan, np.stack(fields))

    return write


FORMATS = {
    "netcdf4": (netcdf4, 900),
    "netcdf3": (netcdf3, 900),
    "zarr 2": (zarr_of_xarray(2), 900),
    "zarr 3": (zarr_of_xarray(3), 900),
    "zarr alone": (zarr_alone, None),
    "zarr zip": (zarr_zip, None),
    "npz": (npz, 900),
    "tiff stack": (tiff_stack, None),
    "tiff compressed": (tiff_compressed, None),
    "geotiff series": (geotiff_series, 900),
    "dicom": (dicom, 0.04),
    "pictures": (pictures, None),
    "grib": (grib(".grib2"), 900),
    "grib packed": (grib(".grb2.gz"), 900),
}
of_every_format = pytest.mark.parametrize(("write", "step"), FORMATS.values(), ids=FORMATS)


@of_every_format
def test_values_and_times_are_those_of_the_library(write, step, tmp_path):
    expected = torch.from_numpy(np.array(write(tmp_path), np.float32))[:, None]
    videos = ArrayVideos(tmp_path)
    assert len(videos) == 1 and videos.channels == 1
    assert videos.frame_times(0).is_told == (step is not None)
    np.testing.assert_allclose(videos.times_seconds(0), (step or 1) * np.arange(T), rtol=1e-9, atol=1e-9)
    for frames in (range(T), [5, 2, 2], [4]):
        found = videos.read(0, frames, (H, W))
        torch.testing.assert_close(found, expected[list(frames)], equal_nan=True, rtol=1e-6, atol=1e-5)
        assert found.dtype == torch.float32


@pytest.mark.parametrize("slopes", [[3] * T, list(range(1, T + 1))], ids=["for all frames", "by frame"])
def test_enhanced_dicom_is_rescaled_as_its_groups_say(slopes, tmp_path):
    dicom(tmp_path)
    data = pydicom.dcmread(tmp_path / "a.dcm")
    del data.RescaleSlope, data.RescaleIntercept
    data.SharedFunctionalGroupsSequence = [rescaled(3)]
    data.PerFrameFunctionalGroupsSequence = [rescaled(slope) if slope != 3 else pydicom.Dataset() for slope in slopes]
    data.save_as(tmp_path / "a.dcm")
    slope = np.array(slopes, np.float32)[:, None, None]
    expected = torch.from_numpy(np.where(COUNTS == -1, np.nan, COUNTS * slope + slope - 10))[:, None]
    videos = ArrayVideos(tmp_path)
    for frames in (range(T), [5, 2, 2], [4]):
        torch.testing.assert_close(videos.read(0, frames, (H, W)), expected[list(frames)], equal_nan=True)
    assert open_array(tmp_path / "a.dcm").unit == "HU"


@pytest.mark.parametrize("context", ["fork", "spawn"])
def test_workers_read_every_format(context, tmp_path):
    collections = []
    for name, (write, _) in FORMATS.items():
        (tmp_path / name).mkdir()
        write(tmp_path / name)
        videos = ArrayVideos(tmp_path / name)
        videos.read(0, [0], (H, W))  # open in this process, too
        collections.append(videos)
    with torch.multiprocessing.get_context(context).Pool(1) as pool:
        for videos, theirs in zip(collections, pool.map(last_frames, collections), strict=True):
            torch.testing.assert_close(torch.from_numpy(theirs), last_frames_of(videos), equal_nan=True)


def last_frames_of(videos):
    return videos.read(0, [T - 2, T - 1], (H, W))


def last_frames(videos):
    return last_frames_of(videos).numpy()


def cut_in_half(path):
    for file in (path, *path.rglob("*")):
        if file.is_file():
            content = file.read_bytes()
            file.write_bytes(content[: len(content) // 2])


def overwritten(path):
    for file in (path, *path.rglob("*")):
        if file.is_file():
            file.write_bytes(b"\xa5" * 64)


@pytest.mark.parametrize("damage", [cut_in_half, overwritten])
@of_every_format
def test_a_damaged_file_is_one_line(write, step, damage, tmp_path):
    write(tmp_path)
    damage(tmp_path)
    with pytest.raises(VideoError) as fault:
        ArrayVideos(tmp_path).read(0, range(T), (H, W))
    assert "\n" not in str(fault.value) and str(tmp_path) in str(fault.value)


def test_a_frame_of_another_size_is_named(tmp_path):
    geotiff_series(tmp_path)
    other = tmp_path / "scans" / "B13_20240501_0630.tif"
    tifffile.imwrite(other, FIELDS[0, :4])
    videos = ArrayVideos(tmp_path)
    assert videos.read(0, [0, 1], (H, W)).shape == (2, 1, H, W)
    with pytest.raises(VideoError, match="0630"):
        videos.read(0, [2], (H, W))


def test_folders_of_frames_are_sequences_and_bands_channels(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        for number in range(3):
            bands = np.stack([FIELDS[number], FIELDS[number] + 1, FIELDS[number] + 2])
            tifffile.imwrite(
                tmp_path / name / f"{number}.tif", bands, photometric="minisblack", metadata={"axes": "CYX"}
            )
    videos = ArrayVideos(tmp_path, "CHW", frame_rate_hz=0.5)
    assert len(videos) == 2 and videos.channels == 3 and videos.name(1) == "b" and videos.times_seconds(1)[-1] == 4
    assert torch.equal(videos.read(1, [1], (H, W))[0, 2], torch.from_numpy(FIELDS[1] + 2))


def test_a_packed_file_is_unpacked_up_to_a_bound(tmp_path, monkeypatch):
    path = tmp_path / "scan.grib2.gz"
    write_grib(path, FIELDS)
    size = len(gzip.decompress(path.read_bytes()))
    monkeypatch.setattr(grib_files, "MAX_UNPACKED", size)
    assert open_array(path).shape == FIELDS.shape
    monkeypatch.setattr(grib_files, "MAX_UNPACKED", size - 1)
    with pytest.raises(VideoError, match=r"scan\.grib2\.gz: holds more than .*gunzip"):
        open_array(path)


SAME = {"dtype": "float32"}


@pytest.mark.parametrize(
    ("packing", "facts", "valid"),
    [
        (PACKED["rain"], {"valid_range": np.int16([100, 900])}, (2, 10)),  # as stored
        (PACKED["rain"], {"valid_min": np.int16(100)}, (2, np.inf)),
        (PACKED["rain"], {"valid_max": np.int16(900)}, (-np.inf, 10)),
        (PACKED["rain"], {"valid_min": 2.0, "valid_max": 10.0}, (2, 10)),  # fractions: unpacked
        (PACKED["rain"] | {"scale_factor": -0.01}, {"valid_min": np.int16(-900)}, (-np.inf, 10)),
        (PACKED["rain"], {"valid_range": np.int16([900, 100])}, (-np.inf, np.inf)),
        (SAME, {"valid_range": np.float32([2, 10])}, (2, 10)),
        (SAME, {"valid_range": "2, 10"}, (-np.inf, np.inf)),
        (SAME, {"valid_min": 2.0, "valid_max": 1e300}, (2, np.inf)),
    ],
)
@pytest.mark.parametrize("form", ["netcdf4", "netcdf3", "hdf5", "zarr"])
def test_values_outside_of_the_valid_range_are_missing(packing, facts, valid, form, tmp_path):
    fields = np.array([0.5, 1.99, 2, 5, 10, 10.01, 40, np.nan], np.float32).reshape(2, 2, 2)
    data = xarray.Dataset({"rain": (("time", "y", "x"), fields, facts)})
    path = tmp_path / {"netcdf4": "a.nc", "netcdf3": "a.nc", "hdf5": "a.h5", "zarr": "a.zarr"}[form]
    if form == "zarr":
        data.to_zarr(path, encoding={"rain": packing}, consolidated=False)
    else:
        data.to_netcdf(path, engine="scipy" if form == "netcdf3" else "h5netcdf", encoding={"rain": packing})
    found = ArrayVideos(path, "THW", frame_rate_hz=1).read(0, range(2), (2, 2))[:, 0]
    low, high = valid
    expected = np.where((fields < low) | (fields > high), np.float32(np.nan), fields)
    torch.testing.assert_close(found, torch.from_numpy(expected), equal_nan=True, rtol=0, atol=1e-4)


def test_unsigned_numbers_have_unsigned_bounds(tmp_path):
    stored = np.array([0, 100, -6, -3], np.int16).reshape(1, 2, 2)
    facts = {"_Unsigned": "true", "valid_range": np.int16([0, -6]), "scale_factor": 0.5}
    xarray.Dataset({"seen": (("time", "y", "x"), stored, facts)}).to_netcdf(tmp_path / "a.nc", engine="h5netcdf")
    found = ArrayVideos(tmp_path / "a.nc", "THW", frame_rate_hz=1).read(0, [0], (2, 2))
    expected = torch.tensor([[[[0, 50], [32765, torch.nan]]]])
    torch.testing.assert_close(found, expected, equal_nan=True)


def test_quantities_and_levels_of_grib_are_named_and_one_time_is_a_frame(tmp_path):
    rain, warm, cold = (np.full((H, W), value, np.float32) for value in (1.0, 300.0, 200.0))
    noon, t = datetime(2024, 5, 1, 12), {"shortName": "t", "typeOfLevel": "isobaricInhPa"}
    path = tmp_path / "scan.grib2"
    parts = [
        message(rain, noon, shortName="tp"),
        *(message(f, noon, **t, level=n) for f, n in ((warm, 850), (cold, 500))),
    ]
    path.write_bytes(b"".join(parts))
    for name, value, unit in (("tp", 1.0, None), ("t@850", 300.0, "K"), ("t@500", 200.0, "K")):
        found = open_array(path, name)
        assert found.shape == (H, W) and found.axes == "HW" and (found.read((slice(None), slice(None))) == value).all()
        assert unit in (None, found.unit)
    with pytest.raises(VideoError, match="t@500, t@850, tp"):
        open_array(path)
    path.write_bytes(parts[0] + parts[0])
    with pytest.raises(VideoError, match="tp several times for 2024-05-01 12:00:00"):
        open_array(path)
    path.write_bytes(parts[0] + message(rain[:3], noon.replace(hour=13), shortName="tp"))
    with pytest.raises(VideoError, match="different grids"):
        open_array(path)
    path.write_bytes(parts[0] + b"junk" * 9)
    with pytest.raises(VideoError, match="no GRIB message at byte"):
        open_array(path)


def test_variables_become_channels(tmp_path):
    data = dataset()
    data.assign(cloud=data["rain"] + 1).to_netcdf(tmp_path / "a.nc", engine="h5netcdf")
    with pytest.raises(VideoError, match="cloud, rain"):
        len(ArrayVideos(tmp_path))
    videos = ArrayVideos(tmp_path, variable=["rain", "cloud"])
    found = videos.read(0, [1], (H, W))
    assert found.shape == (1, 2, H, W) and torch.equal(found[0, 1], torch.from_numpy(FIELDS[1] + 1))


def test_clips_are_read_by_the_times_of_the_file(tmp_path):
    netcdf4(tmp_path)
    videos = ArrayVideos(tmp_path)
    data = VideoClips(train=videos, val=videos, num_frames=3, size=8, channels=1, frame_rate_hz=1 / 1800)
    data.setup()
    assert torch.equal(
        data.val_clips[0]["video"][1].nan_to_num(), videos.read(0, [2], (8, 8))[0, ..., 1:9].nan_to_num()
    )


def test_only_what_is_asked_for_is_read(tmp_path):
    zarr_alone(tmp_path)
    for chunk in (tmp_path / "a.zarr" / "c").iterdir():
        if chunk.name != "1":
            for file in chunk.rglob("*"):
                if file.is_file():
                    file.write_bytes(b"damaged")
    videos = ArrayVideos(tmp_path)
    assert torch.equal(videos.read(0, [2, 3], (H, W)).nan_to_num(), torch.from_numpy(FIELDS[2:4, None]).nan_to_num())
    with pytest.raises(VideoError, match="zarr"):
        videos.read(0, [5], (H, W))


def test_names_of_axes_and_times():
    assert axes_from_names(["time", "band", "y", "x"]) == "TCHW"
    assert axes_from_names(["time", "y", "y", "x"]) is None and axes_from_names(["time", "what"]) is None
    assert seconds_of(np.array(["2024-01-01T00:00", "2024-01-01T00:05"], "M8[s]")).tolist() == [0, 300]
    assert seconds_of(np.array([3, 4]), b"minutes since 1970-01-01").tolist() == [0, 60]
    assert seconds_of(np.array([2.0, 1.0])) is None and seconds_of(np.array([1, 2]), "metres") is None
    assert seconds_of_names(["radar_2024-05-01T12:00.h5", "radar_2024-05-01T12:10.h5"]).tolist() == [0, 600]
    assert seconds_of_names(["a", "b"]) is None and seconds_of_names(["99999999-9999", "b"]) is None


def test_a_package_that_is_not_there_is_named(monkeypatch, tmp_path):
    zarr_alone(tmp_path)
    monkeypatch.setitem(__import__("sys").modules, "zarr", None)
    with pytest.raises(ModuleNotFoundError, match=r"mcvd\[fields\]"):
        open_array(tmp_path / "a.zarr")
