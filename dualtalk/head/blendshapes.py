"""Conversion between the weights of Apple's 52 ARKit blendshapes (units) and the open head's motion.

ARKit weights range from 0 (rest) to 1 (full). Left and right are the person's own. The open head represents jaw
opening, sideways jaw motion and gaze by joint rotations, as FLAME does. The other 41 units are the expression
coefficients 0 to 40, in ARKit's order. Source: Apple's documentation of ARFaceAnchor.BlendShapeLocation.

A positive rotation about x (to the person's left) opens the jaw, lowers the head and turns the eyes down. A
positive rotation about y (up) turns the jaw, the head and the eyes to the person's left.
"""

import numpy as np
from jaxtyping import Float, Float32

from dualtalk.core import HeadMotion
from dualtalk.errors import InputError
from dualtalk.io.arkit import ARKIT_UNITS

JAW_JOINT_UNITS = ("jawLeft", "jawRight", "jawOpen")
EYE_JOINT_UNITS = tuple(unit for unit in ARKIT_UNITS if unit.startswith("eyeLook"))
EXPRESSION_UNITS = tuple(unit for unit in ARKIT_UNITS if unit not in JAW_JOINT_UNITS + EYE_JOINT_UNITS)
UNIT_SLOT = {unit: slot for slot, unit in enumerate(EXPRESSION_UNITS)}

# Joint rotations at weight 1, measured on the sculpted blendshapes: of the jaw, and of the eyes as far as the lids
# follow them.
JAW_OPEN_RAD, JAW_SIDE_RAD = 0.318, 0.101
LOOK_DOWN_RAD, LOOK_UP_RAD, LOOK_SIDE_RAD = 0.314, 0.192, 0.384
# Units that joints represent: part of the motion, column of that part, and rotation in radians at weight 1.
JOINT_ROTATIONS = {
    "jawOpen": ("jaw", 0, JAW_OPEN_RAD),
    "jawLeft": ("jaw", 1, JAW_SIDE_RAD),
    "jawRight": ("jaw", 1, -JAW_SIDE_RAD),
    "eyeLookDownLeft": ("eyes", 0, LOOK_DOWN_RAD),
    "eyeLookUpLeft": ("eyes", 0, -LOOK_UP_RAD),
    "eyeLookOutLeft": ("eyes", 1, LOOK_SIDE_RAD),
    "eyeLookInLeft": ("eyes", 1, -LOOK_SIDE_RAD),
    "eyeLookDownRight": ("eyes", 3, LOOK_DOWN_RAD),
    "eyeLookUpRight": ("eyes", 3, -LOOK_UP_RAD),
    "eyeLookInRight": ("eyes", 4, LOOK_SIDE_RAD),
    "eyeLookOutRight": ("eyes", 4, -LOOK_SIDE_RAD),
}


def motion_from_arkit(
    units: Float[np.ndarray, "frame 52"], head_rotvec_rad: Float[np.ndarray, "frame 3"] | None = None
) -> HeadMotion:
    """Convert ARKit blendshape weights to motion of the open head.

    Parameters
    ----------
    units : (frame, 52)
        Weights from 0 to 1, in the order of `ARKIT_UNITS`. Opposite gaze directions cancel, and so do `jawLeft`
        and `jawRight`.
    head_rotvec_rad : (frame, 3), optional
        Head rotation; upright if not given.
    """
    expression = np.zeros((len(units), 50), np.float32)
    expression[:, : len(EXPRESSION_UNITS)] = units[:, [ARKIT_UNITS.index(unit) for unit in EXPRESSION_UNITS]]
    turned = {"jaw": np.zeros((len(units), 3), np.float32), "eyes": np.zeros((len(units), 6), np.float32)}
    for unit, (part, column, full_rad) in JOINT_ROTATIONS.items():
        turned[part][:, column] += full_rad * units[:, ARKIT_UNITS.index(unit)]
    return HeadMotion.from_parts(
        expression=expression,
        jaw_rotvec_rad=turned["jaw"],
        head_rotvec_rad=np.zeros((len(units), 3), np.float32) if head_rotvec_rad is None else head_rotvec_rad,
        eyes_rotvec_rad=turned["eyes"],
        space="open",
    )


def arkit_from_motion(motion: HeadMotion) -> Float32[np.ndarray, "frame 52"]:
    """Convert motion of the open head to ARKit blendshape weights, the inverse of `motion_from_arkit`.

    Roll of the jaw and of the eyes is dropped, because no ARKit blendshape represents it.

    Raises
    ------
    InputError
        The motion is in another space.
    """
    if motion.space != "open":
        raise InputError(f"motion is in space {motion.space!r}; wanted 'open', which has the ARKit blendshapes")
    units = np.zeros((motion.frames, len(ARKIT_UNITS)), np.float32)
    for unit, slot in UNIT_SLOT.items():
        units[:, ARKIT_UNITS.index(unit)] = motion.expression[:, slot]
    turned = {"jaw": motion.jaw_rotvec_rad, "eyes": motion.eyes_rotvec_rad}
    for unit, (part, column, full_rad) in JOINT_ROTATIONS.items():
        # The sign of the rotation selects one of two opposite units.
        units[:, ARKIT_UNITS.index(unit)] = np.maximum(turned[part][:, column] / full_rad, 0)
    return units
