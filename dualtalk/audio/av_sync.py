"""Audio-visual synchronization: the offset between a face recording and its audio, by lip motion or by timecode.

A positive offset means that the face lags: audio at time `t` belongs to the face at `t + offset_s`. Loudness and
lip aperture are correlated at the syllable rate (Chandrasekaran et al. 2009, "The natural statistics of
audiovisual speech", find most of the coherence between 2 and 7 Hz), so both are band-passed to that rate and
cross-correlated. The estimate is biased: lips open 100 to 300 ms before the sound in the same study, so a
synchronous recording yields about -0.1 s.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Float32
from scipy.ndimage import gaussian_filter1d
from scipy.signal import correlate
from scipy.stats import theilslopes

from dualtalk.audio.prosody import loudness_db
from dualtalk.errors import InputError
from dualtalk.timebase import DAY_S, MOTION_FPS, SAMPLES_PER_FRAME, frames_for_samples

# Standard deviations of the two Gaussians whose difference passes the syllable rate.
FINE_S, COARSE_S = 0.04, 0.4
# Audio further than this below the loudest frame is room noise, not speech.
SPEECH_RANGE_DB = 35.0
# A shorter overlap gives no reliable correlation.
SHORTEST_OVERLAP_S = 3.0
# Windows in which a changing offset is searched, how far from its mean, and from which correlation it is clear.
DRIFT_WINDOW_S, DRIFT_REACH_S, CLEAR_CORRELATION, FEWEST_WINDOWS = 15.0, 0.5, 0.4, 4


class Offset(NamedTuple):
    """Lag of the face.

    Attributes
    ----------
    offset_s : float
    correlation : float
        Of lip aperture and loudness at that offset, -1 to 1. Below about 0.2 the offset is not reliable.
    """

    offset_s: float
    correlation: float


def offset_by_mouth(
    lip_gap_m: Float[np.ndarray, "frame"], audio: Float32[np.ndarray, "sample"], *, longest_s: float = 5.0
) -> Offset:
    """Find the offset, to a fraction of a frame, with the highest correlation of lip aperture and loudness.

    Parameters
    ----------
    lip_gap_m : (frame,)
        Lip aperture, 25 frames a second, from `Head.lip_gap` or any quantity proportional to it.
    audio : (sample,)
        That person's voice, 16 kHz. Its length may differ.
    longest_s : float
        Largest offset to consider, in either direction.

    Raises
    ------
    InputError
        Less than 3 s of either, lips that never move, or silence.
    """
    seconds = min(len(lip_gap_m), frames_for_samples(len(audio))) / MOTION_FPS
    if seconds < SHORTEST_OVERLAP_S:
        raise InputError(
            f"{seconds:.1f} s of face and voice; wanted at least {SHORTEST_OVERLAP_S:g} s to align them"
        )
    loudness = loudness_db(audio)
    mouth = _syllables(lip_gap_m)
    voice = _syllables(np.maximum(loudness - loudness.max() + SPEECH_RANGE_DB, 0))
    for curve, problem in ((mouth, "the mouth never moves"), (voice, "the audio is silent or steady")):
        if curve.std() < 1e-9:
            raise InputError(f"{problem}, so the offset is undefined; is it the right recording?")
    shifts, scores = _correlations(mouth, voice, round(longest_s * MOTION_FPS))
    best = int(scores.argmax())
    between = 0.0
    if 0 < best < len(scores) - 1:
        left, middle, right = scores[best - 1 : best + 2]
        # Vertex of the parabola through the three points.
        between = 0.5 * (left - right) / min(left - 2 * middle + right, -1e-12)
    return Offset(float(shifts[best] + between) / MOTION_FPS, float(scores[best]))


class Drift(NamedTuple):
    """A lag of the face that grows or shrinks.

    Attributes
    ----------
    offset_s : float
        At the beginning.
    rate : float
        Seconds of lag for each second of sound.
    windows : int
        Windows that the line is fitted to.
    """

    offset_s: float
    rate: float
    windows: int


def drift_by_mouth(
    lip_gap_m: Float[np.ndarray, "frame"], audio: Float32[np.ndarray, "sample"], offset_s: float
) -> Drift | None:
    """Find the line on which the offset changes, from the offsets of overlapping windows of 15 s.

    Two clocks that run at different rates, or a rate of frames that is declared wrongly, give such a line.

    Parameters
    ----------
    lip_gap_m, audio
        As for `offset_by_mouth`.
    offset_s : float
        Mean offset, from `offset_by_mouth`: the windows are searched within half a second of it.

    Returns
    -------
    Drift or None
        None if fewer than four windows have a clear offset.
    """
    length, hop = round(DRIFT_WINDOW_S * MOTION_FPS), round(DRIFT_WINDOW_S * MOTION_FPS / 2)
    shift = round(offset_s * MOTION_FPS)
    times_s, offsets_s = [], []
    for first in range(0, frames_for_samples(len(audio)) - length + 1, hop):
        mouth = lip_gap_m[max(first + shift, 0) : max(first + shift + length, 0)]
        voice = audio[first * SAMPLES_PER_FRAME : (first + length) * SAMPLES_PER_FRAME]
        try:
            found = offset_by_mouth(mouth, voice, longest_s=DRIFT_REACH_S)
        except InputError:
            continue
        # A window that begins before the face does is shorter at its front.
        lead_s = max(-(first + shift), 0) / MOTION_FPS
        if found.correlation >= CLEAR_CORRELATION:
            times_s.append((first + length / 2) / MOTION_FPS)
            offsets_s.append(found.offset_s + shift / MOTION_FPS + lead_s)
    if len(times_s) < FEWEST_WINDOWS:
        return None
    slope, intercept, _, _ = theilslopes(offsets_s, times_s)
    return Drift(float(intercept), float(slope), len(times_s))


def offset_by_timecode(face_start_s: float, sound_start_s: float) -> float:
    """Offset of two recordings from the times of day at which they started, by one clock, modulo 24 h.

    A face recording that started before the audio has a positive offset.
    """
    return (sound_start_s - face_start_s + DAY_S / 2) % DAY_S - DAY_S / 2


def _syllables(curve: Float[np.ndarray, "frame"]) -> Float[np.ndarray, "frame"]:
    """Band-pass a curve to the syllable rate."""
    curve = curve.astype(np.float64)
    fine, coarse = (gaussian_filter1d(curve, width_s * MOTION_FPS) for width_s in (FINE_S, COARSE_S))
    return fine - coarse


def _correlations(mouth: np.ndarray, voice: np.ndarray, longest: int) -> tuple[np.ndarray, np.ndarray]:
    """Shifts of the mouth in frames, and the correlation over the overlapping part for each."""
    products = correlate(mouth, voice)
    mouth_power = correlate(mouth**2, np.ones_like(voice))
    voice_power = correlate(np.ones_like(mouth), voice**2)
    overlap = correlate(np.ones_like(mouth), np.ones_like(voice))
    shifts = np.arange(len(products)) - (len(voice) - 1)
    tried = (np.abs(shifts) <= longest) & (overlap > SHORTEST_OVERLAP_S * MOTION_FPS - 0.5)
    scores = products / np.sqrt(np.maximum(mouth_power * voice_power, 1e-24))
    return shifts[tried], scores[tried]
