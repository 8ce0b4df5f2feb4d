"""What motion does on average around a change of role, and where it was furthest from the reference.

A curve is the mean, over all transitions of a kind, of a quantity from a second before to a second after. Its
band is the 95 % interval of that mean over clips, not over transitions, by linearising the ratio of the two sums
(Cochran 1977, "Sampling techniques", section 6.3): four small sums are kept, however many clips there are.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from dualtalk.core import DUALTALK56
from dualtalk.evaluation.clip_metrics import Act, Side
from dualtalk.evaluation.registry import PARTS
from dualtalk.metrics.roles import TRANSITION_KINDS, Roles, windows
from dualtalk.timebase import MOTION_FPS

QUANTITIES = {"mouth opening": "mm", "head speed": "°/s", "expression speed": "sd/s"}
REACH_FRAMES = MOTION_FPS
CURVE_FRAMES = 2 * REACH_FRAMES + 1
Z_95 = 1.96
Grid = Float[np.ndarray, "kind quantity frame"]


@dataclass(frozen=True, eq=False)
class Curve:
    """Mean around a kind of transition; `low` and `high` are NaN where one clip alone has it."""

    mean: Float[np.ndarray, "frame"]
    low: Float[np.ndarray, "frame"]
    high: Float[np.ndarray, "frame"]
    transitions: int
    clips: int


@dataclass(frozen=True, eq=False)
class CurveSums:
    """Sums of one clip or of many; they add up.

    Attributes
    ----------
    total : (kind, quantity, frame)
    count : (kind,)
        Transitions.
    squares : (3, kind, quantity, frame)
        Over clips that are closed: total², total · count, count².
    clips : (kind,)
        Closed clips that have any.
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
        """Of several samples of one clip: a transition counts once, however many samples it has."""
        fields = [vars(one) for one in samples]
        return cls(**{name: sum(one[name] for one in fields) / len(samples) for name in fields[0]})

    def closed(self) -> "CurveSums":
        """One clip is whole: both its people count together from here on."""
        count = np.broadcast_to(self.count[:, None, None], self.total.shape)
        squares = np.stack([self.total**2, self.total * count, count**2])
        return CurveSums(self.total, self.count, squares, (self.count > 0).astype(float))

    def means(self) -> dict[str, dict[str, Curve]]:
        """kind -> quantity -> curve, of kinds that occur."""
        return {
            kind: {name: self._curve(row, column) for column, name in enumerate(QUANTITIES)}
            for row, kind in enumerate(TRANSITION_KINDS)
            if self.count[row]
        }

    def _curve(self, row: int, column: int) -> Curve:
        count, clips = self.count[row], int(self.clips[row])
        mean = self.total[row, column] / count
        total2, both, count2 = self.squares[:, row, column]
        off = np.full(CURVE_FRAMES, np.nan)
        if clips > 1:
            spread = np.maximum(total2 - 2 * mean * both + mean**2 * count2, 0) * clips / (clips - 1)
            off = Z_95 * np.sqrt(spread) / count
        return Curve(mean, mean - off, mean + off, int(count), clips)


def curve_sums(roles: Roles, act: Act) -> CurveSums:
    """The curves of one person, over the transitions whose two seconds lie wholly inside."""
    sums = CurveSums.empty()
    curves = quantities(act)
    for row, kind in enumerate(TRANSITION_KINDS):
        at = roles.frames_of(kind)
        at = at[(at >= REACH_FRAMES) & (at < roles.frames - REACH_FRAMES)]
        inside = at[:, None] + np.arange(-REACH_FRAMES, REACH_FRAMES + 1)
        sums.total[row] = curves[:, inside].sum(axis=1)
        sums.count[row] = len(at)
    return sums


def quantities(act: Act) -> Float[np.ndarray, "quantity frame"]:
    """The curves of `QUANTITIES`, in their units."""
    expression = act.motion.expression
    speed = MOTION_FPS * np.linalg.norm(np.diff(expression, axis=0, prepend=expression[:1]), axis=1)
    return np.stack([1000 * act.performance.lip_gap_m, np.degrees(act.head_speed), speed]).astype(np.float64)


@dataclass(frozen=True)
class Moment:
    """A transition of one person, and how far a prediction was from the reference; the furthest sorts first."""

    negative_distance: float
    clip: str
    person: int
    kind: str
    frame: int

    def __lt__(self, other: "Moment") -> bool:
        return tuple(vars(self).values()) < tuple(vars(other).values())

    @property
    def distance(self) -> float:
        """Mean over parts of the mean squared error in the window, in variances of the reference."""
        return -self.negative_distance


def worst_windows(
    clip: str, person: int, side: Side, made: Act, spread: dict[str, float], first: int
) -> list[Moment]:
    """The worst transition of one person, as a list of one, or of none; `first` is the clip's first frame."""
    square = (side.own.coefficients.astype(np.float64) - made.coefficients) ** 2
    error = np.mean([square[:, DUALTALK56.slice_of(part)].mean(axis=1) / spread[part] for part in PARTS], axis=0)
    found = []
    for kind in TRANSITION_KINDS:
        for frame in side.roles.frames_of(kind):
            distance = float(error[windows(np.array([frame]))].mean())
            found.append(Moment(-distance, clip, person, kind, int(frame) + first))
    return sorted(found)[:1]
