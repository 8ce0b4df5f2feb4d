"""How motion fares when roles change: pops, lips that come late, listeners that freeze, answers at the wrong time.

Ours: nobody publishes motion quality at role transitions. Each measure is of one person in one dialogue and
leaves a `Tally`, so that dialogues pool; most are ratios to the reference, whose perfect value is 1, or errors,
whose perfect value is 0. Windows and roles are those of `roles`; the whole set is put together in
`transition_figures`.
"""

import numpy as np
from jaxtyping import Bool, Complex, Float, Int

from dualtalk.errors import InputError
from dualtalk.metrics.bootstrap import Tally
from dualtalk.metrics.dualtalk_benchmark import frechet_distance
from dualtalk.metrics.events import find_swings
from dualtalk.metrics.kinematics import BLINK_SHUT
from dualtalk.metrics.roles import WINDOW_FRAMES, Roles, offsets_s, onsets_s, windows
from dualtalk.metrics.validation import finite, frames_chosen, same_shape
from dualtalk.timebase import MOTION_FPS

Motion = Float[np.ndarray, "_frame _coef"]
Curve = Float[np.ndarray, "_frame"]
Mask = Bool[np.ndarray, "_frame"]
At = Int[np.ndarray, "transition"]

# A Frechet distance of less than two seconds of frames says more of their number than of the motion.
FEWEST_FRAMES = 2 * MOTION_FPS
# Where lips are looked for, about the sound: they part up to 0.2 s before it. A lag is never outside.
EARLIEST_S, LATEST_S = -0.5, 1.0
# Speech that starts after this silence, or ends before it, has these seconds to itself.
ALONE_S = 1.2
# Lips have parted at this share of the way from where they rest to where they often are in speech.
PARTED_AT, OFTEN = 0.3, 75
LEAST_PARTING_M = 0.0005
# Silences of the partner shorter than this are no pauses (Heldner & Edlund 2010).
PAUSE_S = 0.2


def speed_ratio(reference: Motion, prediction: Motion, frames: Mask) -> Tally:
    """Mean speed of the prediction over that of the reference, in the frames chosen.

    No unit, in [0, inf); perfect is 1; a frozen prediction has 0. Blind to when, within those frames, it moves.
    Where the reference never moves it says nothing.
    """
    return _ratio(*_magnitudes(reference, prediction, order=1), frames)


def jerk_ratio(reference: Motion, prediction: Motion, frames: Mask) -> Tally:
    """Mean jerk (third difference) of the prediction over that of the reference, in the frames chosen.

    No unit, in [0, inf); perfect is 1; pops and tremor are above, glassy motion below.
    """
    return _ratio(*_magnitudes(reference, prediction, order=3), frames)


def sharpest_jerk_ratio(reference: Motion, prediction: Motion, at: At) -> Tally:
    """Largest jerk in the window of each transition over the reference's: a single pop shows undiluted.

    No unit, in [0, inf); perfect is 1.
    """
    own, made = _magnitudes(reference, prediction, order=3)
    inside = windows(_inside(at, len(own)))
    return _over(float(made[inside].max(axis=1).sum()), float(own[inside].max(axis=1).sum()))


def _magnitudes(reference: Motion, prediction: Motion, order: int) -> tuple[Curve, Curve]:
    """Length of the difference of that order at each frame; 0 at the ends, where there is none."""
    one, two = same_shape(reference, prediction, ("frame", "coef"))
    lengths = []
    for motion in (one, two):
        length = np.zeros(len(motion))
        difference = np.linalg.norm(np.diff(motion, n=order, axis=0), axis=1)
        first = (order + 1) // 2
        length[first : first + len(difference)] = difference
        lengths.append(length)
    return lengths[0], lengths[1]


def _ratio(own: Curve, made: Curve, frames: Mask) -> Tally:
    chosen = frames_chosen(frames, len(own), "frames to measure")
    return _over(float(made[chosen].sum()), float(own[chosen].sum()))


def _over(total: float, weight: float) -> Tally:
    """A ratio whose denominator is measured too: where that is nothing, the numerator must not count either."""
    return Tally(total, weight) if weight > 0 else Tally()


def error(reference: Motion, prediction: Motion, frames: Mask) -> Tally:
    """Mean squared error over the frames chosen and all coefficients: the frames of a role, or of windows.

    Squared unit of the motion, in [0, inf), lower is better; perfect is 0.
    """
    one, two = same_shape(reference, prediction, ("frame", "coef"))
    chosen = frames_chosen(frames, len(one), "frames to measure")
    return Tally(float(((one[chosen] - two[chosen]) ** 2).mean(axis=1).sum()), float(chosen.sum()))


