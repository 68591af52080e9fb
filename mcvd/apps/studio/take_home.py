"""Files of results for a visitor to take home."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from mcvd.apps.cli.output import Form
from mcvd.video.arrays.write import SINGLE
from mcvd.video.legend import beside_legend
from mcvd.video.page import Page
from mcvd.video.write import write_video

ALL = "all, side by side"


def write_files(
    folder: Path, videos: Mapping[str, Tensor], values: Mapping[str, Tensor], form: Form, page: Page
) -> dict[str, dict[str, Path]]:
    """Write everything there is to take home.

    Args:
        folder: that is there.
        videos: for each title pictures, uint8 (T, C, H, W), all of one shape.
        values: for each title a whole sample as the model makes it, (T, C, H, W): written where models are of values.
        form: of the files.
        page: that shows them.

    Returns:
        Title -> kind -> file: each video and all of them side by side as mp4 and gif, the page as html, and of a model
        of values the samples as files of ``values``, all of them in one where the format has room for them.
    """
    legend = form.look.legend
    files: dict[str, dict[str, Path]] = {}
    for number, (name, video) in enumerate({ALL: torch.cat(list(videos.values()), -1), **videos}.items()):
        stem = "futures" if not number else name.replace(" ", "-")
        files[name] = {ending: folder / f"{stem}.{ending}" for ending in ("mp4", "gif")}
        for path in files[name].values():
            write_video(path, beside_legend(video, legend), form.playing_fps)
    if legend is not None:
        for name, sample in values.items():
            files[name]["values"] = _write_values(folder / name.replace(" ", "-"), sample[None], form)
        if form.ending not in SINGLE:
            files[ALL]["values"] = _write_values(folder / "futures", torch.stack([*values.values()]), form)
    files[ALL]["html"] = page.write(folder / "index.html")
    return files


def _write_values(stem: Path, samples: Tensor, form: Form) -> Path:
    """Samples (K, T, C, H, W) as one file."""
    videos = form.look.codec.as_written(samples)
    path = stem.with_suffix(form.ending)
    count, frames, channels, height, width = videos.shape
    form.write(path, [iter([video]) for video in videos], (count, frames, channels, height, width))
    return path
