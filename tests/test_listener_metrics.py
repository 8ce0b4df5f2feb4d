"""Laws of the listener metrics, of synchrony, and of the metrics of several samples."""

from itertools import combinations

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter1d
from scipy.spatial.distance import pdist
from torchmetrics.functional import concordance_corrcoef

from dualtalk.core import FULL62
from dualtalk.errors import InputError
from dualtalk.metrics import listener, stochastic, synchrony
from dualtalk.timebase import MOTION_FPS


def motion(seed: int, frames: int = 150, coefs: int = 56) -> np.ndarray:
    return gaussian_filter1d(np.random.default_rng(seed).standard_normal((frames, coefs)), 3, axis=0)


def curve(seed: int, frames: int = 750) -> np.ndarray:
    return motion(seed, frames, 1)[:, 0]


def test_a_perfect_listener_has_the_known_scores():
    own = motion(0)
    assert listener.frcorr(own[None], own[None]) == pytest.approx(1)
    assert listener.frdist(own[None], own[None]) == 0
    assert listener.frdiv(np.stack([own, own])) == 0
    assert listener.frsyn(own, own[None]) == 0
    assert listener.frvar(own[None]) == pytest.approx(own.var(axis=0).mean())


def test_concordance_agrees_with_torchmetrics():
    one, two = motion(0), 0.5 + 0.8 * motion(0) + 0.3 * motion(1)
    theirs = concordance_corrcoef(torch.from_numpy(two), torch.from_numpy(one))
    # torchmetrics divides the variances by one frame less, but not the difference of means.
    assert listener.concordance(one, two) == pytest.approx(float(theirs.mean()), rel=1e-2)
    assert listener.concordance(one, two) == pytest.approx(listener.concordance(two, one))


def test_scores_of_still_listeners_and_still_coefficients():
    own, still = motion(0), np.zeros((150, 56))
    assert listener.concordance(own, still) == 0
    assert np.isnan(listener.concordance(still, still))
    half = np.hstack([own[:, :28], still[:, 28:]])
    assert listener.concordance(half, half) == pytest.approx(1)
    assert np.isnan(listener.frsyn(still, own[None]))


def test_the_best_matching_reaction_counts():
    reactions = np.stack([motion(seed) for seed in range(3)])
    made = 0.9 * reactions[1:2]
    assert listener.frcorr(reactions, made) == pytest.approx(listener.concordance(reactions[1], made[0]))
    assert listener.frdist(reactions, made) <= listener.frdist(reactions[:1], made)


@pytest.mark.parametrize("measure", [listener.frcorr, listener.frdist])
def test_listener_scores_worsen_with_noise(measure):
    own, noise = motion(0)[None], motion(1)[None]
    values = [measure(own, own + k * noise) for k in (0, 0.3, 0.8, 2)]
    better_is_higher = measure is listener.frcorr
    assert (np.diff(values) < 0).all() if better_is_higher else (np.diff(values) > 0).all()


def test_warping_reduces_the_cost_of_a_delay():
    own = motion(0)
    late = np.vstack([np.repeat(own[:1], 5, axis=0), own[:-5]])
    frame_by_frame = listener.warped_distance(own, own) + np.linalg.norm(own - late, axis=1).mean() / np.sqrt(56)
    assert listener.warped_distance(own, late) < frame_by_frame
    with pytest.raises(InputError, match=FULL62.name):
        listener.warped_distance(own, late, FULL62)


def test_frdiv_is_the_mean_squared_distance_of_pairs():
    samples = np.stack([motion(seed, 20) for seed in range(5)])
    by_pairs = (pdist(samples.reshape(5, -1)) ** 2).mean() / (20 * 56)
    assert listener.frdiv(samples) == pytest.approx(by_pairs)
    assert listener.frdiv(samples[:1]) == 0


@pytest.mark.parametrize("lag", [-20, -3, 0, 7, 40])
def test_peak_lag_is_the_shift(lag):
    whole = curve(0, 900)
    own, other = whole[100:800], whole[100 - lag : 800 - lag]
    assert synchrony.peak_lag_s(own, other) == pytest.approx(lag / MOTION_FPS)
    assert synchrony.synchrony(own, other) == pytest.approx(1)
    assert listener.frsyn(own[:, None], other[None, :, None]) == pytest.approx(abs(lag) / MOTION_FPS)


def test_lagged_correlations_agree_with_numpy():
    one, two = 5 + curve(0, 90), 0.1 * curve(1, 90) - 3
    found = synchrony.lagged_correlations(one, two, 30)
    for lag, value in zip(range(-30, 31), found, strict=True):
        cut_one, cut_two = (one[: 90 - lag], two[lag:]) if lag >= 0 else (one[-lag:], two[: 90 + lag])
        assert value == pytest.approx(np.corrcoef(cut_one, cut_two)[0, 1])
    with pytest.raises(InputError, match="cannot be shifted"):
        synchrony.lagged_correlations(one, two, 90)


