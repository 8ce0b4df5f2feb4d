"""Checks of a forced alignment, since an aligner fits any words to any audio."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float32

from dualtalk.audio.forced_alignment import AlignedWord
from dualtalk.audio.phonemes import VOWEL_SYMBOLS
from dualtalk.geometry.masks import runs
from dualtalk.timebase import AUDIO_RATE_HZ, sample_at

# Thresholds below which an independent recogniser rarely finds the aligned phones; see experiments/real_voices.
# Scores are log-likelihoods per frame, relative to the speaker's median line or absolute.
LOWEST_LINE_SCORE, LOWEST_WORD_SCORE, LOWEST_ABSOLUTE_SCORE = -6.0, -60.0, -32.0
# Longer phones are not spoken, even by slow readers.
LONGEST_CONSONANT_S, LONGEST_VOWEL_S = 0.5, 0.8
# Phones of the aligner last at least 30 ms. A word whose phones all do was probably left out.
SHORTEST_PHONE_S, FEWEST_PHONES = 0.035, 3
# Audio outside the words counts as speech within this many decibels of the median level of the words.
SPEECH_LEVEL_DB, LONGEST_UNALIGNED_S = -12.0, 0.25
LEVEL_HOP_S = 0.02


def line_score(words: Sequence[AlignedWord]) -> float:
    """Mean log-likelihood of a frame over all words."""
    durations_s = [word.duration_s for word in words]
    return float(np.average([word.score for word in words], weights=durations_s))


def alignment_fault(
    audio: Float32[np.ndarray, "sample"], words: Sequence[AlignedWord], speaker_score: float
) -> str | None:
    """The first reason for not trusting an alignment, or None.

    Parameters
    ----------
    audio : (sample,) float32
        16 kHz.
    words : sequence of AlignedWord
    speaker_score : float
        Median of `line_score` over lines of the same speaker.

    Returns
    -------
    str or None
        "low score", "word not spoken", "phone too long" or "unaligned speech".
    """
    score = line_score(words)
    if score < LOWEST_ABSOLUTE_SCORE or score - speaker_score < LOWEST_LINE_SCORE:
        return "low score"
    if any(word.score - speaker_score < LOWEST_WORD_SCORE or _is_squeezed(word) for word in words):
        return "word not spoken"
    if any(_is_stretched(word) for word in words):
        return "phone too long"
    if unaligned_speech_s(audio, words) > LONGEST_UNALIGNED_S:
        return "unaligned speech"
    return None


def unaligned_speech_s(audio: Float32[np.ndarray, "sample"], words: Sequence[AlignedWord]) -> float:
    """The longest stretch outside the words that is about as loud as the words, in seconds."""
    hop = sample_at(LEVEL_HOP_S)
    power = np.square(audio[: len(audio) // hop * hop].reshape(-1, hop), dtype=np.float64).mean(axis=1) + 1e-12
    inside = np.zeros(len(power), bool)
    for word in words:
        inside[round(word.start_s / LEVEL_HOP_S) : round(word.end_s / LEVEL_HOP_S)] = True
    if not inside.any():
        return len(audio) / AUDIO_RATE_HZ
    loud = 10 * np.log10(power / np.median(power[inside])) > SPEECH_LEVEL_DB
    return max((end - first for first, end in runs(loud & ~inside)), default=0) * LEVEL_HOP_S


def _is_squeezed(word: AlignedWord) -> bool:
    return len(word.phonemes) >= FEWEST_PHONES and word.duration_s / len(word.phonemes) < SHORTEST_PHONE_S


def _is_stretched(word: AlignedWord) -> bool:
    return any(
        one.end_s - one.start_s > (LONGEST_VOWEL_S if one.ipa[0] in VOWEL_SYMBOLS else LONGEST_CONSONANT_S)
        for one in word.phonemes
    )
