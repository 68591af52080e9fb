"""Rolling denoising, frame by frame in a window of rising noise levels; and guidance against a noisy context."""

import pytest
import torch
from reference.tiny import pixels, tiny_config, tiny_model
from torch import nn
from torch.nn.init import normal_
from tqdm import tqdm

import mcvd
from mcvd.apps.cli.main import main
from mcvd.diffusion.block_sampler import BlockSampler
from mcvd.diffusion.denoiser import Denoiser
from mcvd.diffusion.options import SamplingOptions
from mcvd.diffusion.progress import SamplingProgress
from mcvd.diffusion.rolling import calls_per_frame, frame_times, rolling_rollout
from mcvd.frames import FrameBlock
from mcvd.noise import Cosine, Geometric, LinearBeta

MEAN, STD = 0.3, 0.2


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    config = tiny_config(net="SpaceTimeUNet")
    config["net"]["init_args"]["conditioning"] = {"class_path": "mcvd.nets.Concat", "init_args": {"tell_noise": True}}
    config["masking"]["p_any"] = 0.3
    schedule = {"class_path": "mcvd.noise.Cosine"}
    others = {"predicts": "edm", "reference": "context", "schedule": schedule, "context_noise": 0.3}
    made = mcvd.build(config | others | {"frame_noise": {"p_own": 0.5}})
    for parameter in made.parameters():
        normal_(parameter, std=0.1)
    return made.eval()


class OfGaussians(nn.Module):
    """Knows the answer where all pixels of all frames are independent and normal."""

    def __init__(self, schedule):
        super().__init__()
        self.schedule, self.weight, self.calls = schedule, nn.Parameter(torch.zeros(())), []

    def encode_condition(self, context, cache, modulation):
        self.seen = context.keep

    def forward(self, noisy, label, condition):
        self.calls.append(label)
        t = 1 - label / self.schedule.num_steps
        at = self.schedule(t).like(noisy)
        if not self.schedule.preserves_variance:
            noisy = noisy * (at.alpha**2 + at.sigma**2).sqrt()  # the denoiser hands it over at unit size
        gain = at.alpha * STD**2 / ((at.alpha * STD) ** 2 + at.sigma**2)
        return MEAN + gain * (noisy - at.alpha * MEAN)


def rolled(schedule, num_steps, num_frames, block=FrameBlock(2, 4), rows=2):
    net = OfGaussians(schedule)
    progress = SamplingProgress(num_frames, calls_per_frame(block, num_steps), tqdm(disable=True))
    sampler = BlockSampler(Denoiser(net, schedule, "x0"), block, SamplingOptions(), None, None, None, progress)
    keys = [(0, row, 0) for row in range(rows)]
    parts = list(rolling_rollout(sampler, keys, torch.zeros(rows, 2, 1, 32, 32), num_frames, num_steps))
    assert [start for start, _ in parts] == [*range(num_frames)]
    return torch.cat([frames for _, frames in parts], 1), net


@pytest.mark.parametrize("schedule", [Cosine(), LinearBeta(), Geometric(sigma_max=20)], ids=str)
def test_frames_of_gaussian_data_have_its_mean_and_variance(schedule):
    video, _ = rolled(schedule, num_steps=240, num_frames=5)
    means, stds = video.mean((0, 2, 3, 4)), video.std((0, 2, 3, 4))
    torch.testing.assert_close(means, torch.full((5,), MEAN), atol=0.02, rtol=0)
    torch.testing.assert_close(stds, torch.full((5,), STD), atol=0.02, rtol=0)
    across = torch.corrcoef(video.transpose(0, 1).flatten(1))
    assert (across - torch.eye(5)).abs().max() < 0.1


def test_a_frame_costs_as_many_calls_as_it_moves_and_the_first_ones_more():
    _, net = rolled(Cosine(), num_steps=8, num_frames=5)
    assert len(net.calls) == 8 + 4 * 2
    times = 1 - torch.stack([label[0] for label in net.calls]) / 1000
    assert (times.diff(dim=1) >= -1e-6).all()  # later frames are never cleaner
    assert times[0].tolist() == [1, 1, 1, 1]
    torch.testing.assert_close(times[-1], torch.tensor([0.125, 0.375, 0.625, 0.875]))


