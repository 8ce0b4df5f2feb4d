"""One person of one clip, ready to be measured against: what asks only for the reference is worked out once.

A `Side` holds the reference; `Side.figures` measures one prediction, a tally for each measure that the data
allow. Without a head for the motion's space there is no skin: the mouth's opening is then taken from the jaw.
"""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from jaxtyping import Float, Int

from dualtalk.audio.phonemes import Phoneme
from dualtalk.core import DUALTALK56, HeadMotion
from dualtalk.head import Head
from dualtalk.metrics import lips
from dualtalk.metrics import mesh as vertices
from dualtalk.metrics.bootstrap import Tally
from dualtalk.metrics.dualtalk_benchmark import Benchmark
from dualtalk.metrics.events import FACE_EVENTS, EventMatch, FaceEvent, find_events, match_events, unit_curves
from dualtalk.metrics.lip_timing import mean_temporal_misalignment_ms, slcc_error
from dualtalk.metrics.listener import concordance, frsyn, warped_distance
from dualtalk.metrics.roles import Roles
from dualtalk.metrics.synchrony import synchrony
from dualtalk.metrics.transition_summary import BLINK_UNIT, Performance, transition_figures
from dualtalk.timebase import MOTION_FPS

Motion = Float[np.ndarray, "_frame 56"]
# Lips of an adult lie about this far from the jaw's axis: only where no head says it better.
JAW_TO_LIPS_M = 0.09
# FDD's mean over the upper face is as good over every fifth vertex, in a fifth of the time.
EVERY_UPPER_VERTEX = 5


@dataclass(frozen=True, eq=False)
class Skin:
    """A head, and which of its vertices are measured: all of the lips, and some of the upper face."""

    head: Head
    vertices: Int[np.ndarray, "vertex"]
    lips: Int[np.ndarray, "lip"]
    upper_face: Int[np.ndarray, "upper"]

    @classmethod
    def of(cls, head: Head) -> "Skin":
        lip, upper = vertices.lip_vertices(head), vertices.upper_face_vertices(head)[::EVERY_UPPER_VERTEX]
        some = np.union1d(lip, upper)
        return cls(head, some, np.searchsorted(some, lip), np.searchsorted(some, upper))

    def posed(self, motion: HeadMotion) -> Float[np.ndarray, "frame vertex 3"]:
        if not np.ptp(motion.coefficients, axis=0).any():
            still = self.head.vertices(vertices.upright(motion[:1]), vertex_ids=self.vertices)
            return np.broadcast_to(still, (motion.frames, *still.shape[1:]))
        return self.head.vertices(vertices.upright(motion), vertex_ids=self.vertices)


@dataclass(frozen=True, eq=False)
class Act:
    """What one motion does: the reference's, or a prediction's.

    Attributes
    ----------
    motion : HeadMotion
        In the published layout.
    skin : Skin or None
    """

    motion: HeadMotion
    skin: Skin | None

    @property
    def coefficients(self) -> Motion:
        return self.motion.coefficients

    @cached_property
    def performance(self) -> Performance:
        if self.skin is not None:
            return Performance.of(self.motion, self.skin.head)
        opening_m = JAW_TO_LIPS_M * np.sin(np.clip(self.motion.jaw_rotvec_rad[:, 0], 0, np.pi / 2))
        parts = {part: self.coefficients[:, DUALTALK56.slice_of(part)] for part in DUALTALK56.widths}
        return Performance(parts, opening_m)

    @cached_property
    def posed(self) -> Float[np.ndarray, "frame vertex 3"] | None:
        return None if self.skin is None else self.skin.posed(self.motion)

    @cached_property
    def events(self) -> tuple[FaceEvent, ...]:
        named = self.skin is not None and BLINK_UNIT in self.skin.head.blendshape_names
        return find_events(self.motion.head_rotvec_rad, unit_curves(self.motion) if named else None)

    @cached_property
    def head_speed(self) -> Float[np.ndarray, "frame"]:
        """Radians a second."""
        rotvec = self.motion.head_rotvec_rad
        return MOTION_FPS * np.linalg.norm(np.diff(rotvec, axis=0, prepend=rotvec[:1]), axis=1).astype(np.float64)


