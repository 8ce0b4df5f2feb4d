"""Do two people move together, at whatever lag, and more than two who never met?

A window of one person's curve is laid on the other's at every lag within reach and the largest correlation
taken (windowed cross-correlation with peak picking: Boker et al. 2002, "Windowed cross-correlation and peak
picking"). A search always finds something, so the value means nothing by itself: it is compared with
pseudo-dyads, the same people with partners of other dialogues (Bernieri & Rosenthal 1991).
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from numpy.lib.stride_tricks import sliding_window_view

from dualtalk.errors import InputError
from dualtalk.metrics.validation import finite, same_shape
from dualtalk.timebase import MOTION_FPS

Curve = Float[np.ndarray, "_frame"]

# Of Boker et al.'s range: long enough for a nod and its answer, short enough that lags may change between windows.
WINDOW_S, HOP_S, REACH_S = 4.0, 1.0, 2.0
PSEUDO_PARTNERS = 20


def lagged_correlations(one: Curve, two: Curve, reach: int) -> Float[np.ndarray, "lag"]:
    """Pearson's r of one[t] and two[t + lag] over their overlap, for lags -reach to reach.

    Positive lags: `two` follows `one`. 0 where either never changes over the overlap.

    Raises
    ------
    InputError
        Fewer than reach + 2 frames.
    """
    one, two = same_shape(one, two, ("frame",))
    frames = len(one)
    if frames < reach + 2:
        raise InputError(f"{frames} frames cannot be shifted by {reach}; wanted at least {reach + 2}")
    lags = np.arange(-reach, reach + 1)
    first, last = np.maximum(0, -lags), np.minimum(frames, frames - lags)
    count = last - first
    # Means off first, lest the differences of large sums round.
    one, two = one - one.mean(), two - two.mean()
    size = 1 << (2 * frames - 1).bit_length()
    product = np.fft.irfft(np.fft.rfft(one, size).conj() * np.fft.rfft(two, size), size)[lags]

    def over(values: Curve, shift: Int[np.ndarray, "lag"] | int) -> Float[np.ndarray, "lag"]:
        running = np.concatenate([[0.0], np.cumsum(values)])
        return running[last + shift] - running[first + shift]

    sum_one, sum_two = over(one, 0), over(two, lags)
    spread = (over(one**2, 0) - sum_one**2 / count) * (over(two**2, lags) - sum_two**2 / count)
    changes = spread > 1e-12 * ((one**2).sum() * (two**2).sum() or 1.0)
    together = product - sum_one * sum_two / count
    return np.where(changes, together / np.sqrt(np.where(changes, spread, 1.0)), 0.0)


def peak_lag_s(one: Curve, two: Curve, reach_s: float = REACH_S) -> float:
    """Lag within reach at which `two` correlates best with `one`, seconds, positive where it follows.

    Of equal peaks the one nearest 0; NaN where either never changes.
    """
    reach = round(reach_s * MOTION_FPS)
    correlation = lagged_correlations(one, two, reach)
    if not correlation.any():
        return np.nan
    lags = np.arange(-reach, reach + 1)
    peaks = lags[correlation >= correlation.max() - 1e-12]
    return float(peaks[np.abs(peaks).argmin()] / MOTION_FPS)


def synchrony(one: Curve, two: Curve) -> float:
    """Mean over windows of 4 s of the largest r within lags of 2 s, in [-1, 1]; a copy at any such lag has 1.

    Higher means more together; independent curves are well above 0, so compare with `chance`. Blind to positive
    scale and offset. Windows in which `one` never moves count as 0; NaN where there is no whole window.
    """
    one, two = same_shape(one, two, ("frame",))
    window, hop, reach = (round(s * MOTION_FPS) for s in (WINDOW_S, HOP_S, REACH_S))
    starts = np.arange(reach, len(one) - window - reach + 1, hop)
    if not len(starts):
        return np.nan
    fixed = _standard(sliding_window_view(one, window)[starts])
    moving = _standard(sliding_window_view(two, window))
    shifted = moving[starts[:, None] + np.arange(-reach, reach + 1)]
    correlation = np.matmul(shifted, fixed[:, :, None])[..., 0]
    return float(correlation.max(axis=1).mean())


def _standard(windows: Float[np.ndarray, "window frame"]) -> Float[np.ndarray, "window frame"]:
    """Zero mean and unit norm; zero where nothing changes."""
    centred = windows - windows.mean(axis=1, keepdims=True)
    norm = np.linalg.norm(centred, axis=1, keepdims=True)
    still = norm <= 1e-9 * np.abs(windows).max(initial=1e-300)
    return np.where(still, 0.0, centred / np.where(still, 1.0, norm))


@dataclass(frozen=True)
class Synchrony:
    """Togetherness of pairs, with that of pseudo-dyads.

    Attributes
    ----------
    observed : float
        Mean `synchrony` of the pairs.
    chance : float
        Mean of the pseudo-dyads.
    above_chance : float
        observed - chance: 0 where partners do not matter.
    p : float
        How often as good a mean came of pseudo-dyads alone, at least 1 / (shuffles + 1).
    """

    observed: float
    chance: float
    p: float

    @property
    def above_chance(self) -> float:
        return self.observed - self.chance


def synchrony_above_chance(
    own: list[Curve], partner: list[Curve], seed: int = 0, shuffles: int = PSEUDO_PARTNERS
) -> Synchrony:
    """Synchrony of own[i] with partner[i], against partners of other dialogues.

    Each shuffle gives everybody another's partner; of a pair of unequal length the longer is cut. Perfect has
    no number: the reference's own value is what to reach.

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
    chance = np.array([_mean_synchrony(own, _rotated(partner, rng)) for _ in range(shuffles)])
    as_good = (np.count_nonzero(chance >= observed) + 1) / (shuffles + 1)
    return Synchrony(observed, float(chance.mean()), as_good)


def _rotated(partners: list[Curve], rng: np.random.Generator) -> list[Curve]:
    """Everybody else's: one cycle through all in random order, so that nobody keeps their own."""
    order = rng.permutation(len(partners))
    given: list[Curve] = [partners[0]] * len(partners)
    for here, there in zip(order, np.roll(order, 1), strict=True):
        given[here] = partners[there]
    return given


def _mean_synchrony(own: list[Curve], partner: list[Curve]) -> float:
    values = []
    for one, two in zip(own, partner, strict=True):
        frames = min(len(one), len(two))
        values.append(synchrony(one[:frames], two[:frames]))
    measured = [value for value in values if np.isfinite(value)]
    return float(np.mean(measured)) if measured else np.nan
