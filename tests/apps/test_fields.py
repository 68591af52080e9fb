"""The commands with a model of values: files in, files out in the same format, pictures with a legend, scores."""

import json
import tempfile
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from reference.tiny import pixels, tiny_config, tiny_model

import mcvd
from mcvd.apps.cli.main import main
from mcvd.data import ArrayVideos
from mcvd.video.arrays.reader import FieldReader, holds_values
from mcvd.video.arrays.write import WRITTEN, FieldFacts, write_fields
from mcvd.video.open import open_video

for package in ("xarray", "zarr", "tifffile"):
    pytest.importorskip(package, reason="fields are an extra")

SIDE = 8
RAIN = np.random.default_rng(0).gamma(0.5, 4, (9, SIDE, SIDE)).astype(np.float32)
RAIN[:, :2, 1] = np.nan
FAST = ["--steps", "1", "--device", "cpu"]


def saved(folder, channels=1, missing="nan", **scale):
    torch.manual_seed(0)
    codec = {"low": 0.0, "high": 100.0, "transform": "log", "unit": "mm/h", "missing": missing} | scale
    config = tiny_config(past=2, current=3, future=2, channels=channels) | {"size": [SIDE, SIDE]}
    model = mcvd.build(config | {"codec": {"class_path": "mcvd.models.codecs.Scale", "init_args": codec}})
    model.frame_rate_hz = 1 / 300
    model.save_pretrained(folder)
    return str(folder)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return saved(tmp_path_factory.mktemp("models") / "rain")


def put(path, values=RAIN, times=True, missing=None):
    """A file of values (T, H, W), NaN where missing, or that number."""
    values = values if missing is None else np.nan_to_num(values, nan=missing)
    seconds = 300.0 * np.arange(len(values)) if times else None
    video = torch.from_numpy(values)[:, None]
    write_fields(path, [[video]], FieldFacts((1, *video.shape), unit="mm/h", missing=missing, times_seconds=seconds))
    return str(path)


def read(path, **options):
    with FieldReader(path, **options) as reader:
        return reader.read(range(reader.num_frames))


@pytest.mark.parametrize("ending", WRITTEN)
def test_a_forecast_has_the_format_and_the_unit_of_what_was_given(ending, model, tmp_path):
    video, out = put(tmp_path / f"rain{ending}"), tmp_path / f"forecast{ending}"
    assert main(["predict", video, "--model", model, "--num-frames", "4", "--out", str(out), *FAST]) == 0
    found = read(out)
    assert found.shape == (6, 1, SIDE, SIDE) and found.dtype == torch.float32
    assert torch.equal(found[:2].nan_to_num(-1), torch.from_numpy(RAIN[-2:, None]).nan_to_num(-1))
    known = found[2:][~found[2:].isnan()]
    assert known.numel() and known.min() >= 0 and known.max() <= 100
    if ending not in (".npy", ".tif", ".tiff"):
        with FieldReader(out) as reader:
            assert reader.times_seconds == pytest.approx(300.0 * np.arange(6))


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_what_is_written_is_read_again(data):
    ending = data.draw(st.sampled_from(WRITTEN))
    several = 1 if ending in (".tif", ".tiff") else data.draw(st.integers(1, 3))
    shape = (several, data.draw(st.integers(1, 4)), data.draw(st.integers(1, 3)), 3, 4)
    missing = data.draw(st.sampled_from([None, -999.0, float("nan")]))
    values = data.draw(st.lists(st.floats(-1e6, 1e6, width=32), min_size=6, max_size=6))
    video = torch.tensor(np.resize(np.float32(values), shape))
    hole = torch.from_numpy(np.resize([True, False, False, False, False], shape))
    if missing is not None:
        video = torch.where(hole, missing, torch.where(video == missing, 0.0, video))
    step = data.draw(st.integers(1, 4))
    facts = FieldFacts(shape, unit="K", missing=missing, times_seconds=60.0 * np.arange(shape[1]))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"a{ending}"
        write_fields(path, [one.split(step) for one in video], facts)
        told = missing if ending in (".npy", ".npz") else None  # the others say so themselves
        videos = ArrayVideos(path, facts.axes, missing=told)
        assert len(videos) == several and videos.channels == shape[2]
        expected = video if missing is None else torch.where(hole, torch.nan, video)
        for number in range(several):
            found = videos.read(number, range(shape[1]), (3, 4))
            torch.testing.assert_close(found, expected[number], equal_nan=True, rtol=0, atol=0)


def test_a_number_that_stands_for_missing_stays_it(tmp_path):
    model, video = saved(tmp_path / "model", missing=-999.0), put(tmp_path / "rain.nc", missing=-999.0)
    out = tmp_path / "out.nc"
    assert main(["predict", video, "--model", model, "--num-frames", "2", "--out", str(out), *FAST]) == 0
    h5py = pytest.importorskip("h5py")
    with h5py.File(out) as file:
        assert file["values"].attrs["_FillValue"].item() == -999 and (file["values"][:2] == -999).sum() == 4
        assert file["values"].attrs["units"] == "mm/h"
    assert read(out)[:2].isnan().sum() == 4


