"""Features of one person's motion that metrics share, and the inputs of a metric for one person of one clip.

Without a head of the motion's expression space there is no mesh, and lip aperture is estimated from the jaw.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float, Int

from dualtalk.audio.phonemes import Phoneme
from dualtalk.core import HeadMotion
from dualtalk.head import Head
from dualtalk.metrics.events import FaceEvent, find_events, unit_curves
from dualtalk.metrics.mesh import lip_vertices, upper_face_vertices, upright
from dualtalk.metrics.turn_transitions import Roles
from dualtalk.timebase import MOTION_FPS

Motion = Float[np.ndarray, "_frame 56"]
BLINK_UNIT = "eyeBlinkLeft"
# Distance of an adult's lips from the jaw joint, for lip aperture without a mesh.
JAW_TO_LIPS_M = 0.09
# FDD over every fifth vertex of the upper face has nearly the same value in a fifth of the time.
UPPER_FACE_STRIDE = 5


@dataclass(frozen=True, eq=False)
class MeshRegions:
    """A head, and the vertices that metrics need: all of the lips, and every fifth of the upper face.

    Attributes
    ----------
    head : Head
    vertex_ids : (vertex,) int
        Indices into the head's mesh.
    lips, upper_face : int
        Indices into `vertex_ids`.
    """

    head: Head
    vertex_ids: Int[np.ndarray, "vertex"]
    lips: Int[np.ndarray, "lip"]
    upper_face: Int[np.ndarray, "upper"]

    @classmethod
    def of(cls, head: Head) -> "MeshRegions":
        lips, upper_face = lip_vertices(head), upper_face_vertices(head)[::UPPER_FACE_STRIDE]
        vertex_ids = np.union1d(lips, upper_face)
        return cls(head, vertex_ids, np.searchsorted(vertex_ids, lips), np.searchsorted(vertex_ids, upper_face))

    def vertices(self, motion: HeadMotion) -> Float[np.ndarray, "frame vertex 3"]:
        """Vertices in metres, with the head upright."""
        if not np.ptp(motion.coefficients, axis=0).any():
            still = self.head.vertices(upright(motion[:1]), vertex_ids=self.vertex_ids)
            return np.broadcast_to(still, (motion.frames, *still.shape[1:]))
        return self.head.vertices(upright(motion), vertex_ids=self.vertex_ids)


@dataclass(frozen=True, eq=False)
class MotionFeatures:
    """Features of one motion, ground truth or prediction; each is computed when it is first needed.

    Attributes
    ----------
    motion : HeadMotion
        In an evaluation, in the published layout of 56 coefficients.
    mesh : MeshRegions or None
    """

    motion: HeadMotion
    mesh: MeshRegions | None = None

    @property
    def frames(self) -> int:
        return self.motion.frames

    @property
    def coefficients(self) -> Float[np.ndarray, "frame _coef"]:
        return self.motion.coefficients

    @cached_property
    def parts(self) -> dict[str, Float[np.ndarray, "frame _coef"]]:
        """Coefficients of "expression", "jaw" and "head"."""
        return {part: self.part(part) for part in ("expression", "jaw", "head")}

    def part(self, name: str) -> Float[np.ndarray, "frame _coef"]:
        return self.coefficients[:, self.motion.layout.slice_of(name)]

    @cached_property
    def lip_gap_m(self) -> Float[np.ndarray, "frame"]:
        """Lip aperture in metres: of the mesh, or estimated from the jaw."""
        if self.mesh is not None:
            return self.mesh.head.lip_gap(self.motion)
        return JAW_TO_LIPS_M * np.sin(np.clip(self.motion.jaw_rotvec_rad[:, 0], 0, np.pi / 2))

    @property
    def _has_arkit_units(self) -> bool:
        return self.mesh is not None and BLINK_UNIT in self.mesh.head.blendshape_names

    @cached_property
    def lid_closure(self) -> Float[np.ndarray, "frame"] | None:
        """0 open to 1 closed; None if the expression space has no blink unit."""
        if self.mesh is None or not self._has_arkit_units:
            return None
        return self.motion.expression[:, self.mesh.head.blendshape_names.index(BLINK_UNIT)]

    @cached_property
    def vertices(self) -> Float[np.ndarray, "frame vertex 3"] | None:
        """Vertices of `mesh.vertex_ids` in metres, with the head upright; None without a mesh."""
        return None if self.mesh is None else self.mesh.vertices(self.motion)

    @cached_property
    def events(self) -> tuple[FaceEvent, ...]:
        """Nods and shakes, and face events if the expression space has ARKit units."""
        units = unit_curves(self.motion) if self._has_arkit_units else None
        return find_events(self.motion.head_rotvec_rad, units)

    @cached_property
    def head_speed(self) -> Float[np.ndarray, "frame"]:
        """Radians a second."""
        rotvec = self.motion.head_rotvec_rad
        return MOTION_FPS * np.linalg.norm(np.diff(rotvec, axis=0, prepend=rotvec[:1]), axis=1).astype(np.float64)


@dataclass(frozen=True, eq=False)
class MetricInputs:
    """What a metric is computed from: one person of one clip, with one prediction.

    Attributes
    ----------
    ground_truth, prediction : MotionFeatures
        Of equal length, and frame-aligned.
    partner : MotionFeatures or None
        The partner's ground truth, if it is known.
    predicted_partner : MotionFeatures or None
        The partner that the prediction was made with: predicted too in the closed loop, the ground truth
        otherwise.
    roles : Roles or None
        Who speaks when; None without audio and turns.
    loudness_db : (frame,) or None
        Loudness of the person's own audio.
    phonemes : tuple of Phoneme or None
        Of the person's own speech, if the store has them.
    """

    ground_truth: MotionFeatures
    prediction: MotionFeatures
    partner: MotionFeatures | None = None
    predicted_partner: MotionFeatures | None = None
    roles: Roles | None = None
    loudness_db: Float[np.ndarray, "frame"] | None = None
    phonemes: tuple[Phoneme, ...] | None = None
