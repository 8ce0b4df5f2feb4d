"""How good are a listener's reactions, where several would do? The measures of the REACT challenge.

A set of predicted reactions (sample, frame, coef) is held against the set of reactions that would have been
appropriate (reaction, frame, coef): for each prediction its best counterpart counts. With one reference the set
has one member. Source: Song et al. 2023, "REACT2023: the first multiple appropriate facial reaction generation
challenge". There the sums run over 10 samples of 25 channels; here all are means, so that values of sets and
motions of other sizes compare.
"""

from itertools import product

import numpy as np
from jaxtyping import Float
from scipy.spatial.distance import cdist

from dualtalk.core import DUALTALK56, MotionLayout
from dualtalk.errors import InputError
from dualtalk.metrics.dtw import warp
from dualtalk.metrics.synchrony import REACH_S, peak_lag_s
from dualtalk.metrics.validation import finite, same_shape

Motion = Float[np.ndarray, "_frame _coef"]
References = Float[np.ndarray, "_reaction _frame _coef"]
Samples = Float[np.ndarray, "_sample _frame _coef"]


def concordance(reference: Motion, prediction: Motion) -> float:
    """Concordance correlation, mean over coefficients: 2 cov / (var + var + (difference of means)^2).

    In [-1, 1], higher is better; symmetric; perfect is 1. Unlike Pearson's r it minds scale and offset. A still
    prediction of moving motion has 0; coefficients still and equal in both say nothing and are left out; NaN
    where there are no others. Source: Lin 1989, "A concordance correlation coefficient", equation 2.
    """
    one, two = same_shape(reference, prediction, ("frame", "coef"))
    shift = one.mean(axis=0) - two.mean(axis=0)
    together = ((one - one.mean(axis=0)) * (two - two.mean(axis=0))).mean(axis=0)
    spread = one.var(axis=0) + two.var(axis=0) + shift**2
    says = spread > 0
    return float((2 * together[says] / spread[says]).mean()) if says.any() else np.nan


def frcorr(references: References, predictions: Samples) -> float:
    """FRCorr: mean over predictions of the best concordance with any appropriate reaction.

    In [-1, 1], higher is better; perfect is 1; still predictions have 0.
    """
    _same_motion(references, predictions)
    best = [[concordance(reaction, made) for reaction in references] for made in predictions]
    return float(np.max(best, axis=1).mean())


def warped_distance(reference: Motion, prediction: Motion, layout: MotionLayout = DUALTALK56) -> float:
    """Dynamic time warping's distance with each part of the motion weighted alike, a frame of the path.

    The cost of two frames is sqrt(sum over parts of mean over its coefficients of squared difference). Unit of
    the motion, in [0, inf), lower is better; symmetric; perfect is 0; timing within the warp costs nothing.
    Lengths may differ.
    """
    one, two = (
        finite(reference, ("frame", "coef"), "reference"),
        finite(prediction, ("frame", "coef"), "prediction"),
    )
    if not one.shape[1] == two.shape[1] == layout.width:
        raise InputError(
            f"motions have {one.shape[1]} and {two.shape[1]} coefficients; layout {layout.name} has {layout.width}"
        )
    weight = np.concatenate([np.full(width, width**-0.5) for width in layout.widths.values()])
    warping = warp(cdist(one * weight, two * weight))
    return warping.cost / len(warping.path)


def frdist(references: References, predictions: Samples, layout: MotionLayout = DUALTALK56) -> float:
    """FRDist: mean over predictions of the least `warped_distance` to any appropriate reaction.

    In [0, inf), lower is better; perfect is 0.
    """
    _same_motion(references, predictions)
    pairs = [[warped_distance(reaction, made, layout) for reaction in references] for made in predictions]
    return float(np.min(pairs, axis=1).mean())


def frdiv(predictions: Samples) -> float:
    """FRDiv: mean over pairs of samples, frames and coefficients of the squared difference.

    Squared unit of the motion, in [0, inf); one sample, or samples all equal, have 0. Higher is more diverse,
    better only while FRCorr holds.
    """
    samples = finite(predictions, ("sample", "frame", "coef"), "predictions")
    # The mean squared difference of pairs is twice the variance with one sample less in the divisor.
    return float(2 * samples.var(axis=0, ddof=1).mean()) if len(samples) > 1 else 0.0


def frvar(predictions: Samples) -> float:
    """FRVar: mean over samples and coefficients of the variance over time.

    Squared unit of the motion; still reactions have 0; nearer to the reference's own is better.
    """
    return float(finite(predictions, ("sample", "frame", "coef"), "predictions").var(axis=1).mean())


def frsyn(partner: Motion, predictions: Samples, reach_s: float = REACH_S) -> float:
    """FRSyn: mean over samples and coefficients of |lag| at which the reaction correlates best with the partner.

    Seconds, in [0, reach], lower is better: 0 is a mirror. Coefficients that never change in either are left out;
    NaN where all are.
    """
    other = finite(partner, ("frame", "coef"), "partner")
    samples = finite(predictions, ("sample", "frame", "coef"), "predictions")
    if other.shape != samples.shape[1:]:
        raise InputError(
            f"partner {other.shape} and each prediction {samples.shape[1:]} differ; cut to the shorter"
        )
    channels = [c for c in range(other.shape[1]) if np.ptp(other[:, c])]
    lags = [abs(peak_lag_s(other[:, c], made[:, c], reach_s)) for made, c in product(samples, channels)]
    measured = [lag for lag in lags if np.isfinite(lag)]
    return float(np.mean(measured)) if measured else np.nan


def _same_motion(references: References, predictions: Samples) -> None:
    finite(references, ("reaction", "frame", "coef"), "references")
    finite(predictions, ("sample", "frame", "coef"), "predictions")
    if references.shape[1:] != predictions.shape[1:]:
        raise InputError(
            f"references {references.shape} and predictions {predictions.shape} differ in frames or coefficients; "
            "cut to the shorter"
        )
