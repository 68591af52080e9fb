"""Wrong frames that decoders return without a word, by kind of file, beside what mcvd's readers do with the same file.

    python tools/studies/wrong_frames.py

Files of 40 numbered frames are encoded as in the tests; each engine is asked for all frames in a random order, as it
comes (PyAV: seek and decode until the time is reached) and through `mcvd.video.open.open_video`.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import torch

from mcvd.video.decoders.base import VideoError
from mcvd.video.open import ENGINES, open_video

sys.path.insert(0, str(Path(__file__).parents[2] / "tests"))
from reference.encoded_videos import KINDS, NUM_FRAMES, encode, numbers


def main() -> None:
    order = np.random.default_rng(0).permutation(NUM_FRAMES).tolist()
    bare = {"PyAV": bare_av, "decord": bare_decord, "TorchCodec exact": exact, "TorchCodec approximate": approximate}
    print(
        f"| file | {' | '.join(f'bare {name}' for name in bare)} | {' | '.join(f'mcvd {name}' for name in ENGINES)} |"
    )
    print("|---" * (1 + len(bare) + len(ENGINES)) + "|")
    with tempfile.TemporaryDirectory() as folder:
        for name in [*KINDS, "variable.mkv"]:
            codec, b_frames, options = KINDS.get(name, ("libx264", 2, {}))
            times = [2 * n if n < 20 else 20 + n for n in range(NUM_FRAMES)] if name not in KINDS else None
            path = encode(Path(folder) / name, codec, b_frames, options, times)
            cells = [count(read, path, order) for read in bare.values()] + [ours(path, name, order) for name in ENGINES]
            print(f"| {name} | {' | '.join(cells)} |", flush=True)


def count(read: Callable[[Path, list[int]], list[int]], path: Path, order: list[int]) -> str:
    try:
        shown = read(path, order)
    except Exception:  # each library has its own kinds
        return "fails"
    return str(sum(a != b for a, b in zip(order, shown, strict=True)))


def ours(path: Path, engine: str, order: list[int]) -> str:
    def read(path: Path, order: list[int]) -> list[int]:
        with open_video(path, engine) as reader:
            return [numbers(reader.read([number]))[0] for number in order]

    try:
        return str(sum(a != b for a, b in zip(order, read(path, order), strict=True)))
    except VideoError:
        return "refused"
    except ImportError:
        return "not installed"


def seen(pixels: np.ndarray) -> int:
    return numbers(torch.from_numpy(np.ascontiguousarray(pixels)).permute(2, 0, 1)[None])[0]


def bare_av(path: Path, order: list[int]) -> list[int]:
    with av.open(str(path)) as container:
        stream, shown = container.streams.video[0], []
        start = stream.start_time or 0
        for number in order:
            wanted = start + round(time_of(path, number) / stream.time_base)
            container.seek(wanted, stream=stream)
            found = -1
            for frame in container.decode(stream):
                found = seen(frame.to_ndarray(format="rgb24"))
                if frame.pts is not None and frame.pts >= wanted - 1:
                    break
            shown.append(found)
    return shown


def time_of(path: Path, number: int) -> float:
    return (2 * number if number < 20 else 20 + number) / 25 if path.name == "variable.mkv" else number / 25


def bare_decord(path: Path, order: list[int]) -> list[int]:
    import decord

    decord.logging.set_level(decord.logging.QUIET)
    reader = decord.VideoReader(str(path), num_threads=1)
    return [seen(reader[number].asnumpy()) for number in order]


def exact(path: Path, order: list[int]) -> list[int]:
    from torchcodec.decoders import VideoDecoder

    decoder = VideoDecoder(str(path), seek_mode="exact")
    return [numbers(decoder.get_frame_at(number).data[None])[0] for number in order]


def approximate(path: Path, order: list[int]) -> list[int]:
    from torchcodec.decoders import VideoDecoder

    decoder = VideoDecoder(str(path), seek_mode="approximate")
    return [numbers(decoder.get_frame_at(number).data[None])[0] for number in order]


if __name__ == "__main__":
    main()
