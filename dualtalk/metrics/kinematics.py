"""Statistics of head motion without a ground truth: spread, speed, bandwidth, blinks, and response to the partner.

`TRACKED_RANGES` gives the ranges of two tracked talkers at 25 frames a second.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float
from pyannote.core import Timeline
from scipy.ndimage import maximum_filter1d

from dualtalk.audio.turns import PHRASE_GAP_S
from dualtalk.core import HeadMotion
from dualtalk.timebase import MOTION_FPS, frame_at

RotVec = Float[np.ndarray, "_frame 3"]

TRACKED_RANGES = {
    "head spread": (0.025, 0.12),
    "head speed": (0.17, 0.46),
    "head bandwidth": (0.6, 1.0),
    "jaw spread": (0.03, 0.06),
    "jaw bandwidth": (2.0, 3.3),
}
BLINK_CLOSED = 0.5
RESPONSE_WINDOW_S = 2.0
MIN_PHRASE_S = 0.7
# Frames this near to the listener's own speech are left out, because the mouth may already be moving.
SPEECH_MARGIN_S = 0.4


def spread_rad(rotvec_rad: RotVec) -> Float[np.ndarray, "3"]:
    """Standard deviation over time of each axis, in radians."""
    return rotvec_rad.std(axis=0)


def mean_speed_rad_s(rotvec_rad: RotVec) -> float:
    """Mean norm of the frame-to-frame change, in radians a second; 0 for a single frame."""
    if len(rotvec_rad) < 2:
        return 0.0
    return float(np.linalg.norm(np.diff(rotvec_rad, axis=0), axis=1).mean() * MOTION_FPS)


def bandwidth_hz(rotvec_rad: RotVec, share: float = 0.9) -> float:
    """Frequency below which `share` of the power lies, without the mean, summed over axes; 0 for still motion."""
    power = (np.abs(np.fft.rfft(rotvec_rad - rotvec_rad.mean(axis=0), axis=0)) ** 2).sum(axis=1)
    if not power.sum() > 0:
        return 0.0
    frequency_hz = np.fft.rfftfreq(len(rotvec_rad), 1 / MOTION_FPS)
    return float(frequency_hz[np.searchsorted(np.cumsum(power) / power.sum(), share)])


def blinks_a_minute(lid_closure: Float[np.ndarray, "frame"]) -> float:
    """Number of times a minute that the lids (0 open to 1 closed) close past the halfway point."""
    closed = lid_closure > BLINK_CLOSED
    count = int((closed[1:] & ~closed[:-1]).sum()) + int(closed[:1].sum())
    return 60 * MOTION_FPS * count / max(len(lid_closure), 1)


def activity(motion: HeadMotion, blendshape_names: tuple[str, ...]) -> Float[np.ndarray, "frame"]:
    """Mean of head speed and expression speed at each frame, each divided by its own mean over time.

    Blinks are left out where the head names them: they are too fast and too regular to be responses.
    """
    expressive = [not name.startswith("eyeBlink") for name in blendshape_names]
    total = np.zeros(motion.frames)
    for part in (motion.head_rotvec_rad, motion.expression[:, expressive]):
        speed = np.linalg.norm(np.gradient(part, axis=0), axis=1) if motion.frames > 1 else total
        if speed.mean() > 0:
            total = total + speed / speed.mean()
    return total / 2


@dataclass(frozen=True, eq=False)
class ListenerActivity:
    """Input of `response_ratio` for one person.

    Attributes
    ----------
    activity : (frame,) float
        From `activity`; or its mean over several samples.
    own_speech : (frame,) bool
    partner_speech : pyannote.core.Timeline
    """

    activity: Float[np.ndarray, "frame"]
    own_speech: Bool[np.ndarray, "frame"]
    partner_speech: Timeline


def response_ratio(*listeners: ListenerActivity, shifts: int = 500) -> tuple[float, float]:
    """Activity in the 2 s after the partner's phrases end, relative to chance, and its permutation p-value.

    Chance is the same measurement with the phrase ends shifted circularly by each of `shifts` evenly spaced
    offsets. Only frames at least 0.4 s from the listener's own speech count. A ratio above 1 means that listeners
    respond. Half a minute holds few phrases, so pass several listeners.

    Returns
    -------
    ratio, p : float
        NaN if no partner ends a phrase while the listener is silent.
    """
    total, counted = np.zeros(shifts), np.zeros(shifts)
    for listener in listeners:
        frames = len(listener.activity)
        phrases = listener.partner_speech.support(PHRASE_GAP_S)
        ends = [frame_at(s.end) for s in phrases if s.duration > MIN_PHRASE_S]
        starts = np.array(ends, int)[:, None] + np.arange(round(RESPONSE_WINDOW_S * MOTION_FPS))
        offsets = np.linspace(0, frames, shifts, endpoint=False).astype(int)
        inside = (starts[None] + offsets[:, None, None]) % frames
        near_speech = maximum_filter1d(listener.own_speech, 2 * round(SPEECH_MARGIN_S * MOTION_FPS) + 1)
        listening = ~near_speech[inside]
        total += (listener.activity[inside] * listening).sum(axis=(1, 2))
        counted += listening.sum(axis=(1, 2))
    if not counted[0] or not total.any():
        return np.nan, np.nan
    means = total[counted > 0] / counted[counted > 0]
    return float(means[0] / means[1:].mean()), float((means[1:] >= means[0]).mean())
