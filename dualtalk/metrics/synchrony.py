"""Motor synchrony of two people: windowed, lagged cross-correlation, compared with surrogate pairs.

Windows of one person's curve are correlated with the other's at every lag up to a maximum, and the largest value
is taken (windowed cross-correlation with peak picking: Boker et al. 2002, "Windowed cross-correlation and peak
picking"). The largest of many correlations is above 0 for independent curves too, so it is compared with surrogate
pairs: the same people paired with partners of other dialogues (Bernieri & Rosenthal 1991).
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from numpy.lib.stride_tricks import sliding_window_view

from dualtalk.errors import InputError
from dualtalk.metrics.arrays import Curve
from dualtalk.metrics.validation import finite, same_shape
from dualtalk.timebase import MOTION_FPS

# Within the ranges of Boker et al.: a window holds a nod and its answer, and lags may change between windows.
WINDOW_S, HOP_S, MAX_LAG_S = 4.0, 1.0, 2.0
SURROGATES = 20


def lagged_correlations(one: Curve, two: Curve, max_lag: int) -> Float[np.ndarray, "lag"]:
    """Pearson's r of one[t] and two[t + lag] over their overlap, for lags from -max_lag to max_lag frames.

    At positive lags `two` follows `one`. 0 where either is constant over the overlap.

    Raises
    ------
    InputError
        Fewer than max_lag + 2 frames.
    """
    one, two = same_shape(one, two, ("frame",))
    frames = len(one)
    if frames < max_lag + 2:
        raise InputError(f"{frames} frames cannot be shifted by {max_lag}; wanted at least {max_lag + 2}")
    lags = np.arange(-max_lag, max_lag + 1)
    first, last = np.maximum(0, -lags), np.minimum(frames, frames - lags)
    count = last - first
    # Without the means, the differences of large sums below keep their precision.
    one, two = one - one.mean(), two - two.mean()
    size = 1 << (2 * frames - 1).bit_length()
    product = np.fft.irfft(np.fft.rfft(one, size).conj() * np.fft.rfft(two, size), size)[lags]

    def over(values: Curve, shift: Int[np.ndarray, "lag"] | int) -> Float[np.ndarray, "lag"]:
        running = np.concatenate([[0.0], np.cumsum(values)])
        return running[last + shift] - running[first + shift]

    sum_one, sum_two = over(one, 0), over(two, lags)
    spread = (over(one**2, 0) - sum_one**2 / count) * (over(two**2, lags) - sum_two**2 / count)
    changes = spread > 1e-12 * ((one**2).sum() * (two**2).sum() or 1.0)
    covariance = product - sum_one * sum_two / count
    return np.where(changes, covariance / np.sqrt(np.where(changes, spread, 1.0)), 0.0)


def peak_lag_s(one: Curve, two: Curve, max_lag_s: float = MAX_LAG_S) -> float:
    """Lag with the largest correlation, in seconds, positive where `two` follows `one`.

    Of equal peaks, the one nearest 0; NaN if either curve is constant.
    """
    max_lag = round(max_lag_s * MOTION_FPS)
    correlation = lagged_correlations(one, two, max_lag)
    if not correlation.any():
        return np.nan
    lags = np.arange(-max_lag, max_lag + 1)
    peaks = lags[correlation >= correlation.max() - 1e-12]
    return float(peaks[np.abs(peaks).argmin()] / MOTION_FPS)


def synchrony(one: Curve, two: Curve) -> float:
    """Mean over windows of 4 s of the largest r within lags of 2 s. In [-1, 1]; a copy at any such lag has 1.

    Independent curves are above 0 too, so compare with surrogate pairs. It ignores positive scale and offset.
    Windows in which `one` is constant count as 0; NaN if no window fits.
    """
    one, two = same_shape(one, two, ("frame",))
    window, hop, max_lag = (round(s * MOTION_FPS) for s in (WINDOW_S, HOP_S, MAX_LAG_S))
    starts = np.arange(max_lag, len(one) - window - max_lag + 1, hop)
    if not len(starts):
        return np.nan
    fixed = _standardized(sliding_window_view(one, window)[starts])
    sliding = _standardized(sliding_window_view(two, window))
    shifted = sliding[starts[:, None] + np.arange(-max_lag, max_lag + 1)]
    correlation = np.matmul(shifted, fixed[:, :, None])[..., 0]
    return float(correlation.max(axis=1).mean())


def _standardized(windows: Float[np.ndarray, "window frame"]) -> Float[np.ndarray, "window frame"]:
    """Zero mean and unit norm; zero where a window is constant."""
    centred = windows - windows.mean(axis=1, keepdims=True)
    norm = np.linalg.norm(centred, axis=1, keepdims=True)
    constant = norm <= 1e-9 * np.abs(windows).max(initial=1e-300)
    return np.where(constant, 0.0, centred / np.where(constant, 1.0, norm))


@dataclass(frozen=True)
class SynchronyTest:
    """Synchrony of pairs against surrogate pairs.

    Attributes
    ----------
    observed : float
        Mean `synchrony` of the pairs.
    chance : float
        Mean of the surrogate pairs.
    p : float
        Permutation p-value, at least 1 / (surrogates + 1).
    """

    observed: float
    chance: float
    p: float

    @property
    def difference(self) -> float:
        """observed - chance: 0 in expectation if the partner does not matter."""
        return self.observed - self.chance


def synchrony_vs_surrogate(
    own: list[Curve], partner: list[Curve], seed: int = 0, surrogates: int = SURROGATES
) -> SynchronyTest:
    """Synchrony of own[i] with partner[i], tested against partners of other dialogues.

    Each surrogate set gives everybody another person's partner; the longer curve of a pair is cut. There is no
    ideal value: compare with the ground truth's own.

    Raises
    ------
    InputError
        Lists of different length, or fewer than two dialogues.
    """
    if len(own) != len(partner) or len(own) < 2:
        raise InputError(f"{len(own)} people and {len(partner)} partners; wanted as many of each, at least 2")
    for curve in (*own, *partner):
        finite(curve, ("frame",), "curve")
    rng = np.random.default_rng(seed)
    observed = _mean_synchrony(own, partner)
    chance = np.array([_mean_synchrony(own, _deranged(partner, rng)) for _ in range(surrogates)])
    p = (np.count_nonzero(chance >= observed) + 1) / (surrogates + 1)
    return SynchronyTest(observed, float(chance.mean()), p)


def _deranged(partners: list[Curve], rng: np.random.Generator) -> list[Curve]:
    """One random cycle through all partners, so that nobody keeps their own."""
    order = rng.permutation(len(partners))
    assigned: list[Curve] = [partners[0]] * len(partners)
    for here, there in zip(order, np.roll(order, 1), strict=True):
        assigned[here] = partners[there]
    return assigned


def _mean_synchrony(own: list[Curve], partner: list[Curve]) -> float:
    values = []
    for one, two in zip(own, partner, strict=True):
        frames = min(len(one), len(two))
        values.append(synchrony(one[:frames], two[:frames]))
    defined = [value for value in values if np.isfinite(value)]
    return float(np.mean(defined)) if defined else np.nan
