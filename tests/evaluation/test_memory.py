"""An evaluation keeps features and numbers, not videos: what it needs does not depend on how many clips there are."""

import gc

import pytest
import torch
from reference.oracle import Oracle

from mcvd.evaluation.batch import SampledBatch
from mcvd.evaluation.clips import ClipBatches
from mcvd.evaluation.distances import SampleDistance
from mcvd.evaluation.evaluate import evaluate
from mcvd.evaluation.highlights import Highlights
from mcvd.evaluation.result_card import Distance
from mcvd.runtime.digests import digest


def video_bytes():
    """The bytes of all videos that are alive."""
    gc.collect()
    videos = [each for each in gc.get_objects() if type(each) is torch.Tensor and each.dtype == torch.uint8]
    return sum({video.untyped_storage().data_ptr(): video.untyped_storage().nbytes() for video in videos}.values())


class Guessing(Oracle):
    """Samples noise, and notes how many bytes of videos there are in the first of its calls and in the last."""

    def __init__(self, num_calls):
        self.calls, self.noted, self.bytes = 0, (1, num_calls), []

    def predict(self, past, num_frames, *, num_samples, **options):
        self.calls += 1
        if self.calls in self.noted:
            self.bytes.append(video_bytes())
        shape = (len(past), num_samples, num_frames, *past.shape[2:])
        return torch.randint(0, 256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(self.calls))


def growth(num_batches):
    """Bytes of videos that came to stay in an evaluation of so many batches."""
    model, highlights = Guessing(num_batches), Highlights()
    distance = SampleDistance(Distance("brightness", preprocessing="mcvd"), Brightness())
    batches = (torch.full((2, 12, 1, 32, 32), 9 * number, dtype=torch.uint8) for number in range(num_batches))
    evaluate(model, batches, num_samples=4, batch_size=8, accumulators=[distance, highlights])
    assert distance.compute().num_fake == 4 * distance.compute().num_real == 8 * num_batches
    assert len(highlights.compute()) == 4
    return model.bytes[1] - model.bytes[0]


class Brightness(torch.nn.Module):
    """(1, 3, T, H, W) -> (1, 400)."""

    def forward(self, video):
        return torch.nn.functional.adaptive_avg_pool2d(video.mean((1, 2)), 20).flatten(1)


def test_memory_does_not_depend_on_the_number_of_clips():
    one_batch = 2 * 12 * 32 * 32 * 5  # two clips, and four samples of each
    assert growth(24) <= growth(6) + one_batch


class Numbered(torch.utils.data.Dataset):
    def __len__(self):
        return 5

    def __getitem__(self, number):
        return {"video": torch.full((3, 1, 4, 4), number, dtype=torch.uint8)}


def test_clips_read_batch_by_batch_have_the_digest_of_all():
    clips = ClipBatches(Numbered(), batch_size=2)
    with pytest.raises(RuntimeError, match="after all of them were read"):
        clips.digest()
    whole = torch.cat(list(clips))
    assert whole[:, 0, 0, 0, 0].tolist() == [0, 1, 2, 3, 4] and clips.num_clips == 5
    assert clips.digest() == digest({"clips": whole})


def batch(first, *scores):
    videos = torch.full((len(scores), 3, 1, 4, 4), first, dtype=torch.uint8)
    of_clips = {"psnr": torch.tensor(scores)} if None not in scores else {}
    return SampledBatch(first, videos[:, :1], videos[:, :2], videos[:, :0], videos[:, None, :2], of_clips)


def test_the_best_and_the_worst_clips_are_kept_in_order():
    highlights = Highlights()
    for first, scores in ((0, (20.0, 30.0)), (2, (10.0, 25.0, 40.0)), (5, (15.0,))):
        highlights.update(batch(first, *scores))
    assert [(each.number, each.score) for each in highlights.compute()] == [(4, 40), (1, 30), (5, 15), (2, 10)]
    assert highlights.compute()[0].target.shape == highlights.compute()[0].sample.shape == (3, 1, 4, 4)
    assert highlights.compute()[0].target.unique().item() == 2


def test_few_clips_are_shown_once_and_without_ground_truth_the_first():
    few, without = Highlights(), Highlights()
    few.update(batch(0, 10.0, 20.0, 15.0))
    for first in range(0, 8, 2):
        without.update(batch(first, None, None))
    assert [each.number for each in few.compute()] == [1, 2, 0]
    assert [each.number for each in without.compute()] == [0, 1, 2, 3]
