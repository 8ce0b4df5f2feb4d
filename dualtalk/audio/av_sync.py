"""Laying a face recording over the sound that belongs to it: by the mouth, or by timecode.

An offset is seconds by which the face runs late: what is heard at `t` is seen at `t + offset_s`. Loudness and the
opening of a mouth rise and fall together at the rate of syllables (Chandrasekaran et al. 2009, "The natural
statistics of audiovisual speech", find most of their common course between 2 and 7 Hz), so both are reduced to
that band and the shift is sought at which they agree best. That is not quite the truth: mouths open before they
are heard, by 100 to 300 ms in the same study, so a recording in sync comes out at about -0.1 s.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Float32
from scipy.ndimage import gaussian_filter1d
from scipy.signal import correlate

from dualtalk.audio.prosody import loudness_db
from dualtalk.errors import InputError
from dualtalk.timebase import MOTION_FPS, frames_for_samples

# Widths (standard deviations) of the Gaussians whose difference keeps the rate of syllables.
FINE_S, COARSE_S = 0.04, 0.4
# Quieter sound than this below the loudest is room, not speech.
SPEECH_RANGE_DB = 35.0
# Less of both at once says nothing.
SHORTEST_OVERLAP_S = 3.0
DAY_S = 24 * 3600


class Offset(NamedTuple):
    """How late the face runs.

    Attributes
    ----------
    offset_s : float
    correlation : float
        Of mouth and loudness at that offset, -1 to 1; below about 0.2 the offset is a guess.
    """

    offset_s: float
    correlation: float


def offset_by_mouth(
    lip_gap_m: Float[np.ndarray, "frame"], audio: Float32[np.ndarray, "sample"], *, longest_s: float = 5.0
) -> Offset:
    """Find the offset, to a fraction of a frame, at which the opening of the mouth follows the loudness best.

    Parameters
    ----------
    lip_gap_m : (frame,)
        Opening of the mouth, 25 frames a second, from `Head.lip_gap` or any measure in proportion to it.
    audio : (sample,)
        That person's voice, 16 kHz. It need not be as long.
    longest_s : float
        Offsets up to this, either way, are tried.

    Raises
    ------
    InputError
        Less than 3 s of either, a mouth that never moves, or silence.
    """
    seconds = min(len(lip_gap_m), frames_for_samples(len(audio))) / MOTION_FPS
    if seconds < SHORTEST_OVERLAP_S:
        raise InputError(
            f"{seconds:.1f} s of face and voice; wanted {SHORTEST_OVERLAP_S:g} s at least to align them"
        )
    loudness = loudness_db(audio)
    mouth = _syllables(lip_gap_m)
    voice = _syllables(np.maximum(loudness - loudness.max() + SPEECH_RANGE_DB, 0))
    for course, what in ((mouth, "the mouth never moves"), (voice, "the sound is silent or steady")):
        if course.std() < 1e-9:
            raise InputError(f"{what}: nothing to align by; is it the right recording?")
    shifts, scores = _correlations(mouth, voice, round(longest_s * MOTION_FPS))
    best = int(scores.argmax())
    between = 0.0
    if 0 < best < len(scores) - 1:
        left, middle, right = scores[best - 1 : best + 2]
        # The top of the parabola through three points.
        between = 0.5 * (left - right) / min(left - 2 * middle + right, -1e-12)
    return Offset(float(shifts[best] + between) / MOTION_FPS, float(scores[best]))


def offset_by_timecode(face_start_s: float, sound_start_s: float) -> float:
    """The offset of two recordings whose first moments are times of day by one clock, the shorter way round
    midnight: a face that began before the sound shows it late."""
    return (sound_start_s - face_start_s + DAY_S / 2) % DAY_S - DAY_S / 2


def _syllables(course: Float[np.ndarray, "frame"]) -> Float[np.ndarray, "frame"]:
    course = course.astype(np.float64)
    fine, coarse = (gaussian_filter1d(course, width_s * MOTION_FPS) for width_s in (FINE_S, COARSE_S))
    return fine - coarse


def _correlations(mouth: np.ndarray, voice: np.ndarray, longest: int) -> tuple[np.ndarray, np.ndarray]:
    """Shifts of the mouth in frames, and the correlation of what then lies over each other."""
    products = correlate(mouth, voice)
    mouth_power = correlate(mouth**2, np.ones_like(voice))
    voice_power = correlate(np.ones_like(mouth), voice**2)
    overlap = correlate(np.ones_like(mouth), np.ones_like(voice))
    shifts = np.arange(len(products)) - (len(voice) - 1)
    tried = (np.abs(shifts) <= longest) & (overlap > SHORTEST_OVERLAP_S * MOTION_FPS - 0.5)
    scores = products / np.sqrt(np.maximum(mouth_power * voice_power, 1e-24))
    return shifts[tried], scores[tried]
