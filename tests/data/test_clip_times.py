"""Clips of several frame rates, and first frames from long before: which frames, and when they are."""

import numpy as np
import pytest
import torch
from torch import Tensor

from mcvd.data.clips.augment import Augmentation
from mcvd.data.clips.spec import ClipSpec
from mcvd.data.clips.times import ClipTimes, far_frame
from mcvd.data.datamodule import VideoData
from mcvd.data.videos import AbstractVideos
from mcvd.video.timing import FrameTimes


class Numbered(AbstractVideos):
    """Frames that show their numbers: uint8 (T, 1, H, W)."""

    def __init__(self, num_videos=6, num_frames=120, rate_hz: float | None = 20.0):
        self.num_videos, self.num_frames, self.rate_hz = num_videos, num_frames, rate_hz

    channels = 1

    def __len__(self):
        return self.num_videos

    def times_seconds(self, index):
        return np.arange(self.num_frames) / (self.rate_hz or 1)

    def frame_times(self, index):
        return FrameTimes.counted(self.num_frames, self.rate_hz)

    def read(self, index, frames, cover) -> Tensor:
        return torch.tensor(frames, dtype=torch.uint8)[:, None, None, None].expand(-1, 1, *cover)

    def name(self, index):
        return f"numbers {index}"


def data(times, videos=None, **options):
    options = {"num_frames": 4, "size": 8, "channels": 1, "num_workers": 0, "batch_size": 1, **options}
    made = VideoData(train=videos or Numbered(), val=Numbered(2), times=times, **options)
    made.setup()
    return made


def test_every_clip_has_one_of_the_rates_and_tells_when_its_frames_are():
    found = data(ClipTimes([10, 5, 20]))
    assert found.frame_rate_hz == 10
    steps = {}
    for sample in range(60):
        clip = found.train_clips[sample]
        numbers = clip["video"][:, 0, 0, 0].int()
        (apart,) = numbers.diff().unique().tolist()
        torch.testing.assert_close(clip["times"], (numbers - numbers[0]) / 20)
        steps[apart] = steps.get(apart, 0) + 1
    assert steps.keys() == {1, 2, 4}
    assert min(steps.values()) >= 8
    kept = found.val_clips[0]
    assert "times" not in kept
    assert kept["video"][:, 0, 0, 0].int().diff().tolist() == [2, 2, 2]


def test_a_first_frame_from_before_tells_how_long_before():
    found, distances = data(ClipTimes(p_far=0.5, max_far_seconds=3), frame_rate_hz=10), []
    for sample in range(200):
        clip = found.train_clips[sample]
        numbers, times = clip["video"][:, 0, 0, 0].int(), clip["times"]
        assert numbers.diff().tolist()[1:] == [2, 2]
        torch.testing.assert_close(times[1:], torch.tensor([0.1, 0.2, 0.3]))
        torch.testing.assert_close(numbers[0] - numbers[1], ((times[0] - times[1]) * 20).round().int())
        distances.append(-round(times[0].item() * 10))
    assert min(distances) == 0
    assert max(distances) <= 30
    assert 0.3 < np.mean(np.array(distances) > 0) < 0.6  # a clip at the beginning of its video has nothing before it
    near, far = (sum(low <= each < 2 * low for each in distances) for low in (1, 8))
    assert 0.3 < near / far < 3  # each order of magnitude as often


def test_frames_that_come_as_they_are_may_have_one_from_before_too():
    found = data(ClipTimes(p_far=1, max_far_seconds=2), stride=2)
    assert found.frame_rate_hz == 10
    clip = next(clip for clip in map(found.train_clips.__getitem__, range(50)) if clip["times"][0] < 0)
    numbers = clip["video"][:, 0, 0, 0].int()
    assert (numbers[1] - numbers[0]).item() == round(20 * (clip["times"][1] - clip["times"][0]).item())


def test_the_same_seed_gives_the_same_clips_and_clips_without_times_stay():
    one, other, plain = data(ClipTimes([10, 5], p_far=0.5)), data(ClipTimes([10, 5], p_far=0.5)), data(None)
    assert all(torch.equal(one.train_clips[n]["times"], other.train_clips[n]["times"]) for n in range(10))
    told = data(ClipTimes(p_far=0))  # which draws what has no effect
    for n in range(10):
        assert torch.equal(told.train_clips[n]["video"], plain.train_clips[n]["video"])
        assert plain.train_clips[n].keys() == told.train_clips[n].keys() - {"times"}


def test_a_resumed_training_sees_other_times_as_other_data():
    before = data(ClipTimes([10, 5]), frame_rate_hz=10).state_dict()
    with pytest.warns(UserWarning, match="training data changed"):
        data(None, frame_rate_hz=10).load_state_dict(before)


@pytest.mark.parametrize(("start", "far", "expected"), [(0, 0.5, None), (4, 0.0, (2, 1)), (100, 0.999, (60, 20))])
def test_how_far_before_is_counted_in_frames_of_the_clip(start, far, expected):
    times, spec = Numbered().frame_times(0), ClipSpec(4, (8, 8), 1, frame_rate_hz=10)
    assert far_frame(times, spec, start, 10.0, 2.0, far) == expected


@pytest.mark.parametrize(
    ("times", "options", "words"),
    [
        (ClipTimes([10, 5]), {"stride": 2}, "data.stride"),
        (ClipTimes(p_far=0.5), {"num_frames": 2}, "3 frames or more"),
        (ClipTimes([10, 40]), {}, "fewer frames per second than 40"),
        (ClipTimes([10, 5]), {"videos": Numbered(rate_hz=None)}, "tell no frame rate"),
    ],
)
def test_what_would_tell_wrong_times_is_refused(times, options, words):
    with pytest.raises(ValueError, match=words):
        data(times, **options)


def test_augmentation_that_would_make_times_wrong_is_refused():
    with pytest.raises(ValueError, match="max_speed"):
        data(ClipTimes([10, 5]), augment=Augmentation(max_speed=2))
    with pytest.raises(ValueError, match="reverse"):
        data(ClipTimes(p_far=0.5), augment=Augmentation(reverse=True))


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"frame_rates_hz": [0]}, "more than 0"),
        ({"frame_rates_hz": [float("nan")]}, "more than 0"),
        ({"frame_rates_hz": [5, 5]}, "different rates"),
        ({"p_far": 1.5}, "probability"),
        ({"max_far_seconds": 0}, "max_far_seconds"),
    ],
)
def test_times_out_of_range_are_refused(wrong, words):
    with pytest.raises(ValueError, match=words):
        ClipTimes(**wrong)
