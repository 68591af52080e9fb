"""FVD as a metric: accumulated in batches and processes, with its cautions."""

import warnings
from datetime import timedelta
from pathlib import Path

import pytest
import torch
import torch.multiprocessing as processes
from torch import distributed

from mcvd.metrics.frechet import distance_of_features, distances_of_samples, frechet_distance, frechet_interval
from mcvd.metrics.fvd import FrechetVideoDistance, random_i3d_distance
from mcvd.metrics.i3d import random_i3d
from mcvd.metrics.i3d_weights import STYLEGAN_V, VIDEOGPT, load_i3d
from mcvd.metrics.preprocessing import prepare

NUM_FEATURES = 12
pytestmark = pytest.mark.filterwarnings("ignore:only .* videos")


class SmallExtractor(torch.nn.Module):
    """Twelve numbers that depend on places and times, (B, 3, T, 8, 8) -> (B, 12)."""

    def __init__(self):
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.weight = torch.nn.Parameter(torch.randn(NUM_FEATURES, 3 * 2 * 8 * 8, generator=generator))

    def forward(self, video):
        return torch.stack([video.mean(2), video.diff(dim=2).abs().mean(2)], 2).flatten(1) @ self.weight.T


def videos(num, seed, num_frames=10, size=(8, 8), channels=3):
    generator = torch.Generator().manual_seed(seed)
    shape = (num, num_frames, channels, *size)
    level = torch.randint(40, 200, (num, 1, channels, 1, 1), generator=generator)
    return (level + torch.randint(0, 56, shape, generator=generator)).to(torch.uint8)


def small(**options):
    return FrechetVideoDistance(SmallExtractor(), size=8, num_features=NUM_FEATURES, **options)


def filled(real, fake, batch_size=1000, indexed=False, **options):
    metric = small(**options)
    for side, is_real in ((real, True), (fake, False)):
        numbers = torch.arange(len(side)).split(batch_size)
        for batch, indices in zip(side.split(batch_size), numbers, strict=True):
            metric.update(batch, real=is_real, indices=indices if indexed else None)
    return metric


REAL, FAKE = videos(64, 0), videos(64, 1) // 2


@pytest.mark.parametrize("indexed", [False, True])
def test_batches_do_not_matter(indexed):
    whole = filled(REAL, FAKE, 64, indexed).compute()
    for batch_size in (1, 7):
        assert torch.equal(filled(REAL, FAKE, batch_size, indexed).compute(), whole)


@pytest.mark.parametrize("num_videos", [64, 8])
@pytest.mark.parametrize("batch_size", [64, 1])
def test_sums_alone_give_the_distance_of_the_features(num_videos, batch_size):
    sides = REAL[:num_videos], FAKE[:num_videos]
    summed = filled(*sides, batch_size, keep_features=False)
    assert summed.compute().item() == pytest.approx(filled(*sides).compute().item(), rel=1e-6)
    assert sum(value.numel() for value in summed.metric_state.values()) == 2 * (NUM_FEATURES + 1) ** 2 + 1


def test_sums_refuse_what_needs_features():
    summed = filled(REAL[:4], FAKE[:1], keep_features=False)
    with pytest.raises(ValueError, match="2 or more fake videos, got 1"):
        summed.compute()
    with pytest.raises(ValueError, match="keep_features=True"):
        summed.features()
    with pytest.raises(ValueError, match="keep_features=True"):
        summed.update(REAL[:4], real=True, indices=range(4))


