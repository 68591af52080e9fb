"""Which frames of which video a clip shows, by place and by time, and what a data set gives."""

import pickle

import numpy as np
import pytest
import torch
from reference.numbered_videos import NumberedVideos, frame_numbers

from mcvd.data.clips.dataset import ClipDataset
from mcvd.data.clips.sampling import ClipRef, EvenClips, RandomClips, SeededClips
from mcvd.data.clips.spec import ClipIndex, ClipSpec, find_clips
from mcvd.video.decoders.base import VideoError

SMALL = (4, 6)


def training_clips(videos, spec, seed=0):
    return ClipDataset(videos, spec, RandomClips(find_clips(videos, spec), spec, seed))


def validation_clips(videos, spec, num_clips=None):
    return ClipDataset(videos, spec, EvenClips(find_clips(videos, spec), num_clips))


@pytest.mark.parametrize("rate_hz", [None, 10.0])
@pytest.mark.parametrize("stride", [1, 3])
@pytest.mark.parametrize("num_frames", [1, 4])
def test_every_possible_start_and_no_other_is_drawn(rate_hz, stride, num_frames):
    spec = ClipSpec(num_frames, SMALL, frame_rate_hz=rate_hz, stride=stride)
    clips = RandomClips(find_clips(NumberedVideos([23]), spec), spec)
    starts = {clips(sample).start for sample in range(2000)}
    span = (num_frames - 1) * stride + 1
    assert starts == set(range(23 - span + 1))


@pytest.mark.parametrize("rate_hz", [None, 10.0])
def test_a_video_as_long_as_one_clip_has_exactly_one_start_and_one_frame_less_has_none(rate_hz):
    spec = ClipSpec(5, SMALL, frame_rate_hz=rate_hz, stride=2)
    assert [spec.count_starts(np.arange(n) / 10) for n in (8, 9, 10)] == [0, 1, 2]
    assert [spec.count_clips(np.arange(n) / 10) for n in (8, 9, 17, 18)] == [0, 1, 1, 2]


def test_times_rounded_to_milliseconds_change_nothing():
    exact = np.arange(100) / 30
    spec = ClipSpec(7, SMALL, frame_rate_hz=30.0)
    assert spec.count_starts(np.round(exact, 3)) == spec.count_starts(exact) == 94


@pytest.mark.parametrize("rate_hz", [3.0, 10.0, 24.0, 29.97, 60.0])
@pytest.mark.parametrize("stride", [1, 2])
def test_every_clip_of_an_unevenly_timed_video_has_all_its_frames(rate_hz, stride):
    steps = np.random.default_rng(0).choice([0.02, 0.04, 0.15], size=80)
    times = np.concatenate([[0.0], steps.cumsum()])
    spec = ClipSpec(6, SMALL, frame_rate_hz=rate_hz, stride=stride)
    assert all(len(spec.frames(times, start)) == 6 for start in range(spec.count_starts(times)))


def test_a_clip_is_read_by_time():
    clips = validation_clips(NumberedVideos([20], rate_hz=10.0), ClipSpec(4, SMALL, frame_rate_hz=5.0))
    assert frame_numbers(clips[0]["video"]) == [0, 2, 4, 6]


def test_stride_takes_every_nth_frame():
    clips = validation_clips(NumberedVideos([20]), ClipSpec(3, SMALL, stride=4))
    assert [frame_numbers(clips[sample]["video"]) for sample in range(len(clips))] == [[0, 4, 8], [11, 15, 19]]


def test_an_epoch_visits_every_entry_once_and_the_next_one_in_another_order():
    spec = ClipSpec(5, SMALL)
    index = find_clips(NumberedVideos([50, 20, 5]), spec)
    clips, num = RandomClips(index, spec), len(index)
    assert num == 15
    epochs = [[entry_of(index, clips(epoch * num + position)) for position in range(num)] for epoch in range(2)]
    assert sorted(epochs[0]) == sorted(epochs[1]) == list(range(num))
    assert epochs[0] != epochs[1]


def entry_of(index: ClipIndex, clip: ClipRef) -> int:
    inside = (index.video == clip.video) & (index.first <= clip.start) & (clip.start < index.stop)
    return int(np.flatnonzero(inside).item())


def test_a_clip_depends_on_seed_and_sample_number_alone():
    spec = ClipSpec(5, SMALL, crop="random", flip=True)
    index = find_clips(NumberedVideos([40, 30]), spec)
    forward = [RandomClips(index, spec)(sample) for sample in range(40)]
    torch.manual_seed(7), np.random.seed(7)
    assert [RandomClips(index, spec)(sample) for sample in reversed(range(40))] == forward[::-1]
    assert [RandomClips(index, spec, seed=1)(sample) for sample in range(40)] != forward


def test_validation_clips_are_spread_to_both_ends_and_do_not_overlap():
    clips = validation_clips(NumberedVideos([23]), ClipSpec(5, SMALL))
    shown = [frame_numbers(clips[sample]["video"]) for sample in range(len(clips))]
    assert shown[0][0] == 0 and shown[-1][-1] == 22
    assert len({frame for clip in shown for frame in clip}) == 4 * 5


