"""Compares what mcvd reads of every video below a folder with what other programs decode: count, order, times, colours.

    python tools/assurance/decodes.py FOLDER [--engines pyav decord torchcodec] [--out results.jsonl]

Videos are decoded by the commands ``ffmpeg`` and ``ffprobe``; animated pictures, where it is installed, by OpenCV
(``pip install opencv-python-headless``). Every frame is read in the order shown and compared, then some are read again
in any order. Prints a line for each file that is not simply right, then a table; exits with 1 if anything is wrong.

* right: as many frames as the other program decodes, at the same times, each within `_LEVELS` grey levels on average.
* refused: a VideoError, whose text is the reason; also of damaged files, where FFmpeg shows what it makes up.
* wrong: all else.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
import warnings
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from mcvd.video.decoders.animation import is_animation
from mcvd.video.decoders.base import VideoError
from mcvd.video.open import ENGINES, open_reader

_LEVELS = {"pyav": 1.5, "decord": 8.0, "torchcodec": 8.0}
_AT_ONCE, _NUM_AGAIN, _TICK_SECONDS = 8, 8, 2e-3
_PICTURES = "mjpeg png bmp gif webp"
_MATRICES = {name: name for name in ("bt470bg", "smpte170m", "bt709", "bt2020nc")} | {"unknown": "bt470bg"}
_DAMAGE = re.compile(
    "code 1027|error while decoding|corrupt|concealing|Invalid data|missing picture|invalid|missing reference"
)
_LEFT_OUT = re.compile(r"before its first key frame .*: (\d+) left out")
_INTERLACED = ("tt", "bb", "tb", "bt")
_SCALING = "flags=bicubic+accurate_rnd+full_chroma_int+full_chroma_inp"


class Expected(NamedTuple):
    """What another program decodes: frames, uint8 (H, W, 3), and when each is shown, seconds, NaN where not told."""

    frames: list[np.ndarray]
    times: np.ndarray
    is_whole: bool = True

    def part(self, first: int, count: int) -> Expected:
        """``count`` frames from ``first`` on."""
        return Expected(self.frames[first : first + count], self.times[first : first + count], self.is_whole)


def num_left_out(notes: Sequence[str]) -> int:
    """How many pictures at the beginning mcvd says that it leaves out."""
    return sum(int(found[1]) for note in notes if (found := _LEFT_OUT.search(note)))


def decode_ffmpeg(path: Path, size: tuple[int, int], max_frames: int, by_zimg: bool = True) -> Expected:
    """By the command ``ffmpeg``, every frame that it shows, scaled to (height, width), transparent pixels on black."""
    height, width = size
    stream = track(path)
    stored, matrix = stream["pix_fmt"], stream.get("color_space", "unknown")
    across = ":in_h_chr_pos=0" if stream.get("chroma_location") in ("left", "topleft") else ""
    by_scaler = f"scale={width}:{height}:interl=-1{across}:{_SCALING}"
    # zimg computes in floating point; what it does not take is left to FFmpeg's scaler: other matrices, sizes that do
    # not fit the sampling of colour, fields (FFmpeg's filter gives it whole frames, whose colours lie elsewhere).
    by_zimg = by_zimg and stream.get("field_order") not in _INTERLACED
    if not by_zimg or not stored.startswith(("yuv", "gray")) or matrix not in _MATRICES:
        return _decoded(path, stream, size, max_frames, by_scaler)
    # Colour samples whose position nobody tells are in the centre, as for FFmpeg.
    position = "" if stream.get("chroma_location", "unspecified") != "unspecified" else ":chromalin=center"
    exact = f"setparams=colorspace={_MATRICES[matrix]},zscale={width}:{height}:filter=bicubic:dither=none{position}"
    found = _decoded(path, stream, size, max_frames, exact)
    return found if found.is_whole else _decoded(path, stream, size, max_frames, by_scaler)


def _decoded(path: Path, stream: dict[str, Any], size: tuple[int, int], max_frames: int, scaling: str) -> Expected:
    """What ``ffmpeg`` shows of a track, scaled by a filter."""
    height, width = size
    chain = f"showinfo,{scaling},format=gbrap,scale={_SCALING},format=rgba"
    command = ["ffmpeg", "-nostdin", "-hide_banner", "-threads", "1", *as_animated(path), "-i", f"file:{path}", "-map"]
    command += [f"0:{stream['index']}", "-vsync", "passthrough", "-frames:v", str(max_frames), "-vf", chain]
    with tempfile.TemporaryFile() as told:
        found = subprocess.run([*command, "-f", "rawvideo", "-"], stdout=subprocess.PIPE, stderr=told, check=False)
        told.seek(0)
        text = told.read().decode(errors="replace")
    count = len(found.stdout) // (height * width * 4)
    pixels = np.frombuffer(found.stdout, np.uint8, count * height * width * 4).reshape(count, height, width, 4)
    told_times = re.findall(r"n: *\d+ pts: *\S+ pts_time: *(\S+)", text)
    times = [np.nan if time == "NOPTS" else float(time) for time in told_times]
    return Expected([on_black(frame) for frame in pixels], np.array(times[:count]), not _DAMAGE.search(text))


def track(path: Path) -> dict[str, Any]:
    """The first video stream that is switched on and no cover, by ``ffprobe``."""
    facts = "index,codec_name,pix_fmt,color_space,chroma_location,field_order"
    shown = f"stream={facts}:stream_disposition=default,attached_pic"
    command = ["ffprobe", "-v", "error", *as_animated(path), "-select_streams", "v", "-show_entries", shown]
    found = subprocess.run([*command, "-of", "json", f"file:{path}"], capture_output=True, check=False)
    streams = json.loads(found.stdout or "{}").get("streams", [])
    order = sorted(streams, key=lambda s: (s.get("codec_name") in _PICTURES.split(), not s["disposition"]["default"]))
    if not order or "pix_fmt" not in order[0]:
        raise ValueError("ffprobe finds no video in it")
    return order[0]


def as_animated(path: Path) -> list[str]:
    """FFmpeg takes a PNG for its first picture unless it is told."""
    return ["-f", "apng"] if path.suffix == ".png" else []


def on_black(pixels: np.ndarray) -> np.ndarray:
    """uint8 (H, W, 3) of uint8 (H, W, 4), whose last channel is opacity."""
    return (pixels[..., :3] * (pixels[..., 3:] / np.float32(255))).round().astype(np.uint8)


def decode_opencv(path: Path, size: tuple[int, int]) -> Expected:
    """By OpenCV, transparent pixels on black; times from the chunks of WebP, of which OpenCV tells others."""
    import cv2

    ok, animation = cv2.imreadanimation(str(path))
    if not ok:
        raise ValueError("OpenCV cannot read it")
    frames, largest = [], max(stored.max() for stored in animation.frames)
    for stored in animation.frames:  # of AVIF in as many bits as are stored
        top = 255 if stored.dtype == np.uint8 else next(top for top in (1023, 4095, 65535) if largest <= top)
        pixels = np.atleast_3d(stored) * (255 / top)
        pixels = pixels.repeat(3, axis=-1) if pixels.shape[-1] == 1 else pixels
        pixels = pixels[..., :3] * (pixels[..., 3:] / 255 if pixels.shape[-1] == 4 else 1)
        pixels = pixels if pixels.shape[:2] == size else cv2.resize(pixels, size[::-1], interpolation=cv2.INTER_CUBIC)
        frames.append(pixels.round().clip(0, 255).astype(np.uint8)[..., ::-1])
    shown = np.asarray(animation.durations, np.float64)
    content = path.read_bytes()
    if content[8:12] == b"WEBP":
        chunks = [chunk.start() for chunk in re.finditer(b"ANMF", content)]
        shown = np.array([int.from_bytes(content[start + 20 : start + 23], "little") for start in chunks] or [0.0])
    shown = np.where(shown == 0, 100, shown) / 1000
    return Expected(frames, np.concatenate([[0.0], np.cumsum(shown)[: len(frames) - 1]]))


def decode(path: Path, size: tuple[int, int], max_frames: int) -> Expected:
    """By the program that is fit for the file."""
    by_opencv = is_animation(path) and path.suffix != ".png"
    return decode_opencv(path, size) if by_opencv else decode_ffmpeg(path, size, max_frames)


def compare(path: Path, engine: str, cache: dict[Path, Expected], max_frames: int) -> tuple[str, str]:
    """("right" or "refused" or "wrong" or "not compared", why)."""
    try:
        with warnings.catch_warnings(record=True) as told, open_reader(path, engine) as reader:
            warnings.simplefilter("always")
            if path not in cache:
                cache.clear()
                size = reader.size
                try:
                    cache[path] = decode(path, size, max_frames + num_left_out(reader.notes))
                except (ImportError, ValueError) as error:
                    return "not compared", str(error)
            expected = cache[path]
            if not expected.frames:
                return "not compared", "the other program shows nothing of it"
            difference = compare_reader(reader, expected.part(0, max_frames), _LEVELS[engine], max_frames)
            if difference and (left_out := num_left_out(reader.notes)):  # some decoders of FFmpeg make them up
                shown = expected.part(left_out, max_frames)
                difference = compare_reader(reader, shown, _LEVELS[engine], max_frames) and difference
            if difference.startswith("colour") and not is_animation(path):
                # Between the samples of colour the two draw other curves, which shows in pictures of a few pixels.
                other = decode_ffmpeg(path, reader.size, max_frames, by_zimg=False)
                difference = compare_reader(reader, other, _LEVELS[engine], max_frames) and difference
            notes = "; ".join([*reader.notes, *(str(one.message).replace(f"{path}: ", "") for one in told)])
    except VideoError as error:
        return "refused", str(error).replace(f"{path}: ", "")
    except ImportError as error:
        return "not compared", str(error)
    if difference.startswith("time") and "contradict" in notes:
        return "right", f"{difference} ({notes})"
    if difference and "HDR" in notes:
        return "right" if difference.startswith("colour") else "wrong", f"{difference} ({notes})"
    return ("wrong", f"{difference} ({notes})" if notes else difference) if difference else ("right", "")


def compare_reader(reader: Any, expected: Expected, levels: float, max_frames: int) -> str:
    """What differs, in words; empty: nothing."""
    count, damage = min(reader.num_frames, max_frames), "" if expected.is_whole else ", damaged as it says"
    times, own = expected.times - expected.times[:1], reader.times_seconds[:count]
    ticks = max(_TICK_SECONDS, reader.times.tick_seconds)
    are_known = len(times) > 0 and not np.isnan(times).any() and bool((np.diff(times) > 0).all())
    offs, sums = compare_pixels(reader, expected.frames, range(count))
    worst = max(offs, default=0.0)
    if count != min(len(expected.frames), max_frames) or worst > levels:
        # Where the picture stays as it is, FFmpeg shows nothing new, and mcvd the same again.
        shown = (np.searchsorted(times, own + _TICK_SECONDS, side="right") - 1).tolist() if are_known else [-1]
        if shown[0] == 0 and len(set(shown)) < count and set(shown) == set(range(max(shown) + 1)):
            offs, sums = compare_pixels(reader, expected.frames, shown)
            if max(offs) <= levels:
                return ""
        if count != min(len(expected.frames), max_frames):
            return f"count: {count} frames, the other program shows {len(expected.frames)}{damage}"
        return f"colour: frame {offs.index(max(offs))} differs by {worst:.1f} levels{damage}"
    again = np.random.default_rng(0).permutation(count)[:_NUM_AGAIN].tolist()
    for number in again:
        if hash(reader.read([number])[0].permute(1, 2, 0).numpy().tobytes()) != sums[number]:
            return f"order: frame {number} is another one when it is asked for alone"
    if len(times) == count and are_known:
        late = np.abs(times - own)
        # OpenCV cuts each duration down to milliseconds.
        if (late > ticks + is_animation(reader.path) * 1e-3 * np.arange(count)).any():
            most = int(late.argmax())
            return f"time: frame {most} at {own[most]:.4f} s, the other program has {times[most]:.4f} s"
    return ""


def compare_pixels(reader: Any, expected: list[np.ndarray], shown: Sequence[int]) -> tuple[list[float], list[int]]:
    """Of frame k and frame ``shown[k]`` of the other program: mean difference, in levels; and a hash of frame k."""
    offs, sums, count = [], [], len(shown)
    for first in range(0, count, _AT_ONCE):
        frames = reader.read(range(first, min(first + _AT_ONCE, count))).permute(0, 2, 3, 1).numpy()
        for number, frame in enumerate(frames, first):
            sums.append(hash(frame.tobytes()))
            if shown[number] < len(expected):
                offs.append(float(np.abs(frame.astype(np.int16) - expected[shown[number]]).mean()))
    return offs, sums


def files_below(folder: Path) -> Iterator[Path]:
    """Every file, sorted."""
    yield from sorted(file for file in folder.rglob("*") if file.is_file())


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--engines", nargs="+", choices=ENGINES, default=list(ENGINES))
    parser.add_argument("--max-frames", type=int, default=1500, help="of each video, from its first on")
    parser.add_argument("--out", type=Path, help="a line of JSON for each file")
    parser.add_argument("--only", default="", help="part of the path")
    options = parser.parse_args()
    table: defaultdict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    lines, cache = [], {}
    for path in files_below(options.folder):
        name = path.relative_to(options.folder)
        if options.only not in str(name):
            continue
        for engine in options.engines:
            verdict, why = compare(path, engine, cache, options.max_frames)
            table[name.parts[0], engine][verdict] += 1
            lines.append({"file": str(name), "engine": engine, "verdict": verdict, "why": why})
            if verdict != "right" or why:
                print(f"{verdict}: {name} [{engine}]: {why}", flush=True)
            if options.out:
                options.out.write_text("".join(json.dumps(line) + "\n" for line in lines))
    kinds = ["right", "refused", "wrong", "not compared"]
    print(f"\n| source | engine | files | {' | '.join(kinds)} |\n|---|---|{'---|' * (1 + len(kinds))}")
    for (source, engine), counts in table.items():
        print(f"| {source} | {engine} | {counts.total()} | {' | '.join(str(counts[kind]) for kind in kinds)} |")
    return int(any(counts["wrong"] for counts in table.values()))


if __name__ == "__main__":
    sys.exit(main())
