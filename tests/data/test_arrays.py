"""Arrays of numbers as videos: every format against the library's own reading, units, missing values, bad files."""

import numpy as np
import pytest
import torch
from reference.tiny import tiny_config

import mcvd
from mcvd.apps.cli.main import main
from mcvd.data import ArrayVideos, RainFields, VideoClips
from mcvd.data.clips.augment import AppliedAugmentation
from mcvd.data.recipe import data_from_recipe
from mcvd.data.value_range import describe_values, legend_of_values, pictures_of_values
from mcvd.video.decoders.base import VideoError

h5py = pytest.importorskip("h5py", reason="HDF5 and NetCDF-4 are an extra")

FIELDS = np.random.default_rng(0).gamma(0.5, 4, (3, 12, 8, 10)).astype(np.float32)  # N T H W
FIELDS[1, :, 2:4, 3] = np.nan


def write_npy(path):
    np.save(path / "rain.npy", FIELDS)


def write_npz(path):
    np.savez_compressed(path / "rain.npz", rain=FIELDS, quality=np.zeros(3))


def write_hdf5(path):
    with h5py.File(path / "rain.h5", "w") as file:
        file.create_dataset("radar/rain", data=FIELDS, chunks=(1, 4, 8, 10), compression="gzip")
        file["seen"] = np.zeros(3)


def write_packed_netcdf(path):
    """Whole numbers with a scale, as NetCDF packs them."""
    with h5py.File(path / "rain.nc", "w") as file:
        packed = file.create_dataset(
            "rain", data=np.where(np.isnan(FIELDS), -1, np.round(FIELDS * 100)).astype(np.int16)
        )
        packed.attrs["scale_factor"], packed.attrs["add_offset"], packed.attrs["_FillValue"] = 0.01, 5.0, np.int16(-1)


@pytest.mark.parametrize("write", [write_npy, write_npz, write_hdf5, write_packed_netcdf])
def test_every_format_gives_the_values_of_its_library(write, tmp_path):
    write(tmp_path)
    videos = ArrayVideos(tmp_path, "NTHW", frame_rate_hz=1 / 300)
    assert len(videos) == 3 and videos.channels == 1 and videos.times_seconds(0)[1] == pytest.approx(300)
    found = videos.read(1, [5, 2, 2], (8, 10))
    expected = torch.from_numpy(FIELDS[1, [5, 2, 2]])[:, None]
    if write is write_packed_netcdf:
        expected = (100 * expected).round() / 100 + 5
    torch.testing.assert_close(found, expected, equal_nan=True, rtol=1e-6, atol=1e-6)
    assert found.dtype == torch.float32 and "[1]" in videos.name(1)


@pytest.mark.parametrize(("axes", "order"), [("NHWT", (0, 2, 3, 1)), ("HWTN", (2, 3, 1, 0)), ("TNHW", (1, 0, 2, 3))])
def test_axes_may_lie_in_any_order(axes, order, tmp_path):
    np.save(tmp_path / "rain.npy", np.ascontiguousarray(FIELDS.transpose(order)))
    found = ArrayVideos(tmp_path / "rain.npy", axes).read(2, range(12), (8, 10))
    assert torch.equal(found[:, 0], torch.from_numpy(FIELDS[2]))


def test_channels_and_a_folder_of_sequences(tmp_path):
    for number in range(2):
        np.save(tmp_path / f"{number}.npy", np.stack([FIELDS[number]] * 5, -1).astype(np.float16))  # T H W C
    videos = ArrayVideos(tmp_path, "THWC", missing=float(np.float16(FIELDS[0, 0, 0, 0])))
    assert len(videos) == 2 and videos.channels == 5 and videos.name(1) == "1.npy"
    found = videos.read(0, [0], (8, 10))
    assert found.shape == (1, 5, 8, 10) and found[0, :, 0, 0].isnan().all()


