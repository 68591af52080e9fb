"""What a student is taught: laws of the targets, on problems whose perfect teacher is known."""

import pytest
import torch
from reference.known_answers import error, exact_denoiser, gaussian, noise, quantiles

from mcvd.diffusion.distillation import Distillation, clean_that_lands, weight
from mcvd.noise import Coefficients, Cosine, LinearBeta
from mcvd.samplers import DDIM, LogSNR, Uniform
from mcvd.samplers.spacing import log_snr

SPACINGS = [Uniform(), LogSNR(sigma_min=0.1)]


def perfect_student(distillation, teacher, schedule):
    """A student that answers its target exactly, at the beginning of each of its steps."""
    sampler = distillation.sampler
    grid = sampler.spacing(sampler.num_steps, schedule)

    def student(x, t):
        step = (grid[:-1] - t[0].double()).abs().argmin()
        uniform = torch.full((len(x),), (step.item() + 1e-9) / sampler.num_steps, dtype=torch.float64)
        return distillation.target(x, distillation.times(uniform, schedule), teacher, teacher, schedule)

    return student


@pytest.mark.parametrize("spacing", SPACINGS, ids=repr)
@pytest.mark.parametrize(("calls", "parts"), [(1, 2), (4, 2), (3, 5)])
def test_one_step_of_the_student_is_several_of_the_teacher(spacing, calls, parts):
    schedule = Cosine()
    distillation = Distillation(DDIM(calls, clip=False, spacing=spacing), parts)
    teacher = exact_denoiser(schedule)
    start = noise(3, 50)
    student = perfect_student(distillation, teacher, schedule)
    landed = distillation.sampler(student, start, schedule)
    x, ends = start, torch.arange(calls, dtype=torch.float64) / calls + 1e-9
    for times in distillation.times(ends, schedule):
        for here, there in times.unfold(0, 2, 1):
            x, _ = distillation._step(teacher, x, here.expand(3), there.expand(3), schedule)
    assert torch.allclose(landed, x, atol=1e-9)


@pytest.mark.parametrize("calls", [1, 2, 4])
def test_the_parts_of_all_steps_are_a_run_of_the_same_spacing(calls):
    """With equal log-SNR the last step, to no noise, is one part: nobody asks the network below the last noise."""
    schedule, teacher, start = Cosine(), exact_denoiser(Cosine()), noise(2, 30)
    for spacing, num_steps in ((Uniform(), calls * 3), (LogSNR(sigma_min=0.25), max(3 * (calls - 1) + 1, 3))):
        sampler = DDIM(calls, clip=False, spacing=spacing)
        student = perfect_student(Distillation(sampler, parts=3), teacher, schedule)
        expected = DDIM(num_steps, clip=False, spacing=spacing)(teacher, start, schedule)
        assert torch.allclose(sampler(student, start, schedule), expected, atol=1e-9)


def test_an_undivided_step_is_taught_by_the_teacher_alone():
    schedule, teacher = Cosine(), exact_denoiser(Cosine())
    uniform = torch.tensor([0.8, 0.99], dtype=torch.float64)
    for method in ("progressive", "consistency"):
        distillation = Distillation(DDIM(4, clip=False, spacing=LogSNR(sigma_min=0.25)), parts=3, method=method)
        times, noisy = distillation.times(uniform, schedule), noise(2, 5)
        assert (times[:, 1:] == 0).all() and (times[:, 0] == times[0, 0]).all()
        target = distillation.target(noisy, times, teacher, lambda x, t: x / 0, schedule)
        assert torch.allclose(target, teacher(noisy, times[:, 0]))


def test_halving_is_ddim_of_twice_as_many_steps():
    schedule, teacher = Cosine(), exact_denoiser(Cosine())
    student = perfect_student(Distillation(DDIM(4, clip=False)), teacher, schedule)
    start = noise(2, 30)
    expected = DDIM(8, clip=False)(teacher, start, schedule)
    assert torch.allclose(DDIM(4, clip=False)(student, start, schedule), expected, atol=1e-9)


@pytest.mark.parametrize("spacing", [Uniform(), LogSNR()], ids=repr)
def test_of_the_second_order_as_many_parts_end_nearer_and_samples_differ_as_they_should(spacing):
    """Steps of the first order end too near to the mean, so that a student of them would have too little spread."""
    schedule, truth = Cosine(), quantiles(1000)
    start = (torch.special.ndtri((torch.arange(1000, dtype=torch.float64) + 0.5) / 1000))[None]
    errors, spreads = [], []
    for order in (1, 2):
        sampler = DDIM(4, spacing=spacing)
        student = perfect_student(Distillation(sampler, 7, order=order), exact_denoiser(schedule), schedule)
        sample = sampler(student, start, schedule)[0].sort().values
        errors.append((sample - truth).abs().mean().item())
        spreads.append((sample.std() / truth.std()).item())
    assert errors[1] < 0.9 * errors[0]
    assert spreads[0] < 0.97 and 0.985 < spreads[1] < 1.01


