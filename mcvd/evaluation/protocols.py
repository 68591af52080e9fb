"""Protocols: how models are scored, under names that can be cited."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import partial
from typing import Any, Literal

from mcvd.data.clips.dataset import ClipDataset
from mcvd.data.clips.sampling import SeededClips
from mcvd.data.video_clips import VideoClips
from mcvd.metrics.preprocessing import Preprocessing
from mcvd.runtime.suggest import did_you_mean


@dataclass(frozen=True)
class Protocol:
    """How a model is scored: everything besides the model that a score depends on.

    Args:
        name: as it is cited; changing anything below needs another name.
        data: the data set and its test split, in words.
        task: "predict", "interpolate", or "generate", where nothing is given and only distances are measured.
        size: (height, width) in pixels; None takes the model's.
        past, num_frames, future: frames given before, generated, and given after; None takes the model's.
        num_clips: clips of the split.
        num_samples: K samples of each clip.
        starts: "even" as in validation, or "random": start frames drawn from ``seed`` and the number of the clip.
        seed: of the start frames.
        aggregation: how K scores become one; each metric chooses its own best.
        distance: what enters the Frechet distance.
        preprocessing: of the frames that enter it, see `mcvd.metrics.preprocessing.prepare`.
        frame_metrics: whose definitions PSNR, SSIM and LPIPS have: "mcvd", ours (`mcvd.metrics.frame_metrics`), or
            "mcvd-2022", those of the published evaluation (`mcvd.metrics.published`).
        binary_ssim: of the published SSIM: each pixel becomes 0 or 1 first.
        in_one_block: the model must generate all frames at once.

    Examples:
        >>> find_protocol("mcvd-2022/kth-10-30").num_frames
        30
    """

    name: str
    data: str
    task: Literal["predict", "interpolate", "generate"]
    size: tuple[int, int] | None
    past: int | None
    num_frames: int | None
    future: int | None = 0
    num_clips: int = 256
    num_samples: int = 10
    starts: Literal["even", "random"] = "random"
    seed: int = 0
    aggregation: str = "best of K for each clip and metric, mean over clips; PSNR of the error averaged over frames"
    distance: str = (
        "real: context and true frames, once a clip; fake: context and generated frames, of all K samples together, "
        "and of each of the K alone, averaged; 10 frames or more, rounded to 8 bits"
    )
    preprocessing: Preprocessing = "mcvd"
    frame_metrics: Literal["mcvd", "mcvd-2022"] = "mcvd"
    binary_ssim: bool = False
    in_one_block: bool = False

    def describe(self) -> dict[str, Any]:
        """All of it, as JSON holds it."""
        return asdict(self) | {"size": list(self.size) if self.size else None}

    def clips(self, data: VideoClips) -> ClipDataset:
        """The clips of the protocol in a data module whose ``num_frames`` fit it.

        Args:
            data: after `setup`; its validation videos are the split.
        """
        found = data.val_clips
        if self.starts == "even":
            return found
        return ClipDataset(found.videos, found.spec, SeededClips(found.clips.index, self.num_clips, self.seed))


def find_protocol(name: str) -> Protocol:
    """The protocol of this name.

    Raises:
        ValueError: there is none of this name; the message lists them.
    """
    if name not in PROTOCOLS:
        guess = did_you_mean(name, PROTOCOLS) or f"; there are {', '.join(PROTOCOLS)}"
        raise ValueError(f"--protocol {name}: there is none of this name{guess}")
    return PROTOCOLS[name]


_NO_TRUTH = "distances alone: no frame has a ground truth"


def _published() -> list[Protocol]:
    """The test settings of Voleti et al. 2022 and their code; clips are fixed here, where theirs are not seeded."""
    # Data in words, side in pixels, and past, generated and future frames of prediction and of interpolation.
    settings = {
        "smmnist": ("Stochastic Moving MNIST, test", 64, [(5, 10)], [(5, 5, 5), (5, 10, 5)]),
        "kth": ("KTH actions, persons 21-25", 64, [(10, 30)], [(5, 5, 5), (10, 10, 5)]),
        "bair": ("BAIR robot pushing, test", 64, [(1, 15), (2, 14), (2, 28)], [(1, 5, 2), (2, 5, 2)]),
        "cityscapes": ("Cityscapes sequences, test", 128, [(2, 28)], []),
        "ucf101": ("UCF-101, test of split 3, every 10th video", 64, [(4, 16)], []),
    }
    found = []
    for kind, (data, side, predicted, interpolated) in settings.items():
        start, size = f"mcvd-2022/{kind}", (side, side)
        published = partial(Protocol, frame_metrics="mcvd-2022", binary_ssim=kind == "smmnist")
        for past, num_frames in predicted:
            found.append(published(f"{start}-{past}-{num_frames}", data, "predict", size, past, num_frames))
        for past, num_frames, future in interpolated:
            name = f"{start}-interpolate-{past}-{num_frames}-{future}"
            found.append(published(name, data, "interpolate", size, past, num_frames, future, in_one_block=True))
        # As many frames as prediction is given and generates together.
        for num_frames in dict.fromkeys(map(sum, predicted)):
            name = f"{start}-generate-{num_frames}"
            found.append(Protocol(name, data, "generate", size, 0, num_frames, aggregation=_NO_TRUTH))
    return found


_OWN = "mcvd's own, validation split of the data"
PROTOCOLS = {
    protocol.name: protocol
    for protocol in [
        *_published(),
        Protocol("mcvd/predict-v1", _OWN, "predict", None, None, None, None, 64, starts="even"),
        Protocol("mcvd/interpolate-v1", _OWN, "interpolate", None, None, None, None, 64, starts="even"),
        Protocol("mcvd/generate-v1", _OWN, "generate", None, 0, 16, 0, 64, starts="even", aggregation=_NO_TRUTH),
    ]
}
