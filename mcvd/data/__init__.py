"""Collections of videos, the clips that are cut from them, and the batches that a model trains on."""

from typing import TYPE_CHECKING

from mcvd.runtime.lazy import lazy_exports

if TYPE_CHECKING:
    from mcvd.data.clips.augment import Augmentation
    from mcvd.data.clips.dataset import ClipDataset
    from mcvd.data.clips.spec import ClipSpec
    from mcvd.data.clips.times import ClipTimes
    from mcvd.data.datamodule import VideoData
    from mcvd.data.sources.arrays import ArrayVideos
    from mcvd.data.sources.cached import CachedVideos
    from mcvd.data.sources.concat import ConcatVideos
    from mcvd.data.sources.folder import VideoFolder
    from mcvd.data.sources.hdf5 import Hdf5Videos
    from mcvd.data.sources.in_memory import InMemoryVideos
    from mcvd.data.sources.lerobot import LeRobotVideos
    from mcvd.data.sources.memmap import MemmapVideos, write_pack
    from mcvd.data.sources.picture_folder import PictureFolder
    from mcvd.data.sources.rlds import RldsVideos
    from mcvd.data.sources.shards import ShardedVideos
    from mcvd.data.sources.split import VideoSubset, train_val_split
    from mcvd.data.synthetic.driving.scenes import DrivingScenes
    from mcvd.data.synthetic.moving_mnist import StochasticMovingMNIST
    from mcvd.data.synthetic.moving_stills import MovingStills
    from mcvd.data.synthetic.moving_strokes import MovingStrokes
    from mcvd.data.synthetic.rain_fields import RainFields
    from mcvd.data.video_clips import VideoClips, collect_clips
    from mcvd.data.videos import AbstractVideos, VideosWrapper, check_request

__getattr__, __dir__ = lazy_exports(
    __name__,
    {
        "AbstractVideos": "mcvd.data.videos",
        "ArrayVideos": "mcvd.data.sources.arrays",
        "Augmentation": "mcvd.data.clips.augment",
        "CachedVideos": "mcvd.data.sources.cached",
        "ClipDataset": "mcvd.data.clips.dataset",
        "ClipSpec": "mcvd.data.clips.spec",
        "ClipTimes": "mcvd.data.clips.times",
        "ConcatVideos": "mcvd.data.sources.concat",
        "DrivingScenes": "mcvd.data.synthetic.driving.scenes",
        "Hdf5Videos": "mcvd.data.sources.hdf5",
        "InMemoryVideos": "mcvd.data.sources.in_memory",
        "LeRobotVideos": "mcvd.data.sources.lerobot",
        "MemmapVideos": "mcvd.data.sources.memmap",
        "MovingStills": "mcvd.data.synthetic.moving_stills",
        "MovingStrokes": "mcvd.data.synthetic.moving_strokes",
        "PictureFolder": "mcvd.data.sources.picture_folder",
        "RainFields": "mcvd.data.synthetic.rain_fields",
        "RldsVideos": "mcvd.data.sources.rlds",
        "ShardedVideos": "mcvd.data.sources.shards",
        "StochasticMovingMNIST": "mcvd.data.synthetic.moving_mnist",
        "VideoClips": "mcvd.data.video_clips",
        "VideoData": "mcvd.data.datamodule",
        "VideoFolder": "mcvd.data.sources.folder",
        "VideoSubset": "mcvd.data.sources.split",
        "VideosWrapper": "mcvd.data.videos",
        "check_request": "mcvd.data.videos",
        "collect_clips": "mcvd.data.video_clips",
        "train_val_split": "mcvd.data.sources.split",
        "write_pack": "mcvd.data.sources.memmap",
    },
)
