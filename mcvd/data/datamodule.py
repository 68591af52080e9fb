"""Videos in, training and validation batches out: the data module of a training."""

from __future__ import annotations

import warnings
from dataclasses import fields
from hashlib import blake2b
from typing import Any

import torch
from lightning.pytorch import LightningDataModule
from torch.utils.data import DataLoader

from mcvd.data.batch_sampler import SAMPLES_SEEN, ResumableBatchSampler, ResumableLoader
from mcvd.data.clips.augment import Augmentation
from mcvd.data.clips.dataset import ClipDataset
from mcvd.data.loader import ForkSafeLoader
from mcvd.data.video_clips import VideoClips
from mcvd.data.videos import add_videos
from mcvd.runtime.distributed import rank, world_size


class VideoData(VideoClips, LightningDataModule):
    """Batches of clips of `VideoClips`, whose arguments it takes: what a Lightning trainer trains on.

    A batch is ``{"video": uint8 (B, T, C, H, W), "index": int64 (B,), "unrelated": bool (B,)}``; the last tells clips
    of pictures that have nothing to do with each other (`AbstractVideos.is_unrelated`).
    With the argument ``times`` it also holds ``"times": float32 (B, T)``, seconds after the place of the first frame.

    A checkpoint holds how many clips were trained on; a resumed training continues with the next one, in the middle
    of an epoch too, and also with another batch size or number of processes.
    Under several processes the trainer needs ``use_distributed_sampler=False``: the split is done here.

    Example::

        data = VideoData(root="videos", num_frames=7, size=64)
        data.setup("fit")
        next(iter(data.train_dataloader()))["video"].shape      # (8, 7, 3, 64, 64)
    """

    _known: dict[str, dict[str, Any]] | None = None
    _start = {SAMPLES_SEEN: 0, "batches_done": 0}  # noqa: RUF012  # replaced, never changed

    def setup(self, stage: str | None = None) -> None:
        """As `VideoClips.setup`; a training that begins has seen nothing yet."""
        if stage == "fit":
            self._start = {SAMPLES_SEEN: 0, "batches_done": 0}
        super().setup()

    @property
    def _rank_and_world_size(self) -> tuple[int, int]:
        if self.trainer is not None:
            return self.trainer.global_rank, self.trainer.world_size
        return rank(), world_size()

    def _loader_options(self) -> dict[str, Any]:
        # A DataLoader's workers compute on one thread each; nothing to set for that.
        return {
            "num_workers": self.num_workers,
            "persistent_workers": self.num_workers > 0,
            "pin_memory": torch.cuda.is_available(),
        }

    def train_dataloader(self) -> ResumableLoader:
        """Training batches of this process, from the clip on at which the training stands."""
        order = ResumableBatchSampler(len(self.train_clips), self.batch_size, *self._rank_and_world_size)
        return ResumableLoader(self.train_clips, order, self.count_samples, **self._loader_options())

    def val_dataloader(self) -> DataLoader:
        """Validation batches of this process: always the same clips, each in one process."""
        rank, world_size = self._rank_and_world_size
        own = range(rank, len(self.val_clips), world_size)
        return ForkSafeLoader(self.val_clips, batch_size=self.batch_size, sampler=own, **self._loader_options())

    def count_samples(self) -> int:
        """How many clips all processes together have trained on, including those before the run was resumed."""
        global_batch_size = self.batch_size * self._rank_and_world_size[1]
        return self._start[SAMPLES_SEEN] + (self._count_batches() - self._start["batches_done"]) * global_batch_size

    def _count_batches(self) -> int:
        # Of Lightning's counts `processed` is right whenever a checkpoint is written: it is increased before
        # on_train_batch_end, where `completed` is not yet, and not when an exception ends a step, where `ready` is.
        # `total` counts across epochs, of whatever length limit_train_batches makes them.
        if self.trainer is None:
            return self._start["batches_done"]
        return self.trainer.fit_loop.epoch_loop.batch_progress.total.processed  # type: ignore[attr-defined]

    def state_dict(self) -> dict[str, Any]:
        """How far training has come, in clips and batches, the batch size, and on what; Lightning stores it."""
        return {
            SAMPLES_SEEN: self.count_samples(),
            "batches_done": self._count_batches(),
            "batch_size": self.batch_size,
            "data": self._fingerprints(),
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue after the clips that were trained on when ``state_dict`` was taken; warns if the data changed."""
        self._start = {name: state_dict[name] for name in (SAMPLES_SEEN, "batches_done")}
        for side, before in state_dict.get("data", {}).items():
            now = self._fingerprints().get(side, before)
            if any(now.get(key) != value for key, value in before.items()):  # of an older version some are not known
                counts = [
                    f"{before[key]} -> {now[key]} {key}" for key in ("videos", "clips") if now[key] != before[key]
                ]
                what = ", ".join(counts) or "other videos, or other options of their clips"
                warnings.warn(f"the {side} data changed since this run was last trained: {what}", stacklevel=2)

    def _fingerprints(self) -> dict[str, dict[str, Any]]:
        """What the clips of training and validation are, in numbers that change when they do."""
        if self._known is None and self._clips is not None:
            self._known = dict(zip(("training", "validation"), map(_fingerprint, self._clips), strict=True))
            self._known["training"]["augment"] = _told(self.augment)
        return self._known or {}


def _told(augment: Augmentation) -> str:
    """What is augmented, of all that could be, in words that new kinds of it do not change."""
    return ", ".join(
        f"{each.name} {value}" for each in fields(augment) if (value := getattr(augment, each.name)) != each.default
    )


def _fingerprint(clips: ClipDataset) -> dict[str, Any]:
    videos, found = clips.videos, blake2b(repr(clips.spec).encode(), digest_size=20)
    if clips.times is not None:
        found.update(repr(clips.times).encode())
    add_videos(found, videos)
    return {"videos": len(videos), "clips": len(clips), "digest": found.hexdigest()}
