"""Turn-taking statistics of a corpus, as the literature reports them for conversations."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

# Bandwidth of the kernel density estimate whose maximum is the mode: the bin width of published histograms.
MODE_KERNEL_S = 0.1
MODE_RANGE_S = (-2.0, 3.0)


@dataclass(frozen=True)
class TurnStatistics:
    """Statistics pooled over all dialogues.

    Attributes
    ----------
    offset_mode_s, offset_median_s : float
        Of floor-transfer offsets; NaN if there are none.
    overlapped : float
        Share of floor transfers whose offset is negative.
    within_200ms, within_500ms : float
        Share of offsets below 0.2 s, overlaps included, and share of offsets with a magnitude below 0.5 s.
    overlap_share : float
        Share of the speech time in which both people speak.
    backchannels_per_minute, turns_per_minute : float
        Of both people together.
    utterance_mean_s, utterance_median_s : float
        Duration of utterances, without backchannels.
    pause_median_s : float
        Duration of pauses within turns.
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
    """Compute the statistics of a `turn_table`, or of several concatenated, with a total length of
    `duration_s`."""
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
    """Maximum of a Gaussian kernel density estimate."""
    if not len(offsets):
        return float("nan")
    places = np.arange(*MODE_RANGE_S, 0.01)
    density = np.exp(-0.5 * np.square((places[:, None] - offsets) / MODE_KERNEL_S)).sum(axis=1)
    return float(places[density.argmax()])
