"""Timing in turn-taking: how long the mouth takes to open and close, and when a listener nods and blinks.

Roles and windows are those of `turn_transitions`. Each metric is of one person in one dialogue.
"""

import numpy as np
from jaxtyping import Complex, Float, Int

from dualtalk.errors import InputError
from dualtalk.metrics.arrays import Curve, Mask
from dualtalk.metrics.bootstrap import WeightedMean
from dualtalk.metrics.events import find_swings
from dualtalk.metrics.kinematics import BLINK_CLOSED
from dualtalk.metrics.turn_transitions import Roles, speech_offsets_s, speech_onsets_s
from dualtalk.metrics.validation import finite, frame_mask
from dualtalk.timebase import MOTION_FPS

# Range of mouth lags: lips part up to 0.2 s before the sound.
MIN_LAG_S, MAX_LAG_S = -0.5, 1.0
# Only speech with this much silence before (onsets) or after it (offsets) is measured.
ISOLATION_S = 1.2
# The mouth counts as open at this share of the way from its median in silence to this percentile in speech.
OPEN_SHARE, SPEECH_PERCENTILE = 0.3, 75
MIN_OPENING_M = 0.0005
# Shorter silences of the partner are not pauses (Heldner & Edlund 2010).
PAUSE_S = 0.2


def mouth_open_lags_s(gap_m: Curve, roles: Roles) -> Float[np.ndarray, "onset"]:
    """Time from each speech onset after silence to the opening of the mouth, in seconds.

    The mouth opens where the lip aperture passes 30 % of the way from its median in silence to its upper quartile
    in speech, so that offset and scale of the aperture do not matter.

    Parameters
    ----------
    gap_m : (frame,)
        Lip aperture in metres.
    roles : Roles

    Returns
    -------
    (onset,) float
        In [-0.5, 1]: -0.5 if the mouth was already open, 1 if it does not open in time, as still lips never do.
        NaN near the ends of the recording, and for all onsets if the person is never silent or never speaks.
    """
    gap = finite(gap_m, ("frame",), "lip aperture")
    threshold_m = _open_threshold_m(gap, roles)
    return np.array([_first_above_s(gap, threshold_m, t) for t in speech_onsets_s(roles.own, ISOLATION_S)])


def mouth_close_lags_s(gap_m: Curve, roles: Roles) -> Float[np.ndarray, "offset"]:
    """Time from each speech offset before silence to the closing of the mouth, in seconds.

    As `mouth_open_lags_s`, with time reversed: 1 if the mouth is still open a second later, -0.5 if it was closed
    half a second before.
    """
    gap = finite(gap_m, ("frame",), "lip aperture")
    threshold_m = _open_threshold_m(gap, roles)
    return np.array([_last_above_s(gap, threshold_m, t) for t in speech_offsets_s(roles.own, ISOLATION_S)])


def _open_threshold_m(gap: Curve, roles: Roles) -> float:
    if len(gap) != roles.frames:
        raise InputError(
            f"lip aperture has {len(gap)} frames, the dialogue {roles.frames}; cut both to the shorter"
        )
    silent, speaks = roles.own_silence, roles.own_speaks
    if not (silent.any() and speaks.any()):
        return np.nan
    rest, speech = np.median(gap[silent]), np.percentile(gap[speaks], SPEECH_PERCENTILE)
    return float(rest + max(OPEN_SHARE * (speech - rest), MIN_OPENING_M))


def _search_range(time_s: float) -> tuple[int, int]:
    return round((time_s + MIN_LAG_S) * MOTION_FPS), round((time_s + MAX_LAG_S) * MOTION_FPS)


def _first_above_s(gap: Curve, threshold_m: float, onset_s: float) -> float:
    first, end = _search_range(onset_s)
    if first < 0 or end > len(gap) or np.isnan(threshold_m):
        return np.nan
    above = np.flatnonzero(gap[first:end] > threshold_m)
    if not len(above):
        return MAX_LAG_S
    return MIN_LAG_S if above[0] == 0 else _crossing_s(gap, threshold_m, first + int(above[0]), onset_s)


def _last_above_s(gap: Curve, threshold_m: float, end_s: float) -> float:
    first, end = _search_range(end_s)
    if first < 0 or end > len(gap) or np.isnan(threshold_m):
        return np.nan
    above = np.flatnonzero(gap[first:end] > threshold_m)
    if not len(above):
        return MIN_LAG_S
    last = first + int(above[-1])
    return MAX_LAG_S if last == end - 1 else _crossing_s(gap, threshold_m, last + 1, end_s)


def _crossing_s(gap: Curve, level_m: float, frame: int, since_s: float) -> float:
    """Time, after `since_s`, at which the aperture passes the level between the frame before and this one."""
    before, here = gap[frame - 1], gap[frame]
    part = (level_m - before) / (here - before)
    return float(np.clip((frame - 0.5 + part) / MOTION_FPS - since_s, MIN_LAG_S, MAX_LAG_S))


