"""What a command refuses before it opens a model: paths that are not there, outputs that cannot be written."""

from __future__ import annotations

import os
from pathlib import Path

from mcvd.runtime.paths import check_writable

MODEL = frozenset({"config.json", "model.safetensors", "README.md"})  # of an exported folder


def check_inputs(**paths: str | None) -> None:
    """Check that everything exists which an option names; None is what was not given.

    Args:
        paths: by the option's name with ``_`` for ``-``, or by that of the argument in capitals.

    Raises:
        FileNotFoundError: the first that does not exist; the message names the option.
        ValueError: a model stands where a video is read.
    """
    for name, path in paths.items():
        is_sequence = path is not None and "*" in Path(path).name and Path(path).parent.is_dir()  # day1/A_*
        if path is not None and not Path(path).exists() and not is_sequence:
            option = "" if name.isupper() else f"--{name.replace('_', '-')} "
            hint = ": files are read, not addresses; download it first" if "://" in path else ""
            raise FileNotFoundError(f"{option}{path}: no such file or folder{hint}")
        if name == "VIDEO" and path is not None and all((Path(path) / each).is_file() for each in MODEL):
            raise ValueError(f"{path} is a model, and a video is read here: name the model with --model")


def check_new_folder(out: str, may_hold: frozenset[str] = frozenset()) -> None:
    """Refuse an output folder that holds something already.

    Args:
        out: the folder.
        may_hold: what the same command may have written before it was killed; who writes it compares.

    Raises:
        ValueError: it has no name of its own, such as ".".
        FileExistsError: it is a file, or not empty.
        PermissionError: nothing can be written there.
    """
    path = Path(out)
    _check_named(out)
    if path.exists() and (not path.is_dir() or {each.name for each in path.iterdir()} not in (set(), may_hold)):
        raise FileExistsError(f"--out {out} is not empty: choose another folder, nothing was written")
    check_writable(path, f"--out {out}")


def check_new_file(out: str, suffix: str, option: str = "--out") -> None:
    """Refuse an output file of another ending, or in the place of a folder.

    Raises:
        ValueError: of another ending.
        IsADirectoryError: there is a folder of this name.
        FileNotFoundError: there is no folder to write it to.
        PermissionError: nothing can be written there.
    """
    if Path(out).suffix.lower() != suffix:
        raise ValueError(f"{option} {out}: the ending must be {suffix}")
    if Path(out).is_dir():
        raise IsADirectoryError(f"{option} {out} is a folder: name a file in it")
    if not Path(out).parent.is_dir():
        raise FileNotFoundError(f"{option} {out}: there is no folder {Path(out).parent}")
    check_writable(Path(out).parent, f"{option} {out}")


def check_videos_out(out: str, video: str | None = None, option: str = "--out", values: bool = True) -> None:
    """Refuse an output of videos that cannot be written or would replace its own input.

    Args:
        out: the file or folder.
        video: the input.
        option: that names ``out``.
        values: whether it may be a file of an array, too.

    Raises:
        ValueError: it is the input, has no name of its own, or its ending is none of ours.
        FileExistsError: a folder that holds something already.
        FileNotFoundError: there is no folder to write it to.
        PermissionError: nothing can be written there.
    """
    from mcvd.runtime.workdir import is_marked
    from mcvd.video.arrays.write import WRITTEN

    path = Path(out)
    _check_named(out, option)
    if video is not None and path.exists() and Path(video).exists() and os.path.samefile(path, video):
        raise ValueError(f"{option} {out} is the input itself: choose another name")
    suffix = path.suffix.lower()
    if suffix not in ("", ".mp4", ".gif", ".png", *(WRITTEN if values else ())):
        arrays = f"; of an array {', '.join(WRITTEN)}" if values else ""
        raise ValueError(f"{option} {out}: the ending must be .mp4, .gif or .png, or none for a folder{arrays}")
    if suffix == ".zarr":
        check_new_folder(out)
        path = path.with_suffix(".npy")  # the rest as of a file
    if not path.suffix:
        if not is_marked(path):  # by the same command, ended after it was written
            check_new_folder(out)
    elif path.is_dir():
        raise IsADirectoryError(f"{option} {out} is a folder: name a file in it")
    if not path.parent.is_dir():
        raise FileNotFoundError(f"{option} {out}: there is no folder {path.parent}")
    check_writable(path.parent, f"{option} {out}")


def _check_named(out: str, option: str = "--out") -> None:
    if Path(out).name in ("", ".."):  # "", ".", "/": what is written stands beside its name until it is whole
        raise ValueError(f"{option} {out or repr(out)}: name a new file or folder")