def test_a_number_that_stands_for_missing_enters_no_mean(tmp_path):
    """As archives have it that declare nothing: 255, or -3, in fields larger than those of the model."""
    large = np.repeat(np.repeat(RAIN, 2, 1), 2, 2)
    large[:, 0, 0] = np.nan
    np.save(tmp_path / "large.npy", np.nan_to_num(large, nan=-3))
    model, out = saved(tmp_path / "model", missing=-3.0), tmp_path / "out.npy"
    words = ["predict", str(tmp_path / "large.npy"), "--model", model, "--num-frames", "1", "--out", str(out)]
    assert main([*words, *FAST]) == 0
    np.testing.assert_allclose(np.load(out)[:2], np.nan_to_num(RAIN[-2:], nan=-3), rtol=1e-6)


def test_backward_interpolate_and_generate(model, tmp_path):
    video, out = put(tmp_path / "rain.zarr"), str(tmp_path / "out.npy")
    words = ["--model", model, "--out", out, *FAST]
    assert main(["predict", video, "--num-frames", "4", "--backward", "--only-new", *words]) == 0
    assert np.load(out).shape == (4, SIDE, SIDE)
    assert main(["interpolate", video, "--gap", "4:6", *words]) == 0
    found = np.load(out)
    assert found.shape == (9, SIDE, SIDE) and np.array_equal(found[[0, 8]], RAIN[[0, 8]], equal_nan=True)
    assert main(["generate", "--num-frames", "3", "--num-samples", "2", *words]) == 0
    assert np.load(out).shape == (2, 3, SIDE, SIDE)
    assert main(["upsample", video, "--factor", "2", *words, "--gallery"]) == 0
    assert np.array_equal(np.load(out)[::2], RAIN, equal_nan=True) and "Colours" in (tmp_path / "out.html").read_text()
    known = str(tmp_path / "known.npy")
    np.save(known, RAIN[0])
    assert main(["generate", "--num-frames", "3", "--keyframe", f"1={known}", "--known-by", "replacement", *words]) == 0
    assert np.allclose(np.load(out)[1], RAIN[0], rtol=1e-4, atol=1e-4, equal_nan=True)


def test_a_folder_of_samples_a_page_and_their_spread(model, tmp_path, capsys):
    video, out, spread = put(tmp_path / "rain.nc"), tmp_path / "samples", tmp_path / "spread.gif"
    words = ["predict", video, "--model", model, "--num-frames", "3", "--at", "4", "--num-samples", "3", "--gallery"]
    assert main([*words, "--out", str(out), "--uncertainty", str(spread), *FAST]) == 0
    assert sorted(path.name for path in out.iterdir()) == ["index.html", *(f"sample-{k}.nc" for k in range(3))]
    page, said = (out / "index.html").read_text(), capsys.readouterr().err
    assert "Colours: mm/h" in page and "mean absolute error in mm/h" in page and "grey levels" not in page
    assert "mm/h) and samples" in said and mcvd.read_video(spread).shape[0] == 5


@pytest.mark.parametrize("ending", [".mp4", ".gif", ".png"])
def test_films_of_values_have_a_legend_and_play(ending, model, tmp_path):
    video, out = put(tmp_path / "rain.npy"), tmp_path / f"film{ending}"
    assert main(["predict", video, "--model", model, "--num-frames", "2", "--out", str(out), *FAST]) == 0
    if ending == ".png":
        assert Image.open(out).width > 5 * 160  # two frames, two more, and the legend
        return
    with open_video(out) as reader:
        assert reader.size[0] == 160 and reader.size[1] == 160 + 96 and reader.frame_rate_hz == pytest.approx(10)


def test_channels_to_look_at_are_chosen(tmp_path, capsys):
    model = saved(tmp_path / "model", channels=4, missing=None)
    video = str(tmp_path / "bands.npy")
    np.save(video, np.nan_to_num(np.stack([RAIN, RAIN / 2, RAIN[::-1], 0 * RAIN], 1)))
    films = []
    for number, show in enumerate(([], ["--show", "1"], ["--show", "2,1,0"])):
        films.append(tmp_path / f"{number}.gif")
        words = ["predict", video, "--model", model, "--num-frames", "1", "--out", str(films[-1]), *show, *FAST]
        assert main(words) == 0
    assert len({film.read_bytes() for film in films}) == 3
    words = ["predict", video, "--model", model, "--num-frames", "1", "--out", str(tmp_path / "o.gif"), *FAST]
    for show, message in (("4", "each 0 to 3"), ("1,2", "one channel or three")):
        assert main([*words, "--show", show]) == 2
        assert message in capsys.readouterr().err