def process(rank, world, port, folder):
    where = f"tcp://127.0.0.1:{port}"
    distributed.init_process_group("gloo", where, timedelta(seconds=120), rank=rank, world_size=world)
    try:
        # As a distributed sampler deals videos out: every second one, the last batch filled up with the first again.
        mine = [number % 63 for number in range(rank, 64, world)]
        metric = small()
        metric.update(REAL[mine], real=True, indices=mine)
        metric.update(FAKE[mine], real=False, indices=mine)
        unnumbered, lonely = small(), small()
        unnumbered.update(REAL[rank::world], real=True)
        unnumbered.update(FAKE[rank::world], real=False)
        if rank == 0:  # the other process sees nothing at all
            lonely.update(REAL, real=True)
            lonely.update(FAKE, real=False)
        summed = small(keep_features=False)
        summed.update(REAL[rank::world], real=True)
        summed.update(FAKE[rank::world], real=False)
        values = [metric.compute(), unnumbered.compute(), lonely.compute(), summed.compute(), *metric.features()]
        metric.update(REAL[mine], real=True, indices=mine)  # goes on after computing
        torch.save([*values, metric.compute()], Path(folder) / f"{rank}.pt")
    finally:
        distributed.destroy_process_group()


def free_port():
    store = distributed.TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
    return store.port


def test_processes_do_not_matter(tmp_path):
    port = free_port()
    other = processes.get_context("spawn").Process(target=process, args=(1, 2, port, str(tmp_path)))
    other.start()
    process(0, 2, port, str(tmp_path))  # this one takes part: every new process has to import torchmetrics, for seconds
    other.join()
    numbered, all_of_them = filled(REAL[:63], FAKE[:63], indexed=True), filled(REAL, FAKE).compute()
    for rank in range(2):
        value, unnumbered, lonely, summed, real, fake, later = torch.load(tmp_path / f"{rank}.pt")
        assert torch.equal(value, numbered.compute()) and torch.equal(later, value)
        assert unnumbered.item() == pytest.approx(all_of_them.item(), rel=1e-12)
        assert torch.equal(lonely, all_of_them)
        assert summed.item() == pytest.approx(all_of_them.item(), rel=1e-6)
        assert all(map(torch.equal, (real, fake), numbered.features()))


def test_distance_is_that_of_the_gaussians_of_the_features():
    metric = filled(REAL, FAKE)
    moments = []
    for side in (REAL, FAKE):
        features = torch.cat([SmallExtractor()(prepare(video, size=8)[None]) for video in side]).detach().double()
        moments += [features.mean(0), features.T.cov()]
    assert metric.compute().item() == pytest.approx(frechet_distance(*moments).item(), rel=1e-9)
    assert metric.compute().dtype == torch.float64


def test_equal_sets_have_distance_zero_and_order_does_not_matter():
    assert filled(REAL, REAL.flip(0)).compute().item() == pytest.approx(0, abs=1e-9)


def test_grey_is_colour_with_equal_channels():
    grey = videos(8, 0, channels=1)
    whole = filled(grey, FAKE).compute()
    assert torch.equal(filled(grey.expand(-1, -1, 3, -1, -1), FAKE).compute(), whole)


def test_reset_forgets():
    metric = filled(REAL, FAKE)
    metric.reset()
    metric.update(videos(4, 3, num_frames=12), real=True)
    metric.update(videos(4, 4, num_frames=12), real=False)
    assert [len(side) for side in metric.features()] == [4, 4]


def test_weights_of_the_extractor_stay_out_of_checkpoints():
    metric = filled(REAL, FAKE)
    assert not metric.state_dict() and not list(metric.parameters())


@pytest.mark.parametrize(
    ("batch", "message"),
    [
        (videos(2, 0).float() / 255, "uint8 with values from 0 to 255, got torch.float32"),
        (videos(2, 0, num_frames=9), "10 frames or more, got 9"),
        (videos(2, 0)[0], r"\(B, T, C, H, W\)"),
        (videos(2, 0, channels=2), "1 or 3 channels"),
        (videos(2, 0, num_frames=11), "11 frames after some of 10"),
    ],
)
def test_what_cannot_be_compared_is_refused(batch, message):
    metric = filled(REAL[:2], FAKE[:2])
    with pytest.raises(ValueError, match=message):
        metric.update(batch, real=True)


def test_too_few_videos_are_refused_and_few_are_warned_of():
    with pytest.raises(ValueError, match="2 or more fake videos, got 1"):
        filled(REAL, FAKE[:1]).compute()
    with pytest.warns(UserWarning, match="only 64 real videos"):
        filled(REAL, FAKE).compute()
    with warnings.catch_warnings(action="error"):
        filled(REAL.repeat(4, 1, 1, 1, 1), FAKE.repeat(4, 1, 1, 1, 1)).compute()


