"""All figures of motion at role transitions, for one person and for many dialogues, each with an interval."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from dualtalk.core import HeadMotion
from dualtalk.errors import InputError
from dualtalk.head import Head
from dualtalk.metrics import turn_transitions as measure
from dualtalk.metrics.bootstrap import Estimate, Tally, over_dialogues
from dualtalk.metrics.roles import ROLES, TRANSITION_KINDS, Roles, window_mask

PARTS = ("expression", "jaw", "head")
BLINK_UNIT = "eyeBlinkLeft"


@dataclass(frozen=True, eq=False)
class Performance:
    """What one person's head did, as far as it is measured here.

    Attributes
    ----------
    parts : name -> (frame, coef)
        Expression, jaw and head of the motion.
    lip_gap_m : (frame,)
    lid_closure : (frame,) or None
        0 open to 1 shut; None where the motion does not tell blinks apart.
    """

    parts: dict[str, Float[np.ndarray, "frame _coef"]]
    lip_gap_m: Float[np.ndarray, "frame"]
    lid_closure: Float[np.ndarray, "frame"] | None = None

    @classmethod
    def of(cls, motion: HeadMotion, head: Head) -> "Performance":
        """From a motion and the head that it moves."""
        lids = (
            motion.expression[:, head.blendshape_names.index(BLINK_UNIT)]
            if BLINK_UNIT in head.blendshape_names
            else None
        )
        parts = {part: motion.coefficients[:, motion.layout.slice_of(part)] for part in PARTS}
        return cls(parts, head.lip_gap(motion), lids)

    @property
    def frames(self) -> int:
        return len(self.lip_gap_m)


def transition_figures(roles: Roles, reference: Performance, prediction: Performance) -> dict[str, Tally]:
    """Every measure of `transitions` for one person in one dialogue: name -> tally.

    Names of a kind of transition, or of a role, begin with it: "listen to speak: head jerk ratio". Figures "of
    the reference" are what to reach where no number is perfect.
    """
    for who, one in (("reference", reference), ("prediction", prediction)):
        if one.frames != roles.frames:
            raise InputError(f"{who} has {one.frames} frames, the dialogue {roles.frames}; cut to the shorter")
    return {
        **_in_windows(roles, reference, prediction),
        **_by_role(roles, reference, prediction),
        **_of_the_mouth(roles, reference, prediction),
        **_of_answers(roles, reference, prediction),
    }


def _in_windows(roles: Roles, reference: Performance, prediction: Performance) -> dict[str, Tally]:
    figures = {}
    everywhere = window_mask(roles.frames_of(), roles.frames)
    for part in PARTS:
        own, made = reference.parts[part], prediction.parts[part]
        for kind in TRANSITION_KINDS:
            at = roles.frames_of(kind)
            inside = window_mask(at, roles.frames)
            figures[f"{kind}: {part} speed ratio"] = measure.speed_ratio(own, made, inside)
            figures[f"{kind}: {part} jerk ratio"] = measure.jerk_ratio(own, made, inside)
            figures[f"{kind}: {part} sharpest jerk ratio"] = measure.sharpest_jerk_ratio(own, made, at)
            figures[f"{kind}: {part} error"] = measure.error(own, made, inside)
            figures[f"{kind}: {part} FD"] = measure.distribution_distance(own, made, inside)
        wrong = ((own.astype(np.float64) - made) ** 2).mean(axis=1)
        figures[f"{part} error, transition to steady"] = measure.transition_to_steady(wrong, everywhere)
        for whose, motion in (("", made), (" of the reference", own)):
            speed = np.linalg.norm(np.diff(motion, axis=0, prepend=motion[:1]), axis=1)
            figures[f"{part} speed, transition to steady{whose}"] = measure.transition_to_steady(speed, everywhere)
    return figures


def _by_role(roles: Roles, reference: Performance, prediction: Performance) -> dict[str, Tally]:
    figures = {}
    for role in ROLES:
        frames = roles.mask(role)
        for part in PARTS:
            own, made = reference.parts[part], prediction.parts[part]
            figures[f"{role}: {part} error"] = measure.error(own, made, frames)
            figures[f"{role}: {part} FD"] = measure.distribution_distance(own, made, frames)
            figures[f"{role}: {part} speed ratio"] = measure.speed_ratio(own, made, frames)
    return figures


def _of_the_mouth(roles: Roles, reference: Performance, prediction: Performance) -> dict[str, Tally]:
    figures = {}
    for name, lags_of in (("open", measure.mouth_open_lags_s), ("close", measure.mouth_close_lags_s)):
        own, made = (lags_of(one.lip_gap_m, roles) for one in (reference, prediction))
        figures[f"mouth {name} lag error"] = measure.lag_error(own, made)
        figures[f"mouth {name} lag"] = Tally.mean_of(made)
        figures[f"mouth {name} lag of the reference"] = Tally.mean_of(own)
    for whose, one in (("", prediction), (" of the reference", reference)):
        figures[f"mouth speed in silence{whose}"] = measure.silent_mouth_speed(one.lip_gap_m, roles.own_silence)
    return figures


def _of_answers(roles: Roles, reference: Performance, prediction: Performance) -> dict[str, Tally]:
    figures, phases = {}, []
    ends = np.concatenate([roles.frames_of("speak to listen"), roles.swapped.frames_of("speak to listen")])
    around_ends = window_mask(ends, roles.frames)
    for whose, one in (("", prediction), (" of the reference", reference)):
        nods = measure.listening_nods(one.parts["head"], roles)
        phases.append(measure.pause_phases(nods, roles))
        figures[f"nods a minute{whose}"] = measure.nod_rate(nods, roles)
        figures[f"nods locked to the partner's pauses{whose}"] = measure.phase_locking(phases[-1])
        if one.lid_closure is not None:
            figures[f"blinks a minute around turn ends{whose}"] = measure.blink_rate(one.lid_closure, around_ends)
            figures[f"blinks a minute elsewhere{whose}"] = measure.blink_rate(one.lid_closure, ~around_ends)
    figures["phase of nods, error"] = measure.phase_error(phases[1], phases[0])
    return figures


def dialogue_figures(a: dict[str, Tally], b: dict[str, Tally]) -> dict[str, Tally]:
    """Both people of one dialogue together."""
    return {name: a.get(name, Tally()) + b.get(name, Tally()) for name in {**a, **b}}


def pooled_figures(dialogues: Sequence[dict[str, Tally]], seed: int = 0) -> dict[str, Estimate]:
    """All dialogues together, name -> value with its interval. One entry a dialogue: see `dialogue_figures`."""
    names = {name: None for figures in dialogues for name in figures}
    return {name: over_dialogues([f[name] for f in dialogues if name in f], seed) for name in names}
