"""What stands in a file beside its pictures stops nobody from reading them."""

import warnings

import av
import pytest
import torch
from av.sidedata.sidedata import SideDataContainer
from PIL import Image
from reference.encoded_videos import numbers
from reference.side_data import NUM_FRAMES, SIZE, bars, write_messages, write_motion_jpeg, write_tags

from mcvd.data.sources.folder import VideoFolder
from mcvd.video.decoders.base import VideoError, library_faults
from mcvd.video.read import read_video

WRITERS = {
    **{f"exif.{ending}": write_motion_jpeg for ending in ("avi", "mov", "mkv", "mp4")},
    "h264.ts": lambda path: write_messages(path, "libx264"),
    "hevc.ts": lambda path: write_messages(path, "libx265"),
    **{f"tags.{ending}": write_tags for ending in ("mp4", "mov", "mkv", "avi")},
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("side_data")
    for name, write in WRITERS.items():
        write(folder / name)
    return folder


@pytest.mark.parametrize("name", WRITERS)
def test_frames_are_read_whatever_stands_beside_them(folder, name):
    assert numbers(read_video(folder / name)) == list(range(NUM_FRAMES))


def test_a_folder_of_such_files_is_a_data_set(folder):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(VideoFolder(folder)) == len(WRITERS)


def test_the_files_carry_what_the_library_has_no_names_for(folder):
    kinds = set()
    for name in ("exif.avi", "h264.ts", "hevc.ts"):
        with av.open(str(folder / name)) as container:
            kinds |= {data.type.name for frame in container.decode(video=0) for data in SideDataContainer(frame)}
    assert {"A53_CC", "AFD", "DISPLAYMATRIX", "ICC_PROFILE", "SEI_UNREGISTERED", "DYNAMIC_HDR_VIVID"} <= kinds
    assert {"UNKNOWN_28", "UNKNOWN_31"} <= kinds, "an enhancement layer and EXIF; if PyAV names them, add newer ones"


@pytest.mark.parametrize("orientation", range(1, 9))
def test_motion_jpeg_is_upright_as_its_exif_says(tmp_path, orientation):
    write_motion_jpeg(tmp_path / "film.avi", orientation)
    turns = dict(zip((2, 3, 4, 5, 6, 7, 8), (0, 3, 1, 5, 4, 6, 2), strict=True))
    stored = Image.fromarray(bars(3))
    upright = stored.transpose(Image.Transpose(turns[orientation])) if orientation > 1 else stored
    read = read_video(tmp_path / "film.avi")[3].permute(1, 2, 0).float()
    assert read.shape[:2] == (SIZE if orientation < 5 else SIZE[::-1])
    expected = torch.tensor(list(upright.getdata())).view(*read.shape).float()
    assert (read - expected).abs().mean() < 12


@pytest.mark.parametrize(
    "error", [KeyError("x"), UnicodeDecodeError("utf-8", b"a", 0, 1, "no"), MemoryError(), OSError(5, "a\nb")]
)
def test_any_exception_of_a_library_becomes_one_line_that_names_the_file(tmp_path, error):
    with pytest.raises(VideoError, match=r"film\.mp4: cannot be read") as fault, library_faults(tmp_path / "film.mp4"):
        raise error
    assert "\n" not in str(fault.value)
