"""Crosstalk: the level of one person's voice in the other person's channel, and speech without it."""

import numpy as np
from jaxtyping import Bool, Float32
from pyannote.core import Segment, Timeline
from scipy.ndimage import uniform_filter1d

from dualtalk.core import Conversation
from dualtalk.geometry.masks import runs
from dualtalk.timebase import MOTION_FPS, SAMPLES_PER_FRAME

# Fewer frames give no reliable median.
FEWEST_FRAMES = 10
# Added to a mean square, so that it is never zero.
SILENCE = 1e-10
# A channel that is softer than the other by this much contains crosstalk, not the own voice.
CROSSTALK_DB = 12.0
CROSSTALK_WINDOW_S = 0.2
SHORTEST_SPEECH_S = 0.12


def leakage_db(
    own: Float32[np.ndarray, "sample"],
    other: Float32[np.ndarray, "sample"],
    own_speaking: Bool[np.ndarray, "frame"],
    other_speaking: Bool[np.ndarray, "frame"],
) -> float:
    """Level of `own` relative to `other` while the other person speaks, in dB: the median over frames.

    Frames in which the own person speaks and is louder are left out. Voice activity cannot separate the remaining
    ones from a leak, since a leak is speech. The level is near 0 dB if both channels carry the same audio, and
    never below the channel's own noise. NaN if the other person speaks in fewer than 10 frames.
    """
    own_power, other_power = (
        _mean_square(audio[: len(own_speaking) * SAMPLES_PER_FRAME]) + SILENCE for audio in (own, other)
    )
    leaking = other_speaking & ~(own_speaking & (own_power >= other_power))
    if leaking.sum() < FEWEST_FRAMES:
        return float("nan")
    return float(np.median(10 * np.log10(own_power[leaking] / other_power[leaking])))


def crosstalk_db(conversation: Conversation) -> tuple[float, float]:
    """Level of the partner's voice in each participant's channel, in dB; see `leakage_db`."""
    speaking = [person.speaking(conversation.frames) for person in conversation.participants]
    a, b = conversation.a.audio, conversation.b.audio
    return leakage_db(a, b, *speaking), leakage_db(b, a, *speaking[::-1])


def without_crosstalk(
    speech: Timeline, own: Float32[np.ndarray, "sample"], other: Float32[np.ndarray, "sample"]
) -> Timeline:
    """Remove the frames from `speech` in which the other channel is far louder, so that this one has crosstalk."""
    window_frames = round(CROSSTALK_WINDOW_S * MOTION_FPS)
    power = [uniform_filter1d(_mean_square(audio), window_frames) + SILENCE for audio in (own, other)]
    softer = 10 * np.log10(power[1] / power[0]) > CROSSTALK_DB
    crosstalk = Timeline([Segment(first / MOTION_FPS, end / MOTION_FPS) for first, end in runs(softer)])
    kept = speech.extrude(crosstalk) if crosstalk else speech
    return Timeline([span for span in kept if span.duration >= SHORTEST_SPEECH_S])


def _mean_square(audio: np.ndarray) -> np.ndarray:
    """(frame,) mean square of whole frames."""
    return np.square(audio.reshape(-1, SAMPLES_PER_FRAME), dtype=np.float64).mean(axis=1)
