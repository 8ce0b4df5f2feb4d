"""Does the head move as a living one? Spread, speed, bandwidth, blinks, and answers to the partner's phrases.

`TRACKED` gives the ranges seen in two tracked real talkers (25 frames a second, this field's usual tracker).
"""

import numpy as np
from jaxtyping import Float
from pyannote.core import Timeline

from dualtalk.audio.clock import MOTION_FPS, frame_at
from dualtalk.conversation import HeadMotion

TRACKED = {
    "head spread": (0.025, 0.12),
    "head speed": (0.17, 0.46),
    "head bandwidth": (0.6, 1.0),
    "jaw spread": (0.03, 0.06),
    "jaw bandwidth": (2.0, 3.3),
}
BLINK_SHUT = 0.5
AFTER_PHRASE_S = 2.0
SHORTEST_PHRASE_S = 0.7


def spread_rad(rotvec_rad: Float[np.ndarray, "frame 3"]) -> Float[np.ndarray, "3"]:
    """Standard deviation over time of each axis, radians."""
    return rotvec_rad.std(axis=0)


def mean_speed_rad_s(rotvec_rad: Float[np.ndarray, "frame 3"]) -> float:
    """Mean length of the frame-to-frame change, radians a second; 0 for a single frame."""
    if len(rotvec_rad) < 2:
        return 0.0
    return float(np.linalg.norm(np.diff(rotvec_rad, axis=0), axis=1).mean() * MOTION_FPS)


def bandwidth_hz(rotvec_rad: Float[np.ndarray, "frame 3"], share: float = 0.9) -> float:
    """Frequency below which `share` of the power lies, mean removed, axes summed; 0 where nothing moves."""
    power = (np.abs(np.fft.rfft(rotvec_rad - rotvec_rad.mean(axis=0), axis=0)) ** 2).sum(axis=1)
    if not power.sum() > 0:
        return 0.0
    frequency_hz = np.fft.rfftfreq(len(rotvec_rad), 1 / MOTION_FPS)
    return float(frequency_hz[np.searchsorted(np.cumsum(power) / power.sum(), share)])


def blinks_a_minute(lid_closure: Float[np.ndarray, "frame"]) -> float:
    """Times a minute that the lids (0 open to 1 shut) pass the halfway point downwards."""
    shut = lid_closure > BLINK_SHUT
    count = int((shut[1:] & ~shut[:-1]).sum()) + int(shut[:1].sum())
    return 60 * MOTION_FPS * count / max(len(lid_closure), 1)


def activity(motion: HeadMotion) -> Float[np.ndarray, "frame"]:
    """How much head and face move at each frame: head speed and expression speed, each of unit mean."""
    total = np.zeros(motion.frames)
    for part in (motion.head_rotvec_rad, motion.expression):
        speed = np.linalg.norm(np.gradient(part, axis=0), axis=1) if motion.frames > 1 else total
        if speed.mean() > 0:
            total = total + speed / speed.mean()
    return total / 2


def answer_ratio(
    listener: HeadMotion, own_speech: np.ndarray, partner_speech: Timeline, shifts: int = 500
) -> tuple[float, float]:
    """Activity of a listener in the 2 s after the partner's phrases end, as a multiple of chance, and how often
    chance does as well.

    Chance: the same phrase ends moved round the recording by every one of `shifts` evenly spread offsets.
    Only frames in which the listener does not speak count. Above 1 means that the listener answers.

    Returns
    -------
    ratio, p : float
        NaN where the partner ends no phrase or the listener never listens.
    """
    frames = listener.frames
    ends = [
        frame_at(span.end)
        for span in partner_speech.support(collar=0.2)
        if span.duration >= SHORTEST_PHRASE_S and frame_at(span.end) < frames
    ]
    moved = activity(listener)
    listening = ~own_speech
    window = np.arange(round(AFTER_PHRASE_S * MOTION_FPS))
    starts = np.asarray(ends, int)[:, None] + window
    offsets = np.unique(np.linspace(0, frames, shifts, endpoint=False).astype(int))
    means = []
    for offset in offsets:
        inside = (starts + offset) % frames
        counted = listening[inside]
        means.append((moved[inside] * counted).sum() / counted.sum() if counted.any() else np.nan)
    means = np.array(means)
    if not len(ends) or not np.isfinite(means[0]):
        return np.nan, np.nan
    chance = means[1:][np.isfinite(means[1:])]
    if not len(chance) or chance.mean() == 0:
        return np.nan, np.nan
    return float(means[0] / chance.mean()), float((chance >= means[0]).mean())
