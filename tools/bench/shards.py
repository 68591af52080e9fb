"""Two ways to stream shards: clips per second, and what it takes to go on after a stop.

    python -m pip install webdataset
    python tools/bench/shards.py

LitData as `mcvd.data.ShardedVideos` uses it: any window of frames by its number. WebDataset: archives read from their
start, one video after the other, a window cut out of each.
"""

from __future__ import annotations

import argparse
import io
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from mcvd.data.sources.shard_writer import ShardSpec, write_shards
from mcvd.data.sources.shards import ShardedVideos
from mcvd.data.synthetic.moving_strokes import MovingStrokes

CLIP, SIZE = 12, (64, 64)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--videos", type=int, default=400)
    parser.add_argument("--frames", type=int, default=250)
    options = parser.parse_args()
    torch.set_num_threads(1)
    videos = MovingStrokes(num_videos=options.videos, num_frames=options.frames)
    with tempfile.TemporaryDirectory() as folder:
        write_shards(videos, Path(folder) / "litdata", ShardSpec(SIZE, 1, 10.0, by_time=False), num_workers=2)
        shards = ShardedVideos(str(Path(folder) / "litdata"))
        paths = write_archives(Path(folder), shards)
        random = np.random.default_rng(0)
        places = [(int(random.integers(len(shards))), int(random.integers(options.frames - CLIP))) for _ in range(2000)]
        shards.read(0, range(CLIP), SIZE)
        begin = time.perf_counter()
        for video, start in places:
            shards.read(video, range(start, start + CLIP), SIZE)
        print(f"LitData, any window: {len(places) / (time.perf_counter() - begin):.0f} clips/s")
        begin = time.perf_counter()
        ShardedVideos(shards.root).read(len(shards) // 2, range(CLIP), SIZE)
        print(f"LitData, to the first clip after a stop in the middle: {time.perf_counter() - begin:.3f} s")
        begin, count = time.perf_counter(), 0
        for _ in archive_clips(paths):
            count += 1
        print(f"WebDataset, one window a video: {count / (time.perf_counter() - begin):.0f} clips/s")
        begin = time.perf_counter()
        for number, _ in enumerate(archive_clips(paths)):
            if number == count // 2:
                break
        print(f"WebDataset, to the first clip after a stop in the middle: {time.perf_counter() - begin:.3f} s")


def write_archives(folder: Path, shards: ShardedVideos) -> list[str]:
    import webdataset

    with webdataset.ShardWriter(str(folder / "clips-%05d.tar"), maxsize=64e6, verbose=0) as writer:
        for index in range(len(shards)):
            content = io.BytesIO()
            np.save(content, shards.read(index, range(len(shards.times_seconds(index))), SIZE).numpy())
            writer.write({"__key__": f"{index:08}", "npy": content.getvalue()})
    return sorted(str(path) for path in folder.glob("clips-*.tar"))


def archive_clips(paths: list[str]):
    import webdataset

    random = np.random.default_rng(0)
    for sample in webdataset.WebDataset(paths, shardshuffle=False).decode():
        start = int(random.integers(len(sample["npy"]) - CLIP))
        yield torch.from_numpy(sample["npy"][start : start + CLIP].copy())


if __name__ == "__main__":
    main()
