"""The 52 face units of Apple's ARKit, by name, and which of them the open head's expression slots hold.

ARKit's units are numbers from 0 (rest) to 1 (full). Left and right are the person's own. The open head drives
the jaw's opening and sideways motion and the gaze by joints, as FLAME does; the other 41 units are expression
coefficients 0 to 40, in ARKit's order. Source: Apple's documentation of ARFaceAnchor.BlendShapeLocation.

Rotations: about +x (to the person's left) the jaw opens, the head nods and the eyes look down; about +y (up) the
jaw, the head and the eyes turn to the person's left.
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

# The open head's joint rotations at a full unit, those of the sculpted shapes: the jaw's, and the eyes' as far as
# the lids go with them.
JAW_OPEN_RAD, JAW_SIDE_RAD = 0.318, 0.101
LOOK_DOWN_RAD, LOOK_UP_RAD, LOOK_SIDE_RAD = 0.314, 0.192, 0.384
# Each of these units is a rotation of this many radians on one axis: part of the motion, its column, amount.
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
    """Motion of the open head that shows ARKit's units; the head is upright unless its rotation is given.

    Parameters
    ----------
    units : (frame, 52)
        In the order of `ARKIT_UNITS`, 0 to 1. Opposite looks, and the jaw's two sides, cancel.
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
    """ARKit's units of a motion of the open head: `motion_from_arkit` undone. Rolls of jaw and eyes have no unit.

    Raises
    ------
    InputError
        The motion is of another head.
    """
    if motion.space != "open":
        raise InputError(f"motion is in space {motion.space!r}; only the open head's holds ARKit's units")
    units = np.zeros((motion.frames, len(ARKIT_UNITS)), np.float32)
    for unit, slot in UNIT_SLOT.items():
        units[:, ARKIT_UNITS.index(unit)] = motion.expression[:, slot]
    turned = {"jaw": motion.jaw_rotvec_rad, "eyes": motion.eyes_rotvec_rad}
    for unit, (part, column, full_rad) in JOINT_ROTATIONS.items():
        # Of two opposite units, the one that the rotation's sign asks for.
        units[:, ARKIT_UNITS.index(unit)] = np.maximum(turned[part][:, column] / full_rad, 0)
    return units
