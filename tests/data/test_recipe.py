"""From a data.yaml, or from folders, to the data of a model."""

import os
from pathlib import Path

import pytest
import yaml
from reference.grey_videos import write_video

from mcvd.data import DrivingScenes
from mcvd.data.recipe import data_from_recipe

DATASETS = Path(__file__).parents[2] / "datasets"


def test_what_is_given_goes_before_the_recipe_and_none_is_not_given():
    recipe = DATASETS / "driving_scenes/data.yaml"
    data = data_from_recipe(recipe, num_frames=5, size=(16, 24), frame_rate_hz=None, batch_size=3)
    assert isinstance(data.train_videos, DrivingScenes) and data.val_videos.seed == 1
    assert (data.spec.num_frames, data.spec.size, data.spec.frame_rate_hz, data.batch_size) == (5, (16, 24), 10, 3)


def test_folders_are_enough_and_one_for_validation_alone_is_not_split(tmp_path):
    for number in range(3):
        write_video(tmp_path / f"{number}.mp4")
    split, full = data_from_recipe(root=str(tmp_path), size=16), data_from_recipe(val_root=str(tmp_path), size=16)
    for data in (split, full):
        data.setup()
    assert (len(split.val_clips.videos), len(full.val_clips.videos)) == (1, 3)


@pytest.mark.parametrize(
    ("content", "fault"),
    [("model: {}", "no section data:"), ("data: []", "no section data:"), ("data: {sice: 3}", "sice")],
)
def test_what_is_no_recipe_is_named_in_one_line(tmp_path, content, fault):
    file = tmp_path / "data.yaml"
    file.write_text(content)
    with pytest.raises(ValueError, match=fault) as refused:
        data_from_recipe(file)
    assert str(file) in str(refused.value) and "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("augment", "says"),
    [("{max_speed: 0}", "max_speed must be 1 to"), ("{hue: x}", "data.augment.hue: expected a number, got x")],
)
def test_an_argument_of_an_object_is_told_as_any_other(tmp_path, augment, says):
    file = tmp_path / "data.yaml"
    file.write_text(f"data: {{root: videos, augment: {augment}}}")
    with pytest.raises(ValueError, match=says) as refused:
        data_from_recipe(file, num_frames=3)
    assert str(refused.value).startswith(f"{file}: {says}") and "<class" not in str(refused.value)


def test_nothing_named_is_refused():
    with pytest.raises(ValueError, match="name the videos"):
        data_from_recipe()


def held(path):
    return {"train": {"class_path": "mcvd.data.InMemoryVideos", "init_args": {"videos": {"class_path": path}}}}


@pytest.mark.parametrize(
    "data",
    [
        {"train": "mcvd.runtime.atomic.os.getcwd"},
        {"val": {"class_path": "os.getcwd"}},
        held("mcvd.runtime.atomic.os.getcwd"),
        held("mcvd.nets.UNet"),
        {"augment": "os.getcwd"},
    ],
    ids=str,
)
def test_a_recipe_of_somebody_else_makes_collections_of_mcvd_alone(data, tmp_path, monkeypatch):
    file = tmp_path / "data.yaml"
    file.write_text(yaml.safe_dump({"data": data}))
    called = []
    monkeypatch.setattr(os, "getcwd", lambda: called.append(1) or "/")
    with pytest.raises(ValueError, match=r"data\.yaml: data\..*only classes of mcvd"):
        data_from_recipe(file)
    assert not called


def test_a_collection_of_ones_own_is_made_with_trust(tmp_path):
    file = tmp_path / "data.yaml"
    file.write_text(yaml.safe_dump({"data": {"train": {"class_path": "reference.own_videos.Squares"}}}))
    with pytest.raises(ValueError, match=r"--trust reference\.own_videos"):
        data_from_recipe(file)
    assert len(data_from_recipe(file, trust=["reference.own_videos"]).train_videos) == 3


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("size", None), ("size", [1 << 40, 16]), ("size", 1 << 20), ("size", -1), ("num_frames", 1 << 40),
        ("frame_rate_hz", float("nan")), ("frame_rate_hz", 1e300), ("stride", 1 << 40), ("channels", 1 << 40),
    ],
)  # fmt: skip
def test_sizes_rates_and_counts_of_a_recipe_are_bounded(name, value, tmp_path):
    file = tmp_path / "data.yaml"
    file.write_text(yaml.safe_dump({"data": {"root": "videos", name: value}}))
    with pytest.raises(ValueError, match=name):
        data_from_recipe(file)


@pytest.mark.parametrize(
    "arguments", [{"num_videos": 1 << 40}, {"num_frames": 1 << 40}, {"frame_rate_hz": float("nan")}, {"seed": 1 << 70}]
)
def test_and_so_are_those_of_a_collection(arguments):
    with pytest.raises(ValueError, match=next(iter(arguments))):
        DrivingScenes(**arguments)