def test_still_curves_have_no_synchrony():
    still = np.full(750, 0.3)
    assert np.isnan(synchrony.peak_lag_s(still, curve(0)))
    assert synchrony.synchrony(still, curve(0)) == 0
    assert synchrony.synchrony(curve(0), still) == 0
    assert np.isnan(synchrony.synchrony(curve(0, 50), curve(1, 50)))


def test_synchrony_ignores_scale_and_falls_with_noise():
    own = curve(0)
    assert synchrony.synchrony(own, 4 * own + 7) == pytest.approx(1)
    values = [synchrony.synchrony(own, own + k * curve(1)) for k in (0, 0.5, 1, 3)]
    assert (np.diff(values) < 0).all()


def test_surrogate_test_detects_coupled_pairs_only():
    leaders = [curve(seed) for seed in range(8)]
    followers = [np.roll(own, 12) + 0.5 * curve(100 + seed) for seed, own in enumerate(leaders)]
    unrelated = [curve(200 + seed) for seed in range(8)]
    together = synchrony.synchrony_vs_surrogate(leaders, followers)
    apart = synchrony.synchrony_vs_surrogate(leaders, unrelated)
    assert together.difference > 0.2
    assert together.p < 0.05
    assert abs(apart.difference) < 0.1
    assert apart.p > 0.05
    swapped = synchrony.synchrony_vs_surrogate(leaders, followers[1:] + followers[:1])
    assert swapped.difference < 0.05
    assert together == synchrony.synchrony_vs_surrogate(leaders, followers)
    with pytest.raises(InputError, match="at least 2"):
        synchrony.synchrony_vs_surrogate(leaders[:1], followers[:1])


def test_perfect_samples_have_the_known_scores():
    own = motion(0)
    samples = np.stack([own] * 4)
    assert stochastic.best_of_n(own, samples) == 0
    assert stochastic.coverage(own, samples) == 1
    assert stochastic.crps(own, samples) == 0
    assert stochastic.sample_diversity(samples) == stochastic.sample_diversity(samples[:1]) == 0


def test_best_of_n_is_the_mean_over_all_choices():
    own, samples = motion(0, 10), np.stack([motion(seed, 10) for seed in range(1, 7)])
    errors = np.sqrt(((samples - own) ** 2).mean(axis=(1, 2)))
    for draws in (1, 2, 4, 6):
        by_choice = np.mean([errors[list(choice)].min() for choice in combinations(range(6), draws)])
        assert stochastic.best_of_n(own, samples, draws) == pytest.approx(by_choice)
    with pytest.raises(InputError, match="best of 7"):
        stochastic.best_of_n(own, samples, 7)


@pytest.mark.parametrize("count", [2, 5, 20])
def test_a_calibrated_sampler_has_the_ideal_coverage(count):
    draws = np.random.default_rng(0).standard_normal((count + 1, 400, 56))
    own, samples = draws[0], draws[1:]
    assert stochastic.coverage(own, samples) == pytest.approx(stochastic.ideal_coverage(count), abs=0.01)
    assert stochastic.coverage(own, 0.3 * samples) < stochastic.ideal_coverage(count)
    assert stochastic.coverage(own, 3 * samples) > stochastic.ideal_coverage(count)


def test_crps_is_smallest_for_the_true_spread_and_equals_its_definition():
    draws = np.random.default_rng(0).standard_normal((11, 200, 56))
    own, samples = draws[0], draws[1:]
    scores = {spread: stochastic.crps(own, spread * samples) for spread in (0.2, 0.6, 1.0, 1.6, 3.0)}
    assert min(scores, key=scores.get) == 1.0
    pairs = np.mean([np.abs(samples[i] - samples[j]).mean() for i, j in combinations(range(10), 2)])
    assert scores[1.0] == pytest.approx(np.abs(samples - own).mean() - pairs / 2)
    assert stochastic.crps(own, samples[:1]) == pytest.approx(np.abs(samples[0] - own).mean())


def test_constant_coefficients_do_not_count_in_coverage():
    def covered():
        return stochastic.sample_metrics(own, samples, 4)["coverage ratio expression"]

    own, samples = motion(0), np.stack([motion(seed) for seed in range(1, 5)])
    before = covered().value
    own[:, 25:50], samples[..., 25:50] = 0, 0
    assert covered().value == pytest.approx(before, rel=0.1)
    own[:, :50] = 0
    assert not covered().weight


def test_diversity_of_the_true_distribution_is_the_error_of_one_sample():
    draws = np.random.default_rng(0).standard_normal((9, 200, 56))
    assert stochastic.sample_diversity(draws[1:]) == pytest.approx(
        stochastic.best_of_n(draws[0], draws[1:], 1), rel=0.02
    )


def test_different_shapes_are_refused():
    with pytest.raises(InputError, match="cut to the shorter"):
        stochastic.best_of_n(motion(0), motion(1)[None, :-1])
    with pytest.raises(InputError, match="cut to the shorter"):
        listener.frcorr(motion(0)[None], motion(1)[None, :-1])
