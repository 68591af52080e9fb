"""The trained weights of I3D: which files are known, and how they are read."""

from __future__ import annotations

import pickle
import warnings
import zipfile
from pathlib import Path

import torch
from torch import Tensor, nn

from mcvd.metrics.i3d import I3D
from mcvd.runtime.download import Download, cache_folder, fetch, has_digest
from mcvd.runtime.error_text import first_line

STYLEGAN_V = Download(
    name="i3d_torchscript.pt",
    what="the I3D of FVD (TorchScript port of StyleGAN-V)",
    digest="sha256:bec6519f66ea534e953026b4ae2c65553c17bf105611c746d904657e5860a5e2",
    num_bytes=51_235_320,
    instead=" or name it (--weights FILE); "
    "without any weights, --random-i3d SEED computes another distance, which is not FVD",
    mirrors=(
        "https://huggingface.co/flateon/FVD-I3D-torchscript/resolve/1c2d61711c52571ad617a1063e6fa691b212e184/i3d_torchscript.pt",
        "https://www.dropbox.com/s/ge9e5ujwgetktms/i3d_torchscript.pt?dl=1",
        "https://huggingface.co/ByteDance/LatentSync-1.6/resolve/main/auxiliary/i3d_torchscript.pt",
    ),
)
VIDEOGPT = Download(
    name="i3d_pretrained_400.pt",
    what="state dict of VideoGPT",
    digest="git:a867b87ac3a9097d200598b1d48a1b890d8ec744",
    mirrors=("https://github.com/songweige/TATS/raw/main/tats/fvd/i3d_pretrained_400.pt",),
)
KINETICS = Download(
    (),
    name="rgb_imagenet.pt",
    what="I3D of the original Kinetics release (i3d_rgb_imagenet.pt, rgb_imagenet.pt)",
    digest="sha256:2609088c2e8c868187c9921c50bc225329a9057ed75e76120e0b4a397a2c7538",
    num_bytes=50_883_138,
)
KNOWN_FILES = (STYLEGAN_V, VIDEOGPT, KINETICS)


def load_i3d(path: str | Path | None = None, *, cache: str | Path | None = None, trust: bool = False) -> nn.Module:
    """The trained I3D of FVD, ready for use: float (B, 3, T, 224, 224) in [-1, 1] -> (B, 400) logits.

    Args:
        path: a file of weights: the TorchScript port of StyleGAN-V or the state dict of VideoGPT. None: look in the
            cache, and download the former where neither is there.
        cache: folder of the downloaded file; None is the ``checkpoints`` folder of `torch.hub`.
        trust: read ``path`` also where its checksum is not known. A TorchScript archive is a program: loading it can
            do anything that you can.

    Raises:
        FileNotFoundError: there is no such file, or the download failed; says what to download, and where to put it.
        ValueError: the file is not known, or known not to be for FVD.

    Examples:
        >>> i3d = load_i3d("i3d_torchscript.pt")  # doctest: +SKIP
    """
    path = cached_i3d(cache) if path is None else Path(path)
    known = identify(path)
    if known is not None and known.name == KINETICS.name:
        raise ValueError(
            f"{path} is the {known.what}: another network than that of FVD, its distances cannot be compared with any "
            f"published FVD. Use {STYLEGAN_V.name} ({STYLEGAN_V.mirrors[0]}), or ask for the distance of this network "
            f"under its own name (--kinetics-i3d FILE of mcvd fvd)"
        )
    if known is None and not trust:
        raise ValueError(
            f"{path} is none of the known files of I3D weights ({STYLEGAN_V.name}, {STYLEGAN_V.num_bytes:,} bytes, "
            f"{STYLEGAN_V.digest}; {VIDEOGPT.name}, {VIDEOGPT.digest}): a damaged download? "
            "If you trust where it comes from, say so (trust=True, --trust-weights)"
        )
    net = _ScriptedI3D(path) if _is_torchscript(path) else _from_state_dict(path)
    return net.eval().requires_grad_(False)


def load_kinetics_i3d(path: str | Path) -> nn.Module:
    """The I3D of the original Kinetics release: called as that of FVD, and **not** it.

    Same layers, other weights. Some papers measured with it by mistake; what it gives is called
    ``kinetics_i3d_distance`` here.

    Args:
        path: its state dict, `KINETICS`.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is another file.
    """
    path = Path(path)
    if identify(path) is not KINETICS:
        raise ValueError(f"{path} is not the {KINETICS.what}, {KINETICS.num_bytes:,} bytes, {KINETICS.digest}")
    return _from_state_dict(path).eval().requires_grad_(False)


def cached_i3d(cache: str | Path | None = None) -> Path:
    """The file of weights in the cache, downloaded if there is none. Arguments and errors as of `load_i3d`."""
    folder = cache_folder() if cache is None else Path(cache)
    present = [folder / file.name for file in (STYLEGAN_V, VIDEOGPT) if (folder / file.name).is_file()]
    return present[0] if present else fetch(STYLEGAN_V, folder)


def identify(path: str | Path) -> Download | None:
    """Which of the known files this is, by its content; None for any other.

    Raises:
        FileNotFoundError: there is no such file.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no file of I3D weights at {path}")
    size = path.stat().st_size
    candidates = [known for known in KNOWN_FILES if known.num_bytes in (None, size)]
    return next((known for known in candidates if has_digest(path, known.digest)), None)


def _is_torchscript(path: Path) -> bool:
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return any("/code/" in name for name in archive.namelist())


class _ScriptedI3D(nn.Module):
    """The archive of StyleGAN-V, called so that it neither scales nor resizes and gives logits."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        with warnings.catch_warnings():
            # torch.jit is deprecated; the archive exists in no other form.
            warnings.simplefilter("ignore", FutureWarning)
            self.script = torch.jit.load(path, map_location="cpu")

    def forward(self, video: Tensor) -> Tensor:
        # Not optimised while it runs: the first calls would be computed otherwise than the later ones.
        with torch.jit.optimized_execution(False):
            return self.script(video, rescale=False, resize=False, return_features=True)


def _from_state_dict(path: Path) -> I3D:
    net = I3D()
    try:
        net.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    except Exception as fault:
        # What torch says of a pickle that it does not take is advice to load it unsafely.
        is_pickle = isinstance(fault, pickle.UnpicklingError)
        reason = "it is no file of tensors alone" if is_pickle else first_line(fault)
        raise ValueError(f"{path} holds no state dict of I3D as VideoGPT names it: {reason}") from fault
    return net
