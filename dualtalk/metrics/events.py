"""Visible events of head and face, found in motion and matched one to one: nods, shakes, smiles, laughs, frowns
and expressions of surprise.

A nod or a shake is an oscillation of the head about one axis. The others are ARKit units that are raised together;
which units follows the action units (AU) of the Facial Action Coding System. Events are matched at a temporal
intersection over union (IoU) of at least a half, as in temporal action detection and in GLARE. The thresholds are
ours.
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
from dualtalk.metrics.arrays import Curve
from dualtalk.metrics.validation import finite
from dualtalk.timebase import MOTION_FPS

# Nods and shakes repeat at 1 to 4.5 Hz (Hadar et al. 1983, "Kinematics of head movements accompanying speech");
# rhythmic head motion of speech rarely reaches this amplitude.
SWING_HZ = (1.0, 4.5)
MIN_SWING_RAD = 0.03
PITCH, YAW = 0, 1
# An event ends where its level falls below this share of the level at which it begins.
HYSTERESIS = 0.5
MIN_DURATION_S = 0.28
# kind -> requirements that must all hold, each as (alternatives, threshold): the largest alternative must reach
# the threshold, and an alternative is the mean of its units. Smile AU12, laugh AU6+12+26 (Ruch & Ekman 2001),
# frown AU4 or AU15, surprise AU1+2 with AU5 or AU26.
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

MATCH_IOU = 0.5
# An early event costs twice as much as a late one: a reaction before its cause looks worse than a slow reaction.
EARLY_COST = 2.0


@dataclass(frozen=True)
class FaceEvent:
    """One nod, shake, smile, laugh, frown or surprise, from frame `first` to the frame before `end`."""

    kind: str
    first: int
    end: int


def find_events(
    head_rotvec_rad: Float[np.ndarray, "frame 3"], units: Mapping[str, Curve] | None = None
) -> tuple[FaceEvent, ...]:
    """All events, by start; still motion has none.

    Parameters
    ----------
    head_rotvec_rad : (frame, 3)
    units : name -> (frame,)
        ARKit units from 0 to 1, see `unit_curves`; without them, only nods and shakes are found.
    """
    found = list(find_swings(head_rotvec_rad))
    if units is not None:
        for kind in FACE_EVENTS:
            found += _raised(kind, face_level(kind, units), 1.0)
    return tuple(sorted(found, key=lambda event: (event.first, event.end, event.kind)))


def unit_curves(motion: HeadMotion) -> dict[str, Curve]:
    """ARKit unit curves of motion of the open head, by name; retarget FLAME motion first."""
    return dict(zip(ARKIT_UNITS, arkit_from_motion(motion).T, strict=True))


def find_swings(head_rotvec_rad: Float[np.ndarray, "frame 3"]) -> tuple[FaceEvent, ...]:
    """Nods and shakes: spans in which the head oscillates at 1 to 4.5 Hz with an amplitude of more than 0.03 rad.

    A nod oscillates more in pitch than in yaw, a shake more in yaw. Posture and gaze direction do not matter.
    """
    head = finite(head_rotvec_rad, ("frame", "3"), "head rotation")
    swing = np.stack([_amplitude_rad(head[:, axis]) for axis in (PITCH, YAW)])
    nods = _raised("nod", np.where(swing[0] > swing[1], swing[0], 0.0), MIN_SWING_RAD)
    shakes = _raised("shake", np.where(swing[1] > swing[0], swing[1], 0.0), MIN_SWING_RAD)
    return tuple(sorted(nods + shakes, key=lambda event: event.first))


def _amplitude_rad(angle_rad: Curve) -> Curve:
    """Amplitude of the oscillation at each frame: the envelope of the band-pass filtered angle."""
    if len(angle_rad) < MOTION_FPS:
        return np.zeros(len(angle_rad))
    return np.abs(hilbert(sosfiltfilt(_swing_band(), angle_rad, padlen=MOTION_FPS - 1)))


@cache
def _swing_band() -> Float[np.ndarray, "section 6"]:
    return butter(2, SWING_HZ, "bandpass", fs=MOTION_FPS, output="sos")


def face_level(kind: str, units: Mapping[str, Curve]) -> Curve:
    """Level of a kind of event at each frame: the smallest of its requirements, each relative to its threshold.

    An event begins where the level reaches 1.

    Raises
    ------
    InputError
        A unit of the event is missing.
    """
    needed = {unit for choices, _ in FACE_EVENTS[kind] for choice in choices for unit in choice}
    if missing := sorted(needed - set(units)):
        raise InputError(
            f"no curve of {', '.join(missing)} among the units; a {kind} needs them: are the names ARKit's?"
        )
    requirements = [
        np.max([np.mean([units[unit] for unit in choice], axis=0) for choice in choices], axis=0) / threshold
        for choices, threshold in FACE_EVENTS[kind]
    ]
    return np.min(requirements, axis=0)


def _raised(kind: str, level: Curve, threshold: float) -> list[FaceEvent]:
    """Spans above half of `threshold` that reach it and last long enough."""
    above = level > HYSTERESIS * threshold
    reached = np.concatenate([[0], np.cumsum(level >= threshold)])
    spans = [span for span in runs(above) if reached[span[1]] > reached[span[0]]]
    return [FaceEvent(kind, first, end) for first, end in spans if end - first >= MIN_DURATION_S * MOTION_FPS]


@dataclass(frozen=True)
class EventMatch:
    """Result of matching predicted events with the ground truth's; results of several dialogues can be added.

    Attributes
    ----------
    in_ground_truth, in_prediction, matched : int
        Numbers of events and of matched pairs.
    iou_sum : float
        Over the matched pairs.
    deviation_sum_s : float
        Over the matched pairs, |start in the prediction - start in the ground truth|, doubled if it is early.
    """

    in_ground_truth: int
    in_prediction: int
    matched: int
    iou_sum: float
    deviation_sum_s: float

    def __add__(self, other: "EventMatch") -> "EventMatch":
        mine, theirs = vars(self), vars(other)
        return EventMatch(**{name: mine[name] + theirs[name] for name in mine})

    @property
    def events(self) -> int:
        """Events in the ground truth and in the prediction together."""
        return self.in_ground_truth + self.in_prediction

    @property
    def f1(self) -> float:
        """2 matched / events, in [0, 1], higher is better, ideal 1; NaN without any event."""
        return 2 * self.matched / self.events if self.events else np.nan

    @property
    def mean_iou(self) -> float:
        """Mean IoU of matched pairs, in [0.5, 1], higher is better, ideal 1; NaN without any pair."""
        return self.iou_sum / self.matched if self.matched else np.nan

    @property
    def timing_deviation_s(self) -> float:
        """Mean deviation of matched pairs in seconds, lower is better, ideal 0; NaN without any pair."""
        return self.deviation_sum_s / self.matched if self.matched else np.nan


def match_events(ground_truth: Sequence[FaceEvent], prediction: Sequence[FaceEvent]) -> EventMatch:
    """Match events of the same kind one to one, so that the sum of IoU over pairs is largest."""
    iou = _intersection_over_union(ground_truth, prediction)
    iou[iou < MATCH_IOU] = 0
    rows, columns = linear_sum_assignment(iou, maximize=True)
    matched = iou[rows, columns] > 0
    late = np.array([prediction[c].first - ground_truth[r].first for r, c in zip(rows, columns, strict=True)])
    late_s = late[matched] / MOTION_FPS if len(late) else np.zeros(0)
    return EventMatch(
        in_ground_truth=len(ground_truth),
        in_prediction=len(prediction),
        matched=int(matched.sum()),
        iou_sum=float(iou[rows, columns].sum()),
        deviation_sum_s=float(np.where(late_s < 0, -EARLY_COST * late_s, late_s).sum()),
    )


def _intersection_over_union(
    ground_truth: Sequence[FaceEvent], prediction: Sequence[FaceEvent]
) -> Float[np.ndarray, "one two"]:
    """Temporal IoU of each pair of events; 0 where their kinds differ."""
    one, two = (
        np.array([(event.first, event.end) for event in events], float).reshape(-1, 2)
        for events in (ground_truth, prediction)
    )
    shared = np.minimum(one[:, None, 1], two[None, :, 1]) - np.maximum(one[:, None, 0], two[None, :, 0])
    shared = np.maximum(shared, 0)
    total = np.diff(one)[:, :1] + np.diff(two)[:, 0][None] - shared
    same = np.array([[a.kind == b.kind for b in prediction] for a in ground_truth], bool).reshape(shared.shape)
    return np.where(same, shared / total, 0.0)


def match_onsets(
    ground_truth_frames: Sequence[int], predicted_frames: Sequence[int], tolerance_s: float
) -> tuple[int, int, int]:
    """Match events by their onsets alone, one to one, within `tolerance_s`; as many pairs as possible.

    Returns
    -------
    (events in the ground truth, predicted events, matched pairs)
        F1 is 2 matched / (events in the ground truth + predicted events). Counts of several dialogues can be
        added.
    """
    own, made = (np.asarray(frames, float) for frames in (ground_truth_frames, predicted_frames))
    distance = np.abs(np.subtract.outer(own, made))
    near = distance <= tolerance_s * MOTION_FPS
    rows, columns = linear_sum_assignment(near, maximize=True)
    return len(ground_truth_frames), len(predicted_frames), int(near[rows, columns].sum())