def test_a_few_validation_clips_come_from_all_videos():
    clips = validation_clips(NumberedVideos([50] * 4), ClipSpec(5, SMALL), num_clips=4)
    assert [clips[sample]["video"][0, 0, 0, 0].item() for sample in range(len(clips))] == [0, 1, 2, 3]


def test_the_clips_of_a_protocol_begin_anywhere_in_their_video():
    clips = SeededClips(find_clips(NumberedVideos([50, 30]), ClipSpec(5, SMALL)), num_clips=2000)
    starts = {
        video: {clips(sample).start for sample in range(2000) if clips(sample).video == video} for video in (0, 1)
    }
    assert starts == {0: {*range(46)}, 1: {*range(26)}}
    assert clips(0).video == 0 and clips(0, attempt=1).video == 1  # a replacement is of the next video


def test_short_videos_are_left_out_with_one_warning():
    with pytest.warns(UserWarning, match="2 of 3 videos .* left out: video 0, video 2") as caught:
        index = find_clips(NumberedVideos([3, 30, 4]), ClipSpec(5, SMALL))
    assert set(index.video.tolist()) == {1} and len(caught) == 1


def test_no_video_long_enough_is_an_error_that_names_the_longest():
    with pytest.raises(ValueError, match=r"10 frames as they come.* longest of 3, video 1, has 8 frames in 0.70 s"):
        find_clips(NumberedVideos([3, 8, 4]), ClipSpec(10, SMALL))


def test_one_crop_and_one_flip_for_all_frames_of_a_clip():
    spec = ClipSpec(6, SMALL, crop="random", flip=True)
    clips = training_clips(NumberedVideos([60], margin=(3, 5)), spec)
    columns = [clips[sample]["video"][:, 2, 0] for sample in range(60)]
    assert all((clip == clip[0]).all() for clip in columns)
    places = {tuple(clip[0].tolist()) for clip in columns}
    windows = [tuple(range(left, left + 6)) for left in range(6)]
    assert places == {*windows, *(window[::-1] for window in windows)}
    down, right = np.array([RandomClips(find_clips(NumberedVideos([60]), spec), spec)(n).corner for n in range(400)]).T
    assert abs(np.corrcoef(down, right)[0, 1]) < 0.2 and min(np.ptp(down), np.ptp(right)) > 0.95


def test_centre_crop_is_central():
    clip = validation_clips(NumberedVideos([9], margin=(2, 4)), ClipSpec(2, SMALL))[0]["video"]
    assert clip.shape == (2, 3, *SMALL) and clip[0, 2, 0].tolist() == [2, 3, 4, 5, 6, 7]


def test_grey_is_rec_601_luma():
    video = validation_clips(NumberedVideos([3], margin=(0, 0)), ClipSpec(3, SMALL, channels=1))[0]["video"]
    assert video.shape == (3, 1, *SMALL) and video.dtype == torch.uint8
    assert video[2, 0, 0].tolist() == [round(0.587 * 2 + 0.114 * column) for column in range(6)]


def test_clips_of_a_broken_video_are_replaced_always_by_the_same():
    spec = ClipSpec(5, SMALL)
    clips = training_clips(NumberedVideos([50, 50], broken={0}), spec)
    with pytest.warns(UserWarning, match="video 0: damaged") as caught:
        first = [clips[sample]["video"] for sample in range(20)]
    assert len(caught) == 1
    assert clips.failures[0] >= 10 and clips.failures[1] == 0
    assert all((video[:, 0] == 1).all() for video in first)
    again = training_clips(NumberedVideos([50, 50], broken={0}), spec)
    with pytest.warns(UserWarning, match="video 0"):
        assert all(torch.equal(again[sample]["video"], first[sample]) for sample in reversed(range(20)))


def test_a_validation_clip_that_cannot_be_read_is_replaced_by_the_next():
    clips = validation_clips(NumberedVideos([10, 10], broken={0}), ClipSpec(5, SMALL))
    with pytest.warns(UserWarning, match="video 0"):
        assert [clips[sample]["video"][0, 0, 0, 0].item() for sample in range(4)] == [1, 1, 1, 1]


def test_nothing_readable_is_an_error_not_an_endless_loop():
    clips = training_clips(NumberedVideos([50], broken={0}), ClipSpec(5, SMALL))
    with pytest.warns(UserWarning), pytest.raises(VideoError, match=r"100 clips in a row .* damaged"):
        clips[0]


def test_clips_survive_pickling():
    clips = training_clips(NumberedVideos([50, 50]), ClipSpec(5, SMALL, crop="random"))
    assert torch.equal(pickle.loads(pickle.dumps(clips))[3]["video"], clips[3]["video"])


@pytest.mark.parametrize(
    "wrong",
    [{"num_frames": 0}, {"size": (0, 4)}, {"stride": 0}, {"frame_rate_hz": 0.0}, {"channels": 0}, {"crop": "corner"}],
)
def test_impossible_clips_are_refused(wrong):
    with pytest.raises(ValueError, match=f"{next(iter(wrong))} must be"):
        ClipSpec(**{"num_frames": 2, "size": SMALL} | wrong)
