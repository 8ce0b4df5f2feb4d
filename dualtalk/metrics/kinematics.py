"""Does the head move as a living one? Spread, speed, bandwidth, blinks, and answers to the partner's phrases.

`TRACKED` gives the ranges seen in two tracked real talkers (25 frames a second, this field's usual tracker).
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float
from pyannote.core import Timeline
from scipy.ndimage import maximum_filter1d

from dualtalk.core import HeadMotion
from dualtalk.timebase import MOTION_FPS, frame_at

TRACKED = {
    "head spread": (0.025, 0.12),
    "head speed": (0.17, 0.46),
    "head bandwidth": (0.6, 1.0),
    "jaw spread": (0.03, 0.06),
    "jaw bandwidth": (2.0, 3.3),
}
BLINK_SHUT = 0.5
AFTER_PHRASE_S = 2.0
SHORTEST_PHRASE_S, PHRASE_GAP_S = 0.7, 0.2
NEAR_OWN_SPEECH_S = 0.4


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


def activity(motion: HeadMotion, blendshape_names: tuple[str, ...]) -> Float[np.ndarray, "frame"]:
    """How much head and face move at each frame: head speed and expression speed, each of unit mean.

    Blinks are left out where the head names them: they are too fast and too regular to be answers.
    """
    expressive = [not name.startswith("eyeBlink") for name in blendshape_names]
    total = np.zeros(motion.frames)
    for part in (motion.head_rotvec_rad, motion.expression[:, expressive]):
        speed = np.linalg.norm(np.gradient(part, axis=0), axis=1) if motion.frames > 1 else total
        if speed.mean() > 0:
            total = total + speed / speed.mean()
    return total / 2


@dataclass(frozen=True, eq=False)
class Listening:
    """One person's side of a conversation, as far as it answers the other's.

    Attributes
    ----------
    activity : (frame,) float
        From `activity`; the mean over several seeds shows what they have in common.
    own_speech : (frame,) bool
    partner_speech : pyannote.core.Timeline
    """

    activity: Float[np.ndarray, "frame"]
    own_speech: Bool[np.ndarray, "frame"]
    partner_speech: Timeline


def answer_ratio(*listeners: Listening, shifts: int = 500) -> tuple[float, float]:
    """Activity of listeners in the 2 s after their partners' phrases end, as a multiple of chance, and how often
    chance does as well.

    Chance: the same phrase ends moved round their recording by every one of `shifts` evenly spread offsets.
    Only frames at least 0.4 s from the listener's own speech count, lest the mouth be seen starting. Above 1
    means that the listeners answer. Half a minute holds few phrases: give several listeners.

    Returns
    -------
    ratio, p : float
        NaN where no partner ends a phrase while the listener is silent.
    """
    moved, counted = np.zeros(shifts), np.zeros(shifts)
    for listener in listeners:
        frames = len(listener.activity)
        ends = [
            frame_at(s.end)
            for s in listener.partner_speech.support(PHRASE_GAP_S)
            if s.duration > SHORTEST_PHRASE_S
        ]
        starts = np.array(ends, int)[:, None] + np.arange(round(AFTER_PHRASE_S * MOTION_FPS))
        offsets = np.linspace(0, frames, shifts, endpoint=False).astype(int)
        inside = (starts[None] + offsets[:, None, None]) % frames
        near_speech = maximum_filter1d(listener.own_speech, 2 * round(NEAR_OWN_SPEECH_S * MOTION_FPS) + 1)
        listening = ~near_speech[inside]
        moved += (listener.activity[inside] * listening).sum(axis=(1, 2))
        counted += listening.sum(axis=(1, 2))
    if not counted[0] or not moved.any():
        return np.nan, np.nan
    means = moved[counted > 0] / counted[counted > 0]
    return float(means[0] / means[1:].mean()), float((means[1:] >= means[0]).mean())
