"""Corrupt, tricky and rare files of other projects: read as they are to be read, or refused in one line."""

import numpy as np
import pytest
import torch
from reference.odd_files import DAMAGED, ODD, READABLE, sequential

from mcvd.video.decoders.base import VideoError
from mcvd.video.open import open_video
from mcvd.video.read import read_video

REFUSED = {
    "bipbop_cbcs_video_init.mp4": "holds no frame",
    "chunk_out_of_range.mp4": "cannot be opened",
    "empty.mp4": "empty",
    "invalid_userdata.mp4": "holds no frame, its header promises 5544",
    "no_timescale.mp4": "no frame of 182 can be decoded",  # its eight frames are green rubbish, and marked as damaged
    "not_a_video.mp4": "cannot be opened",
    "short-cenc.mp4": "no frame of 10 can be decoded, the file is damaged or encrypted",
    "sine-3s-xhe-aac-44khz-mono.mp4": "holds no video, only audio",
    "zero_empty_stsc.mp4": "no frame of 2 can be decoded",
}

pytestmark = pytest.mark.skipif(not ODD.is_dir(), reason="needs the sample files in ../shared/data/odd")


def test_every_file_is_in_the_table():
    assert {file.name for file in ODD.iterdir()} == {*READABLE, *DAMAGED, *REFUSED}


@pytest.mark.parametrize("name", READABLE)
def test_readable_files_give_their_frames_whatever_the_order(name):
    expected, _ = sequential(name)
    order = np.random.default_rng(0).permutation(len(expected))[:6].tolist()
    with open_video(ODD / name) as reader:
        for number in order:
            assert torch.equal(reader.read([number], cover=(32, 32))[0], expected[number])


@pytest.mark.parametrize("name", DAMAGED)
def test_damaged_files_give_the_frames_before_the_damage(name):
    readable, num_frames, size = DAMAGED[name]
    with open_video(ODD / name) as reader:
        assert (reader.num_frames, reader.size) == (num_frames, size)
    with pytest.raises(VideoError, match=f"{name}: .* only the first {readable} of {num_frames} frames are readable"):
        read_video(ODD / name, size=32)
    assert read_video(ODD / name, size=32, num_frames=readable).shape[0] == readable


@pytest.mark.parametrize("name", REFUSED)
def test_the_rest_is_refused_in_one_line(name, capfd):
    with pytest.raises(VideoError, match=rf"{name}: .*{REFUSED[name]}") as fault:
        read_video(ODD / name)
    assert "\n" not in str(fault.value)
    captured = capfd.readouterr()
    assert captured.out == captured.err == ""


def test_frames_are_turned_upright():
    upright = read_video(ODD / "video_0.mov", size=(40, 40), num_frames=1).float()
    # The same scene was filmed four times, the camera turned: upright they agree more than turned they do.
    for name in ("video_90.mov", "video_180.mov", "video_270.mov"):
        turned = read_video(ODD / name, num_frames=1)
        assert turned.shape[-2:] == READABLE[name][1]
        half_turned = torch.rot90(read_video(ODD / name, size=(40, 40), num_frames=1), 2, (2, 3)).float()
        straight = read_video(ODD / name, size=(40, 40), num_frames=1).float()
        assert (straight - upright).abs().mean() < (half_turned - upright).abs().mean()


def test_frames_with_wrong_times_keep_the_order_of_the_decoder():
    # One frame of the file carries a time that is 3503 ticks too early; sorted by it, the picture would jump back.
    frames, labels = sequential("sample-5s_h265_vfr.mp4")
    assert labels[:8] == (0, 3003, 4004, 5005, 6006, 7007, 4505, 9009)
    brightness = frames[:9].float().mean(dim=(1, 2, 3))
    assert (brightness.diff() > -0.3).all()


@pytest.mark.parametrize("name", ["corrupted.mp4", "truncated_half.mp4", "av1_video.mkv", "short-cenc.mp4"])
def test_decord_is_quiet_and_raises_video_errors(name, capfd):
    pytest.importorskip("decord")
    with pytest.raises(VideoError, match=name) as fault:
        read_video(ODD / name, size=32, engine="decord")
    assert "\n" not in str(fault.value)
    assert capfd.readouterr().err == ""


# What tools/assurance/fuzz.py found: file -> byte -> value, and what is said.
FOUND = {
    "h264_white_frame_sar_16_9.mp4": ({1421: 16}, "pixels are"),  # pixels 268435472 times as wide as high
    "white.mp4": ({2569: 0, 11730: 128}, ""),  # the first frame decoded has a time that no packet has
}


@pytest.mark.parametrize("name", FOUND)
def test_what_the_fuzzer_found_is_read_or_refused(name, tmp_path):
    changes, said = FOUND[name]
    content = bytearray((ODD / name).read_bytes())
    for place, value in changes.items():
        content[place] = value
    (tmp_path / name).write_bytes(content)
    try:
        with open_video(tmp_path / name) as reader:
            assert not said and len(reader.read([0, 12], cover=(32, 32))) == 2
    except VideoError as error:
        assert name in str(error) and said in str(error)
