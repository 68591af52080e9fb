"""Scores of K samples together: closed forms, fairness, and the numbers of an independent implementation."""

import math

import numpy as np
import pytest
import torch

from mcvd.metrics.calibration import EventCounts
from mcvd.metrics.ensemble import crps, energy_score, motion, sharpness
from mcvd.metrics.ensemble_metrics import Exceedance, RankHistogram, SpreadSkill

scoringrules = pytest.importorskip("scoringrules", reason="the independent implementation is an extra of the tests")


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


SAMPLES, TARGET = 3 * normal(2, 6, 3, 2, 5, 4) + 1, 3 * normal(2, 3, 2, 5, 4, seed=1)


@pytest.mark.parametrize("dtype", [torch.float32, torch.uint8])
def test_scores_equal_an_independent_implementation(dtype):
    samples, target = ((20 * side + 120).to(dtype) for side in (SAMPLES, TARGET))
    theirs = [
        [
            np.mean(scoringrules.crps_ensemble(target[b, t].double().numpy(), samples[b, :, t].double().numpy(), 0,
                                               estimator="fair"))
            for t in range(3)
        ]
        for b in range(2)
    ]  # fmt: skip
    torch.testing.assert_close(crps(samples, target), torch.tensor(theirs), rtol=1e-6, atol=1e-9)
    theirs = [
        [
            scoringrules.es_ensemble(
                target[b, t].double().flatten().numpy(), samples[b, :, t].double().flatten(1).numpy(), estimator="fair"
            )
            for t in range(3)
        ]
        for b in range(2)
    ]
    root = math.sqrt(2 * 5 * 4)
    torch.testing.assert_close(root * energy_score(samples, target), torch.tensor(theirs), rtol=1e-6, atol=1e-9)


def test_crps_of_many_samples_is_that_of_their_normal_distribution():
    samples, truth = normal(1, 2000, 1, 1, 4, 4), torch.linspace(-3, 3, 16).view(1, 1, 1, 4, 4)
    cdf = torch.distributions.Normal(0.0, 1.0)
    exact = truth * (2 * cdf.cdf(truth) - 1) + 2 * cdf.log_prob(truth).exp() - 1 / math.sqrt(math.pi)
    assert crps(samples, truth).item() == pytest.approx(exact.mean().item(), abs=0.01)


@pytest.mark.parametrize("score", [crps, energy_score])
def test_few_samples_score_as_many_of_the_same_model_do(score):
    """Fair scores have no bias with K: without the correction two samples would score 1.5 times as badly."""

    def mean(num_samples, num_clips):
        samples, target = normal(num_clips, num_samples, 1, 1, 6, 6), normal(num_clips, 1, 1, 6, 6, seed=9)
        return score(samples, target).mean().item()

    assert mean(2, 3000) == pytest.approx(mean(40, 150), rel=0.03)
    if score is crps:
        assert mean(2, 3000) == pytest.approx(1 / math.sqrt(math.pi), rel=0.03)  # calibrated: half of E|x - x'|


def test_one_sample_scores_its_error():
    error = (SAMPLES[:, :1] - TARGET[:, None]).double()
    torch.testing.assert_close(crps(SAMPLES[:, :1], TARGET), error.abs().mean((1, 3, 4, 5)))
    torch.testing.assert_close(energy_score(SAMPLES[:, :1], TARGET), error.square().mean((1, 3, 4, 5)).sqrt())


def test_a_calibrated_ensemble_has_flat_ranks_equal_spread_and_reliable_probabilities():
    many = normal(40, 10, 2, 1, 20, 20)
    samples, target = many[:, 1:], many[:, 0]
    ranks, skill, events = RankHistogram(9), SpreadSkill(2), Exceedance([0.5], 9, 2)
    for metric in (ranks, skill, events):
        metric.update(samples, target)
    assert ranks.compute().tolist() == pytest.approx([0.1] * 10, abs=0.01)
    of_samples, of_mean = skill.compute().tolist()
    assert of_samples == pytest.approx(of_mean, rel=0.02)
    said, came = EventCounts(events.compute()[0]).reliability()
    assert sum(said) == pytest.approx(1)
    for number, share in enumerate(came):
        if said[number] > 0.01:  # given k of 9 the truth is the tenth of the same draw
            p = 1 - torch.distributions.Normal(0.0, 1.0).cdf(torch.tensor(0.5)).item()
            assert share == pytest.approx(p, abs=0.05)


def test_samples_that_are_too_much_alike_show_in_ranks_and_spread():
    samples, target = 0.3 * normal(20, 4, 1, 1, 20, 20), normal(20, 1, 1, 20, 20, seed=3)
    ranks, skill = RankHistogram(4), SpreadSkill(1)
    ranks.update(samples, target)
    skill.update(samples, target)
    first, *middle, last = ranks.compute().tolist()
    assert min(first, last) > 2 * max(middle)
    of_samples, of_mean = skill.compute().flatten().tolist()
    assert of_samples / of_mean < 0.4


