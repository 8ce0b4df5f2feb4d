"""What a model that draws samples is worth: its best, its spread, and whether the truth lies within it.

All take predictions (sample, frame, coef) of one reference (frame, coef), drawn independently. `sample_figures`
has those that tables print.
"""

import numpy as np
from jaxtyping import Float

from dualtalk.core import DUALTALK56
from dualtalk.errors import InputError
from dualtalk.metrics.bootstrap import Tally
from dualtalk.metrics.validation import finite

Motion = Float[np.ndarray, "_frame _coef"]
Samples = Float[np.ndarray, "_sample _frame _coef"]


def best_of(reference: Motion, predictions: Samples, draws: int | None = None) -> float:
    """Expected least root mean square error of `draws` samples, by default of all of them.

    Unit of the motion, in [0, inf), lower is better; perfect is 0. Compare models at the same number of draws
    only: more are never worse. Of fewer draws than samples the mean over all choices is exact.
    """
    truth, samples = _checked(reference, predictions)
    errors = np.sqrt(((samples - truth) ** 2).mean(axis=(1, 2)))
    return expected_least(errors, len(samples) if draws is None else draws)


def expected_least(errors: Float[np.ndarray, "sample"], draws: int) -> float:
    """Mean, over all choices of `draws` of the errors, of the least; each counts as often as it is that."""
    if not 1 <= draws <= len(errors):
        raise InputError(f"best of {draws} was asked of {len(errors)} samples; wanted 1 to {len(errors)}")
    # Chance that the k-th best is drawn and none better: each rank's share of what the better ones left.
    left, total = 1.0, 0.0
    for rank, error in enumerate(np.sort(errors)[: len(errors) - draws + 1]):
        share = draws / (len(errors) - rank)
        total += left * share * error
        left *= 1 - share
    return float(total)


def coverage(reference: Motion, predictions: Samples) -> float:
    """Share of frames and coefficients at which the reference lies within the range of the samples.

    In [0, 1]. Where reference and samples come of one distribution it is (n - 1) / (n + 1) for n samples, see
    `ideal_coverage`: less is overconfident, more is too wide. Samples all equal have 0, or 1 where they are right.
    """
    truth, samples = _checked(reference, predictions)
    return float(((samples.min(axis=0) <= truth) & (truth <= samples.max(axis=0))).mean())


def ideal_coverage(samples: int) -> float:
    """(n - 1) / (n + 1): of n + 1 exchangeable draws, any is neither the least nor the greatest that often."""
    return (samples - 1) / (samples + 1)


def coverage_error(reference: Motion, predictions: Samples) -> float:
    """|coverage - ideal|, in [0, 1], lower is better; 0 is calibrated. One sample has 0 or 1: it has no range."""
    return abs(coverage(reference, predictions) - ideal_coverage(len(predictions)))


def crps(reference: Motion, predictions: Samples) -> float:
    """Continuous ranked probability score: E|x - y| - E|x - x'| / 2, mean over frames and coefficients.

    Unit of the motion, lower is better; least, in expectation, for the true distribution. All samples right
    has 0; a single sample has its mean absolute error. Pairs of a sample with itself are left out, so that the
    number of samples does not matter, and a lucky draw may fall below 0 (Ferro 2014, "Fair scores for ensemble
    forecasts").
    """
    truth, samples = _checked(reference, predictions)
    error = np.abs(samples - truth).mean()
    return float(error - _mean_absolute_difference(samples) / 2)


def _mean_absolute_difference(samples: Samples) -> float:
    count = len(samples)
    if count < 2:
        return 0.0
    # In sorted order each value is added once for every smaller one and taken off once for every larger one.
    weight = 2 * np.arange(count) - count + 1
    pairs = count * (count - 1) / 2
    return float((weight[:, None, None] * np.sort(samples, axis=0)).sum(axis=0).mean() / pairs)


def sample_diversity(predictions: Samples) -> float:
    """Mean over pairs of samples of their root mean square difference.

    Unit of the motion, in [0, inf); one sample, or samples all equal, have 0. No direction by itself: for the
    true distribution it equals, on average, the error of a single sample.
    """
    samples = finite(predictions, ("sample", "frame", "coef"), "predictions")
    flat = samples.reshape(len(samples), -1)
    if len(flat) < 2:
        return 0.0
    pairs = [np.linalg.norm(flat[i + 1 :] - flat[i], axis=1) for i in range(len(flat) - 1)]
    return float(np.concatenate(pairs).mean() / np.sqrt(flat.shape[1]))


def sample_figures(
    reference: Float[np.ndarray, "_frame 56"], predictions: Float[np.ndarray, "_sample _frame 56"], draws: int
) -> dict[str, Tally]:
    """The figures that a table has of several samples, part by part: "CRPS jaw" and so on.

    Coefficients that the reference never moves, as a layout's empty slots, do not count as covered: nobody could
    miss them.

    Parameters
    ----------
    draws : int
        Of how many samples the best counts, 1 to all of them: the same for all systems that are compared.
    """
    figures = {}
    for part in DUALTALK56.widths:
        columns = DUALTALK56.slice_of(part)
        truth, samples = _checked(reference[:, columns], predictions[..., columns])
        squared = ((samples - truth) ** 2).mean(axis=(1, 2))
        moves = np.ptp(truth, axis=0) > 0
        covered = coverage(truth[:, moves], samples[..., moves]) if moves.any() else np.nan
        figures |= {
            f"best of N MSE {part}": Tally.mean_of([expected_least(squared, draws)]),
            f"CRPS {part}": Tally.mean_of([crps(truth, samples)]),
            f"coverage ratio {part}": Tally.mean_of([covered / ideal_coverage(len(samples))]),
            f"sample diversity ratio {part}": Tally(sample_diversity(samples), float(np.sqrt(squared).mean())),
        }
    return figures


def _checked(reference: Motion, predictions: Samples) -> tuple[Motion, Samples]:
    truth = finite(reference, ("frame", "coef"), "reference")
    samples = finite(predictions, ("sample", "frame", "coef"), "predictions")
    if truth.shape != samples.shape[1:]:
        raise InputError(
            f"reference {truth.shape} and each of the predictions {samples.shape[1:]} differ in shape; "
            "cut to the shorter"
        )
    return truth, samples
