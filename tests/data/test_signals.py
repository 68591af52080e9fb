"""Numbers beside frames: every layout on a miniature of its own, and what is wrong is refused with file and row."""

import json

import numpy as np
import pytest
import torch
from reference.grey_videos import write_frames, write_video

from mcvd.data.check import check_data
from mcvd.data.sources.concat import ConcatVideos
from mcvd.data.sources.folder import VideoFolder
from mcvd.data.sources.in_memory import InMemoryVideos
from mcvd.data.sources.split import VideoSubset
from mcvd.data.video_clips import VideoClips
from mcvd.data.videos import SignalsError
from mcvd.runtime.columns import check_columns

NUM_FRAMES = 12


def table(path, columns, names=None, num_rows=NUM_FRAMES):
    """A table whose row n holds n, n + 100, ... in its columns."""
    head = [*(["frame"] if names else []), *columns]
    rows = [[*([names[n]] if names else []), *(n + 100 * c for c in range(len(columns)))] for n in range(num_rows)]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(",".join(map(str, row)) for row in [head, *rows]) + "\n")


@pytest.fixture
def film(tmp_path):
    write_video(tmp_path / "film.mp4")
    table(tmp_path / "film.csv", ["steering", "throttle"])
    return tmp_path


def frames_named(folder, pattern):
    """Frames as another program names them; their names in order."""
    write_frames(folder, NUM_FRAMES)
    files = sorted(folder.glob("*.png"), key=lambda file: int("".join(filter(str.isdigit, file.stem))))
    return [file.rename(folder / pattern.format(n)).name for n, file in enumerate(files)]


def test_a_table_beside_a_film(film):
    videos = VideoFolder(film)
    assert videos.signal_names(0) == ["steering", "throttle"]
    found = videos.signals(0, ["throttle", "steering"])
    assert found.dtype == np.float32 and found[3].tolist() == [103, 3]


@pytest.mark.parametrize("place", ["drive/actions.csv", "controls.csv"])
def test_rows_name_pictures_in_any_order_in_the_folder_or_above(tmp_path, place):
    names = frames_named(tmp_path / "drive", "{}.png")
    table(tmp_path / place, ["dx"], names)
    lines = (tmp_path / place).read_text().splitlines()
    (tmp_path / place).write_text("\n".join([lines[0], *reversed(lines[1:])]))
    assert VideoFolder(tmp_path).signals(0, ["dx"])[:, 0].tolist() == [*range(NUM_FRAMES)]


def test_a_tub_of_donkeycar(tmp_path):
    names = frames_named(tmp_path / "tub/images", "{}_cam_image_array_.png")
    records = [
        {"_index": n, "cam/image_array": name, "user/angle": n / 10, "user/throttle": 0.5, "user/mode": "user"}
        for n, name in enumerate(names)
    ]
    extra = records[0] | {"cam/image_array": "99_cam_image_array_.png"}  # a picture that was deleted
    text = "\n".join(map(json.dumps, [*records, extra]))
    (tmp_path / "tub/catalog_0.catalog").write_text(text)
    (tmp_path / "tub/manifest.json").write_text("[]")
    videos = VideoFolder(tmp_path)
    assert {"user/angle", "user/throttle"} <= {*videos.signal_names(0)}
    assert videos.signals(0, ["user/angle"])[:, 0] == pytest.approx(np.arange(NUM_FRAMES) / 10)
    (tmp_path / "tub/catalog_0.catalog").write_text(text.replace('"user/angle": 0.3', '"user/angle": NaN'))
    with pytest.raises(SignalsError, match=r"catalog_0.catalog: line 4, user/angle is nan"):
        VideoFolder(tmp_path).signals(0, ["user/angle"])


def test_records_of_an_old_tub(tmp_path):
    for n, name in enumerate(frames_named(tmp_path / "tub", "{}_cam-image_array_.png")):
        (tmp_path / f"tub/record_{n}.json").write_text(json.dumps({"cam/image_array": name, "user/angle": n}))
    assert VideoFolder(tmp_path).signals(0, ["user/angle"])[:, 0].tolist() == [*range(NUM_FRAMES)]


def test_labels_are_names_of_folders_or_files_beside(tmp_path):
    for place in ("Archery/a.mp4", "Bowling/b.mp4", "Bowling/c.mp4"):
        (tmp_path / place).parent.mkdir(exist_ok=True)
        write_video(tmp_path / place)
    (tmp_path / "Bowling/c.txt").write_text("Archery\n")
    videos = VideoFolder(tmp_path)
    told = [videos.signals(n, ["label=Archery", "label=Bowling"])[0].tolist() for n in range(3)]
    assert told == [[1, 0], [0, 1], [1, 0]]
    assert videos.signal_names(2) == ["label=Archery"]


def test_vectors_beside_a_film(film):
    np.savez(film / "film.npz", text=np.arange(4.0), pose=np.ones((NUM_FRAMES, 2)))
    videos = VideoFolder(film)
    assert videos.signal_names(0)[2:] == ["text[4]", "pose[2]"]
    assert videos.signals(0, ["text[4]", "steering"])[5].tolist() == [0, 1, 2, 3, 5]
    with pytest.raises(SignalsError, match=r"film.npz: text must be finite numbers \(5,\)"):
        videos.signals(0, ["text[5]"])


