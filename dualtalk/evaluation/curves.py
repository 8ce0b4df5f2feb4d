"""Mean motion around role transitions, and the transitions with the largest error.

A curve is the mean, over all transitions of a kind, of a quantity from a second before to a second after. Its 95 %
confidence interval is over clips, not over transitions, by linearization of the ratio of two sums (Cochran 1977,
"Sampling techniques", section 6.3). Only sums are kept, so memory does not depend on the number of clips.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from dualtalk.core import DUALTALK56
from dualtalk.evaluation.builtin_metrics import PARTS
from dualtalk.evaluation.clip_metrics import ReferenceTrack
from dualtalk.evaluation.features import MotionFeatures
from dualtalk.metrics.turn_transitions import TRANSITION_KINDS, Roles, TransitionKind, windows
from dualtalk.timebase import MOTION_FPS


class Quantity(NamedTuple):
    """Base unit, and how reports show values."""

    unit: str
    display_scale: float
    display_unit: str


QUANTITIES = {
    "lip aperture": Quantity("m", 1e3, "mm"),
    "head speed": Quantity("rad/s", 180 / np.pi, "°/s"),
    "expression speed": Quantity("sd/s", 1.0, "sd/s"),
}
REACH_FRAMES = MOTION_FPS
CURVE_FRAMES = 2 * REACH_FRAMES + 1
Z_95 = 1.96
Grid = Float[np.ndarray, "kind quantity frame"]


@dataclass(frozen=True, eq=False)
class TransitionCurve:
    """Mean of a quantity around a kind of transition, in its base unit; `low` and `high` are NaN for one clip."""

    mean: Float[np.ndarray, "frame"]
    low: Float[np.ndarray, "frame"]
    high: Float[np.ndarray, "frame"]
    transitions: int
    clips: int


@dataclass(frozen=True, eq=False)
class CurveSums:
    """Sums of one clip or of many; they can be added.

    Attributes
    ----------
    total : (kind, quantity, frame)
    count : (kind,)
        Transitions.
    squares : (3, kind, quantity, frame)
        Over finished clips: total², total · count, count².
    clips : (kind,)
        Finished clips with a transition of that kind.
    """

    total: Grid
    count: Float[np.ndarray, "kind"]
    squares: Float[np.ndarray, "3 kind quantity frame"]
    clips: Float[np.ndarray, "kind"]

    @classmethod
    def empty(cls) -> "CurveSums":
        shape = (len(TRANSITION_KINDS), len(QUANTITIES), CURVE_FRAMES)
        return cls(np.zeros(shape), np.zeros(shape[0]), np.zeros((3, *shape)), np.zeros(shape[0]))

    def __add__(self, other: "CurveSums") -> "CurveSums":
        mine, theirs = vars(self), vars(other)
        return CurveSums(**{name: mine[name] + theirs[name] for name in mine})

    @classmethod
    def mean_of(cls, samples: Sequence["CurveSums"]) -> "CurveSums":
        """Mean over samples of one clip: a transition counts once, for any number of samples."""
        fields = [vars(one) for one in samples]
        return cls(**{name: sum(one[name] for one in fields) / len(samples) for name in fields[0]})

    def finished(self) -> "CurveSums":
        """The sums of a complete clip, with both of its people."""
        count = np.broadcast_to(self.count[:, None, None], self.total.shape)
        squares = np.stack([self.total**2, self.total * count, count**2])
        return CurveSums(self.total, self.count, squares, (self.count > 0).astype(float))

    def means(self) -> dict[str, dict[str, TransitionCurve]]:
        """kind -> quantity -> curve, of the kinds that occur."""
        return {
            kind: {name: self._curve(row, column) for column, name in enumerate(QUANTITIES)}
            for row, kind in enumerate(TRANSITION_KINDS)
            if self.count[row]
        }

    def _curve(self, row: int, column: int) -> TransitionCurve:
        count, clips = self.count[row], int(self.clips[row])
        mean = self.total[row, column] / count
        total2, both, count2 = self.squares[:, row, column]
        half_width = np.full(CURVE_FRAMES, np.nan)
        if clips > 1:
            spread = np.maximum(total2 - 2 * mean * both + mean**2 * count2, 0) * clips / (clips - 1)
            half_width = Z_95 * np.sqrt(spread) / count
        return TransitionCurve(mean, mean - half_width, mean + half_width, int(count), clips)


def curve_sums(roles: Roles, features: MotionFeatures) -> CurveSums:
    """The sums of one person, over the transitions whose two seconds lie inside the clip."""
    sums = CurveSums.empty()
    curves = quantities(features)
    for row, kind in enumerate(TRANSITION_KINDS):
        at = roles.frames_of(kind)
        at = at[(at >= REACH_FRAMES) & (at < roles.frames - REACH_FRAMES)]
        inside = at[:, None] + np.arange(-REACH_FRAMES, REACH_FRAMES + 1)
        sums.total[row] = curves[:, inside].sum(axis=1)
        sums.count[row] = len(at)
    return sums


def quantities(features: MotionFeatures) -> Float[np.ndarray, "quantity frame"]:
    """The curves of `QUANTITIES`, in their base units."""
    expression = features.motion.expression
    speed = MOTION_FPS * np.linalg.norm(np.diff(expression, axis=0, prepend=expression[:1]), axis=1)
    return np.stack([features.lip_gap_m, features.head_speed, speed]).astype(np.float64)


@dataclass(frozen=True)
class WorstTransition:
    """A transition of one person, with the error of a prediction there; sorts with the largest error first.

    Attributes
    ----------
    distance : float
        Mean over parts of the mean squared error in the window, in variances of the ground truth.
    clip : str
    person : int
        0 or 1.
    kind : TransitionKind
    frame : int
        From the start of the clip.
    """

    distance: float
    clip: str
    person: int
    kind: TransitionKind
    frame: int

    def __lt__(self, other: "WorstTransition") -> bool:
        mine = (-self.distance, self.clip, self.person, self.kind, self.frame)
        return mine < (-other.distance, other.clip, other.person, other.kind, other.frame)


def worst_transitions(
    clip: str,
    person: int,
    track: ReferenceTrack,
    prediction: MotionFeatures,
    variances: dict[str, float],
    first: int,
) -> list[WorstTransition]:
    """The worst transition of one person, as a list of at most one.

    Parameters
    ----------
    variances : part -> variance of all ground-truth frames
    first : int
        First measured frame of the clip.
    """
    if track.roles is None:
        return []
    square = (track.ground_truth.coefficients.astype(np.float64) - prediction.coefficients) ** 2
    error = np.mean(
        [square[:, DUALTALK56.slice_of(part)].mean(axis=1) / variances[part] for part in PARTS], axis=0
    )
    found = []
    for kind in TRANSITION_KINDS:
        for frame in track.roles.frames_of(kind):
            distance = float(error[windows(np.array([frame]))].mean())
            found.append(WorstTransition(distance, clip, person, kind, int(frame) + first))
    return sorted(found)[:1]
