"""How a corpus takes turns, in the numbers that the literature gives for conversations."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.stats import gaussian_kde

# Width of the kernel that finds the mode of floor-transfer offsets; half the bin of published histograms.
MODE_KERNEL_S = 0.05
MODE_RANGE_S = (-2.0, 3.0)


@dataclass(frozen=True)
class TurnStatistics:
    """Of all dialogues together.

    Attributes
    ----------
    offset_mode_s, offset_median_s : float
        Of floor-transfer offsets; NaN where nobody answers anybody.
    overlapped : float
        Share of floor transfers whose offset is negative.
    within_200ms, within_500ms : float
        Share of offsets below 0.2 s, overlaps included, and share shorter than 0.5 s either way.
    overlap_share : float
        Share of the time with speech in which both speak.
    backchannels_per_minute, turns_per_minute : float
        Of both people together.
    utterance_mean_s, utterance_median_s : float
        Stretches of speech of one person, without backchannels.
    pause_median_s : float
        Inside turns.
    """

    offset_mode_s: float
    offset_median_s: float
    overlapped: float
    within_200ms: float
    within_500ms: float
    overlap_share: float
    backchannels_per_minute: float
    turns_per_minute: float
    utterance_mean_s: float
    utterance_median_s: float
    pause_median_s: float


def turn_statistics(table: pd.DataFrame, duration_s: float) -> TurnStatistics:
    """Statistics of a `turn_table`, or of several below one another, of `duration_s` in all."""
    kinds = dict(iter(table.groupby("kind")))

    def durations(kind: str) -> np.ndarray:
        return kinds[kind]["duration_s"].to_numpy() if kind in kinds else np.zeros(0)

    offsets = table["offset_s"].dropna().to_numpy()
    overlap_s = durations("overlap").sum()
    speech_s = durations("utterance").sum() + durations("backchannel").sum() - overlap_s
    minutes = duration_s / 60
    return TurnStatistics(
        offset_mode_s=_mode(offsets),
        offset_median_s=_or_nan(np.median, offsets),
        overlapped=_or_nan(np.mean, offsets < 0),
        within_200ms=_or_nan(np.mean, offsets < 0.2),
        within_500ms=_or_nan(np.mean, np.abs(offsets) < 0.5),
        overlap_share=float(overlap_s / speech_s) if speech_s else 0.0,
        backchannels_per_minute=len(durations("backchannel")) / minutes,
        turns_per_minute=len(durations("turn")) / minutes,
        utterance_mean_s=_or_nan(np.mean, durations("utterance")),
        utterance_median_s=_or_nan(np.median, durations("utterance")),
        pause_median_s=_or_nan(np.median, durations("pause")),
    )


def _or_nan(statistic, values: np.ndarray) -> float:
    return float(statistic(values)) if len(values) else float("nan")


def _mode(offsets: np.ndarray) -> float:
    if len(offsets) < 2 or np.ptp(offsets) == 0:
        return _or_nan(np.mean, offsets)
    places = np.arange(*MODE_RANGE_S, 0.01)
    density = gaussian_kde(offsets, bw_method=MODE_KERNEL_S / offsets.std(ddof=1))(places)
    return float(places[density.argmax()])