def test_evaluate_scores_values_beside_persistence_and_advection(model, tmp_path):
    pytest.importorskip("cv2", reason="fields are an extra")
    np.save(tmp_path / "rain.npy", np.tile(RAIN, (1, 2, 2)))
    options = f"{{root: {tmp_path / 'rain.npy'}, frame_rate_hz: 0.00333333}}"
    videos = f"{{class_path: mcvd.data.ArrayVideos, init_args: {options}}}"
    (tmp_path / "data.yaml").write_text(f"data: {{train: {videos}, val: {videos}}}\n")
    out = tmp_path / "result.json"
    words = ["evaluate", "--model", model, "--config", str(tmp_path / "data.yaml"), "--out", str(out), "--advection"]
    words += ["--num-frames", "3", "--num-samples", "2", "--rate", "0.00333333", "--threshold", "1"]
    assert main([*words, "--show", "1", *FAST]) == 2 and not out.exists()
    assert main([*words, "--show", "0", *FAST]) == 0
    found = json.loads(out.read_text())
    text = json.dumps(found)
    assert "mm/h" in text and "NaN" not in text and "psnr" not in text
    page = out.with_suffix(".html").read_text()
    for words in ("advection by optical flow", "last frame repeated", "MAE", "CRPS", "1 mm/h or more", "Colours: mm/h"):
        assert words in page
    assert "grey levels" not in page and "PSNR" not in page


def test_what_does_not_fit_is_one_line(model, tmp_path, capsys):
    film, video = str(tmp_path / "film.gif"), put(tmp_path / "rain.nc")
    mcvd.write_video(film, pixels(4, 1, SIDE, SIDE), fps=5)
    tiny_model(channels=1).save_pretrained(tmp_path / "pixels")
    (tmp_path / "cut.nc").write_bytes((tmp_path / "rain.nc").read_bytes()[:900])
    np.save(tmp_path / "many.npy", np.stack([RAIN] * 3)[:, :, None])
    np.save(tmp_path / "bands.npy", np.stack([RAIN] * 2, 1))
    out = str(tmp_path / "out.npy")

    def said(video, *more, model=model, out=out, status=2):
        command = ["predict", str(video), "--model", model, "--num-frames", "1", "--out", out, *more, *FAST]
        assert main(command) == status
        lines = capsys.readouterr().err.strip().splitlines()
        assert len(lines) == 1
        return lines[0]

    assert "holds values" in said(video, model=str(tmp_path / "pixels"))
    assert "cut.nc" in said(tmp_path / "cut.nc", status=1)
    assert "no array 'snow'" in said(video, "--variable", "snow", status=1)
    assert "sequences 0 to 2" in said(tmp_path / "many.npy", status=1)
    assert "0 to 2, not 7" in said(tmp_path / "many.npy", "--sequence", "7", status=1)
    assert "2 channels" in said(tmp_path / "bands.npy")
    assert "letters of" in said(video, "--axes", "TX")
    assert ".zarr" in said(video, out=str(tmp_path / "out.csv"))
    assert "--show" in said(film, "--show", "0,1")
    (tmp_path / "there.zarr").mkdir()
    (tmp_path / "there.zarr" / "x").touch()
    assert "not empty" in said(video, out=str(tmp_path / "there.zarr"), status=1)
    assert not (tmp_path / "out.npy").exists()


def test_one_of_several_sequences(model, tmp_path):
    np.save(tmp_path / "many.npy", np.stack([RAIN, RAIN + 1]))
    words = ["predict", str(tmp_path / "many.npy"), "--axes", "NTHW", "--sequence", "1", "--model", model]
    assert main([*words, "--num-frames", "1", "--out", str(tmp_path / "out.npy"), *FAST]) == 0
    assert np.array_equal(np.load(tmp_path / "out.npy")[:2], RAIN[-2:] + 1, equal_nan=True)


def test_what_holds_values_is_told_by_name_and_content(tmp_path):
    tifffile = pytest.importorskip("tifffile")
    tifffile.imwrite(tmp_path / "float.tif", RAIN)
    tifffile.imwrite(tmp_path / "grey.tif", np.nan_to_num(RAIN).astype(np.uint8))
    Image.fromarray(np.nan_to_num(RAIN[0]).astype(np.uint8)).save(tmp_path / "8.png")
    Image.fromarray((1000 * np.nan_to_num(RAIN[0])).astype(np.uint16)).save(tmp_path / "16.png")
    told = {
        name: holds_values(tmp_path / name) for name in ("float.tif", "grey.tif", "8.png", "16.png", "a.npy", "a.mp4")
    }
    assert told == {"float.tif": True, "grey.tif": False, "8.png": False, "16.png": True, "a.npy": True, "a.mp4": False}
    for name in ("16.png", "8.png"):
        (tmp_path / f"of_{name}").mkdir()
        (tmp_path / name).rename(tmp_path / f"of_{name}" / "0.png")
    assert holds_values(tmp_path / "of_16.png") and not holds_values(tmp_path / "of_8.png")
