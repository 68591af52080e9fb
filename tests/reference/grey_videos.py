"""Videos whose frames are grey, each of its own level: files and folders of frames for the collections of videos."""

import av
import numpy as np
from PIL import Image


def grey_of(frame):
    return 20 + 10 * (frame % 20)


def write_video(path, num_frames=12, rate=10, size=(32, 48)):
    """A video whose frame f is uniformly grey_of(f)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=rate)
        stream.height, stream.width = size
        stream.pix_fmt = "yuv420p"
        for number in range(num_frames):
            picture = np.full((*size, 3), grey_of(number), np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())


def write_frames(path, num_frames=12, size=(32, 48)):
    path.mkdir(parents=True)
    for number in range(num_frames):
        Image.new("RGB", size[::-1], (grey_of(number),) * 3).save(path / f"{number:04d}.png")


def names(videos):
    return [videos.name(index) for index in range(len(videos))]
