"""A head as a rig for other programs: rest mesh, joints with skinning weights, blendshapes; and motion on the rig.

FLAME deforms a head in two ways that rig formats do not have: pose correctives (displacements that are linear in
the entries of the joints' rotation matrices) and joint positions that depend on the expression. The rig represents
both exactly:

- The correctives of a joint span a low-dimensional space of displacements. Each basis displacement becomes two
  blendshapes named after the joint, one per sign, because many programs clamp weights to 0 to 1. Weights are
  computed from the joint's rotation in each frame.
- A joint that is displaced by d and rotated by R moves its vertices by (1 - R) d relative to the joint at rest;
  that offset is added to its translation.

The open head has all 52 ARKit blendshapes. The motion format represents jawOpen, jawLeft, jawRight and the eyeLook
blendshapes by joint rotations, so their blendshapes stay at 0 in exported motion; they exist for other drivers.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from jaxtyping import Float, Float32
from scipy.spatial.transform import Rotation

from dualtalk.core import EXPRESSION_COEFFICIENTS, IDENTITY_COEFFICIENTS, HeadMotion
from dualtalk.errors import InputError
from dualtalk.geometry.rotations import matrix_from_rotvec
from dualtalk.head.blendshapes import ARKIT_UNITS, motion_from_arkit
from dualtalk.head.skinned import SkinnedHead

JOINTS = ("root", "neck", "jaw", "leftEye", "rightEye")
PARENTS = (-1, 0, 1, 1, 1)
# Correctives that move no vertex by more than this at the largest rotation are left out.
MIN_CORRECTIVE_M = 2e-5
# Largest Frobenius distance of a rotation matrix from the identity: scaled by it, corrective weights are at most
# 1.
MAX_ROTATION_NORM = 2 * 2**0.5


@dataclass(frozen=True, eq=False)
class BlendShapes:
    """The blendshapes of a head; they do not depend on the identity.

    Attributes
    ----------
    names : tuple of str
    offsets_m : (shape, vertex, 3) float32
        Vertex displacements at weight 1.
    slots : (shape,) int
        Index of the expression coefficient that is the weight, or -1.
    correctives : tuple of (int, int, (9, shape) float)
        For each joint with correctives: the joint's index, the index of its first corrective, and the matrix from
        the entries of (rotation matrix - identity) to weights. Negative weights are set to 0.
    """

    names: tuple[str, ...]
    offsets_m: Float32[np.ndarray, "shape vertex 3"]
    slots: np.ndarray
    correctives: tuple[tuple[int, int, np.ndarray], ...]

    @classmethod
    @lru_cache(maxsize=2)
    def of(cls, head: SkinnedHead) -> "BlendShapes":
        """Expression blendshapes in the head's order (ARKit's order on the open head), then the correctives."""
        names, offsets, slots = _expression_shapes(head)
        first, correctives = len(names), []
        entries = head.arrays.posedirs.reshape(*head.template.shape, -1, 9)
        for joint in range(1, len(JOINTS)):
            # SVD: the fewest displacements that span those of the nine matrix entries.
            basis, singular_values, mix = np.linalg.svd(
                entries[:, :, joint - 1].reshape(-1, 9), full_matrices=False
            )
            basis = (basis * singular_values).T.reshape(-1, *head.template.shape)
            kept = np.linalg.norm(basis, axis=2).max(axis=1) > MIN_CORRECTIVE_M
            if kept.any():
                signed_mix = np.concatenate([mix[kept], -mix[kept]]).astype(np.float64)
                correctives.append((joint, first, signed_mix.T / MAX_ROTATION_NORM))
                offsets += [MAX_ROTATION_NORM * basis[kept], -MAX_ROTATION_NORM * basis[kept]]
                for sign in ("Plus", "Minus"):
                    names += [f"{JOINTS[joint]}Corrective{number + 1}{sign}" for number in range(kept.sum())]
                first = len(names)
        slots += [-1] * (first - len(slots))
        return cls(tuple(names), np.concatenate(offsets).astype(np.float32), np.array(slots), tuple(correctives))


def _expression_shapes(head: SkinnedHead) -> tuple[list[str], list[np.ndarray], list[int]]:
    directions = np.moveaxis(head.arrays.shapedirs[..., IDENTITY_COEFFICIENTS:], -1, 0)[:EXPRESSION_COEFFICIENTS]
    if head.space != "open":
        return list(head.blendshape_names), [directions], list(range(len(directions)))
    slots = [head.blendshape_names.index(unit) if unit in head.blendshape_names else -1 for unit in ARKIT_UNITS]
    posed = head.vertices(motion_from_arkit(np.eye(len(ARKIT_UNITS)))) - head.template
    offsets = [directions[slot] if slot >= 0 else posed[unit] for unit, slot in enumerate(slots)]
    return list(ARKIT_UNITS), [np.stack(offsets)], slots


@dataclass(frozen=True, eq=False)
class RiggedMotion:
    """One person's rest mesh and the animation of its rig.

    Attributes
    ----------
    rest_m : (vertex, 3) float32
        The mesh with the person's identity, expression at rest.
    joints_m : (joint, 3) float32
        Joint positions at rest in the head's coordinates.
    quaternions_xyzw : (frame, joint, 4) float32
        Rotation of each joint relative to its parent.
    offsets_m : (frame, joint, 3) float32
        Position of each joint relative to its parent.
    weights : (frame, shape) float32
        Blendshape weights.
    """

    rest_m: Float32[np.ndarray, "vertex 3"]
    joints_m: Float32[np.ndarray, "joint 3"]
    quaternions_xyzw: Float32[np.ndarray, "frame joint 4"]
    offsets_m: Float32[np.ndarray, "frame joint 3"]
    weights: Float32[np.ndarray, "frame shape"]

    @classmethod
    def of(cls, head: SkinnedHead, motion: HeadMotion) -> "RiggedMotion":
        """The animation of `head`'s rig for a motion.

        Raises
        ------
        InputError
            The motion is in another space or has no frames.
        """
        if motion.space != head.space:
            raise InputError(f"motion is in space {motion.space!r}, head {head.name!r} in {head.space!r}")
        if not motion.frames:
            raise InputError("the motion has no frames; is the recording shorter than 0.04 s?")
        shapes = BlendShapes.of(head)
        directions, regressor = head.arrays.shapedirs, head.arrays.J_regressor
        rest_m = head.arrays.v_template + directions[..., :IDENTITY_COEFFICIENTS] @ motion.identity
        joints_m = regressor @ rest_m
        still = np.zeros((motion.frames, 3), np.float32)
        rotations = [
            still,
            motion.head_rotvec_rad,
            motion.jaw_rotvec_rad,
            *np.split(motion.eyes_rotvec_rad, 2, axis=1),
        ]
        rotvecs_rad = np.stack(rotations, axis=1).astype(np.float64)
        minus_identity = matrix_from_rotvec(rotvecs_rad) - np.eye(3)

        drives = IDENTITY_COEFFICIENTS + np.arange(EXPRESSION_COEFFICIENTS)
        shifts_m = np.einsum("jv,vxe->ejx", regressor, directions[..., drives])
        shifted_m = np.einsum("fe,ejx->fjx", motion.expression, shifts_m)
        at_rest = joints_m - np.where(np.array(PARENTS)[:, None] < 0, 0, joints_m[list(PARENTS)])
        offsets_m = at_rest - np.einsum("fjxy,fjy->fjx", minus_identity, shifted_m)

        weights = np.zeros((motion.frames, len(shapes.names)))
        driven = shapes.slots >= 0
        weights[:, driven] = motion.expression[:, shapes.slots[driven]]
        for joint, first, mix in shapes.correctives:
            weights[:, first : first + mix.shape[1]] = np.maximum(minus_identity[:, joint].reshape(-1, 9) @ mix, 0)
        return cls(
            rest_m.astype(np.float32),
            joints_m.astype(np.float32),
            _quaternions(rotvecs_rad),
            offsets_m.astype(np.float32),
            weights.astype(np.float32),
        )


def _quaternions(rotvecs_rad: Float[np.ndarray, "frame joint 3"]) -> Float32[np.ndarray, "frame joint 4"]:
    """xyzw, each in the hemisphere of the previous one, because some programs interpolate without a sign check."""
    flat = Rotation.from_rotvec(rotvecs_rad.reshape(-1, 3)).as_quat()
    quaternions = flat.reshape(*rotvecs_rad.shape[:2], 4)
    flips = np.einsum("fjq,fjq->fj", quaternions[1:], quaternions[:-1]) < 0
    signs = np.cumprod(np.where(flips, -1, 1), axis=0)
    quaternions[1:] *= signs[..., None]
    return quaternions.astype(np.float32)
