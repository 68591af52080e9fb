"""RLDS and LeRobot: miniatures of the layouts that their writers make."""

import io
import json
import struct

import numpy as np
import pytest
import torch
from PIL import Image
from reference.grey_videos import write_video

from mcvd.data.sources.lerobot import LeRobotVideos
from mcvd.data.sources.rlds import RldsVideos
from mcvd.data.videos import SignalsError
from mcvd.video.decoders.base import VideoError


def varint(value):
    found = b""
    while value > 127:
        found, value = found + bytes([value & 127 | 128]), value >> 7
    return found + bytes([value])


def field(number, content):
    return varint(number << 3 | 2) + varint(len(content)) + content


def feature(values):
    if isinstance(values[0], bytes):
        return field(1, b"".join(field(1, value) for value in values))
    if isinstance(values[0], float):
        return field(2, field(1, struct.pack(f"<{len(values)}f", *values)))
    return field(3, field(1, b"".join(varint(value & (1 << 64) - 1) for value in values)))


def record(**named):
    from crc32c import crc32c

    def masked(part):
        crc = crc32c(part)
        return struct.pack("<I", (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF)

    entries = b"".join(field(1, field(1, name.encode()) + field(2, feature(v))) for name, v in named.items())
    data, length = field(1, entries), struct.pack("<Q", len(field(1, entries)))
    return length + masked(length) + data + masked(data)


def png(grey):
    file = io.BytesIO()
    Image.new("RGB", (24, 16), (grey, grey, grey)).save(file, "PNG")
    return file.getvalue()


def episode(first, length, **more):
    steps = {
        "observation/image": [png(first + n) for n in range(length)],
        "observation/state": [float(n) for n in range(2 * length)],
        "action": [float(first + n / 10) for n in range(3 * length)],
        "is_last": [int(n == length - 1) for n in range(length)],
        "discount": [-1] * length,
        "language_instruction": [b"pick up\nthe cup"] * length,
    }
    return record(**{f"steps/{name}": values for name, values in steps.items()}, **more)


@pytest.fixture
def rlds(tmp_path):
    pytest.importorskip("crc32c")
    (tmp_path / "toys-train.tfrecord-00000-of-00002").write_bytes(episode(10, 4) + episode(50, 6))
    (tmp_path / "toys-train.tfrecord-00001-of-00002").write_bytes(episode(90, 5))
    (tmp_path / "toys-val.tfrecord-00000-of-00001").write_bytes(episode(200, 5))
    return tmp_path


class TestRlds:
    def test_episodes_and_their_frames(self, rlds):
        videos = RldsVideos(rlds, split="train", frame_rate_hz=5)
        assert [len(videos.times_seconds(n)) for n in range(len(videos))] == [4, 6, 5]
        assert videos.times_seconds(0)[1] == 0.2 and videos.frame_times(0).is_told
        frames = videos.read(1, [0, 5, 2], (8, 8))
        assert frames.shape == (3, 3, 8, 12) and frames[:, 0, 0, 0].tolist() == [50, 55, 52]
        assert len(RldsVideos(rlds)) == 4 and not RldsVideos(rlds).frame_times(0).is_told

    def test_what_was_done(self, rlds):
        videos = RldsVideos(rlds, split="train")
        names = videos.signal_names(1)
        assert {"action[3]", "state[2]", "is_last", "discount", "label=pick up the cup"} <= {*names}
        found = videos.signals(1, ["action[3]", "discount", "label=pick up the cup", "label=other"])
        assert found.dtype == np.float32
        assert found[1] == pytest.approx([50.3, 50.4, 50.5, -1, 1, 0])
        with pytest.raises(SignalsError, match=r"episode 1: action has 18 numbers for 6 steps of 2"):
            videos.signals(1, ["action[2]"])
        with pytest.raises(SignalsError, match=r"no actoin\[3\]; did you mean action\[3\]"):
            videos.signals(1, ["actoin[3]"])

    def test_what_is_wrong_is_said(self, rlds):
        with pytest.raises(FileNotFoundError, match="no files"):
            RldsVideos(rlds / "nowhere")
        with pytest.raises(VideoError, match=r"name its pictures with image=, there are: image"):
            len(RldsVideos(rlds, image="wrist"))
        file = rlds / "toys-train.tfrecord-00001-of-00002"
        file.write_bytes(file.read_bytes()[:-7])
        with pytest.raises(VideoError, match="claims"):
            len(RldsVideos(rlds))


def rows(length, first=0):
    return {"action": [[n + first, -n] for n in range(length)], "episode_index": [0] * length, "reward": [0.5] * length}


def write_info(root, version, **more):
    features = {"observation.images.top": {"dtype": "video"}, "action": {"dtype": "float32", "shape": [2]}}
    info = {"codebase_version": version, "fps": 10, "features": features | more, "chunks_size": 1000}
    (root / "meta").mkdir(parents=True)
    (root / "meta/info.json").write_text(json.dumps(info))


def write_table(path, content):
    parquet, pyarrow = pytest.importorskip("pyarrow.parquet"), pytest.importorskip("pyarrow")
    path.parent.mkdir(parents=True, exist_ok=True)
    parquet.write_table(pyarrow.table(content), path)


@pytest.fixture
def version_2(tmp_path):
    """Two episodes, a film and a table for each."""
    write_info(tmp_path, "v2.1")
    lines = [{"episode_index": n, "tasks": [f"task {n}"], "length": 12} for n in range(2)]
    (tmp_path / "meta/episodes.jsonl").write_text("\n".join(map(json.dumps, lines)))
    for n in range(2):
        film = tmp_path / f"videos/chunk-000/observation.images.top/episode_{n:06d}.mp4"
        film.parent.mkdir(parents=True, exist_ok=True)
        write_video(film)
        write_table(tmp_path / f"data/chunk-000/episode_{n:06d}.parquet", rows(12, 100 * n))
    return tmp_path


@pytest.fixture
def version_3(tmp_path):
    """Two episodes of 7 and 5 frames in one film and one table."""
    write_info(tmp_path, "v3.0")
    film = tmp_path / "videos/observation.images.top/chunk-000/file-000.mp4"
    film.parent.mkdir(parents=True)
    write_video(film)
    place = {"chunk_index": [0, 0], "file_index": [0, 0]}
    episodes = {"episode_index": [0, 1], "length": [7, 5], "tasks": [["task 0"], ["task 1"]]}
    episodes |= {f"data/{name}": values for name, values in place.items()}
    episodes |= {f"videos/observation.images.top/{name}": values for name, values in place.items()}
    episodes["videos/observation.images.top/from_timestamp"] = [0.0, 0.7]
    write_table(tmp_path / "meta/episodes/chunk-000/file-000.parquet", episodes)
    content = {"action": [[n, -n] for n in range(12)], "episode_index": [0] * 7 + [1] * 5}
    write_table(tmp_path / "data/chunk-000/file-000.parquet", content)
    return tmp_path


class TestLeRobot:
    def test_version_2(self, version_2):
        videos = LeRobotVideos(version_2)
        assert len(videos) == 2 and videos.times_seconds(1)[-1] == pytest.approx(1.1)
        assert videos.signal_names(1) == ["action[2]", "reward", "label=task 1"]
        found = videos.signals(1, ["reward", "action[2]", "label=task 1"])
        assert found.dtype == np.float32 and found[3] == pytest.approx([0.5, 103, -3, 1])

    def test_version_3(self, version_3):
        videos = LeRobotVideos(version_3)
        assert [len(videos.times_seconds(n)) for n in range(2)] == [7, 5]
        assert videos.signals(1, ["action[2]"])[:, 0].tolist() == [7, 8, 9, 10, 11]
        whole = videos._films[0].read(0, [7, 11], (16, 16))
        assert torch.equal(videos.read(1, [0, 4], (16, 16)), whole)
        assert not torch.equal(whole[0], whole[1])

    def test_what_is_wrong_is_said(self, version_2):
        videos = LeRobotVideos(version_2)
        with pytest.raises(SignalsError, match=r"action\[3\] is 2 numbers in 12 rows, expected 3 in 12"):
            videos.signals(0, ["action[3]"])
        with pytest.raises(SignalsError, match="there is no acton"):
            videos.signals(0, ["acton[2]"])
        write_table(version_2 / "data/chunk-000/episode_000001.parquet", rows(11))
        with pytest.raises(SignalsError, match="2 numbers in 11 rows"):
            LeRobotVideos(version_2).signals(1, ["action[2]"])
        (version_2 / "videos/chunk-000/observation.images.top/episode_000001.mp4").unlink()
        with pytest.raises(VideoError, match=r"episode_000001\.mp4: missing"):
            LeRobotVideos(version_2).read(1, [0], (8, 8))
        with pytest.raises(ValueError, match=r"name its films with camera=, there are: observation\.images\.top"):
            LeRobotVideos(version_2, camera="wrist")

    @pytest.mark.parametrize("info", ["", "[]", '{"codebase_version": "v9.0", "fps": 10, "features": {}}'])
    def test_what_is_no_data_set_is_refused(self, tmp_path, info):
        with pytest.raises(FileNotFoundError, match="no data set of LeRobot"):
            LeRobotVideos(tmp_path)
        (tmp_path / "meta").mkdir()
        (tmp_path / "meta/info.json").write_text(info)
        with pytest.raises(ValueError, match=r"info\.json"):
            LeRobotVideos(tmp_path)