def test_ties_share_their_ranks():
    ranks = RankHistogram(3)
    video = torch.full((1, 1, 1, 2, 2), 7, dtype=torch.uint8)
    ranks.update(video[:, None].expand(-1, 3, -1, -1, -1, -1), video)
    assert ranks.compute().tolist() == [0.25] * 4


def test_counts_of_parts_add_up_to_those_of_the_whole():
    samples, target = normal(6, 3, 2, 1, 5, 5), normal(6, 2, 1, 5, 5, seed=4)
    for make in (lambda: RankHistogram(3), lambda: SpreadSkill(2), lambda: Exceedance([0, 1], 3, 2)):
        whole, parts = make(), make()
        whole.update(samples, target)
        for part in range(0, 6, 2):
            parts.update(samples[part : part + 2], target[part : part + 2])
        torch.testing.assert_close(parts.compute(), whole.compute())


def test_events_equal_their_definitions():
    samples, target = normal(4, 5, 2, 1, 6, 6), normal(4, 2, 1, 6, 6, seed=5)
    metric = Exceedance([0.3], 5, 2)
    metric.update(samples, target)
    counts = EventCounts(metric.compute()[0])
    said, came = samples >= 0.3, (target >= 0.3)[:, None]
    hits, misses, alarms = ((said & came).sum() / 5, (~said & came).sum() / 5, (said & ~came).sum() / 5)
    assert counts.csi() == pytest.approx((hits / (hits + misses + alarms)).item(), abs=1e-6)
    assert counts.pod() == pytest.approx((hits / (hits + misses)).item(), abs=1e-6)
    assert counts.far() == pytest.approx((alarms / (hits + alarms)).item(), abs=1e-6)
    assert counts.base_rate() == pytest.approx(came.float().mean().item())
    # The fair Brier score is the fair CRPS of zeros and ones.
    assert counts.brier() == pytest.approx(crps(said.float(), came[:, 0].float()).mean().item(), abs=1e-9)
    probability = said.float().mean(1)
    plain = scoringrules.brier_score(came[:, 0].double().numpy(), probability.double().numpy())
    correction = (probability * (1 - probability)).mean().item() / 4
    assert counts.brier() + correction == pytest.approx(plain.mean(), abs=1e-6)


def test_missing_values_do_not_count():
    samples, target = normal(2, 5, 2, 1, 6, 6), normal(2, 2, 1, 6, 6, seed=6)
    gone = torch.rand(2, 2, 1, 6, 6, generator=torch.Generator().manual_seed(7)) < 0.4
    gone[..., 0, :] = True
    hidden, alone = target.masked_fill(gone, torch.nan), samples.masked_fill(gone[:, None], torch.nan)
    for score in (crps, energy_score):
        known = torch.stack([  # each frame without what is missing, as a row of pixels
            torch.stack([
                score(samples[b : b + 1, :, t][..., ~gone[b, t]][:, :, None, None, None],
                      target[b : b + 1, t][..., ~gone[b, t]][:, None, None, None])[0, 0]
                for t in range(2)
            ])
            for b in range(2)
        ])  # fmt: skip
        torch.testing.assert_close(score(samples, hidden), known)
        torch.testing.assert_close(score(alone, target), known)
    for make in (lambda: RankHistogram(5), lambda: SpreadSkill(2), lambda: Exceedance([0.2], 5, 2)):
        of_hidden, of_alone = make(), make()
        of_hidden.update(samples, hidden)
        of_alone.update(alone, target)
        torch.testing.assert_close(of_hidden.compute(), of_alone.compute())
    assert of_hidden.compute().sum() == (~gone).sum()


def test_what_never_happens_has_no_ratio():
    counts = EventCounts(torch.tensor([[10, 0], [0, 0]]))
    assert counts.csi() is counts.pod() is counts.far() is None and counts.brier() == counts.base_rate() == 0
    assert counts.reliability() == ([1.0, 0.0], [0.0, None])


def test_motion_and_sharpness_are_mean_differences():
    video = torch.tensor([0, 10, 250], dtype=torch.uint8).view(3, 1, 1, 1).expand(3, 1, 2, 2)
    assert motion(video, video[:1] + 5).tolist() == [5, 10, 240]
    assert motion(video, video[:0]).tolist() == [10, 10, 240] and motion(video[:1], video[:0]).tolist() == [0]
    stripes = torch.tensor([[0, 100], [0, 100]], dtype=torch.uint8).view(1, 1, 2, 2)
    assert sharpness(stripes).tolist() == [50] and sharpness(video[:1, :, :1, :1]).tolist() == [0]


@pytest.mark.parametrize(
    "change", [lambda s, t: (s[:, 0], t), lambda s, t: (s, t[:, :1]), lambda s, t: (s, t.double())]
)
def test_what_are_no_samples_of_a_target_is_refused(change):
    for score in (crps, energy_score, RankHistogram(6).update, SpreadSkill(3).update, Exceedance([1], 6, 3).update):
        with pytest.raises(ValueError, match="expected samples"):
            score(*change(SAMPLES, TARGET))
    with pytest.raises(ValueError, match="2 samples or more"):
        SpreadSkill(3).update(SAMPLES[:, :1], TARGET)
