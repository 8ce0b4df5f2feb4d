"""Sums that a measure leaves behind for each dialogue, and what all dialogues say together.

A measure here is a ratio of two sums. Dialogues are pooled by adding both sums, so that a long one counts for
more, and a dialogue with nothing to measure counts for nothing. Frames of one dialogue are not independent:
confidence intervals come of drawing whole dialogues again, with replacement (the cluster bootstrap: Field &
Welsh 2007, "Bootstrapping clustered data").
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from dualtalk.errors import InputError

RESAMPLES = 2000
CONFIDENCE = 0.95


@dataclass(frozen=True)
class Tally:
    """Numerator and denominator of a ratio; `value` is NaN where there was nothing to measure."""

    total: float = 0.0
    weight: float = 0.0

    def __post_init__(self) -> None:
        if not (np.isfinite(self.total) and np.isfinite(self.weight) and self.weight >= 0):
            raise InputError(
                f"a tally of {self.total} over {self.weight}; wanted finite numbers, weight not below 0"
            )

    def __add__(self, other: "Tally") -> "Tally":
        return Tally(self.total + other.total, self.weight + other.weight)

    @property
    def value(self) -> float:
        return self.total / self.weight if self.weight else np.nan

    @classmethod
    def mean_of(cls, values: Iterable[float]) -> "Tally":
        """Of values each of which counts once; NaN ones do not count."""
        kept = [float(value) for value in values if np.isfinite(value)]
        return cls(float(np.sum(kept)), float(len(kept)))


@dataclass(frozen=True)
class Estimate:
    """A value over dialogues.

    Attributes
    ----------
    value : float
        Ratio of the sums over all dialogues; NaN where there was nothing to measure.
    low, high : float
        Ends of the confidence interval; NaN where fewer than two dialogues have something to measure.
    dialogues : int
        How many have.
    """

    value: float
    low: float
    high: float
    dialogues: int


def over_dialogues(
    tallies: Sequence[Tally], seed: int = 0, resamples: int = RESAMPLES, confidence: float = CONFIDENCE
) -> Estimate:
    """Pool one tally a dialogue; the interval holds the middle `confidence` of the ratios of resampled dialogues.

    Two people of one dialogue are not independent: add their tallies first.
    """
    sums = np.array([(one.total, one.weight) for one in tallies if one.weight > 0]).reshape(-1, 2)
    count = len(sums)
    if not count:
        return Estimate(np.nan, np.nan, np.nan, 0)
    total, weight = sums.sum(axis=0)
    if count == 1:
        return Estimate(float(total / weight), np.nan, np.nan, 1)
    drawn = np.random.default_rng(seed).multinomial(count, np.full(count, 1 / count), size=resamples) @ sums
    tails = [(1 - confidence) / 2, (1 + confidence) / 2]
    low, high = np.quantile(drawn[:, 0] / drawn[:, 1], tails)
    return Estimate(float(total / weight), float(low), float(high), count)