def test_smaller_fields_are_means_of_what_is_known(tmp_path):
    field = np.array([[[1, 3, np.nan, np.nan], [1, 3, np.nan, 8]]], np.float32)
    np.save(tmp_path / "a.npy", field)
    found = ArrayVideos(tmp_path).read(0, [0], (1, 2))
    assert found.flatten().tolist() == [2, 8]
    assert ArrayVideos(tmp_path).read(0, [0], (4, 8)).isnan().float().mean() == 3 / 8


@pytest.mark.parametrize("context", ["fork", "spawn"])
def test_clips_of_fields_come_from_worker_processes(context, tmp_path):
    write_hdf5(tmp_path)
    videos = ArrayVideos(tmp_path, "NTHW", variable="radar/rain", frame_rate_hz=1 / 300)
    data = VideoClips(train=videos, val=videos, num_frames=4, size=8, channels=1, num_workers=0)
    data.setup()
    alone = [data.val_clips[i]["video"] for i in range(3)]
    loader = torch.utils.data.DataLoader(
        data.val_clips, batch_size=None, num_workers=1, multiprocessing_context=context
    )
    for mine, theirs in zip(alone, loader, strict=False):
        assert mine.shape == (4, 1, 8, 8) and mine.dtype == torch.float32
        torch.testing.assert_close(theirs["video"], mine, equal_nan=True)


def test_a_training_on_fields_runs_with_missing_values(tmp_path):
    write_npy(tmp_path)
    videos = ArrayVideos(tmp_path / "rain.npy", "NTHW", frame_rate_hz=1 / 300)
    data = VideoClips(train=videos, val=videos, num_frames=7, size=8, channels=1, batch_size=3)
    data.setup()
    batch = torch.stack([data.val_clips[i]["video"] for i in range(3)])
    scale = {"class_path": "mcvd.models.codecs.Scale", "init_args": {"low": 0, "high": 60, "missing": "nan"}}
    model = mcvd.build(tiny_config() | {"size": [8, 8], "codec": scale})
    model.loss(batch).mean().backward()
    assert all(torch.isfinite(each.grad).all() for each in model.parameters() if each.grad is not None)


def broken(path):
    (path / "a.npy").write_bytes(b"\x93NUMPY\x01\x00")


def cut(path):
    write_npz(path)
    (path / "rain.npz").write_bytes((path / "rain.npz").read_bytes()[:200])


def no_hdf5(path):
    (path / "a.h5").write_bytes(b"nothing")


def other_axes(path):
    np.save(path / "a.npy", np.zeros(3))


def words(path):
    np.save(path / "a.npy", np.array([[["a"]]]))


def objects(path):
    np.save(path / "a.npy", np.array([[[{}]]]), allow_pickle=True)


def several(path):
    np.savez(path / "a.npz", one=np.zeros((1, 2, 3)), two=np.zeros((1, 2, 3)))


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (broken, "a.npy"), (cut, "rain.npz"), (no_hdf5, "a.h5"), (other_axes, "option axes"), (words, "numbers"),
        (objects, "a.npy"), (several, "one, two"),
    ],
)  # fmt: skip
def test_what_is_no_array_of_fields_is_one_line(write, message, tmp_path):
    write(tmp_path)
    with pytest.raises(VideoError, match=message) as fault:
        len(ArrayVideos(tmp_path))
    assert "\n" not in str(fault.value)


def test_options_that_cannot_be_are_refused(tmp_path):
    for axes in ("THW" * 2, "TH", "THWX", ""):
        with pytest.raises(ValueError, match="axes"):
            ArrayVideos(tmp_path, axes)
    with pytest.raises(ValueError, match="frame_rate_hz"):
        ArrayVideos(tmp_path, frame_rate_hz=0)
    with pytest.raises(FileNotFoundError, match="no arrays"):
        len(ArrayVideos(tmp_path))
    write_npz(tmp_path)
    with pytest.raises(VideoError, match="no array 'snow': it has quality, rain"):
        len(ArrayVideos(tmp_path, "NTHW", variable="snow"))
    with pytest.raises(ValueError, match="8 bits"):
        AppliedAugmentation(brightness=1.1)(torch.zeros(2, 1, 4, 4))


