"""Crosstalk: the level of one person's voice in the other person's channel."""

import numpy as np
from jaxtyping import Bool, Float32

from dualtalk.core import Conversation
from dualtalk.timebase import SAMPLES_PER_FRAME

# Fewer frames give no reliable median.
FEWEST_FRAMES = 10
SILENCE = 1e-10


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
    own_power, other_power = (_power(audio, len(own_speaking)) for audio in (own, other))
    leaking = other_speaking & ~(own_speaking & (own_power >= other_power))
    if leaking.sum() < FEWEST_FRAMES:
        return float("nan")
    return float(np.median(10 * np.log10(own_power[leaking] / other_power[leaking])))


def crosstalk_db(conversation: Conversation) -> tuple[float, float]:
    """Level of the partner's voice in each participant's channel, in dB; see `leakage_db`."""
    speaking = [person.speaking(conversation.frames) for person in conversation.participants]
    a, b = conversation.a.audio, conversation.b.audio
    return leakage_db(a, b, *speaking), leakage_db(b, a, *speaking[::-1])


def _power(audio: np.ndarray, frames: int) -> np.ndarray:
    """(frame,) mean square, never zero."""
    return (
        np.square(audio[: frames * SAMPLES_PER_FRAME].reshape(frames, -1), dtype=np.float64).mean(axis=1) + SILENCE
    )