def test_a_step_of_the_second_order_is_exact_where_the_estimate_changes_evenly():
    """Where the estimate is linear in the log-SNR only the first part is off, as all are of the first order."""
    schedule = Cosine()

    def linear(x, t):
        return (0.05 * log_snr(t, schedule))[:, None].expand_as(x)

    x, times = noise(2, 3), torch.tensor([0.6, 0.5, 0.4], dtype=torch.float64)

    def landed(steps, order):
        found = Distillation(DDIM(1, clip=False), order=order).target(x, steps, linear, linear, schedule)
        here, there = (schedule(steps[:1, end]).like(x) for end in (0, -1))
        return there.alpha * found + there.sigma * (x - here.alpha * found) / here.sigma

    fine = torch.lerp(times[0], times[-1], torch.linspace(0, 1, 2001, dtype=torch.float64)).expand(2, -1)
    truth = landed(fine, 1)
    first, second = (landed(times.expand(2, -1), order) for order in (1, 2))
    assert (second - truth).abs().max() < 0.7 * (first - truth).abs().max()


def test_a_perfect_student_is_as_near_to_the_data_as_its_teachers_many_calls():
    schedule, truth = Cosine(), quantiles(1000)
    before = error(DDIM(4), schedule, truth)[0]
    start = (torch.special.ndtri((torch.arange(1000, dtype=torch.float64) + 0.5) / 1000))[None]
    student = perfect_student(Distillation(DDIM(4), parts=16), exact_denoiser(schedule), schedule)
    after = (DDIM(4)(student, start, schedule)[0].sort().values - truth).abs().mean().item()
    assert after == pytest.approx(error(DDIM(64), schedule, truth)[0], rel=0.05)
    assert after < before / 8


def test_the_landing_is_the_inverse_of_the_step():
    schedule = LinearBeta()
    here, there = (schedule(torch.tensor([t], dtype=torch.float64)).like(noise(1, 4)) for t in (0.7, 0.2))
    noisy, clean = noise(1, 4), noise(1, 4, seed=1)
    landed = there.alpha * clean + there.sigma * (noisy - here.alpha * clean) / here.sigma
    assert torch.allclose(clean_that_lands(noisy, landed, here, there), clean)


def test_the_exact_flow_is_consistent():
    """A student that knows where the flow ends is its own target, from any part of any step; others are not."""
    schedule, teacher = Cosine(), gaussian(Cosine())
    distillation = Distillation(DDIM(2, clip=False), parts=64, method="consistency")
    uniform = (torch.arange(20, dtype=torch.float64) + 0.5) / 20
    times = distillation.times(uniform, schedule)
    noisy = noise(20, 5)

    def lands(x, t):
        """By the closed form: the flow keeps the distance from the mean in standard deviations."""
        end = torch.where(t > 0.5, 0.5, 0.0).double()
        here, there = schedule(t).like(x), schedule(end).like(x)
        before, after = (((at.alpha * 0.4) ** 2 + at.sigma**2).sqrt() for at in (here, there))
        landed = there.alpha * 0.3 + after / before * (x - here.alpha * 0.3)
        return clean_that_lands(x, landed, here, there)

    own = lands(noisy, times[:, 0])
    assert torch.allclose(distillation.target(noisy, times, teacher, lands, schedule), own, atol=0.01)
    assert not torch.allclose(distillation.target(noisy, times, teacher, teacher, schedule), own, atol=0.05)


@pytest.mark.parametrize("method", ["progressive", "consistency"])
def test_times_cover_each_step_and_end_where_it_ends(method):
    schedule = Cosine()
    distillation = Distillation(DDIM(4), parts=3, method=method)
    times = distillation.times(torch.rand(500, generator=torch.Generator().manual_seed(0)), schedule)
    assert set((4 * times[:, -1]).round().tolist()) == {0, 1, 2, 3} and (times.diff(dim=1) <= 1e-12).all()
    starts = {round(12 * value) for value in times[:, 0].tolist()}
    assert starts == ({12, 9, 6, 3} if method == "progressive" else set(range(1, 13)))
    assert (times[:, 0] - times[:, -1] <= 0.25 + 1e-12).all()


def test_noise_alone_counts_too():
    at = Coefficients(torch.tensor([0.0, 0.6]), torch.tensor([1.0, 0.8]))
    assert torch.allclose(weight(at), torch.tensor([1.0, 1.5625]))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sampler": DDIM(4, eta=0.5)}, "deterministic"),
        ({"sampler": DDIM(4), "parts": 1}, "2 of the teacher's"),
        ({"sampler": DDIM(4), "method": "adversarial"}, "progressive"),
        ({"sampler": DDIM(4), "order": 3}, "order 1 or 2"),
        ({"sampler": DDIM(4), "order": 2, "method": "consistency"}, "order is 1"),
    ],
)
def test_what_cannot_be_taught_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        Distillation(**options)
