"""Listener reactions: the appropriateness, diversity and synchrony metrics of the REACT challenge.

Predicted reactions (sample, frame, coef) are compared with the set of appropriate reactions (reaction, frame,
coef): each prediction is scored against its best match. With one ground truth, the set has one member. Source:
Song et al. 2023, "REACT2023: the first multiple appropriate facial reaction generation challenge". The challenge
sums over 10 samples of 25 channels; the functions here take means, so that values of other sizes can be compared.
"""

from itertools import product

import numpy as np
from jaxtyping import Float
from scipy.spatial.distance import cdist

from dualtalk.core import DUALTALK56, MotionLayout
from dualtalk.errors import InputError
from dualtalk.metrics.arrays import Motion, Samples
from dualtalk.metrics.dtw import align
from dualtalk.metrics.synchrony import MAX_LAG_S, peak_lag_s
from dualtalk.metrics.validation import finite, same_shape

Reactions = Float[np.ndarray, "_reaction _frame _coef"]


def concordance(ground_truth: Motion, prediction: Motion) -> float:
    """Concordance correlation coefficient (CCC), mean over coefficients.

    2 cov / (var + var + (difference of means)^2). In [-1, 1], higher is better, ideal 1; symmetric. Unlike
    Pearson's r it depends on scale and offset. A still prediction of moving motion has 0. Coefficients that are
    constant and equal in both are left out; NaN if there are no others. Source: Lin 1989, "A concordance
    correlation coefficient", equation 2.
    """
    one, two = same_shape(ground_truth, prediction, ("frame", "coef"))
    shift = one.mean(axis=0) - two.mean(axis=0)
    covariance = ((one - one.mean(axis=0)) * (two - two.mean(axis=0))).mean(axis=0)
    spread = one.var(axis=0) + two.var(axis=0) + shift**2
    defined = spread > 0
    return float((2 * covariance[defined] / spread[defined]).mean()) if defined.any() else np.nan


def frcorr(reactions: Reactions, predictions: Samples) -> float:
    """FRCorr: mean over predictions of the largest concordance with any appropriate reaction.

    In [-1, 1], higher is better, ideal 1; still predictions have 0. NaN if no concordance is defined.
    """
    _check_same_motion(reactions, predictions)
    best = [[concordance(reaction, made) for reaction in reactions] for made in predictions]
    return float(np.max(best, axis=1).mean())


def warped_distance(ground_truth: Motion, prediction: Motion, layout: MotionLayout = DUALTALK56) -> float:
    """Dynamic time warping distance per step of the path, with equal weight for each part of the motion.

    The cost of two frames is sqrt(sum over parts of the mean squared difference of the part). Unit of the motion,
    in [0, inf), lower is better, ideal 0; symmetric. The two may differ in length.
    """
    one, two = (
        finite(ground_truth, ("frame", "coef"), "ground truth"),
        finite(prediction, ("frame", "coef"), "prediction"),
    )
    if not one.shape[1] == two.shape[1] == layout.width:
        raise InputError(
            f"motions have {one.shape[1]} and {two.shape[1]} coefficients; layout {layout.name} has {layout.width}"
        )
    weight = np.concatenate([np.full(width, width**-0.5) for width in layout.widths.values()])
    alignment = align(cdist(one * weight, two * weight))
    return alignment.cost / len(alignment.path)


def frdist(reactions: Reactions, predictions: Samples, layout: MotionLayout = DUALTALK56) -> float:
    """FRDist: mean over predictions of the smallest `warped_distance` to any appropriate reaction.

    In [0, inf), lower is better, ideal 0.
    """
    _check_same_motion(reactions, predictions)
    pairs = [[warped_distance(reaction, made, layout) for reaction in reactions] for made in predictions]
    return float(np.min(pairs, axis=1).mean())


def frdiv(predictions: Samples) -> float:
    """FRDiv: mean squared difference over pairs of samples, frames and coefficients.

    Squared unit of the motion, in [0, inf); one sample, or equal samples, have 0. Higher is more diverse, which is
    better only at equal FRCorr.
    """
    samples = finite(predictions, ("sample", "frame", "coef"), "predictions")
    # The mean squared difference of pairs is twice the unbiased variance.
    return float(2 * samples.var(axis=0, ddof=1).mean()) if len(samples) > 1 else 0.0


def frvar(predictions: Samples) -> float:
    """FRVar: variance over time, mean over samples and coefficients.

    Squared unit of the motion; still reactions have 0; nearer to the ground truth's own value is better.
    """
    return float(finite(predictions, ("sample", "frame", "coef"), "predictions").var(axis=1).mean())


def frsyn(partner: Motion, predictions: Samples, max_lag_s: float = MAX_LAG_S) -> float:
    """FRSyn: mean over samples and coefficients of |lag| of the largest correlation with the partner's motion.

    Seconds, in [0, max_lag_s]; 0 is a mirror image. Coefficients that are constant in either motion are left out;
    NaN if all are.
    """
    other = finite(partner, ("frame", "coef"), "partner")
    samples = finite(predictions, ("sample", "frame", "coef"), "predictions")
    if other.shape != samples.shape[1:]:
        raise InputError(
            f"partner {other.shape} and each prediction {samples.shape[1:]} differ; cut to the shorter"
        )
    channels = [c for c in range(other.shape[1]) if np.ptp(other[:, c])]
    lags = [abs(peak_lag_s(other[:, c], made[:, c], max_lag_s)) for made, c in product(samples, channels)]
    defined = [lag for lag in lags if np.isfinite(lag)]
    return float(np.mean(defined)) if defined else np.nan


def _check_same_motion(reactions: Reactions, predictions: Samples) -> None:
    finite(reactions, ("reaction", "frame", "coef"), "reactions")
    finite(predictions, ("sample", "frame", "coef"), "predictions")
    if reactions.shape[1:] != predictions.shape[1:]:
        raise InputError(
            f"reactions {reactions.shape} and predictions {predictions.shape} differ in frames or coefficients; "
            "cut to the shorter"
        )