def test_frames_that_were_never_multiplied_by_255_are_refused():
    ones = videos(4, 0) // 200
    with pytest.raises(ValueError, match="brighter than 1 of 255"):
        filled(ones, 0 * ones).compute()


def test_indices_are_checked():
    metric = filled(REAL[:4], FAKE[:4], indexed=True)
    with pytest.raises(ValueError, match="one index"):
        metric.update(REAL[:4], real=True, indices=[1, 2])
    metric.update(FAKE[:1], real=True, indices=[2])
    with pytest.raises(ValueError, match="different real videos have the same index 2"):
        metric.compute()
    mixed = filled(REAL[:4], FAKE[:4])
    mixed.update(REAL[4:], real=True, indices=range(4, 64))
    with pytest.raises(ValueError, match="all real videos need an index"):
        mixed.compute()


def test_extractor_computes_in_full_float32_and_settings_come_back():
    class Spy(SmallExtractor):
        def forward(self, video):
            seen.append((torch.backends.cudnn.conv.fp32_precision, torch.is_autocast_enabled("cpu"), video.dtype))
            return super().forward(video)

    seen, before = [], (torch.backends.cudnn.conv.fp32_precision, torch.backends.cudnn.allow_tf32)
    metric = FrechetVideoDistance(Spy(), size=8, num_features=NUM_FEATURES)
    with torch.autocast("cpu", torch.bfloat16):
        metric.update(REAL[:1], real=True)
    assert seen == [("ieee", False, torch.float32)]
    assert (torch.backends.cudnn.conv.fp32_precision, torch.backends.cudnn.allow_tf32) == before


def test_extractor_is_checked():
    metric = FrechetVideoDistance(lambda video: video.mean((2, 3, 4)), size=8)
    with pytest.raises(ValueError, match="400 finite features"):
        metric.update(REAL[:1], real=True)
    with pytest.raises(ValueError, match="preprocessing must be one of mcvd"):
        FrechetVideoDistance(SmallExtractor(), preprocessing="other")


def test_pixels_reach_the_extractor_scaled_from_minus_one_to_one():
    video = torch.tensor([0, 51, 255], dtype=torch.uint8).view(3, 1, 1, 1).expand(3, 3, 4, 4)
    assert torch.allclose(prepare(video)[0, :, 0, 0], torch.tensor([-1.0, -0.6, 1.0]))


@pytest.mark.parametrize("size", [(4, 8), (8, 4), (5, 9), (6, 6)])
def test_crop_keeps_the_centre_and_squash_keeps_all(size):
    ramp = torch.arange(max(size), dtype=torch.uint8) * 20
    wide = size[1] >= size[0]
    video = (ramp if wide else ramp[:, None]).expand(1, 3, *size)
    lines = {name: prepare(video, name, size=min(size))[0, 0] for name in ("mcvd", "stylegan-v")}
    lines = {name: frame[0] if wide else frame[:, 0] for name, frame in lines.items()}
    room = (max(size) - min(size)) // 2
    assert torch.allclose(lines["mcvd"], ramp[room : room + min(size)] / 127.5 - 1)
    assert lines["stylegan-v"][0] < lines["mcvd"][0] + 1e-6 and lines["stylegan-v"][-1] > lines["mcvd"][-1] - 1e-6


def gaussian(num, dim, seed, shift=0.0):
    return torch.randn(num, dim, generator=torch.Generator().manual_seed(seed)) + shift


@pytest.mark.parametrize(("num_a", "num_b"), [(5, 40), (40, 40), (41, 7), (90, 100)])
def test_distance_of_features_is_that_of_their_moments(num_a, num_b):
    a, b = gaussian(num_a, 40, 0).double(), gaussian(num_b, 40, 1, shift=0.5).double()
    expected = frechet_distance(a.mean(0), a.T.cov(), b.mean(0), b.T.cov()).item()
    assert distance_of_features(a, b).item() == pytest.approx(expected, rel=1e-9)
    assert distance_of_features(a, a.flip(0)).item() == pytest.approx(0, abs=1e-9)