@pytest.mark.parametrize(
    "text, says",
    [
        ("steering\n" + "1\n" * 11, "film.csv: has 11 rows for 12 frames"),
        ("steering\n" + "1\n" * 4 + "nan\n" + "1\n" * 7, "film.csv: row 5, steering is nan, not a finite number"),
        ("steering\n" + "1\n" * 4 + "left\n" + "1\n" * 7, "film.csv: row 5, steering is left"),
        ("steering,throttle\n" + "1,2\n" * 3 + "1\n", "film.csv: row 4 has 1 values for 2 columns"),
        ("steering,steering\n1,2\n", "film.csv: the first row must name each column once"),
        ("", "film.csv: the first row must name each column once, got nothing"),
        ("sterring\n" + "1\n" * 12, "nothing beside it tells steering; did you mean sterring"),
    ],
)
def test_what_is_wrong_is_refused_with_file_and_row(film, text, says):
    (film / "film.csv").write_text(text)
    with pytest.raises(SignalsError, match=says):
        VideoFolder(film).signals(0, ["steering"])


def test_a_picture_without_a_row_is_refused(tmp_path):
    names = frames_named(tmp_path / "drive", "{}.png")
    table(tmp_path / "drive/actions.csv", ["dx"], names, num_rows=11)
    with pytest.raises(SignalsError, match=r"has no row for the frame 11\.png"):
        VideoFolder(tmp_path).signals(0, ["dx"])
    table(tmp_path / "drive/actions.csv", ["dx"], [*names, "12.png"], num_rows=13)
    with pytest.raises(SignalsError, match=r"row 13 names 12\.png, which is no frame there"):
        VideoFolder(tmp_path).signals(0, ["dx"])


def test_wrapped_collections_tell_what_theirs_tell(film):
    videos = VideoFolder(film)
    part = VideoSubset(InMemoryVideos(ConcatVideos([videos, videos]), 16), [(1, 4, 9)])
    assert part.signals(0, ["steering"])[:, 0].tolist() == [4, 5, 6, 7, 8]
    assert part.signal_names(0) == ["steering", "throttle"]


def clips(root, **options):
    data = VideoClips(root, num_frames=3, size=16, num_workers=0, **options)
    data.setup()
    return data


class TestClips:
    def test_rows_are_those_of_the_frames(self, film):
        data = clips(film, signals=["steering"], stride=2)
        for sample in range(3):
            clip = data.train_clips[sample]
            start = data.train_clips.clips(sample).start
            assert clip["signals"][:, 0].tolist() == [start, start + 2, start + 4]

    def test_mirrored_clips_mirror_what_is_said_to(self, film):
        data = clips(film, signals=["steering", "throttle"], flip=True, mirrored_signals=["steering"])
        found = {bool(data.train_clips.clips(n).flip): data.train_clips[n]["signals"] for n in range(20)}
        assert (found[True][:, 0] <= 0).all() and (found[True][:, 1] >= 100).all()
        assert (found[False] >= 0).all()

    def test_numbers_are_measured_on_the_training_part(self, film):
        told = clips(film, signals=["steering", "throttle"]).measure_signals()
        assert told["low"] == (0, 100) and told["high"][0] < 11  # the last tenth is held out
        assert told["mean"][0] == pytest.approx(told["high"][0] / 2)

    @pytest.mark.parametrize(
        "options, says",
        [
            ({"signals": ["steering"], "flip": True}, "say in data.mirrored_signals"),
            ({"signals": ["steering"], "flip": True, "mirrored_signals": ["wheel"]}, "there is no wheel"),
            ({"mirrored_signals": ["steering"]}, "there are none"),
            ({"signals": ["steering", "steering"]}, "named more than once"),
            ({"signals": ["speed"]}, "film.mp4: nothing beside it tells speed"),
        ],
    )
    def test_what_cannot_be_told_is_refused_before_training(self, film, options, says):
        with pytest.raises(ValueError, match=says):
            clips(film, **options)


class TestCheck:
    def test_it_tells_names_and_ranges(self, film):
        data = VideoClips(film, num_frames=3, size=16, num_workers=0, signals=["steering"])
        lines = check_data(data).lines
        assert any("1 for each of" in line for line in lines)
        assert any(line.strip().startswith("steering: 0 to ") for line in lines)

    def test_it_tells_what_could_be_told(self, film):
        lines = check_data(VideoClips(film, num_frames=3, size=16, num_workers=0)).lines
        assert any("model.signals.names: [steering, throttle]" in line for line in lines)

    def test_what_is_wrong_stops_training(self, film):
        table(film / "film.csv", ["steering"], num_rows=10)
        report = check_data(VideoClips(film, num_frames=3, size=16, num_workers=0, signals=["steering"]))
        assert "has 10 rows for 12 frames" in report.problem


def test_batches_carry_them(film):
    from torch.utils.data import default_collate

    data = clips(film, signals=["steering", "throttle"])
    batch = default_collate([data.train_clips[n] for n in range(2)])
    assert batch["signals"].shape == (2, 3, 2) and batch["signals"].dtype == torch.float32


def test_names_have_bounds():
    with pytest.raises(ValueError, match="expected 1 to"):
        check_columns(["text[99999]"])
