"""Tables of the sample files in ../shared/data/odd: what can be read of each of them."""

from functools import cache
from pathlib import Path

import numpy as np

from mcvd.video.open import open_video

ODD = Path(__file__).parents[2] / "../shared/data/odd"

# name -> frames, (height, width) as displayed
READABLE = {
    "-video-with-dash-.mp4": (5, (1, 1)),
    "av1_video.mkv": (125, (360, 640)),
    "bbb_sunflower_QCIF_30fps_h263_noaudio_1f.3gp": (1, (144, 216)),  # pixels 27:22
    "bbb_sunflower_QCIF_30fps_mp4v_noaudio_1f.mp4": (1, (144, 256)),  # pixels 16:11
    "bt709_full_range.mp4": (30, (720, 1280)),
    "fire2.mp4": (25, (720, 1280)),
    "h264_10bits.mp4": (30, (200, 200)),
    "h264_white_frame_sar_16_9.mp4": (1, (480, 1138)),  # pixels 16:9
    "h265_10bits.mp4": (30, (200, 200)),
    "h265_video.mp4": (10, (128, 128)),
    "hevc_white_frame.mp4": (1, (480, 640)),
    "nasa_13013.mp4": (325, (180, 320)),  # the first of two video streams
    "no_duration.webm": (74, (720, 1280)),
    "sample-5s_h265_vfr.mp4": (146, (1840, 1376)),
    "tiny_av1.mp4": (1, (64, 64)),
    "transparent.webm": (150, (200, 200)),
    "unordered.mov": (4, (50, 50)),
    "video_0.mov": (3, (320, 568)),
    "video_90.mov": (3, (568, 320)),
    "video_180.mov": (3, (320, 568)),
    "video_270.mov": (3, (568, 320)),
    "video_rotation_90.mp4": (1, (100, 60)),
    "video_with_failing_audio.mp4": (280, (360, 640)),
    "white.mp4": (300, (240, 320)),
}
# name -> frames that can be read, of how many, (height, width)
DAMAGED = {"corrupted.mp4": (28, 50, (720, 1280)), "truncated_half.mp4": (110, 111, (540, 960))}
# Long frames and one key frame: these are checked in part, to save time.
LARGE = {"sample-5s_h265_vfr.mp4": 24, "no_duration.webm": 40}


@cache
def sequential(name):
    """Facts and first frames of a file, read in one go; some take seconds, so it is done once for all tests."""
    num_frames, size = READABLE[name]
    with open_video(ODD / name) as reader:
        assert (reader.num_frames, reader.size) == (num_frames, size)
        assert reader.read([0]).shape == (1, 3, *size)
        assert reader.times_seconds[0] == 0 and (np.diff(reader.times_seconds) > 0).all()
        return reader.read(range(LARGE.get(name, num_frames)), cover=(32, 32)), reader._index.labels
