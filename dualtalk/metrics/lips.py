"""Do the lips do what the sound needs? Gaps of the inner lips at phonemes, in silence, and with loudness.

All take the gap in metres a frame, as `Head.lip_gap` gives it, and answer NaN where there is nothing to measure.
"""

import numpy as np
from jaxtyping import Float
from pyannote.core import Timeline

from dualtalk.audio.phonemes import Phoneme
from dualtalk.metrics.roles import NEAR_SPEECH_S, speaking_frames
from dualtalk.timebase import frame_at

BILABIALS = frozenset("pbm")
VOWELS = frozenset("iyɨʉɯuɪʊeøɘɵɤoəɛœɜɞʌɔæɐaɑɒɚɝ")
CLOSED_M = 0.002
OPEN_M = 0.004


def gap_at(gap_m: Float[np.ndarray, "frame"], phonemes: tuple[Phoneme, ...], kinds: frozenset) -> np.ndarray:
    """(phoneme,) gap in metres at the centre of each phoneme whose first symbol is one of `kinds`."""
    centres = [frame_at((p.start_s + p.end_s) / 2) for p in phonemes if p.ipa[0] in kinds]
    return gap_m[[frame for frame in centres if frame < len(gap_m)]]


def bilabial_closure(gap_m: Float[np.ndarray, "frame"], phonemes: tuple[Phoneme, ...]) -> float:
    """Share of p, b, m at whose centre the lips are at most 2 mm apart. Perfect is 1."""
    gaps = gap_at(gap_m, phonemes, BILABIALS)
    return float((gaps <= CLOSED_M).mean()) if len(gaps) else np.nan


def vowel_opening(gap_m: Float[np.ndarray, "frame"], phonemes: tuple[Phoneme, ...]) -> float:
    """Share of vowels at whose centre the lips are more than 4 mm apart."""
    gaps = gap_at(gap_m, phonemes, VOWELS)
    return float((gaps > OPEN_M).mean()) if len(gaps) else np.nan


def silent_closure(gap_m: Float[np.ndarray, "frame"], speech: Timeline) -> float:
    """Share of frames at least 0.3 s from the person's speech with lips at most 2 mm apart. Perfect is 1."""
    silent = ~speaking_frames(speech, len(gap_m), widened_s=NEAR_SPEECH_S)
    return float((gap_m[silent] <= CLOSED_M).mean()) if silent.any() else np.nan


def loudness_correlation(
    gap_m: Float[np.ndarray, "frame"], loudness_db: Float[np.ndarray, "frame"], speaking: np.ndarray
) -> float:
    """Pearson correlation of loudness and gap over the frames with speech, in [-1, 1]."""
    if speaking.sum() < 2 or np.ptp(gap_m[speaking]) == 0 or np.ptp(loudness_db[speaking]) == 0:
        return np.nan
    return float(np.corrcoef(gap_m[speaking], loudness_db[speaking])[0, 1])
