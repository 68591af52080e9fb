"""Write small copies of videos, so that a training at small size does not decode large ones again and again.

python tools/shrink.py --out clips64 --size 64 drives/ more_drives/
"""

import argparse
from pathlib import Path

from tqdm import tqdm

from mcvd.data.folder import VideoFolder
from mcvd.data.writers import write_video

CHUNK_FRAMES = 512


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", help="folders of videos")
    parser.add_argument("--out", type=Path, required=True, help="folder for the copies")
    parser.add_argument("--size", type=int, default=64, help="the copies just cover this square")
    args = parser.parse_args()
    for folder in args.folders:
        videos = VideoFolder(folder, frame_rate_hz=20.0)
        for index in tqdm(range(len(videos)), folder):
            times = videos.times_seconds(index)
            rate = (len(times) - 1) / (times[-1] - times[0])
            for start in range(0, len(times), CHUNK_FRAMES):
                frames = videos.read(index, range(start, min(start + CHUNK_FRAMES, len(times))), (args.size, args.size))
                stem = videos.name(index).replace("/", "-").rsplit(".", 1)[0]
                out = args.out / Path(folder).name / f"{stem}-{start:05d}.mp4"
                out.parent.mkdir(parents=True, exist_ok=True)
                write_video(out, frames[..., : frames.shape[-2] // 2 * 2, : frames.shape[-1] // 2 * 2], rate)


if __name__ == "__main__":
    main()
