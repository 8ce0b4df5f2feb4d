"""All metrics at role transitions of one person in one dialogue, by name."""

import numpy as np

from dualtalk.errors import InputError
from dualtalk.evaluation.builtin_metrics import PARTS
from dualtalk.evaluation.features import MotionFeatures
from dualtalk.metrics import turn_timing, turn_transitions
from dualtalk.metrics.bootstrap import WeightedMean
from dualtalk.metrics.turn_transitions import ROLES, TRANSITION_KINDS, Roles, window_mask

Values = dict[str, WeightedMean]


def turn_metrics(roles: Roles, ground_truth: MotionFeatures, prediction: MotionFeatures) -> Values:
    """Every metric of `turn_transitions` and `turn_timing`: name -> weighted mean.

    Names that are specific to a kind of transition or to a role begin with it: "turn onset: head jerk ratio".
    Where no value is ideal, the ground truth's own is given too, as "... of the ground truth".

    Raises
    ------
    InputError
        Motion and dialogue differ in length.
    """
    for name, one in (("ground truth", ground_truth), ("prediction", prediction)):
        if one.frames != roles.frames:
            raise InputError(f"{name} has {one.frames} frames, the dialogue {roles.frames}; cut to the shorter")
    return {
        **_at_transitions(roles, ground_truth, prediction),
        **_by_role(roles, ground_truth, prediction),
        **_mouth_timing(roles, ground_truth, prediction),
        **_nods_and_blinks(roles, ground_truth, prediction),
    }


def _at_transitions(roles: Roles, ground_truth: MotionFeatures, prediction: MotionFeatures) -> Values:
    values: Values = {}
    everywhere = window_mask(roles.frames_of(), roles.frames)
    for part in PARTS:
        own, made = ground_truth.parts[part], prediction.parts[part]
        for kind in TRANSITION_KINDS:
            at = roles.frames_of(kind)
            inside = window_mask(at, roles.frames)
            values[f"{kind}: {part} speed ratio"] = turn_transitions.speed_ratio(own, made, inside)
            values[f"{kind}: {part} jerk ratio"] = turn_transitions.jerk_ratio(own, made, inside)
            values[f"{kind}: {part} peak jerk ratio"] = turn_transitions.peak_jerk_ratio(own, made, at)
            values[f"{kind}: {part} error"] = turn_transitions.squared_error(own, made, inside)
            values[f"{kind}: {part} FD"] = turn_transitions.masked_frechet_distance(own, made, inside)
        error = ((own.astype(np.float64) - made) ** 2).mean(axis=1)
        ratio = turn_transitions.transition_to_steady_ratio
        values[f"{part} error transition/steady-state ratio"] = ratio(error, everywhere)
        for whose, motion in (("", made), (" of the ground truth", own)):
            speed = np.linalg.norm(np.diff(motion, axis=0, prepend=motion[:1]), axis=1)
            values[f"{part} speed transition/steady-state ratio{whose}"] = ratio(speed, everywhere)
    return values


def _by_role(roles: Roles, ground_truth: MotionFeatures, prediction: MotionFeatures) -> Values:
    values: Values = {}
    for role in ROLES:
        frames = roles.mask(role)
        for part in PARTS:
            own, made = ground_truth.parts[part], prediction.parts[part]
            values[f"{role}: {part} error"] = turn_transitions.squared_error(own, made, frames)
            values[f"{role}: {part} FD"] = turn_transitions.masked_frechet_distance(own, made, frames)
            values[f"{role}: {part} speed ratio"] = turn_transitions.speed_ratio(own, made, frames)
    return values


def _mouth_timing(roles: Roles, ground_truth: MotionFeatures, prediction: MotionFeatures) -> Values:
    values: Values = {}
    for name, lags_of in (("open", turn_timing.mouth_open_lags_s), ("close", turn_timing.mouth_close_lags_s)):
        own, made = (lags_of(one.lip_gap_m, roles) for one in (ground_truth, prediction))
        values[f"mouth {name} lag error"] = turn_timing.lag_error(own, made)
        values[f"mouth {name} lag"] = WeightedMean.of(made)
        values[f"mouth {name} lag of the ground truth"] = WeightedMean.of(own)
    for whose, one in (("", prediction), (" of the ground truth", ground_truth)):
        speed = turn_timing.silent_mouth_speed(one.lip_gap_m, roles.own_silence)
        values[f"mouth speed in silence{whose}"] = speed
    return values


def _nods_and_blinks(roles: Roles, ground_truth: MotionFeatures, prediction: MotionFeatures) -> Values:
    values: Values = {}
    phases = []
    ends = np.concatenate([roles.frames_of("turn offset"), roles.swapped.frames_of("turn offset")])
    at_turn_ends = window_mask(ends, roles.frames)
    for whose, one in (("", prediction), (" of the ground truth", ground_truth)):
        nods = turn_timing.listening_nods(one.parts["head"], roles)
        phases.append(turn_timing.pause_phases(nods, roles))
        values[f"nod rate{whose}"] = turn_timing.nod_rate(nods, roles)
        values[f"nod–pause phase locking (PPC){whose}"] = turn_timing.phase_locking(phases[-1])
        if one.lid_closure is not None:
            values[f"blink rate at turn ends{whose}"] = turn_timing.blink_rate(one.lid_closure, at_turn_ends)
            values[f"blink rate elsewhere{whose}"] = turn_timing.blink_rate(one.lid_closure, ~at_turn_ends)
    values["nod phase error"] = turn_timing.phase_error(phases[1], phases[0])
    return values
