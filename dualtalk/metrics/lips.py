"""Lip aperture at phonemes, in silence, and with loudness; no ground-truth motion is needed.

Every function takes the lip aperture in metres (frame,), as `Head.lip_gap` gives it, and returns NaN where nothing
can be measured.
"""

import numpy as np
from jaxtyping import Bool, Float
from pyannote.core import Timeline

from dualtalk.audio.phonemes import BILABIALS, VOWEL_SYMBOLS, Phoneme
from dualtalk.core import speaking_frames
from dualtalk.head import LIPS_CLOSED_M
from dualtalk.metrics.arrays import Curve
from dualtalk.metrics.turn_transitions import NEAR_SPEECH_S
from dualtalk.timebase import frame_at

OPEN_M = 0.004


def gap_at(gap_m: Curve, phonemes: tuple[Phoneme, ...], symbols: frozenset[str]) -> Float[np.ndarray, "phoneme"]:
    """Aperture in metres at the centre of each phoneme whose first symbol is one of `symbols`."""
    centres = [frame_at((p.start_s + p.end_s) / 2) for p in phonemes if p.ipa[0] in symbols]
    return gap_m[[frame for frame in centres if frame < len(gap_m)]]


def bilabial_closure(gap_m: Curve, phonemes: tuple[Phoneme, ...]) -> float:
    """Bilabial closure rate: share of p, b, m at whose centre the lips are at most 2 mm apart. Ideal 1."""
    gaps = gap_at(gap_m, phonemes, BILABIALS)
    return float((gaps <= LIPS_CLOSED_M).mean()) if len(gaps) else np.nan


def vowel_opening(gap_m: Curve, phonemes: tuple[Phoneme, ...]) -> float:
    """Vowel opening rate: share of vowels at whose centre the lips are more than 4 mm apart."""
    gaps = gap_at(gap_m, phonemes, VOWEL_SYMBOLS)
    return float((gaps > OPEN_M).mean()) if len(gaps) else np.nan


def silent_closure(gap_m: Curve, speech: Timeline) -> float:
    """Silence closure rate: share of frames with lips at most 2 mm apart, of frames at least 0.3 s from the
    person's own speech. Ideal 1."""
    silent = ~speaking_frames(speech, len(gap_m), widened_s=NEAR_SPEECH_S)
    return float((gap_m[silent] <= LIPS_CLOSED_M).mean()) if silent.any() else np.nan


def loudness_correlation(gap_m: Curve, loudness_db: Curve, speaking: Bool[np.ndarray, "_frame"]) -> float:
    """Pearson correlation of loudness and aperture over the frames with speech, in [-1, 1]."""
    if speaking.sum() < 2 or np.ptp(gap_m[speaking]) == 0 or np.ptp(loudness_db[speaking]) == 0:
        return np.nan
    return float(np.corrcoef(gap_m[speaking], loudness_db[speaking])[0, 1])
