"""Crosstalk: the level of one person's voice in the other person's channel, and speech without it."""

import numpy as np
from jaxtyping import Bool, Float32
from pyannote.core import Segment, Timeline
from scipy.ndimage import uniform_filter1d

from dualtalk.core import Conversation, speaking_frames
from dualtalk.geometry.masks import runs
from dualtalk.io.audio_map import audio_blocks
from dualtalk.timebase import MOTION_FPS, SAMPLES_PER_FRAME

# Fewer frames give no reliable median.
FEWEST_FRAMES = 10
# Added to a mean square, so that it is never zero.
SILENCE = 1e-10
# A channel that is softer than the other by this much contains crosstalk, not the own voice.
CROSSTALK_DB = 12.0
# Where the crosstalk is louder: this much more than its median level, but always below the level of the other
# voice.
CROSSTALK_MARGIN_DB, LOUDEST_CROSSTALK_DB = 3.0, -3.0
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
    speech: Timeline,
    own: Float32[np.ndarray, "sample"],
    other: Float32[np.ndarray, "sample"],
    other_speech: Timeline | None = None,
) -> Timeline:
    """Remove the frames from `speech` in which the other channel is far louder, so that this one has crosstalk.

    "Far louder" is 12 dB. If `other_speech` is given, it is less where the other voice leaks into this channel at
    a higher level than that.
    """
    window_frames = round(CROSSTALK_WINDOW_S * MOTION_FPS)
    limit_db = CROSSTALK_DB
    if other_speech is not None:
        masks = (speaking_frames(spans, len(own) // SAMPLES_PER_FRAME) for spans in (speech, other_speech))
        leak_db = leakage_db(own, other, *masks)
        if np.isfinite(leak_db):
            limit_db = min(CROSSTALK_DB, -min(leak_db + CROSSTALK_MARGIN_DB, LOUDEST_CROSSTALK_DB))
    power = [uniform_filter1d(_mean_square(audio), window_frames) + SILENCE for audio in (own, other)]
    softer = 10 * np.log10(power[1] / power[0]) > limit_db
    crosstalk = Timeline([Segment(first / MOTION_FPS, end / MOTION_FPS) for first, end in runs(softer)])
    kept = speech.extrude(crosstalk) if crosstalk else speech
    return Timeline([span for span in kept if span.duration >= SHORTEST_SPEECH_S])


def _mean_square(audio: np.ndarray) -> np.ndarray:
    """(frame,) mean square of whole frames."""
    powers = [
        np.square(block.reshape(-1, SAMPLES_PER_FRAME), dtype=np.float64).mean(axis=1)
        for _, (block,) in audio_blocks(audio)
    ]
    return np.concatenate(powers or [np.zeros(0)])
