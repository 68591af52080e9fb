"""What a recipe fetches: whole, verified, and gone on with after a break."""

import gzip
import hashlib
import struct

import numpy as np
import pytest
from reference.file_server import served
from reference.recipes import stamps

from mcvd.data.prepare import mnist
from mcvd.data.prepare.cli import run_prepare
from mcvd.data.synthetic.moving_mnist import FILES, LABEL_FILES, StochasticMovingMNIST
from mcvd.runtime.download import Download, fetch

CONTENT = np.random.default_rng(0).bytes(200_000)


def download(address, **changed):
    facts = {"num_bytes": len(CONTENT), "digest": f"sha256:{hashlib.sha256(CONTENT).hexdigest()}"} | changed
    return Download((f"{address}/origin/data set.tar".replace(" ", "%20"),), **facts)


@pytest.fixture
def origin(tmp_path):
    (tmp_path / "origin").mkdir()
    (tmp_path / "origin/data%20set.tar").write_bytes(CONTENT)
    return tmp_path


@pytest.mark.parametrize("num_bytes", [len(CONTENT), None])
def test_a_broken_transfer_goes_on_where_it_stopped_and_is_not_repeated(origin, num_bytes):
    with served(origin, breaks=[60_000, 50_000]) as (address, asked):
        source = download(address, num_bytes=num_bytes)
        for arrived in (60_000, 110_000):
            with pytest.raises(OSError, match=rf"broke after {arrived:,} of 200,000 bytes .*; run again to resume"):
                fetch(source, origin / "raw")
            assert [file.stat().st_size for file in (origin / "raw").iterdir()] == [arrived]
        file = fetch(source, origin / "raw")
        assert file.read_bytes() == CONTENT and list((origin / "raw").iterdir()) == [file]
        assert [asked_range for _, _, asked_range in asked] == [None, "bytes=60000-", "bytes=110000-"]
        assert fetch(source, origin / "raw") == file and len(asked) == 3


@pytest.mark.parametrize(
    ("changed", "fault"),
    [
        ({"num_bytes": 199_999}, "200,000 bytes, not 199,999"),
        (
            {"digest": "md5:0"},
            f"200,000 bytes, md5:{hashlib.md5(CONTENT).hexdigest()}, is not what was published, .*md5:0",
        ),
    ],
)
def test_what_is_not_what_was_published_is_refused_and_not_kept(origin, changed, fault):
    with served(origin) as (address, _), pytest.raises(ValueError, match=fault) as told:
        fetch(download(address, **changed), origin / "raw")
    assert "\n" not in str(told.value) and not list((origin / "raw").iterdir())


def test_an_origin_that_is_gone_and_a_disk_without_room_are_told_in_one_line(origin):
    with served(origin) as (address, asked):
        (origin / "origin/data%20set.tar").unlink()
        with pytest.raises(
            OSError, match=r"could not be fetched: .*Not Found .*; run again to resume, or fetch .* and put"
        ) as told:
            fetch(download(address), origin / "raw")
        assert "\n" not in str(told.value)
        asked.clear()
        with pytest.raises(OSError, match="are needed, the disk has"):
            fetch(download(address, num_bytes=1 << 60), origin / "raw")
        assert not asked


def test_moving_mnist_is_prepared_once_and_damage_is_named(tmp_path, monkeypatch, capsys):
    (tmp_path / "raw").mkdir()
    for train, name in FILES.items():
        count = 30 if train else 10
        pixels = np.random.default_rng(count).integers(0, 256, (count, 28, 28), np.uint8)
        pictures = gzip.compress(struct.pack(">4I", 0x803, count, 28, 28) + pixels.tobytes())
        labels = gzip.compress(struct.pack(">2I", 0x801, count) + bytes(digit % 10 for digit in range(count)))
        for each, content in {name: pictures, LABEL_FILES[train]: labels}.items():
            (tmp_path / "raw" / f"{each}.gz").write_bytes(content)
            monkeypatch.setitem(mnist.MD5, each, hashlib.md5(content).hexdigest())
    words = ["--raw", str(tmp_path / "raw"), "--out", str(tmp_path / "out")]
    assert run_prepare("smmnist", mnist.prepare_mnist, "", words) == 0
    videos = StochasticMovingMNIST(str(tmp_path / "out"), train=False, pool=10)
    frames = videos.read(0, range(3), (64, 64))
    assert 1 <= videos.signals(0, videos.signal_names(0))[0].sum() <= 2
    assert frames.shape == (3, 1, 64, 64) and frames.amax() > 200
    before = stamps(tmp_path / "out")
    assert run_prepare("smmnist", mnist.prepare_mnist, "", words) == 0
    assert "nothing to do" in capsys.readouterr().out and stamps(tmp_path / "out") == before
    file = sorted((tmp_path / "out").glob("*.gz"))[0]
    file.write_bytes(file.read_bytes()[:-1])
    assert run_prepare("smmnist", mnist.prepare_mnist, "", words) == 1
    assert capsys.readouterr().err.count("\n") == 1
