"""Each recipe on a miniature of the real layout, down to the pixels of a frame that the loader gives."""

import gzip
import os
import signal
import struct
import subprocess
import sys
import zipfile

import av
import numpy as np
import pytest
import torch
import yaml
from crc32c import crc32c
from PIL import Image
from reference.as_nobody import folder_for_all, told_to_nobody
from reference.recipes import DATASETS, prepare, stamps
from torch.nn.functional import interpolate

from mcvd.apps.cli.main import main
from mcvd.data.datamodule import VideoData
from mcvd.data.prepare.archive import unpack
from mcvd.data.prepare.packs import Pack, prepare_packs
from mcvd.data.prepare.tfrecord import read_records
from mcvd.data.sources.hdf5 import Hdf5Videos
from mcvd.data.sources.memmap import MemmapVideos
from mcvd.data.synthetic.moving_mnist import StochasticMovingMNIST
from mcvd.data.videos import SignalsError
from mcvd.runtime.disk import check_free_space
from mcvd.video.decoders.base import VideoError
from mcvd.video.read import read_video
from mcvd.video.transforms import to_channels

RECIPES = sorted(path.parent.name for path in DATASETS.glob("*/data.yaml"))


def noise(seed, *shape):
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


def write_avi(path, frames, rate=25):
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as file:
        stream = file.add_stream("mpeg4", rate=rate)
        stream.height, stream.width = frames.shape[1:3]
        for frame in frames:
            file.mux(stream.encode(av.VideoFrame.from_ndarray(frame)))
        file.mux(stream.encode())


def field(number, payload):
    size, length = len(payload), b""
    while size > 127:
        length, size = length + bytes([size & 127 | 128]), size >> 7
    return bytes([number << 3 | 2]) + length + bytes([size]) + payload