def test_times_go_down_by_equal_steps_and_frames_end_in_turn():
    block = FrameBlock(0, 4)
    times = torch.stack([frame_times(block, 0, tick, 7) for tick in range(15)])
    assert calls_per_frame(block, 7) == 2
    assert [int((frame == 0).int().argmax()) for frame in times.T[:4]] == [8, 10, 12, 14]
    assert times.diff(dim=0).unique().tolist() == [-0.125, 0]


def test_a_video_is_the_same_in_any_batch_and_begins_as_a_longer_one(model):
    past, options = pixels(2, 2, 1, 16, 16), {"rolling": True, "steps": 6, "progress": False}
    video = model.predict(past, 5, **options)
    assert torch.equal(video[1:], model.predict(past[1:], 5, first_video=1, **options))
    assert torch.equal(video[:, :3], model.predict(past, 3, **options))
    told = []
    model.predict(past, 5, on_progress=told.append, **options)
    assert told == sorted(told)
    assert told[-1] < 1


def test_it_begins_from_nothing_and_with_one_frame(model):
    options = {"rolling": True, "steps": 3, "progress": False}
    assert model.generate(4, num_samples=2, **options).shape == (2, 4, 1, 16, 16)
    few = model.predict(pixels(1, 1, 1, 16, 16), 4, num_samples=3, **options)
    assert few.shape == (1, 3, 4, 1, 16, 16)
    assert (few[0, 0] != few[0, 1]).any()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"known": {0: pixels(1, 16, 16)}}, "takes no known frames"),
        ({"overlap": 1}, "takes no .* overlap"),
        ({"sampler": mcvd.samplers.DDIM(3)}, "no known frames, loop, guide, sampler or overlap"),
        ({"backward": True}, "rolling goes forward"),
    ],
)
def test_what_rolling_cannot_do_is_refused(model, options, words):
    with pytest.raises(ValueError, match=words):
        model.predict(pixels(1, 2, 1, 16, 16), 4, rolling=True, **options)


def test_a_model_that_never_saw_frames_at_times_of_their_own_says_so():
    with pytest.raises(ValueError, match="frame_noise"):
        tiny_model().predict(pixels(1, 2, 1, 16, 16), 4, rolling=True)


def test_guidance_against_a_context_without_noise_changes_nothing(model):
    past, options = pixels(2, 2, 1, 16, 16), {"steps": 3, "progress": False, "rounded": False}
    plain = model.predict(past, 3, **options)
    same = model.predict(past, 3, guidance=3.0, guidance_noise=0.0, **options)
    torch.testing.assert_close(same, plain, atol=1e-4, rtol=0)
    noisy = model.predict(past, 3, guidance=3.0, guidance_noise=0.3, **options)
    assert not torch.allclose(noisy, plain, atol=1e-3)
    assert not torch.allclose(noisy, model.predict(past, 3, guidance=3.0, **options), atol=1e-3)


def test_noise_to_compare_with_is_bounded_and_needs_guidance(model):
    past = pixels(1, 2, 1, 16, 16)
    with pytest.raises(ValueError, match="set guidance too"):
        model.predict(past, 3, guidance_noise=0.1)
    with pytest.raises(ValueError, match=r"from 0 to 0\.3"):
        model.predict(past, 3, guidance=2.0, guidance_noise=0.5)


def test_the_command_rolls_and_its_page_says_so(model, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    model.save_pretrained("rolls")
    mcvd.write_video("a.gif", pixels(8, 1, 16, 16), 10)
    words = "predict a.gif --model rolls --num-frames 4 --rolling --steps 3 --out o.gif --gallery"
    assert main(words.split()) == 0
    assert mcvd.read_video("o.gif").shape[0] == 6 and "rolling denoising" in (tmp_path / "o.html").read_text()