def distribution_distance(reference: Motion, prediction: Motion, frames: Mask) -> Tally:
    """Frechet distance of the frames chosen; over dialogues, their mean weighted by frames.

    Squared unit of the motion, in [0, inf), lower is better; perfect is 0. Nothing where fewer than two seconds
    of frames are chosen. Few frames make it large: compare like with like.
    """
    one, two = same_shape(reference, prediction, ("frame", "coef"))
    chosen = frames_chosen(frames, len(one), "frames to measure")
    count = int(chosen.sum())
    if count < FEWEST_FRAMES:
        return Tally()
    return Tally(count * frechet_distance(one[chosen], two[chosen]), float(count))


def transition_to_steady(values: Curve, inside: Mask) -> Tally:
    """Mean of a frame's value, such as error or speed, inside the windows over its mean outside.

    No unit, in [0, inf). Of an error 1 is perfect: no worse at transitions than elsewhere. Of speed the
    reference's own is. Nothing where no frame is outside, or all is 0 there. Blind to the values' scale.
    """
    curve = finite(values, ("frame",), "values")
    inside = frames_chosen(inside, len(curve), "windows")
    if inside.all() or not inside.any():
        return Tally()
    return _over(float(curve[inside].sum()), float(inside.sum() * curve[~inside].mean()))


def mouth_open_lags_s(gap_m: Curve, roles: Roles) -> Float[np.ndarray, "onset"]:
    """For each onset of the person's speech out of silence, how long after it the lips part; seconds.

    Lips part where the gap passes 30 % of the way from its median in silence to its upper quartile in speech, so
    that offset and scale do not matter. In [-0.5, 1]: -0.5 where they were never together before, 1 where they
    do not part in time, as still lips never do. NaN near the ends of the recording, and for all where the person
    is never silent or never speaks.
    """
    gap = finite(gap_m, ("frame",), "lip gap")
    parted_m = _parted_m(gap, roles)
    return np.array([_first_above_s(gap, parted_m, onset_s) for onset_s in onsets_s(roles.own, ALONE_S)])


def mouth_close_lags_s(gap_m: Curve, roles: Roles) -> Float[np.ndarray, "offset"]:
    """For each end of the person's speech before silence, how long after it the lips have come together; seconds.

    As `mouth_open_lags_s`, backwards in time: 1 where the lips are still apart a second later, -0.5 where they
    were already together half a second before.
    """
    gap = finite(gap_m, ("frame",), "lip gap")
    parted_m = _parted_m(gap, roles)
    ends_s = offsets_s(roles.own, ALONE_S)
    return np.array([_last_above_s(gap, parted_m, end_s) for end_s in ends_s])


def _parted_m(gap: Curve, roles: Roles) -> float:
    if len(gap) != roles.frames:
        raise InputError(f"lip gap has {len(gap)} frames, the dialogue {roles.frames}; cut both to the shorter")
    silent, speaks = roles.own_silence, roles.own_speaks
    if not (silent.any() and speaks.any()):
        return np.nan
    rest, often = np.median(gap[silent]), np.percentile(gap[speaks], OFTEN)
    return float(rest + max(PARTED_AT * (often - rest), LEAST_PARTING_M))


def _span(time_s: float) -> tuple[int, int]:
    return round((time_s + EARLIEST_S) * MOTION_FPS), round((time_s + LATEST_S) * MOTION_FPS)


def _first_above_s(gap: Curve, parted_m: float, onset_s: float) -> float:
    first, end = _span(onset_s)
    if first < 0 or end > len(gap) or np.isnan(parted_m):
        return np.nan
    above = np.flatnonzero(gap[first:end] > parted_m)
    if not len(above):
        return LATEST_S
    return EARLIEST_S if above[0] == 0 else _crossing_s(gap, parted_m, first + int(above[0]), onset_s)


def _last_above_s(gap: Curve, parted_m: float, end_s: float) -> float:
    first, end = _span(end_s)
    if first < 0 or end > len(gap) or np.isnan(parted_m):
        return np.nan
    above = np.flatnonzero(gap[first:end] > parted_m)
    if not len(above):
        return EARLIEST_S
    last = first + int(above[-1])
    return LATEST_S if last == end - 1 else _crossing_s(gap, parted_m, last + 1, end_s)


def _crossing_s(gap: Curve, level_m: float, frame: int, since_s: float) -> float:
    """When the gap passes the level, between the frame before and this one, in seconds after `since_s`."""
    before, here = gap[frame - 1], gap[frame]
    part = (level_m - before) / (here - before)
    return float(np.clip((frame - 0.5 + part) / MOTION_FPS - since_s, EARLIEST_S, LATEST_S))