def test_interval_is_as_wide_as_distances_of_new_sets_spread():
    pairs = [(gaussian(150, 6, seed), gaussian(150, 6, 5000 + seed, shift=0.5)) for seed in range(100)]
    spread = torch.stack([distance_of_features(*pair) for pair in pairs]).std().item()
    widths = [high - low for low, high in (frechet_interval(*pair, seed=0) for pair in pairs[:20])]
    assert sum(widths) / len(widths) / (2 * 1.96) == pytest.approx(spread, rel=0.25)


def test_interval_is_around_the_distance_and_the_same_for_the_same_seed():
    real, fake = gaussian(40, 60, 0), gaussian(40, 60, 1)  # fewer videos than features
    low, high = frechet_interval(real, fake, num_resamples=10, seed=3)
    assert low < distance_of_features(real, fake).item() < high
    assert frechet_interval(real, fake, num_resamples=10, seed=3) == (low, high)


def continued(num_clips, num_samples, spread, seed=0):
    """Features of true videos, and of K continuations of each, which differ little from each other."""
    real = gaussian(num_clips, 6, seed)
    made = gaussian(num_clips, 6, 900 + seed, shift=0.5)[:, None]
    return real, (made + spread * gaussian(num_clips * num_samples, 6, 700 + seed).view(-1, num_samples, 6)).flatten(
        0, 1
    )


def test_interval_of_several_samples_of_a_clip_is_that_of_the_clips():
    pairs = [continued(100, 5, 0.1, seed) for seed in range(60)]
    spread = torch.stack([distance_of_features(*pair) for pair in pairs]).std().item()

    def width(samples_of_each):
        intervals = [frechet_interval(*pair, samples_of_each=samples_of_each) for pair in pairs[:12]]
        return sum(high - low for low, high in intervals) / len(intervals) / (2 * 1.96)

    assert width(5) == pytest.approx(spread, rel=0.3)
    assert width(None) < 0.8 * spread, "as if all were independent"
    with pytest.raises(ValueError, match="not 3 for each"):
        frechet_interval(*pairs[0], samples_of_each=3)


def test_distance_of_single_samples_is_that_of_each_alone():
    real, fake = continued(30, 3, 1.0)
    found = distances_of_samples(real, fake, 3)
    expected = [distance_of_features(real, fake.unflatten(0, (30, 3))[:, k]).item() for k in range(3)]
    assert found == expected and len(set(found)) == 3


def cached_weights():
    folder = Path(torch.hub.get_dir()) / "checkpoints"
    return [folder / file.name for file in (STYLEGAN_V, VIDEOGPT) if (folder / file.name).is_file()]


@pytest.mark.skipif(not cached_weights(), reason="no weights of I3D in the cache of torch.hub")
@pytest.mark.parametrize("path", cached_weights())
@pytest.mark.parametrize(("num_frames", "published"), [(10, 569.230), (16, 152.918), (30, 151.256)])
def test_published_values_of_black_against_white(path, num_frames, published):
    """Of common_metrics_on_video_quality: 8 videos of 64x64 pixels."""
    metric = FrechetVideoDistance(load_i3d(path))
    black = torch.zeros(8, num_frames, 3, 64, 64, dtype=torch.uint8)
    metric.update(black, real=True)
    metric.update(black + 255, real=False)
    # TensorFlow's own value for 30 frames is 151.392.
    assert metric.compute().item() == pytest.approx(published, rel=1e-3)


def test_random_i3d_distance_is_its_metric_with_a_random_network():
    real, fake = videos(2, 0, size=(32, 32)), videos(3, 1, size=(32, 32))
    metric = FrechetVideoDistance(random_i3d(4), size=32)
    metric.update(real, real=True)
    metric.update(fake, real=False)
    assert random_i3d_distance(real, fake, seed=4, size=32).item() == pytest.approx(metric.compute().item(), rel=1e-6)
