"""Metrics of a stochastic model from several samples: best of N, CRPS, coverage, diversity.

Predictions are independent samples (sample, frame, coef) of one ground truth (frame, coef). `sample_metrics`
computes those that `dualtalk evaluate` reports.
"""

import numpy as np
from jaxtyping import Float

from dualtalk.core import DUALTALK56
from dualtalk.errors import InputError
from dualtalk.metrics.arrays import Motion, Samples
from dualtalk.metrics.bootstrap import WeightedMean
from dualtalk.metrics.validation import finite


def best_of_n(ground_truth: Motion, predictions: Samples, n: int | None = None) -> float:
    """Expected smallest root mean square error of `n` samples; by default of all of them.

    Unit of the motion, in [0, inf), lower is better, ideal 0. It falls as n grows, so compare models at the same
    n. For n below the number of samples, it is the exact mean over all choices.
    """
    truth, samples = _checked(ground_truth, predictions)
    errors = np.sqrt(((samples - truth) ** 2).mean(axis=(1, 2)))
    return expected_minimum(errors, len(samples) if n is None else n)


def expected_minimum(errors: Float[np.ndarray, "sample"], n: int) -> float:
    """Mean, over all choices of `n` of the errors, of the smallest.

    Raises
    ------
    InputError
        n is below 1 or above the number of errors.
    """
    if not 1 <= n <= len(errors):
        raise InputError(f"best of {n} was asked of {len(errors)} samples; wanted 1 to {len(errors)}")
    # The chance that the k-th smallest is chosen and no smaller one is.
    left, total = 1.0, 0.0
    for rank, error in enumerate(np.sort(errors)[: len(errors) - n + 1]):
        share = n / (len(errors) - rank)
        total += left * share * error
        left *= 1 - share
    return float(total)


def coverage(ground_truth: Motion, predictions: Samples) -> float:
    """Share of values (frame, coef) of the ground truth that lie within the range of the samples.

    In [0, 1]. If ground truth and samples have the same distribution, its expectation is `ideal_coverage`; less is
    overconfident, more is underconfident.
    """
    truth, samples = _checked(ground_truth, predictions)
    return float(((samples.min(axis=0) <= truth) & (truth <= samples.max(axis=0))).mean())


def ideal_coverage(samples: int) -> float:
    """(n - 1) / (n + 1): how often one of n + 1 exchangeable draws is neither the smallest nor the largest."""
    return (samples - 1) / (samples + 1)


def crps(ground_truth: Motion, predictions: Samples) -> float:
    """Continuous ranked probability score: E|x - y| - E|x - x'| / 2, mean over frames and coefficients.

    Unit of the motion, lower is better; its expectation is smallest for the true distribution. A single sample has
    its mean absolute error. The estimate is unbiased in the number of samples, so it can be slightly below 0
    (Ferro 2014, "Fair scores for ensemble forecasts").
    """
    truth, samples = _checked(ground_truth, predictions)
    error = np.abs(samples - truth).mean()
    return float(error - _mean_absolute_difference(samples) / 2)


def _mean_absolute_difference(samples: Samples) -> float:
    count = len(samples)
    if count < 2:
        return 0.0
    # In sorted order, each value is added once per smaller value and subtracted once per larger value.
    weight = 2 * np.arange(count) - count + 1
    pairs = count * (count - 1) / 2
    return float((weight[:, None, None] * np.sort(samples, axis=0)).sum(axis=0).mean() / pairs)


def sample_diversity(predictions: Samples) -> float:
    """Mean root mean square difference of two samples.

    Unit of the motion, in [0, inf); one sample, or equal samples, have 0. For the true distribution it equals, in
    expectation, the root mean square error of one sample.
    """
    samples = finite(predictions, ("sample", "frame", "coef"), "predictions")
    flat = samples.reshape(len(samples), -1)
    if len(flat) < 2:
        return 0.0
    pairs = [np.linalg.norm(flat[i + 1 :] - flat[i], axis=1) for i in range(len(flat) - 1)]
    return float(np.concatenate(pairs).mean() / np.sqrt(flat.shape[1]))


def sample_metrics(
    ground_truth: Float[np.ndarray, "_frame 56"], predictions: Float[np.ndarray, "_sample _frame 56"], n: int
) -> dict[str, WeightedMean]:
    """The metrics that `dualtalk evaluate` reports of several samples, by name and part, such as "CRPS jaw".

    Coefficients that are constant in the ground truth, such as unused slots of a layout, are left out of coverage:
    every sample covers them.

    Parameters
    ----------
    n : int
        N of best of N, from 1 to the number of samples: the same for all systems that are compared.
    """
    values: dict[str, WeightedMean] = {}
    for part in DUALTALK56.widths:
        columns = DUALTALK56.slice_of(part)
        truth, samples = _checked(ground_truth[:, columns], predictions[..., columns])
        squared = ((samples - truth) ** 2).mean(axis=(1, 2))
        varies = np.ptp(truth, axis=0) > 0
        covered = coverage(truth[:, varies], samples[..., varies]) if varies.any() else np.nan
        rms = float(np.sqrt(squared).mean())
        values |= {
            f"best of N MSE {part}": WeightedMean.of([expected_minimum(squared, n)]),
            f"CRPS {part}": WeightedMean.of([crps(truth, samples)]),
            f"coverage ratio {part}": WeightedMean.of([covered / ideal_coverage(len(samples))]),
            f"sample diversity ratio {part}": WeightedMean(sample_diversity(samples), rms),
        }
    return values


def _checked(ground_truth: Motion, predictions: Samples) -> tuple[Motion, Samples]:
    truth = finite(ground_truth, ("frame", "coef"), "ground truth")
    samples = finite(predictions, ("sample", "frame", "coef"), "predictions")
    if truth.shape != samples.shape[1:]:
        raise InputError(
            f"ground truth {truth.shape} and each of the predictions {samples.shape[1:]} differ in shape; "
            "cut to the shorter"
        )
    return truth, samples