def lag_error(reference_lags_s: Float[np.ndarray, "_event"], lags_s: Float[np.ndarray, "_event"]) -> Tally:
    """Mean |lag - reference's lag|, seconds, in [0, 1.5], lower is better; perfect is 0.

    Events at which the reference's lips did not visibly part or close (its lag is at an end) are left out.
    """
    if reference_lags_s.shape != lags_s.shape:
        raise InputError(
            f"{len(reference_lags_s)} lags in the reference, {len(lags_s)} predicted: the same roles?"
        )
    seen = (reference_lags_s > EARLIEST_S) & (reference_lags_s < LATEST_S)
    return Tally.mean_of(np.abs(lags_s - reference_lags_s)[seen])


def silent_mouth_speed(gap_m: Curve, silent: Mask) -> Tally:
    """Mean |change of the lip gap| in silence, millimetres a second, lower is better; lips at rest have 0."""
    gap = finite(gap_m, ("frame",), "lip gap")
    silent = frames_chosen(silent, len(gap), "silent frames")
    both = silent[1:] & silent[:-1]
    return Tally(float(1000 * MOTION_FPS * np.abs(np.diff(gap))[both].sum()), float(both.sum()))


def listening_nods(head_rotvec_rad: Float[np.ndarray, "frame 3"], roles: Roles) -> Int[np.ndarray, "nod"]:
    """First frames of the nods that begin while only the partner speaks, or in silence."""
    starts = np.array([swing.first for swing in find_swings(head_rotvec_rad) if swing.kind == "nod"], int)
    return starts[~roles.own_speaks[starts]]


def nod_rate(nods: Int[np.ndarray, "nod"], roles: Roles) -> Tally:
    """Nods a minute of not speaking; nearer to the reference's own is better; a still head has 0."""
    return Tally(60.0 * len(nods), float((~roles.own_speaks).sum()) / MOTION_FPS)


def pause_phases(nods: Int[np.ndarray, "nod"], roles: Roles) -> Complex[np.ndarray, "placed"]:
    """Where in the partner's rhythm each nod begins, on the unit circle: 1 at a pause, once round to the next.

    A pause is the end of the partner's speech before at least 0.2 s without. Nods before the first or after the
    last pause have no place.
    """
    pauses_s = np.array(offsets_s(roles.partner, PAUSE_S))
    times_s = (nods + 0.5) / MOTION_FPS
    after = np.searchsorted(pauses_s, times_s, side="right")
    placed = (after > 0) & (after < len(pauses_s))
    before_s, next_s = pauses_s[after[placed] - 1], pauses_s[after[placed]]
    return np.exp(2j * np.pi * (times_s[placed] - before_s) / (next_s - before_s))


def phase_locking(phases: Complex[np.ndarray, "placed"]) -> Tally:
    """Pairwise phase consistency: mean cosine of the angle between all pairs of nods.

    In [-1, 1]; 1 where all nods have one place in the partner's rhythm, 0 on average where they have none, for
    any number of nods; higher answers better. Nothing where fewer than two nods. Source: Vinck et al. 2010, "The
    pairwise phase consistency".
    """
    count = len(phases)
    return Tally(float(np.abs(phases.sum()) ** 2 - count), float(count * (count - 1)))


def phase_error(
    reference: Complex[np.ndarray, "own_placed"], prediction: Complex[np.ndarray, "made_placed"]
) -> Tally:
    """|mean phase - reference's mean phase|, radians in [0, pi], lower is better; perfect is 0.

    Nothing where either has no nod with a place. Over dialogues, weighted by the reference's nods.
    """
    if not (len(reference) and len(prediction)):
        return Tally()
    apart = abs(np.angle(prediction.sum() * np.conj(reference.sum())))
    return Tally(float(apart * len(reference)), float(len(reference)))


def blink_rate(lid_closure: Curve, frames: Mask) -> Tally:
    """Blinks a minute that begin in the frames chosen, such as those around turn ends; open lids have 0.

    `lid_closure` is 0 open to 1 shut. Nearer to the reference's own is better.
    """
    lids = finite(lid_closure, ("frame",), "lid closure")
    chosen = frames_chosen(frames, len(lids), "frames to measure")
    shut = lids > BLINK_SHUT
    begins = shut & ~np.concatenate([[False], shut[:-1]])
    return Tally(60.0 * float((begins & chosen).sum()), float(chosen.sum()) / MOTION_FPS)


def _inside(at: At, frames: int) -> At:
    half = WINDOW_FRAMES // 2
    if len(at) and (at.min() < half or at.max() >= frames - half):
        raise InputError(f"a window of {WINDOW_FRAMES} frames leaves the {frames}; take `Roles.frames_of`")
    return at