def test_rain_drifts_and_changes_and_is_the_same_for_a_seed():
    rain = RainFields(3, 20, seed=1)
    field = rain.read(0, range(20), (24, 24))
    assert field.shape == (20, 1, 24, 24) and field.dtype == torch.float32
    assert torch.equal(field[[7, 3]], rain.read(0, [7, 3], (24, 24)))
    assert not torch.equal(field, RainFields(3, 20, seed=2).read(0, range(20), (24, 24)))
    assert field.min() >= 0 and 1 < field.max() < 200 and (field == 0).float().mean() > 0.02
    assert (field.diff(dim=0).abs().mean((1, 2, 3)) > 0).all()


def test_a_recipe_names_fields(tmp_path):
    write_npy(tmp_path)
    recipe = tmp_path / "data.yaml"
    options = f"root: {tmp_path / 'rain.npy'}, axes: NTHW, frame_rate_hz: 0.00333333"
    arrays = f"{{class_path: mcvd.data.ArrayVideos, init_args: {{{options}}}}}"
    rain = "{class_path: mcvd.data.RainFields, init_args: {num_videos: 2, num_frames: 9}}"
    recipe.write_text(f"data:\n  train: {rain}\n  val: {arrays}\n")
    data = data_from_recipe(recipe, num_frames=5, size=8, channels=1)
    data.setup()
    assert data.val_clips[0]["video"].shape == (5, 1, 8, 8)


def test_data_check_measures_the_scale_and_shows_the_fields(tmp_path, capsys):
    write_npy(tmp_path)
    recipe, sheet = tmp_path / "data.yaml", tmp_path / "sheet.png"
    options = f"{{root: {tmp_path / 'rain.npy'}, axes: NTHW, frame_rate_hz: 0.5}}"
    arrays = f"{{class_path: mcvd.data.ArrayVideos, init_args: {options}}}"
    recipe.write_text(f"data: {{train: {arrays}, val: {arrays}, channels: 1}}\n")
    command = ["data", "check", str(recipe), "--num-frames", "5", "--size", "8", "--preview", str(sheet)]
    assert main(command) == 0
    told = capsys.readouterr().out
    assert "values of channel 0: " in told and "missing: " in told and "mcvd.models.codecs.Scale" in told
    assert sheet.is_file()


def test_values_are_told_by_channel_and_pixels_not_at_all():
    clip = torch.stack([torch.arange(64.0).view(1, 8, 8), 100 + torch.arange(64.0).view(1, 8, 8)], 1)
    lines = describe_values([clip])
    assert lines[0].startswith("values of channel 0: 0 to 63") and lines[1].startswith(
        "values of channel 1: 100 to 163"
    )
    assert "low: [0.063, 100.063], high: [62.937, 162.937]}" in lines[2]
    assert describe_values([clip.byte()]) == []
    assert "no value is known" in describe_values([clip * torch.nan])[0]
    assert (pictures_of_values([clip * torch.nan])[0] == 128).all()
    first, last = pictures_of_values([clip])[0].flatten(2)[0].T[[0, -1]].tolist()
    assert (first, last) == ([68, 1, 84], [253, 231, 37])
    legend = legend_of_values([clip])
    assert legend.title == "channel 0" and [text for _, text in legend.ticks] == ["0", "15.8", "31.5", "47.2", "63"]
    assert legend_of_values([clip.byte()]) is None and legend_of_values([clip[:, :1] * torch.nan]).has_missing


def test_a_model_of_pixels_refuses_values_and_says_what_it_needs():
    with pytest.raises(ValueError, match=r"needs a scale, model\.codec"):
        mcvd.build(tiny_config()).loss(torch.zeros(1, 7, 1, 16, 16))


def test_infinite_values_are_told_with_the_scale_that_takes_them():
    clip = torch.linspace(0, 1, 2 * 64).view(2, 1, 8, 8)
    clip[0, 0, 0, :2] = torch.tensor([torch.inf, -torch.inf])
    told = describe_values([clip])
    assert "warning: 1.6% of the values are infinite" in told[1] and "missing: nan" in told[2]
    assert not any("missing: " in line for line in describe_values([clip.nan_to_num(0, 0, 0)]))
