"""decord and TorchCodec beside the default: the frame asked for, or a refusal; never another frame without a word."""

import sys

import numpy as np
import pytest
import torch
from reference.encoded_videos import KINDS, NUM_FRAMES, encode, numbers
from reference.odd_files import DAMAGED, ODD, READABLE, sequential
from reference.tiny import pixels

import mcvd
from mcvd.data import VideoFolder
from mcvd.video.decoders.base import VideoError
from mcvd.video.open import open_video

# What decord and TorchCodec were seen to read wrongly, or may.
TREACHEROUS = [
    "open_group.mp4",
    "open_group.mkv",
    "intra_refresh.mkv",
    "transport.ts",
    "open_group.ts",
    "no_times.h264",
]


@pytest.fixture(scope="module", params=["decord", "torchcodec"])
def engine(request):
    pytest.importorskip(request.param)
    if request.param == "torchcodec":
        from mcvd.video.decoders.torchcodec import import_decoders

        try:
            import_decoders()
        except ImportError as fault:
            pytest.skip(str(fault))
    return request.param


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("videos")
    for name, (codec, b_frames, options) in KINDS.items():
        encode(folder / name, codec, b_frames, options)
    times = [2 * number if number < 20 else 20 + number for number in range(NUM_FRAMES)]
    encode(folder / "variable.mkv", b_frames=2, times=times)
    return folder


@pytest.mark.parametrize("name", [*KINDS, "variable.mkv"])
def test_an_engine_gives_the_frame_asked_for_or_refuses_the_file(folder, engine, name):
    try:
        with open_video(folder / name, engine) as reader, open_video(folder / name) as judge:
            order = np.random.default_rng(0).permutation(NUM_FRAMES).tolist()
            assert [numbers(reader.read([number])) for number in order] == [[number] for number in order]
            assert numbers(reader.read(range(NUM_FRAMES))) == list(range(NUM_FRAMES))
            np.testing.assert_allclose(reader.times_seconds, judge.times_seconds)
            assert name not in TREACHEROUS
    except VideoError as fault:
        assert name in str(fault) and "\n" not in str(fault)
        assert name not in ("long_group.mp4", "motion_jpeg.avi", "variable.mkv")


@pytest.mark.skipif(not ODD.is_dir(), reason="needs the sample files in ../shared/data/odd")
@pytest.mark.parametrize("name", [*READABLE, *DAMAGED])
def test_odd_files_are_read_as_the_default_reads_them_or_refused(engine, name):
    if name in READABLE:
        expected = sequential(name)[0][:12].float()
    else:
        with open_video(ODD / name) as judge:
            expected = judge.read(range(12), cover=(32, 32)).float()
    count = len(expected)
    try:
        with open_video(ODD / name, engine) as reader:
            ours = reader.read(range(count), cover=(32, 32))
            order = np.random.default_rng(0).permutation(count)[:4].tolist()
            assert all(torch.equal(reader.read([number], cover=(32, 32))[0], ours[number]) for number in order)
    except VideoError as fault:
        assert name in str(fault) and "\n" not in str(fault)
    else:
        # Turned, square pixels, the declared colours: another scaling and chroma filter differ by little.
        assert (ours.float() - expected).abs().mean((1, 2, 3)).max() < 5


@pytest.mark.parametrize("name", ["w.wmv", "w.asf"])
def test_an_engine_finds_the_frames_of_wmv_again_or_refuses_the_file(tmp_path, engine, name):
    encode(tmp_path / name, "wmv2", 0, {"g": "12"})
    try:
        with open_video(tmp_path / name, engine) as reader:
            forward = reader.read(range(NUM_FRAMES))
            for number in range(NUM_FRAMES - 1, -1, -3):
                assert torch.equal(reader.read([number])[0], forward[number])
    except VideoError as refusal:
        assert 'engine="pyav"' in str(refusal)


def test_a_film_that_decord_cannot_give_at_its_width_comes_with_the_engine_that_can(tmp_path):
    """decord 0.6.0 lays out frames 48 wide for more channels than it then asks for."""
    pytest.importorskip("decord")
    mcvd.write_video(tmp_path / "narrow.mp4", pixels(4, 3, 64, 48), fps=10)
    with pytest.raises(VideoError, match=r'narrow\.mp4: decord cannot decode it .*; read it with engine="pyav"'):
        open_video(tmp_path / "narrow.mp4", "decord")
    assert mcvd.read_video(tmp_path / "narrow.mp4").shape == (4, 3, 64, 48)


@pytest.mark.parametrize("name", ["decord", "torchcodec"])
def test_an_engine_that_is_not_installed_is_told_before_a_folder_is_read(name, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, name, None)
    mcvd.write_video(tmp_path / "a.mp4", pixels(4, 3, 64, 64), fps=10)
    with pytest.raises(ImportError, match=f'pip install "mcvd\\[{name}\\]"'):
        VideoFolder(tmp_path, engine=name)
