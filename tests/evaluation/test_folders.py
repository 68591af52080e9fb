"""Distances between two folders of videos."""

import hashlib
import json
from dataclasses import replace

import pytest
import torch

from mcvd.evaluation import folders as fvd_folders
from mcvd.evaluation.folders import compare_folders, format_distance
from mcvd.metrics import i3d_weights
from mcvd.metrics.fvd import random_i3d_distance
from mcvd.metrics.i3d import random_i3d
from mcvd.metrics.i3d_weights import KINETICS
from mcvd.video.write import write_video

pytestmark = pytest.mark.filterwarnings("ignore:only .* videos")
NUM_FRAMES = 10


def clips(num, seed, num_frames=NUM_FRAMES, size=(32, 32)):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (num, num_frames, 3, *size), generator=generator, dtype=torch.uint8)


def write_frames(folder, videos):
    """As folders of pictures: exact."""
    for number, video in enumerate(videos):
        for frame, picture in enumerate(video):
            path = folder / f"video-{number}" / f"{frame:03}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            save_png(path, picture)
    return folder


def save_png(path, picture):
    from PIL import Image

    Image.fromarray(picture.permute(1, 2, 0).numpy()).save(path)


@pytest.fixture
def small_frames(monkeypatch):
    """The network sees 32 x 32 pixels, for speed."""
    monkeypatch.setattr(fvd_folders, "INPUT_SIZE", 32)


def test_distance_of_folders_is_that_of_their_videos(tmp_path, small_frames):
    real, fake = clips(2, 0, num_frames=12), clips(3, 1) // 2  # a longer video counts with its first frames
    result = compare_folders(
        write_frames(tmp_path / "real", real), write_frames(tmp_path / "fake", fake), num_frames=10, random_seed=3
    )
    assert result.value == pytest.approx(random_i3d_distance(real[:, :10], fake, seed=3, size=32).item(), rel=1e-9)
    assert (result.num_real, result.num_fake, result.num_frames) == (2, 3, 10)
    low, high = result.interval_95
    assert low <= result.value <= high
    assert json.loads(json.dumps(result.to_json())) == result.to_json()


def test_random_weights_are_never_called_fvd(tmp_path, small_frames):
    folder = write_frames(tmp_path / "videos", clips(2, 0))
    result = compare_folders(folder, folder, num_frames=10, random_seed=0)
    assert result.name == "random_i3d_distance"
    assert result.value == pytest.approx(0, abs=1e-6)
    text = format_distance(result)
    assert (
        "FVD" not in text and "KVD" not in text and "random, seed 0" in text and "2 real and 2 generated clips" in text
    )


def test_weights_of_unknown_checksum_are_never_called_fvd(tmp_path, small_frames):
    folder = write_frames(tmp_path / "videos", clips(2, 0))
    torch.save(random_i3d(0).state_dict(), tmp_path / "i3d.pt")
    with pytest.raises(ValueError, match="none of the known files"):
        compare_folders(folder, folder, num_frames=10, weights=tmp_path / "i3d.pt")
    result = compare_folders(folder, folder, num_frames=10, weights=tmp_path / "i3d.pt", trust_weights=True)
    assert result.name == "unverified_i3d_distance" and "unknown checksum" in result.weights


def test_every_clip_of_a_video_counts_where_asked(tmp_path, small_frames):
    folder = write_frames(tmp_path / "videos", clips(2, 0, num_frames=25))
    result = compare_folders(folder, folder, num_frames=10, random_seed=0, every_clip=True)
    assert (result.num_real, result.num_fake) == (4, 4)


def test_different_sizes_need_a_common_one(tmp_path, small_frames):
    (tmp_path / "fake").mkdir()
    real = write_frames(tmp_path / "real", clips(2, 0, size=(48, 64)))
    (real / "frames.yaml").write_text("frame_rate_hz: 25")
    for number, video in enumerate(clips(2, 1)):
        write_video(tmp_path / "fake" / f"{number}.mp4", video, fps=10)
    with pytest.raises(ValueError, match=r"48x64 pixels, those of .* 32x32: .*--size"):
        compare_folders(real, tmp_path / "fake", num_frames=10, random_seed=0)
    with pytest.warns(UserWarning, match=r"25 frames a second, those of .*fake 10: .*--rate"):
        result = compare_folders(real, tmp_path / "fake", num_frames=10, random_seed=0, size=32)
        wide = compare_folders(real, tmp_path / "fake", num_frames=10, random_seed=0, size=(16, 32))
    assert result.sizes == (("32x32",), ("32x32",)) and result.rates_of_files_hz == (25, pytest.approx(10))
    assert wide.sizes == (("16x32",), ("16x32",))


def test_different_sizes_in_one_folder_need_a_common_one_too(tmp_path, small_frames):
    folder = write_frames(tmp_path / "videos", clips(2, 0))
    write_video(folder / "wide.mp4", clips(1, 1, size=(32, 48))[0], fps=25)
    with pytest.raises(ValueError, match=r"videos has videos of 32x32 and 32x48 pixels: .*--size"):
        compare_folders(folder, folder, num_frames=10, random_seed=0)


def test_too_few_clips_are_told_before_any_is_scored(tmp_path):
    folder = write_frames(tmp_path / "videos", clips(1, 0, num_frames=25))
    with pytest.raises(ValueError, match=r"videos gives 1: .*--every-clip"):
        compare_folders(folder, folder, num_frames=10, random_seed=0)


def test_weights_and_random_ones_exclude_each_other(tmp_path):
    with pytest.raises(ValueError, match="one network at a time"):
        compare_folders(tmp_path, tmp_path, weights="a.pt", random_seed=0)


def test_the_original_kinetics_release_has_a_name_of_its_own(tmp_path, small_frames, monkeypatch):
    folder = write_frames(tmp_path / "videos", clips(2, 0))
    path = tmp_path / "rgb_imagenet.pt"
    torch.save(random_i3d(0).state_dict(), path)
    digest = f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}"
    ours = replace(KINETICS, digest=digest, num_bytes=path.stat().st_size)
    monkeypatch.setattr(i3d_weights, "KNOWN_FILES", (ours,))
    monkeypatch.setattr(i3d_weights, "KINETICS", ours)
    result = compare_folders(folder, folder, num_frames=10, kinetics_i3d=path)
    assert result.name == "kinetics_i3d_distance" and "original Kinetics release" in result.weights
    assert "FVD" not in format_distance(result)
    with pytest.raises(ValueError, match="another network than that of FVD"):
        compare_folders(folder, folder, num_frames=10, weights=path)


def test_absence_of_weights_is_told_before_any_video_is_read(tmp_path):
    folder = write_frames(tmp_path / "clips", clips(2, seed=0))
    with pytest.raises(FileNotFoundError, match="no file of I3D weights at"):
        compare_folders(folder, folder, num_frames=NUM_FRAMES, weights=tmp_path / "i3d.pt")
