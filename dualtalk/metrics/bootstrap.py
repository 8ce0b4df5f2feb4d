"""Sums that a measure leaves behind for each dialogue, and what all dialogues say together.

A measure here is a ratio of two sums. Dialogues are pooled by adding both sums, so that a long one counts for
more, and a dialogue with nothing to measure counts for nothing. Frames of one dialogue are not independent:
confidence intervals come of drawing whole dialogues again, with replacement (the cluster bootstrap: Field &
Welsh 2007, "Bootstrapping clustered data").
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from dualtalk.errors import InputError

RESAMPLES = 2000
# Draws at a time, so that thousands of dialogues do not fill the memory.
DRAWN_AT_ONCE = 200
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


def over_dialogues_together(
    sums: Float[np.ndarray, "dialogue measure 2"], seed: int = 0, resamples: int = RESAMPLES
) -> list[Estimate]:
    """`over_dialogues` for many measures at once: every draw of dialogues serves them all.

    Totals and weights stand in the last axis. A draw in which a measure has no weight counts for nothing.
    """
    count = len(sums)
    total, weight = np.moveaxis(sums.sum(axis=0), -1, 0)
    dialogues = (sums[..., 1] > 0).sum(axis=0)
    value = np.divide(total, weight, out=np.full(len(total), np.nan), where=weight > 0)
    flat, ratios = sums.reshape(count, -1), []
    rng = np.random.default_rng(seed)
    for first in range(0, resamples, DRAWN_AT_ONCE):
        draws = rng.multinomial(count, np.full(count, 1 / count), size=min(DRAWN_AT_ONCE, resamples - first))
        drawn = (draws @ flat).reshape(len(draws), -1, 2)
        ratios.append(
            np.divide(drawn[..., 0], drawn[..., 1], out=np.full(drawn.shape[:2], np.nan), where=drawn[..., 1] > 0)
        )
    ends = np.full((2, len(total)), np.nan)
    several = dialogues > 1
    if several.any():
        tails = [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2]
        ends[:, several] = np.nanquantile(np.concatenate(ratios)[:, several], tails, axis=0)
    rows = zip(value, *ends, dialogues, strict=True)
    return [Estimate(float(v), float(low), float(high), int(n)) for v, low, high, n in rows]