@dataclass(frozen=True, eq=False)
class Side:
    """The reference for one person of one clip.

    Attributes
    ----------
    own : Act
    partner : Act or None
        The partner's own motion; without it nothing that asks for it is measured.
    stranger, foreign : (frame, 56) or None
        People of other dialogues, not of one: the first says what togetherness comes of chance, the second takes
        places in controls.
    roles : Roles or None
    loudness_db : (frame,) or None
    phonemes : tuple of Phoneme or None
    """

    own: Act
    partner: Act | None
    stranger: Motion | None
    foreign: Motion | None
    roles: Roles | None
    loudness_db: Float[np.ndarray, "frame"] | None
    phonemes: tuple[Phoneme, ...] | None

    @property
    def frames(self) -> int:
        return self.own.motion.frames

    @cached_property
    def benchmark(self) -> Benchmark:
        return Benchmark(self.own.coefficients, None if self.partner is None else self.partner.coefficients)

    def act(self, coefficients: Motion) -> Act:
        """A prediction of this person, on their own face."""
        all_valid = np.ones(len(coefficients), bool)
        return Act(replace(self.own.motion, coefficients=coefficients, valid=all_valid), self.own.skin)

    def figures(self, made: Act, heard: Motion | None = None, *, slow: bool = True) -> dict[str, Tally]:
        """All measures of a prediction as long as the reference.

        Parameters
        ----------
        made : Act
        heard : (frame, 56), optional
            The partner that the prediction goes with, where it is not the real one: in closed loop, or a control.
        slow : bool
            With those that warp one motion onto another, which take as long as all others.
        """
        found = {
            f"{name} {part}": Tally.mean_of([value])
            for name, parts in self.benchmark.figures(made.coefficients, heard).items()
            for part, value in parts.items()
        }
        if self.roles is not None:
            found |= transition_figures(self.roles, self.own.performance, made.performance)
        found |= self._lips(made, slow) | self._together(made, heard, slow)
        return found

    def _lips(self, made: Act, slow: bool) -> dict[str, Tally]:
        own = self.own
        figures = {
            "JDD": vertices.rotation_dynamics_deviation(own.motion.jaw_rotvec_rad, made.motion.jaw_rotvec_rad),
            "PDD": vertices.rotation_dynamics_deviation(own.motion.head_rotvec_rad, made.motion.head_rotvec_rad),
        }
        one, two = (act.performance.lip_gap_m.astype(np.float64) for act in (own, made))
        if slow:
            figures["MTM"] = mean_temporal_misalignment_ms(one[:, None], two[:, None])
        if self.roles is not None and self.loudness_db is not None:
            speaks = self.roles.own_speaks
            figures["SLCC error"] = slcc_error(self.loudness_db, one, two, speaks)
        if own.posed is not None:
            figures |= self._skin(made, two)
        return {name: Tally.mean_of([value]) for name, value in figures.items()}

    def _skin(self, made: Act, gap_m: Float[np.ndarray, "frame"]) -> dict[str, float]:
        skin, pair = self.own.skin, (self.own.posed, made.posed)
        figures = {
            "LVE": vertices.lip_vertex_error(*pair, skin.lips),
            "FDD": vertices.face_dynamics_deviation(*pair, skin.upper_face),
        }
        if self.roles is not None:
            for name, role in (("LVE speaking", "speaking"), ("LVE listening", "listening")):
                figures[name] = vertices.lip_vertex_error(*pair, skin.lips, self.roles.mask(role))
            figures["lips closed in silence"] = lips.silent_closure(gap_m, self.roles.own)
        if self.phonemes is not None:
            figures["lips closed at p, b, m"] = lips.bilabial_closure(gap_m, self.phonemes)
        return figures

    def _together(self, made: Act, heard: Motion | None, slow: bool) -> dict[str, Tally]:
        figures = {"FRCorr": concordance(self.own.coefficients, made.coefficients)}
        if slow:
            figures["FRDist"] = warped_distance(self.own.coefficients, made.coefficients)
        if self.partner is not None:
            other = self.partner if heard is None else self.act(heard)
            if slow and self.frames > 2 * MOTION_FPS + 1:
                figures["FRSyn"] = frsyn(
                    other.coefficients.astype(np.float64), made.coefficients[None].astype(np.float64)
                )
            if self.stranger is not None:
                chance = synchrony(self.act(self.stranger).head_speed, made.head_speed)
                figures["synchrony above chance"] = synchrony(other.head_speed, made.head_speed) - chance
        return {name: Tally.mean_of([value]) for name, value in figures.items()} | self._events(made)

    def _events(self, made: Act) -> dict[str, Tally]:
        head, face = (
            match_events(*([event for event in act.events if chosen(event)] for act in (self.own, made)))
            for chosen in (lambda e: e.kind not in FACE_EVENTS, lambda e: e.kind in FACE_EVENTS)
        )
        return {
            "head events F1": _f1(head),
            "head events timing": Tally(head.deviation_sum_s, float(head.matched)),
            "face events F1": _f1(face),
        }


def _f1(match: EventMatch) -> Tally:
    return Tally(2.0 * match.matched, float(match.in_reference + match.in_prediction))
