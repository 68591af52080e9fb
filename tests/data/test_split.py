"""Training and validation videos of one collection: no video in both."""

import pytest
from reference.numbered_videos import NumberedVideos, frame_numbers

from mcvd.data.clips.spec import ClipSpec, find_clips
from mcvd.data.sources.split import VideoSubset, train_val_split

SPEC = ClipSpec(num_frames=5, size=(4, 6))


@pytest.mark.parametrize(("num_videos", "held"), [(2, {1}), (9, {8}), (10, {9}), (25, {9, 19})])
def test_every_tenth_video_is_held_out_or_the_last_of_fewer(num_videos, held):
    train, val = train_val_split(NumberedVideos([12] * num_videos), SPEC)
    assert {index for index, _, _ in val.excerpts} == held
    assert {index for index, _, _ in train.excerpts} == set(range(num_videos)) - held


def test_a_video_too_short_for_a_clip_is_never_the_one_held_out():
    with pytest.warns(UserWarning, match="left out: video 2"):
        train, val = train_val_split(NumberedVideos([12, 12, 3]), SPEC)
    assert (train.excerpts, val.excerpts) == ([(0, 0, 12)], [(1, 0, 12)])


@pytest.mark.parametrize("rate_hz", [None, 10.0])
@pytest.mark.parametrize("length", [10, 11, 14, 60, 100])
def test_of_a_single_video_the_end_is_held_out_without_overlap(length, rate_hz):
    spec = ClipSpec(num_frames=5, size=(4, 6), frame_rate_hz=rate_hz)
    train, val = train_val_split(NumberedVideos([length]), spec)
    ((_, _, stop),), ((_, start, end),) = train.excerpts, val.excerpts
    assert stop == start and end == length and length - start == max(5, length // 10)
    assert len(find_clips(train, spec)) >= 1 and len(find_clips(val, spec)) >= 1


def test_a_single_video_of_one_clip_cannot_be_split():
    with pytest.raises(ValueError, match="room for only one clip"):
        train_val_split(NumberedVideos([9]), SPEC)


def test_an_excerpt_shows_its_part_of_the_video():
    part = VideoSubset(NumberedVideos([20, 20]), [(1, 7, 15)])
    assert part.times_seconds(0).tolist() == pytest.approx([k / 10 for k in range(8)])
    assert frame_numbers(part.read(0, [0, 3, 7], (4, 6))) == [7, 10, 14]
