"""Several collections of videos as one."""

import pytest
import torch

from mcvd.data.sources.concat import ConcatVideos
from mcvd.data.synthetic.driving.scenes import DrivingScenes


def scenes(num_videos, seed):
    return DrivingScenes(num_videos, num_frames=4, seed=seed)


def test_videos_follow_one_another_and_are_those_of_their_collections():
    parts = [scenes(2, seed=0), scenes(3, seed=1)]
    videos = ConcatVideos(parts)
    assert len(videos) == 5
    for index, (part, inside) in enumerate([(0, 0), (0, 1), (1, 0), (1, 1), (1, 2)]):
        wanted = parts[part].read(inside, [1, 3], (16, 16))
        assert torch.equal(videos.read(index, [1, 3], (16, 16)), wanted)
        assert videos.name(index) == parts[part].name(inside)
        assert videos.times_seconds(index).tolist() == parts[part].times_seconds(inside).tolist()


def test_a_collection_is_there_as_often_as_it_repeats():
    small, large = scenes(1, seed=0), scenes(2, seed=1)
    videos = ConcatVideos([small, large], repeats=[3, 1])
    assert [videos.name(index) for index in range(len(videos))] == [small.name(0)] * 3 + [large.name(0), large.name(1)]


def test_each_collection_is_prepared_once_however_often_it_repeats():
    prepared = []

    class Noted(DrivingScenes):
        def prepare(self):
            prepared.append(self.seed)

    ConcatVideos([Noted(1, seed=0), Noted(1, seed=1)], repeats=[3, 1]).prepare()
    assert prepared == [0, 1]


@pytest.mark.parametrize("repeats", [[1], [1, 0], [1, 1, 1]])
def test_repeats_that_do_not_fit_the_collections_are_refused(repeats):
    with pytest.raises(ValueError, match=r"repeats must be one number of 1 or more for each of 2 collections"):
        ConcatVideos([scenes(1, seed=0), scenes(1, seed=1)], repeats=repeats)


def test_no_collections_and_a_video_beyond_the_last_are_refused():
    with pytest.raises(ValueError, match="one or more collections"):
        ConcatVideos([])
    with pytest.raises(IndexError, match="choose 0 <= index < 2"):
        ConcatVideos([scenes(2, seed=0)]).read(2, [0], (16, 16))
