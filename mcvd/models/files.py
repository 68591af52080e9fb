"""Models on disk: exported folders and training checkpoints, read without executing anything in them."""

from __future__ import annotations

import errno
import json
import re
import shutil
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from mcvd.runtime.atomic import atomic_write
from mcvd.runtime.error_text import first_line, one_line
from mcvd.runtime.numbers import NumbersError, check_finite

BOX = Path(__file__).parents[1] / "box"  # a small trained model that comes with the package; its README.md tells of it
BUNDLED = "bundled"  # its name, unless something else is called so
CONFIG, WEIGHTS, CARD = "config.json", "model.safetensors", "README.md"
MAX_CONFIG_BYTES = 1 << 20
SAMPLERS = "samplers.json"  # in an exported folder, how its samplers were chosen
LAST = "last.ckpt"  # in the folder of a training run
CASCADE = "cascade"  # in the config of a folder whose models are in folders of their own
MAX_STAGES = 8

_FLOATS = {"F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}


class CascadeError(ValueError):
    """A folder holds a cascade of models, where one is expected."""


class StoredCascade(NamedTuple):
    """A cascade in a folder: the folders of its models, the base first, and the noise of each stage."""

    folders: list[Path]
    low_noise: list[float] | None


class WeightInfo(NamedTuple):
    """What a file says of a weight before it is read: its dtype (as text where it is none of ours) and its shape."""

    dtype: torch.dtype | str
    shape: tuple[int, ...]


@dataclass(frozen=True)
class StoredModel:
    """A model in a file: nothing of its weights has been read yet.

    Args:
        source: the file or folder, as messages name it.
        config: how it is made.
        header: what the file says of each weight.
        read: reads all weights.
    """

    source: str | Path
    config: dict[str, Any]
    header: Mapping[str, WeightInfo]
    read: Callable[[], dict[str, Tensor]]

    def weights(self) -> dict[str, Tensor]:
        """All weights, on the CPU.

        Raises:
            NumbersError: some are not finite.
            ValueError: the file is damaged.
        """
        weights = self.read()
        check_finite(weights, f"{self.source}: weights")
        return weights


def read_model(source: str | Path, revision: str | None = None) -> StoredModel:
    """A model, wherever it is: an exported folder, a checkpoint, a run's folder, the Hub.

    Args:
        source: a path, ``bundled``, or ``user/name`` or ``user/name@revision`` on the Hugging Face Hub.
        revision: branch, tag or commit on the Hub.

    Raises:
        FileNotFoundError: there is no such model.
        ValueError: what is there is damaged, or is not a model of mcvd.
    """
    path = Path(source)
    if source == BUNDLED and not path.exists():
        path = BOX
    if (path / LAST).is_file():
        return read_checkpoint(path / LAST)
    if path.is_dir():
        return read_folder(path)
    if path.suffix in (".yaml", ".yml"):
        raise ValueError(f"{source} is a config, of which mcvd fit --config {source} trains a model, and not a model")
    if path.suffix == ".ckpt" or path.is_file():
        return read_checkpoint(path)
    if str(source).count("/") == 1 and not str(source).startswith((".", "/", "~")):
        name, _, pinned = str(source).partition("@")
        if revision and pinned:
            raise ValueError(f"{source} names a revision already: leave {revision!r} out, or the part from @ on")
        return read_folder(_download(name, revision or pinned or None))
    raise FileNotFoundError(
        f"no model at {source}: expected an exported folder, a .ckpt file, user/name on the Hub, or {BUNDLED}"
    )


def write_folder(folder: str | Path, config: dict[str, Any], weights: dict[str, Tensor], card: str) -> None:
    """Write config.json, model.safetensors and README.md into a new folder: it is there whole or not at all.

    A folder that holds just the same is left as it is.

    Raises:
        FileExistsError: the folder holds something already.
    """
    folder = Path(folder)
    refusal = FileExistsError(f"{folder} is not empty: choose another folder, nothing was written")
    found = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
    if (folder.exists() and not folder.is_dir()) or (found and found != {CONFIG, WEIGHTS, CARD}):
        raise refusal
    try:
        with atomic_write(folder) as part:
            part.mkdir()
            (part / CONFIG).write_text(json.dumps(config, indent=2) + "\n")
            (part / CARD).write_text(card, encoding="utf-8")
            write_weights(weights, part / WEIGHTS, folder)
            shutil.copymode(part / CONFIG, part / WEIGHTS)  # safetensors keeps others from reading what it writes
    except OSError as error:
        if error.errno in (errno.ENOTEMPTY, errno.EEXIST):  # what it holds is another model
            raise refusal from None
        raise


def write_weights(weights: Mapping[str, Tensor], path: Path, folder: Path) -> None:
    """Write weights as safetensors; an error names the folder that they are of.

    Raises:
        OSError: they cannot be written.
    """
    try:
        save_file({name: value.detach().cpu().contiguous() for name, value in weights.items()}, path)
    except SafetensorError as error:
        told = re.search(r"I/O error: (.+?) \(os error", str(error))  # as safetensors says it
        reason = told[1] if told else first_line(error)
        raise OSError(f"cannot write the weights of {folder}: {reason}; nothing is left of it") from error


def read_cascade(source: str | Path, revision: str | None = None) -> StoredCascade:
    """The cascade in a folder, here or on the Hub; its models are not opened.

    Raises:
        ValueError: there is none, or it names what is not a folder inside its own.
    """
    path = Path(source)
    if not path.exists():
        name, _, pinned = str(source).partition("@")
        path = _download(name, revision or pinned or None)
    found = _read_config(path).get(CASCADE) if (path / CONFIG).is_file() else None
    found = found if isinstance(found, dict) else {}
    stages = found.get("stages")
    names = [found.get("base"), *(stages if isinstance(stages, list) else [])]
    if not all(isinstance(name, str) for name in names):
        raise ValueError(f"{source} is no cascade: its {CONFIG} names no base and stages")
    noise = found.get("low_noise")
    if noise is not None and not (isinstance(noise, list) and all(isinstance(each, int | float) for each in noise)):
        raise ValueError(f"{source}: low_noise of a cascade is a list of numbers, got {noise!r:.80}")
    if len(names) > 1 + MAX_STAGES:
        raise ValueError(f"{source}: a cascade has at most {MAX_STAGES} stages, got {len(names) - 1}")
    folders = [path / name for name in names]
    for name, folder in zip(names, folders, strict=True):
        if folder.resolve().parent != path.resolve() or not folder.is_dir():
            raise ValueError(f"{source}: a cascade names folders inside its own, and {name!r:.80} is none")
    return StoredCascade(folders, noise)


def _read_config(folder: Path) -> dict[str, Any]:
    try:
        if (folder / CONFIG).stat().st_size > MAX_CONFIG_BYTES:
            raise ValueError(f"{folder / CONFIG} has more than {MAX_CONFIG_BYTES} bytes: it is no configuration")
        config = json.loads((folder / CONFIG).read_text())
    except (json.JSONDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(f"{folder} is damaged: {one_line(first_line(error))}") from error
    if not isinstance(config, dict):
        raise ValueError(f"{folder / CONFIG} must hold a dictionary, got {type(config).__name__}")
    return config


def _below(folder: Path) -> str:
    """Which model a folder above models may have been meant to name: the newest."""
    found = [file for depth in ("*", "*/*") for name in (LAST, WEIGHTS) for file in folder.glob(f"{depth}/{name}")]
    if not found:
        return ""
    return f"; models are in it: name one, such as {max(found, key=lambda file: file.stat().st_mtime).parent}"


def read_folder(folder: Path) -> StoredModel:
    """The model of an exported folder."""
    if (folder / CONFIG).is_file() and CASCADE in _read_config(folder):
        raise CascadeError(f"{folder} is a cascade of models, where one is expected: name the folder of one of them")
    missing = [name for name in (CONFIG, WEIGHTS) if not (folder / name).is_file()]
    if missing:
        raise FileNotFoundError(f"{folder} is not an exported model: {' and '.join(missing)} missing{_below(folder)}")
    config = _read_config(folder)
    try:
        with safe_open(folder / WEIGHTS, "pt") as file:
            slices = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118  # no dictionary
            header = {
                name: WeightInfo(_FLOATS.get(each.get_dtype(), each.get_dtype()), tuple(each.get_shape()))
                for name, each in slices.items()
            }
    except SafetensorError as error:
        raise ValueError(f"{folder} is damaged: {one_line(first_line(error))}") from error

    def read() -> dict[str, Tensor]:
        try:
            return load_file(folder / WEIGHTS)
        except SafetensorError as error:
            raise ValueError(f"{folder} is damaged: {one_line(first_line(error))}") from error

    return StoredModel(folder, config, header, read)


def read_checkpoint(path: Path) -> StoredModel:
    """The model of a training checkpoint (``.ckpt``), with its averaged weights."""
    if path.name in (CONFIG, WEIGHTS) and all((path.parent / name).is_file() for name in (CONFIG, WEIGHTS)):
        raise ValueError(f"{path} is a part of a model: name its folder, {path.parent}")
    try:
        checkpoint = safe_load(path, mapped=True)  # of the optimiser's state nothing is read
    except OSError:
        raise
    except Exception as error:  # torch raises a zoo of types for damaged and for hostile files
        raise ValueError(
            f"{path} is not a training checkpoint that can be read safely: it is another kind of file, damaged, or "
            "holds more than tensors and plain values. A model is a .ckpt of `mcvd fit`, an exported folder or a name "
            "on the Hub"
        ) from error  # whose own advice is to switch the safety off
    if isinstance(checkpoint, dict) and "config_error" in checkpoint:
        raise ValueError(
            f"{path} holds weights, but not how their model is made: {checkpoint['config_error']}. In Python, "
            "MCVD.load_from_checkpoint(path, ...) opens it with the arguments that the model was made with"
        )
    if not isinstance(checkpoint, dict) or not {"config", "state_dict"} <= checkpoint.keys():
        raise ValueError(
            f"{path} is not a checkpoint of `mcvd fit` (for a published MCVD checkpoint use `mcvd convert`)"
        )
    config, weights = checkpoint["config"], checkpoint["state_dict"]
    if not isinstance(config, dict) or not is_state_dict(weights):
        raise ValueError(f"{path} is damaged: config and state_dict (of tensors) must be dictionaries")
    return StoredModel(path, config, header_of(weights), lambda: weights)


def header_of(weights: Mapping[str, Tensor]) -> dict[str, WeightInfo]:
    """What the header of a file would say of these weights."""
    return {name: WeightInfo(value.dtype, tuple(value.shape)) for name, value in weights.items()}


def load_weights(module: nn.Module, weights: dict[str, Tensor], source: str | Path) -> None:
    """Copy weights into a module that they fit exactly; see `check_header` and `check_finite`."""
    check_header(module, header_of(weights), source)
    check_finite(weights, f"{source}: weights")
    module.load_state_dict(weights)


def check_header(module: nn.Module, header: Mapping[str, WeightInfo], source: str | Path) -> None:
    """Compare names, shapes and dtypes with those of a module, which may be on the meta device.

    Raises:
        ValueError: a weight is missing, left over or of another shape; the message names ``source`` and the weight.
        NumbersError: one is not floating point, and has to be.
    """
    expected = module.state_dict()
    for kind, names in (("missing", expected.keys() - header.keys()), ("surplus", header.keys() - expected.keys())):
        if names:
            raise ValueError(f"{source}: {len(names)} {kind} weights, such as {one_line(sorted(names)[0], 200)}")
    wrong = [name for name, value in expected.items() if tuple(value.shape) != header[name].shape]
    if wrong:
        shapes = f"{header[wrong[0]].shape}, the config asks for {tuple(expected[wrong[0]].shape)}"
        raise ValueError(f"{source}: {len(wrong)} weights of another shape, such as {wrong[0]}: {shapes}")
    floats = (*_FLOATS.values(),)
    wrong = [name for name, value in expected.items() if value.dtype in floats and header[name].dtype not in floats]
    if wrong:
        dtype = str(header[wrong[0]].dtype).removeprefix("torch.")
        raise NumbersError(
            f"{source}: {len(wrong)} weights that are not floating point (of 16, 32 or 64 bits), such as {wrong[0]}: "
            f"{dtype}"
        )
    wrong = [
        name for name, value in expected.items() if value.dtype not in floats and header[name].dtype != value.dtype
    ]
    if wrong:
        raise ValueError(f"{source}: {wrong[0]} must be {expected[wrong[0]].dtype}, got {header[wrong[0]].dtype}")


def safe_load(path: Path, mapped: bool = False) -> Any:
    """What `torch.save` wrote, if it is tensors, numbers and containers; nothing in it is executed.

    Args:
        path: the file.
        mapped: read of an archive only those tensors that are used.

    Raises:
        ValueError: its members are compressed: they might unpack to any size.
        Exception: of almost any type, if it is damaged or holds more.
    """
    is_archive = zipfile.is_zipfile(path)
    if is_archive:
        with zipfile.ZipFile(path) as archive:
            if any(member.compress_type != zipfile.ZIP_STORED for member in archive.infolist()):
                raise ValueError("its members are compressed, which PyTorch never does")
    return torch.load(path, map_location="cpu", weights_only=True, mmap=mapped and is_archive)


def is_state_dict(value: Any) -> bool:
    """Whether it is a dictionary of plain tensors by name."""
    return isinstance(value, dict) and all(
        isinstance(name, str) and isinstance(each, Tensor) and each.layout is torch.strided
        for name, each in value.items()
    )


def hub_refusal(error: Exception) -> str:
    """Why the Hub gave nothing, in a few words; of an error of its client."""
    from huggingface_hub import errors

    reasons = {  # the first that it is: some are kinds of others
        errors.GatedRepoError: "the Hub gives it to those who accepted its terms: hf auth login",
        errors.RepositoryNotFoundError: "the Hub has none of this name, or hides it: hf auth login, if it is yours",
        errors.RevisionNotFoundError: "the Hub has no such revision of it",
        errors.LocalEntryNotFoundError: "the Hub cannot be reached from here",
        errors.HFValidationError: "names on the Hub are user/name",
    }
    return next((reason for kind, reason in reasons.items() if isinstance(error, kind)), one_line(first_line(error)))


def _download(name: str, revision: str | None) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        folder = Path(snapshot_download(name, revision=revision, allow_patterns=[CONFIG, WEIGHTS]))
        if (folder / CONFIG).is_file() and CASCADE in _read_config(folder):
            inside = [f"*/{CONFIG}", f"*/{WEIGHTS}"]
            folder = Path(snapshot_download(name, revision=revision, allow_patterns=[CONFIG, *inside]))
        return folder
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError) as error:
        asked = f"{name}@{revision}" if revision else name
        raise FileNotFoundError(f"no folder {asked} here, and {hub_refusal(error)}") from error
