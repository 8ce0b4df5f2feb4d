"""Visible events of a head and face, found in motion and matched one to one: nods, shakes, smiles, laughs, frowns,
surprise.

A nod or a shake is an oscillation of the head about one axis; the others are ARKit units held up together, by the
action units that the Facial Action Coding System gives them. Matching is at a temporal intersection over union of
at least a half, as in temporal action detection (and in GLARE's events of two people). Thresholds are ours.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from jaxtyping import Float
from scipy.optimize import linear_sum_assignment
from scipy.signal import butter, hilbert, sosfiltfilt

from dualtalk.core import HeadMotion
from dualtalk.errors import InputError
from dualtalk.geometry.masks import runs
from dualtalk.head.blendshapes import ARKIT_UNITS, arkit_from_motion
from dualtalk.metrics.validation import finite
from dualtalk.timebase import MOTION_FPS

Curve = Float[np.ndarray, "frame"]

# Nods and shakes repeat at 1 to 4.5 Hz (Hadar et al. 1983, "Kinematics of head movements accompanying speech");
# beats of speech rarely reach this size.
SWING_HZ = (1.0, 4.5)
SWING_RAD = 0.03
PITCH, YAW = 0, 1
# An event ends where it has fallen to this share of what it took to begin.
ENDS_AT = 0.5
SHORTEST_S = 0.28
# kind -> what must be up together, each (units, of which the mean, or of which any) with its least value.
# Smile AU12, laugh AU6+12+26 (Ruch & Ekman 2001), frown AU4 or AU15, surprise AU1+2 with AU5 or AU26.
FACE_EVENTS: dict[str, tuple[tuple[tuple[tuple[str, ...], ...], float], ...]] = {
    "smile": (((("mouthSmileLeft", "mouthSmileRight"),), 0.3),),
    "laugh": (
        ((("mouthSmileLeft", "mouthSmileRight"),), 0.4),
        ((("cheekSquintLeft", "cheekSquintRight"),), 0.3),
        ((("jawOpen",),), 0.15),
    ),
    "frown": (((("browDownLeft", "browDownRight"), ("mouthFrownLeft", "mouthFrownRight")), 0.3),),
    "surprise": (
        ((("browInnerUp", "browOuterUpLeft", "browOuterUpRight"),), 0.35),
        ((("eyeWideLeft", "eyeWideRight"), ("jawOpen",)), 0.2),
    ),
}
KINDS = ("nod", "shake", *FACE_EVENTS)

MATCHED_IOU = 0.5
# A reaction before its cause looks stranger than a slow one.
EARLY_COST = 2.0


@dataclass(frozen=True)
class FaceEvent:
    """One nod, shake, smile, laugh, frown or surprise, from `first` to the frame before `end`."""

    kind: str
    first: int
    end: int


def find_events(
    head_rotvec_rad: Float[np.ndarray, "frame 3"], units: Mapping[str, Curve] | None = None
) -> tuple[FaceEvent, ...]:
    """All events, by start. Still motion has none.

    Parameters
    ----------
    head_rotvec_rad : (frame, 3)
    units : name -> (frame,)
        ARKit units from 0 to 1, see `unit_curves`; without them, nods and shakes only.
    """
    found = list(find_swings(head_rotvec_rad))
    if units is not None:
        for kind in FACE_EVENTS:
            found += _held(kind, face_level(kind, units), 1.0)
    return tuple(sorted(found, key=lambda event: (event.first, event.end, event.kind)))


def unit_curves(motion: HeadMotion) -> dict[str, Curve]:
    """ARKit units of a motion of the open head, by name. A FLAME motion must be carried over first."""
    return dict(zip(ARKIT_UNITS, arkit_from_motion(motion).T, strict=True))


def find_swings(head_rotvec_rad: Float[np.ndarray, "frame 3"]) -> tuple[FaceEvent, ...]:
    """Nods and shakes: stretches where the head swings by more than 0.03 rad to each side, at 1 to 4.5 Hz, more
    about that axis than about the other. Blind to posture and to which way the head looks."""
    head = finite(head_rotvec_rad, ("frame", "3"), "head rotation")
    swing = np.stack([_swing_rad(head[:, axis]) for axis in (PITCH, YAW)])
    nods = _held("nod", np.where(swing[0] > swing[1], swing[0], 0.0), SWING_RAD)
    shakes = _held("shake", np.where(swing[1] > swing[0], swing[1], 0.0), SWING_RAD)
    return tuple(sorted(nods + shakes, key=lambda event: event.first))


def _swing_rad(angle_rad: Curve) -> Curve:
    """How far the head swings to each side at every moment: the envelope of the band of nods."""
    if len(angle_rad) < MOTION_FPS:
        return np.zeros(len(angle_rad))
    return np.abs(hilbert(sosfiltfilt(_swing_band(), angle_rad, padlen=MOTION_FPS - 1)))


@cache
def _swing_band() -> Float[np.ndarray, "section 6"]:
    return butter(2, SWING_HZ, "bandpass", fs=MOTION_FPS, output="sos")


def face_level(kind: str, units: Mapping[str, Curve]) -> Curve:
    """How much of an event a face shows, frame by frame: it begins at 1, when its last part is reached."""
    needed = {unit for choices, _ in FACE_EVENTS[kind] for choice in choices for unit in choice}
    if missing := sorted(needed - set(units)):
        raise InputError(
            f"no curve of {', '.join(missing)} among the units; a {kind} is made of them: ARKit names?"
        )
    parts = [
        np.max([np.mean([units[unit] for unit in choice], axis=0) for choice in choices], axis=0) / least
        for choices, least in FACE_EVENTS[kind]
    ]
    return np.min(parts, axis=0)


def _held(kind: str, level: Curve, begins_at: float) -> list[FaceEvent]:
    """Stretches above half of `begins_at` that reach it and last."""
    above = level > ENDS_AT * begins_at
    reached = np.concatenate([[0], np.cumsum(level >= begins_at)])
    spans = [span for span in runs(above) if reached[span[1]] > reached[span[0]]]
    return [FaceEvent(kind, first, end) for first, end in spans if end - first >= SHORTEST_S * MOTION_FPS]


@dataclass(frozen=True)
class EventMatch:
    """How the events of a prediction go with the reference's; matches of several dialogues add up.

    Attributes
    ----------
    in_reference, in_prediction, matched : int
    iou_sum : float
        Of the matched pairs.
    deviation_sum_s : float
        Of the matched pairs, |start predicted - start in the reference|, twice where it is early.
    """

    in_reference: int
    in_prediction: int
    matched: int
    iou_sum: float
    deviation_sum_s: float

    def __add__(self, other: "EventMatch") -> "EventMatch":
        mine, theirs = vars(self), vars(other)
        return EventMatch(**{name: mine[name] + theirs[name] for name in mine})

    @property
    def f1(self) -> float:
        """2 matched / (in reference + in prediction), in [0, 1], higher is better; perfect is 1; NaN of none."""
        events = self.in_reference + self.in_prediction
        return 2 * self.matched / events if events else np.nan

    @property
    def mean_iou(self) -> float:
        """Mean intersection over union of matched spans, in [0.5, 1], higher is better; NaN without any."""
        return self.iou_sum / self.matched if self.matched else np.nan

    @property
    def timing_deviation_s(self) -> float:
        """Mean deviation of matched pairs, seconds, lower is better; perfect is 0; NaN without any."""
        return self.deviation_sum_s / self.matched if self.matched else np.nan


def match_events(reference: Sequence[FaceEvent], prediction: Sequence[FaceEvent]) -> EventMatch:
    """Match events of the same kind one to one, for the greatest sum of intersection over union."""
    iou = _intersection_over_union(reference, prediction)
    iou[iou < MATCHED_IOU] = 0
    rows, columns = linear_sum_assignment(iou, maximize=True)
    kept = iou[rows, columns] > 0
    late = np.array([prediction[c].first - reference[r].first for r, c in zip(rows, columns, strict=True)])
    late_s = late[kept] / MOTION_FPS if len(late) else np.zeros(0)
    return EventMatch(
        in_reference=len(reference),
        in_prediction=len(prediction),
        matched=int(kept.sum()),
        iou_sum=float(iou[rows, columns].sum()),
        deviation_sum_s=float(np.where(late_s < 0, -EARLY_COST * late_s, late_s).sum()),
    )


def _intersection_over_union(
    reference: Sequence[FaceEvent], prediction: Sequence[FaceEvent]
) -> Float[np.ndarray, "one two"]:
    """0 where the kinds differ."""
    one, two = (np.array([(e.first, e.end) for e in es], float).reshape(-1, 2) for es in (reference, prediction))
    shared = np.minimum(one[:, None, 1], two[None, :, 1]) - np.maximum(one[:, None, 0], two[None, :, 0])
    shared = np.maximum(shared, 0)
    total = np.diff(one)[:, :1] + np.diff(two)[:, 0][None] - shared
    same = np.array([[a.kind == b.kind for b in prediction] for a in reference], bool).reshape(shared.shape)
    return np.where(same, shared / total, 0.0)


def event_matches(reference: Sequence[FaceEvent], prediction: Sequence[FaceEvent]) -> dict[str, EventMatch]:
    """`match_events` for each kind, and for "all"."""
    of_kind = {
        kind: match_events(*([e for e in events if e.kind == kind] for events in (reference, prediction)))
        for kind in KINDS
    }
    return {**of_kind, "all": match_events(reference, prediction)}


def match_onsets(
    reference_frames: Sequence[int], predicted_frames: Sequence[int], within_s: float
) -> tuple[int, int, int]:
    """Events that are known by their begin alone, matched one to one where they begin within `within_s`.

    Returns
    -------
    (in reference, in prediction, matched)
        As many pairs as there can be; F1 is 2 matched / (in reference + in prediction). Matches of several
        dialogues add up.
    """
    apart = np.abs(np.subtract.outer(np.asarray(reference_frames, float), np.asarray(predicted_frames, float)))
    near = apart <= within_s * MOTION_FPS
    rows, columns = linear_sum_assignment(near, maximize=True)
    return len(reference_frames), len(predicted_frames), int(near[rows, columns].sum())
