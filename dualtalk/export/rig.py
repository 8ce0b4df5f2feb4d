"""A head as other programs hold one: a mesh at rest, joints with skinning weights, blend shapes; and motion on it.

FLAME moves a head in two ways that such formats lack: pose correctives (displacements in proportion to the
entries of the joints' rotation matrices) and joints that shift with the expression. Both are carried without loss:

- The correctives of a joint span a few directions of displacement. Each becomes two blend shapes named after the
  joint, one for either way along it, since many programs keep weights between 0 and 1; the weights in a frame are
  what the rotation asks for.
- A joint whose place shifts by d while it is turned by R carries its vertices (1 - R) d further than the joint at
  rest would, so that is added to its translation.

The open head has a blend shape for every ARKit unit. Those that the motion turns joints for (jawOpen, jawLeft,
jawRight, the eyeLooks) are there for whoever drives the units from elsewhere; in our motion they stay at 0.
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
# A corrective that moves no vertex this far even at a full turn is left out.
SMALLEST_CORRECTIVE_M = 2e-5
# No rotation matrix is further than this from the identity, so scaled by it no corrective's weight is above 1.
LARGEST_TURN = 2 * 2**0.5


@dataclass(frozen=True, eq=False)
class BlendShapes:
    """The blend shapes of a head, the same for every identity.

    Attributes
    ----------
    names : tuple of str
    moves_m : (shape, vertex, 3) displacement at weight 1
    slots : (shape,) the expression coefficient that is the shape's weight; -1 for none
    mixes : for each joint that has correctives, its number, the first of their shapes, and (9, shape) what each
        entry of the rotation matrix less the identity adds to their weights; a weight below 0 is 0
    """

    names: tuple[str, ...]
    moves_m: Float32[np.ndarray, "shape vertex 3"]
    slots: np.ndarray
    mixes: tuple[tuple[int, int, np.ndarray], ...]

    @classmethod
    @lru_cache(maxsize=2)
    def of(cls, head: SkinnedHead) -> "BlendShapes":
        """Units or expressions first, in the head's order (ARKit's on the open head), then the correctives."""
        names, moves, slots = _units(head)
        first, mixes = len(names), []
        entries = head.arrays.posedirs.reshape(*head.template.shape, -1, 9)
        for joint in range(1, len(JOINTS)):
            # The vertices' displacements by the nine entries, as few displacements that span the same.
            spanning, sizes, mix = np.linalg.svd(entries[:, :, joint - 1].reshape(-1, 9), full_matrices=False)
            spanning = (spanning * sizes).T.reshape(-1, *head.template.shape)
            kept = np.linalg.norm(spanning, axis=2).max(axis=1) > SMALLEST_CORRECTIVE_M
            if kept.any():
                both_ways = np.concatenate([mix[kept], -mix[kept]]).astype(np.float64)
                mixes.append((joint, first, both_ways.T / LARGEST_TURN))
                moves += [LARGEST_TURN * spanning[kept], -LARGEST_TURN * spanning[kept]]
                for way in ("Plus", "Minus"):
                    names += [f"{JOINTS[joint]}Corrective{number + 1}{way}" for number in range(kept.sum())]
                first = len(names)
        slots += [-1] * (first - len(slots))
        return cls(tuple(names), np.concatenate(moves).astype(np.float32), np.array(slots), tuple(mixes))


def _units(head: SkinnedHead) -> tuple[list[str], list[np.ndarray], list[int]]:
    directions = np.moveaxis(head.arrays.shapedirs[..., IDENTITY_COEFFICIENTS:], -1, 0)[:EXPRESSION_COEFFICIENTS]
    if head.space != "open":
        return list(head.blendshape_names), [directions], list(range(len(directions)))
    slots = [head.blendshape_names.index(unit) if unit in head.blendshape_names else -1 for unit in ARKIT_UNITS]
    shown = head.vertices(motion_from_arkit(np.eye(len(ARKIT_UNITS)))) - head.template
    moves = [directions[slot] if slot >= 0 else shown[unit] for unit, slot in enumerate(slots)]
    return list(ARKIT_UNITS), [np.stack(moves)], slots


@dataclass(frozen=True, eq=False)
class RiggedMotion:
    """One person's mesh at rest and all that moves it.

    Attributes
    ----------
    rest_m : (vertex, 3) the person's own head, face at rest
    joints_m : (joint, 3) in the head's coordinates, at rest
    quaternions_xyzw : (frame, joint, 4) each joint's turn against its parent
    offsets_m : (frame, joint, 3) each joint's place against its parent
    weights : (frame, shape) of the blend shapes
    """

    rest_m: Float32[np.ndarray, "vertex 3"]
    joints_m: Float32[np.ndarray, "joint 3"]
    quaternions_xyzw: Float32[np.ndarray, "frame joint 4"]
    offsets_m: Float32[np.ndarray, "frame joint 3"]
    weights: Float32[np.ndarray, "frame shape"]

    @classmethod
    def of(cls, head: SkinnedHead, motion: HeadMotion) -> "RiggedMotion":
        """Rig `motion` on `head`.

        Raises
        ------
        InputError
            The motion is of another space, or has no frame.
        """
        if motion.space != head.space:
            raise InputError(f"motion is in space {motion.space!r}, head {head.name!r} in {head.space!r}")
        if not motion.frames:
            raise InputError("the motion has no frames; was it cut to nothing?")
        shapes = BlendShapes.of(head)
        directions, regressor = head.arrays.shapedirs, head.arrays.J_regressor
        rest_m = head.arrays.v_template + directions[..., :IDENTITY_COEFFICIENTS] @ motion.identity
        joints_m = regressor @ rest_m
        still = np.zeros((motion.frames, 3), np.float32)
        turned = [
            still,
            motion.head_rotvec_rad,
            motion.jaw_rotvec_rad,
            *np.split(motion.eyes_rotvec_rad, 2, axis=1),
        ]
        rotvecs_rad = np.stack(turned, axis=1).astype(np.float64)
        less_one = matrix_from_rotvec(rotvecs_rad) - np.eye(3)

        drives = IDENTITY_COEFFICIENTS + np.arange(EXPRESSION_COEFFICIENTS)
        shifts_m = np.einsum("jv,vxe->ejx", regressor, directions[..., drives])
        shifted_m = np.einsum("fe,ejx->fjx", motion.expression, shifts_m)
        at_rest = joints_m - np.where(np.array(PARENTS)[:, None] < 0, 0, joints_m[list(PARENTS)])
        offsets_m = at_rest - np.einsum("fjxy,fjy->fjx", less_one, shifted_m)

        weights = np.zeros((motion.frames, len(shapes.names)))
        driven = shapes.slots >= 0
        weights[:, driven] = motion.expression[:, shapes.slots[driven]]
        for joint, first, mix in shapes.mixes:
            weights[:, first : first + mix.shape[1]] = np.maximum(less_one[:, joint].reshape(-1, 9) @ mix, 0)
        return cls(
            rest_m.astype(np.float32),
            joints_m.astype(np.float32),
            _quaternions(rotvecs_rad),
            offsets_m.astype(np.float32),
            weights.astype(np.float32),
        )


def _quaternions(rotvecs_rad: Float[np.ndarray, "frame joint 3"]) -> Float32[np.ndarray, "frame joint 4"]:
    """xyzw; each on the same side as the one before, since some programs interpolate without looking."""
    flat = Rotation.from_rotvec(rotvecs_rad.reshape(-1, 3)).as_quat()
    quaternions = flat.reshape(*rotvecs_rad.shape[:2], 4)
    flips = np.einsum("fjq,fjq->fj", quaternions[1:], quaternions[:-1]) < 0
    side = np.cumprod(np.where(flips, -1, 1), axis=0)
    quaternions[1:] *= side[..., None]
    return quaternions.astype(np.float32)