def record(data):
    def masked(part):
        crc = crc32c(part)
        return struct.pack("<I", (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF)

    length = struct.pack("<Q", len(data))
    return length + masked(length) + data + masked(data)


def example(frames):
    entries = b""
    for t, frame in enumerate(frames):
        for name, pixels in ((f"{t}/image_aux1/encoded", frame), (f"{t}/image_main/encoded", 255 - frame)):
            entries += field(1, field(1, name.encode()) + field(2, field(1, field(1, pixels.tobytes()))))
    return field(1, entries)


def test_bair_records_become_their_frames_and_damage_is_named(tmp_path):
    videos = noise(0, 3, 30, 64, 64, 3)
    for side, chosen in (("train", videos[:2]), ("test", videos[2:])):
        folder = tmp_path / "raw" / "softmotion30_44k" / side
        folder.mkdir(parents=True)
        (folder / "traj_0_to_255.tfrecords").write_bytes(b"".join(record(example(video)) for video in chosen))
    assert prepare("bair", tmp_path / "raw", tmp_path / "out").returncode == 0
    train, test = MemmapVideos(str(tmp_path / "out/train")), MemmapVideos(str(tmp_path / "out/test"))
    assert (len(train), len(test)) == (2, 1)
    assert np.array_equal(train.read(1, [7], (64, 64))[0].permute(1, 2, 0), videos[1, 7])
    before = stamps(tmp_path / "out")
    assert "nothing to do" in prepare("bair", tmp_path / "raw", tmp_path / "out").stdout
    assert stamps(tmp_path / "out") == before
    data = bytearray(record(b"payload"))
    data[14] ^= 1
    (tmp_path / "bad").write_bytes(data)
    with pytest.raises(VideoError, match="wrong checksum of its data"):
        list(read_records(tmp_path / "bad"))
    (tmp_path / "cut").write_bytes(record(b"payload")[:-6])
    with pytest.raises(VideoError, match="claims 7 bytes"):
        list(read_records(tmp_path / "cut"))


def test_kth_is_split_by_person_and_its_whole_frame_is_shrunk(tmp_path):
    rows = np.linspace(0, 255, 120, dtype=np.uint8)[None, :, None, None]
    for number, person in enumerate(range(1, 26)):
        name = f"person{person:02}_boxing_d1_uncomp.avi"
        write_avi(tmp_path / "raw/boxing" / name, np.broadcast_to(rows, (2 + number % 3, 120, 160, 3)).copy())
    for action in ("handclapping", "handwaving", "jogging", "running", "walking"):
        (tmp_path / "raw" / action).mkdir()
    out = tmp_path / "out"
    assert prepare("kth", tmp_path / "raw", out).returncode == 0
    train, test = MemmapVideos(str(out / "train")), MemmapVideos(str(out / "test"))
    assert (len(train), len(test), test.name(0)) == (20, 5, "person21_boxing_d1_uncomp.avi")
    source = to_channels(read_video(tmp_path / "raw/boxing/person21_boxing_d1_uncomp.avi"), 1)
    expected = (interpolate(source.float(), size=(64, 64), mode="bilinear") + 0.5).byte()
    assert torch.equal(test.read(0, [1], (64, 64))[0], expected[1])


def test_cityscapes_snippets_are_cropped_to_a_square_and_shrunk(tmp_path):
    pictures = noise(1, 2, 130, 200, 3)
    for side, city in (("train", "köln"), ("val", "ulm"), ("test", "bonn")):
        folder = tmp_path / "raw/leftImg8bit_sequence" / side / city
        folder.mkdir(parents=True)
        for frame in range(60):
            Image.fromarray(pictures[frame % 2]).save(folder / f"{city}_000000_{frame:06}_leftImg8bit.png")
    assert prepare("cityscapes", tmp_path / "raw", tmp_path / "out").returncode == 0
    train = MemmapVideos(str(tmp_path / "out/train"))
    assert [train.name(index) for index in range(len(train))] == ["köln_000000_000000", "köln_000000_000030"]
    expected = Image.fromarray(pictures[1][:, 35:165]).resize((128, 128), Image.Resampling.LANCZOS)
    assert np.array_equal(train.read(1, [3], (128, 128))[0].permute(1, 2, 0), np.asarray(expected))


def test_ucf101_takes_split_3_and_every_tenth_test_video(tmp_path):
    raw = tmp_path / "raw"
    names = [f"Diving/v_Diving_g{group:02}_c01.avi" for group in range(22)]
    for number, name in enumerate(names):
        write_avi(raw / "UCF-101" / name, np.full((3, 240, 320, 3), 10 * number, np.uint8))
    (raw / "ucfTrainTestlist").mkdir()
    (raw / "ucfTrainTestlist/trainlist03.txt").write_text(f"{names[0]} 1\n{names[1]} 1\n")
    (raw / "ucfTrainTestlist/testlist03.txt").write_text("\n".join(names[2:]) + "\n")
    assert prepare("ucf101", raw, tmp_path / "out").returncode == 0
    train, test = MemmapVideos(str(tmp_path / "out/train")), MemmapVideos(str(tmp_path / "out/test"))
    assert [test.name(index) for index in range(len(test))] == [names[2], names[12]]
    assert train.read(1, [0], (64, 64)).shape == (1, 3, 64, 85)
    assert abs(test.read(1, [2], (64, 64)).float().mean() - 120) < 3


def test_moving_mnist_draws_the_digits_of_a_local_idx_file(tmp_path):
    digits = noise(2, 300, 28, 28)
    with gzip.open(tmp_path / "t10k-images-idx3-ubyte.gz", "wb") as file:
        file.write(struct.pack(">4I", 0x803, 300, 28, 28) + digits.tobytes())
    videos = StochasticMovingMNIST(str(tmp_path), train=False, num_digits=1, pool=1)
    frames = videos.read(3, range(5), (64, 64))
    expected = np.asarray(Image.fromarray(digits[0]).resize((32, 32), Image.Resampling.BILINEAR))
    rows, columns = (frames[4, 0].amax(1 - axis).nonzero()[0].item() for axis in (0, 1))
    assert np.array_equal(frames[4, 0, rows : rows + 32, columns : columns + 32], expected)
    assert torch.equal(frames[[2]], videos.read(3, [2], (64, 64)))
    (tmp_path / "train-images-idx3-ubyte").write_bytes(struct.pack(">4I", 0x803, 300, 28, 28))
    with pytest.raises(VideoError, match="cut off"):
        StochasticMovingMNIST(str(tmp_path)).read(0, [0], (64, 64))


def test_moving_mnist_tells_which_digits_are_in_a_video(tmp_path):
    digits = np.repeat(np.arange(10, dtype=np.uint8) * 20 + 50, 28 * 28)
    count = 1200  # more than a video may have
    pictures = struct.pack(">4I", 0x803, count, 28, 28) + np.tile(digits, count // 10).tobytes()
    (tmp_path / "t10k-images-idx3-ubyte").write_bytes(pictures)
    videos = StochasticMovingMNIST(str(tmp_path), train=False, num_digits=1, num_frames=3)
    assert videos.signal_names(0) == []
    labels = tmp_path / "t10k-labels-idx1-ubyte"
    labels.write_bytes(struct.pack(">2I", 0x801, count) + bytes(range(10)) * (count // 10))
    for index in range(4):
        told = videos.signals(index, videos.signal_names(index))
        (digit,) = told[0].nonzero()[0]
        assert told.shape == (3, 10) and (told == told[0]).all()
        assert videos.read(index, [0], (64, 64)).max() == digit * 20 + 50
    two = StochasticMovingMNIST(str(tmp_path), train=False, num_frames=3)
    assert max(two.signals(index, two.signal_names(index))[0].sum() for index in range(9)) == 2
    with pytest.raises(SignalsError, match="no label=x"):
        videos.signals(0, ["label=x"])
    labels.write_bytes(struct.pack(">2I", 0x801, 2) + b"\x03\x0b")
    with pytest.raises(VideoError, match="label 1 is 11"):
        StochasticMovingMNIST(str(tmp_path), train=False).signals(0, ["label=1"])


def test_published_hdf5_shards_are_read_and_split(tmp_path):
    h5py = pytest.importorskip("h5py")
    videos = noise(3, 12, 4, 8, 8)
    with h5py.File(tmp_path / "shard_0001.hdf5", "w") as file:
        for number, video in enumerate(videos):
            file[f"len/{number}"] = len(video)
            file[f"person/{number}"] = np.uint8(number + 15)
            for t, frame in enumerate(video):
                file.create_dataset(f"{number}/{t}", data=frame, compression="lzf")
        file["num_train"], file["num_test"] = 2, 10
    test = Hdf5Videos(str(tmp_path), "kth-test")
    assert (len(test), test.channels) == (5, 1)
    assert np.array_equal(test.read(1, [2, 0], (8, 8))[:, 0], videos[7, [2, 0]])
    assert len(Hdf5Videos(str(tmp_path), "kth-train")) == 7
    ucf = Hdf5Videos(str(tmp_path), "ucf-test")
    assert len(ucf) == 1 and np.array_equal(ucf.read(0, [3], (8, 8))[0, 0], videos[2, 3])
    with h5py.File(tmp_path / "shard_0001.hdf5", "a") as file:
        file.create_dataset("0/9", (1 << 20, 1 << 20), np.uint8, chunks=(64, 64))
        del file["0/1"]
        file["0/1"] = file["0/9"]
    with pytest.raises(VideoError, match="frame 1 of video 0 is uint8"):
        Hdf5Videos(str(tmp_path)).read(0, [1], (8, 8))


def test_kinetics_archives_are_unpacked_once(tmp_path):
    import tarfile

    for side in ("train", "val"):
        write_avi(tmp_path / "clip.mp4", noise(4, 3, 32, 32, 3))
        (tmp_path / "raw" / side).mkdir(parents=True)
        with tarfile.open(tmp_path / "raw" / side / "part 0.tar.gz", "w:gz") as file:
            file.add(tmp_path / "clip.mp4", "class é/-clip 1.mp4")
    assert prepare("kinetics600", tmp_path / "raw", tmp_path / "out").returncode == 0
    data = VideoData(root=str(tmp_path / "out"), num_frames=2, size=16)
    data.setup()
    assert data.train_clips[0]["video"].shape == (2, 3, 16, 16)
    assert "nothing to do" in prepare("kinetics600", tmp_path / "raw", tmp_path / "out").stdout


def small_packs(broken_at=None):
    def videos(number):
        if number == broken_at:
            os.kill(os.getpid(), signal.SIGKILL)
        yield f"video {number}", np.full((3, 8, 8, 3), number, np.uint8)

    return [Pack(f"train/-é {number}", 576, lambda number=number: videos(number)) for number in range(4)]


def test_preparing_killed_in_the_middle_goes_on_and_gives_the_same(tmp_path):
    child = os.fork()
    if child == 0:
        prepare_packs(tmp_path / "out", small_packs(broken_at=2), 10)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    done = stamps(tmp_path / "out/train/-é 0")
    assert prepare_packs(tmp_path / "out", small_packs(), 10)
    assert stamps(tmp_path / "out/train/-é 0") == done
    assert not list((tmp_path / "out").rglob("*.part"))
    videos = MemmapVideos(str(tmp_path / "out/train"))
    assert [int(videos.read(index, [1], (8, 8)).float().mean()) for index in range(4)] == [0, 1, 2, 3]
    assert not prepare_packs(tmp_path / "out", small_packs(), 10)
    (tmp_path / "out/train/-é 1/frames.bin").write_bytes(b"short")
    with pytest.raises(VideoError, match="delete this folder and prepare again"):
        prepare_packs(tmp_path / "out", small_packs(), 10)


def test_a_full_disk_is_told_before_and_leaves_nothing_behind(tmp_path):
    with pytest.raises(OSError, match="are needed, the disk has"):
        check_free_space(tmp_path / "not" / "yet", 1 << 60)
    code = (
        "import resource, signal, numpy as np; from mcvd.data.sources.memmap import write_pack;"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN); resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000));"
        f"write_pack({str(tmp_path / 'pack')!r}, [('a', np.zeros((9, 64, 64, 3), np.uint8))], 10)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "File too large" in result.stderr and not list(tmp_path.iterdir())


def test_a_folder_without_permission_is_told():
    with folder_for_all() as root:
        root.chmod(0o555)
        told = told_to_nobody(lambda: prepare_packs(root / "out", small_packs(), 10))
        assert told.startswith("PermissionError") and "\n" not in told


def test_archives_cannot_write_outside_of_their_folder(tmp_path):
    with zipfile.ZipFile(tmp_path / "evil.zip", "w") as file:
        file.writestr("../escaped.txt", "x")
    with pytest.raises(ValueError, match="leads out of its folder"):
        unpack(tmp_path / "evil.zip", tmp_path / "deep" / "out")
    assert not (tmp_path / "deep/escaped.txt").exists() and not (tmp_path / "deep/out").exists()


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_parses_and_the_check_says_what_is_missing(name, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    status = main(["data", "check", str(DATASETS / name / "data.yaml"), "--num-frames", "5"])
    told = capsys.readouterr()
    recipe = yaml.safe_load((DATASETS / name / "data.yaml").read_text())
    assert recipe.keys() <= {"data", "model"} and "data" in recipe
    assert recipe.get("model", {}).keys() <= {"channels", "codec"}  # what the numbers are, nothing of the network
    if name in ("driving_scenes", "moving_strokes"):
        assert status == 0 and "training can start" in told.out
    else:
        assert status == 1 and told.err.startswith("mcvd: training cannot start: no ")
        assert len(told.err.splitlines()) == 1
    assert (DATASETS / name / "README.md").exists()


def test_the_check_of_a_folder_summarises_and_names_what_is_wrong(tmp_path, capsys):
    for number in range(3):
        write_avi(tmp_path / f"good {number}.avi", noise(number, 20, 32, 48, 3))
    write_avi(tmp_path / "kurz-é.avi", noise(9, 3, 32, 48, 3))
    (tmp_path / "bad.mp4").write_bytes(b"nothing")
    words = ["data", "check", str(tmp_path), "--size", "16", "--preview", str(tmp_path / "sheet.png")]
    assert main(words) == 0
    out = capsys.readouterr().out
    assert "4 readable, 1 not" in out and "48x32 (4)" in out and "25 Hz (4)" in out
    assert "unreadable, left out: " in out and "bad.mp4" in out and "kurz-é.avi (3 frames)" in out
    assert Image.open(tmp_path / "sheet.png").height > 64
