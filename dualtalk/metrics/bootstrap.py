"""Pooling of a metric over dialogues, with bootstrap confidence intervals.

Each dialogue contributes a numerator and a denominator (`WeightedMean`). Dialogues are pooled by adding both sums,
so that a longer dialogue has more weight and a dialogue with nothing to measure has none. Frames of one dialogue
are not independent, so intervals resample whole dialogues with replacement (cluster bootstrap: Field & Welsh 2007,
"Bootstrapping clustered data").
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from dualtalk.errors import InputError

RESAMPLES = 2000
# Resamples computed at a time, so that memory stays small with thousands of dialogues.
RESAMPLES_PER_BATCH = 200
CONFIDENCE = 0.95


@dataclass(frozen=True)
class WeightedMean:
    """A ratio of two sums that can be added over clips and dialogues.

    Attributes
    ----------
    total : float
        Numerator: the sum of weighted values.
    weight : float
        Denominator, at least 0; 0 where nothing was measured.
    """

    total: float = 0.0
    weight: float = 0.0

    def __post_init__(self) -> None:
        if not (np.isfinite(self.total) and np.isfinite(self.weight) and self.weight >= 0):
            raise InputError(
                f"a weighted mean of total {self.total} and weight {self.weight}; wanted finite numbers and a "
                "weight of at least 0"
            )

    def __add__(self, other: "WeightedMean") -> "WeightedMean":
        return WeightedMean(self.total + other.total, self.weight + other.weight)

    @property
    def value(self) -> float:
        """total / weight; NaN where nothing was measured."""
        return self.total / self.weight if self.weight else np.nan

    @classmethod
    def of(cls, values: Iterable[float]) -> "WeightedMean":
        """The plain mean of values; NaN values are left out."""
        finite = [float(value) for value in values if np.isfinite(value)]
        return cls(float(np.sum(finite)), float(len(finite)))


@dataclass(frozen=True)
class Estimate:
    """A metric pooled over dialogues.

    Attributes
    ----------
    value : float
        Ratio of the sums over all dialogues; NaN where nothing was measured.
    low, high : float
        Ends of the confidence interval; NaN where fewer than two dialogues were measured.
    dialogues : int
        Number of dialogues that were measured.
    """

    value: float
    low: float
    high: float
    dialogues: int


def pooled_estimate(
    dialogues: Sequence[WeightedMean],
    seed: int = 0,
    resamples: int = RESAMPLES,
    confidence: float = CONFIDENCE,
) -> Estimate:
    """Pool one weighted mean a dialogue, with the percentile bootstrap interval over dialogues.

    The two participants of a dialogue are not independent: add their weighted means first.
    """
    sums = np.array([(one.total, one.weight) for one in dialogues if one.weight > 0]).reshape(-1, 2)
    count = len(sums)
    if not count:
        return Estimate(np.nan, np.nan, np.nan, 0)
    total, weight = sums.sum(axis=0)
    if count == 1:
        return Estimate(float(total / weight), np.nan, np.nan, 1)
    resampled = np.random.default_rng(seed).multinomial(count, np.full(count, 1 / count), size=resamples) @ sums
    low, high = np.quantile(resampled[:, 0] / resampled[:, 1], _tails(confidence))
    return Estimate(float(total / weight), float(low), float(high), count)


def pooled_estimates(
    sums: Float[np.ndarray, "dialogue metric 2"], seed: int = 0, resamples: int = RESAMPLES
) -> list[Estimate]:
    """`pooled_estimate` for many metrics at once; all metrics share the resampled dialogues.

    Parameters
    ----------
    sums : (dialogue, metric, 2)
        Total and weight. A resample in which a metric has no weight is ignored for that metric.
    """
    count = len(sums)
    total, weight = np.moveaxis(sums.sum(axis=0), -1, 0)
    dialogues = (sums[..., 1] > 0).sum(axis=0)
    value = _ratio(total, weight)
    flat, ratios = sums.reshape(count, -1), []
    rng = np.random.default_rng(seed)
    for first in range(0, resamples, RESAMPLES_PER_BATCH):
        size = min(RESAMPLES_PER_BATCH, resamples - first)
        draws = rng.multinomial(count, np.full(count, 1 / count), size=size)
        resampled = (draws @ flat).reshape(len(draws), -1, 2)
        ratios.append(_ratio(resampled[..., 0], resampled[..., 1]))
    ends = np.full((2, len(total)), np.nan)
    several = dialogues > 1
    if several.any():
        ends[:, several] = np.nanquantile(np.concatenate(ratios)[:, several], _tails(CONFIDENCE), axis=0)
    rows = zip(value, *ends, dialogues, strict=True)
    return [Estimate(float(v), float(low), float(high), int(n)) for v, low, high, n in rows]


def _ratio(total: np.ndarray, weight: np.ndarray) -> np.ndarray:
    return np.divide(total, weight, out=np.full(total.shape, np.nan), where=weight > 0)


def _tails(confidence: float) -> list[float]:
    return [(1 - confidence) / 2, (1 + confidence) / 2]