def lag_error(
    ground_truth_s: Float[np.ndarray, "_event"], prediction_s: Float[np.ndarray, "_event"]
) -> WeightedMean:
    """Mean |lag of the prediction - lag of the ground truth|, in seconds, in [0, 1.5], lower is better, ideal 0.

    Events without a visible opening or closing in the ground truth (a lag at an end of its range) are left out.
    """
    if ground_truth_s.shape != prediction_s.shape:
        raise InputError(
            f"{len(ground_truth_s)} lags in the ground truth, {len(prediction_s)} predicted: the same roles?"
        )
    visible = (ground_truth_s > MIN_LAG_S) & (ground_truth_s < MAX_LAG_S)
    return WeightedMean.of(np.abs(prediction_s - ground_truth_s)[visible])


def silent_mouth_speed(gap_m: Curve, silent: Mask) -> WeightedMean:
    """Mean |change of the lip aperture| in silence, in metres a second; lips at rest have 0."""
    gap = finite(gap_m, ("frame",), "lip aperture")
    silent = frame_mask(silent, len(gap), "silent frames")
    both = silent[1:] & silent[:-1]
    return WeightedMean(float(MOTION_FPS * np.abs(np.diff(gap))[both].sum()), float(both.sum()))


def listening_nods(head_rotvec_rad: Float[np.ndarray, "frame 3"], roles: Roles) -> Int[np.ndarray, "nod"]:
    """First frames of the nods that begin while the person does not speak."""
    starts = np.array([swing.first for swing in find_swings(head_rotvec_rad) if swing.kind == "nod"], int)
    return starts[~roles.own_speaks[starts]]


def nod_rate(nods: Int[np.ndarray, "nod"], roles: Roles) -> WeightedMean:
    """Nods a second of not speaking; nearer to the ground truth's own value is better; a still head has 0."""
    return WeightedMean(float(len(nods)), float((~roles.own_speaks).sum()) / MOTION_FPS)


def pause_phases(nods: Int[np.ndarray, "nod"], roles: Roles) -> Complex[np.ndarray, "placed"]:
    """Phase of each nod in the partner's rhythm of pauses, as a point on the unit circle.

    The phase is 0 (the point 1) at a pause and completes one turn at the next pause. A pause is the end of the
    partner's speech before at least 0.2 s of silence. Nods before the first or after the last pause have no phase.
    """
    pauses_s = np.array(speech_offsets_s(roles.partner, PAUSE_S))
    times_s = (nods + 0.5) / MOTION_FPS
    after = np.searchsorted(pauses_s, times_s, side="right")
    placed = (after > 0) & (after < len(pauses_s))
    before_s, next_s = pauses_s[after[placed] - 1], pauses_s[after[placed]]
    return np.exp(2j * np.pi * (times_s[placed] - before_s) / (next_s - before_s))


def phase_locking(phases: Complex[np.ndarray, "placed"]) -> WeightedMean:
    """Pairwise phase consistency (PPC): mean cosine of the angle between all pairs of nods.

    In [-1, 1]: 1 if all nods have the same phase; 0 in expectation, for any number of nods, if phases are uniform.
    Not measured on fewer than two nods. Source: Vinck et al. 2010, "The pairwise phase consistency".
    """
    count = len(phases)
    return WeightedMean(float(np.abs(phases.sum()) ** 2 - count), float(count * (count - 1)))


def phase_error(
    ground_truth: Complex[np.ndarray, "own_placed"], prediction: Complex[np.ndarray, "made_placed"]
) -> WeightedMean:
    """|mean phase of the prediction - mean phase of the ground truth|, radians in [0, pi], ideal 0.

    Not measured if either has no nod with a phase. Dialogues are weighted by the ground truth's nods.
    """
    if not (len(ground_truth) and len(prediction)):
        return WeightedMean()
    difference = abs(np.angle(prediction.sum() * np.conj(ground_truth.sum())))
    return WeightedMean(float(difference * len(ground_truth)), float(len(ground_truth)))


def blink_rate(lid_closure: Curve, frames: Mask) -> WeightedMean:
    """Blinks a second that begin in the selected frames; nearer to the ground truth's own value is better.

    Parameters
    ----------
    lid_closure : (frame,)
        0 open to 1 closed.
    frames : (frame,) bool
    """
    lids = finite(lid_closure, ("frame",), "lid closure")
    chosen = frame_mask(frames, len(lids), "frames to measure")
    closed = lids > BLINK_CLOSED
    begins = closed & ~np.concatenate([[False], closed[:-1]])
    return WeightedMean(float((begins & chosen).sum()), float(chosen.sum()) / MOTION_FPS)
