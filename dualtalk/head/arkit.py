"""The 52 face units of Apple's ARKit, by name, and which of them the open head's expression slots hold.

ARKit's units are numbers from 0 (rest) to 1 (full). Left and right are the person's own. The open head drives
the jaw's opening and sideways motion and the gaze by joints, as FLAME does; the other 41 units are expression
coefficients 0 to 40, in ARKit's order. Source: Apple's documentation of ARFaceAnchor.BlendShapeLocation.
"""

ARKIT_UNITS = (
    *("eyeBlinkLeft", "eyeLookDownLeft", "eyeLookInLeft", "eyeLookOutLeft", "eyeLookUpLeft"),
    *("eyeSquintLeft", "eyeWideLeft"),
    *("eyeBlinkRight", "eyeLookDownRight", "eyeLookInRight", "eyeLookOutRight", "eyeLookUpRight"),
    *("eyeSquintRight", "eyeWideRight"),
    *("jawForward", "jawLeft", "jawRight", "jawOpen"),
    *("mouthClose", "mouthFunnel", "mouthPucker", "mouthLeft", "mouthRight"),
    *("mouthSmileLeft", "mouthSmileRight", "mouthFrownLeft", "mouthFrownRight"),
    *("mouthDimpleLeft", "mouthDimpleRight", "mouthStretchLeft", "mouthStretchRight"),
    *("mouthRollLower", "mouthRollUpper", "mouthShrugLower", "mouthShrugUpper"),
    *("mouthPressLeft", "mouthPressRight", "mouthLowerDownLeft", "mouthLowerDownRight"),
    *("mouthUpperUpLeft", "mouthUpperUpRight"),
    *("browDownLeft", "browDownRight", "browInnerUp", "browOuterUpLeft", "browOuterUpRight"),
    *("cheekPuff", "cheekSquintLeft", "cheekSquintRight"),
    *("noseSneerLeft", "noseSneerRight"),
    "tongueOut",
)
JAW_JOINT_UNITS = ("jawLeft", "jawRight", "jawOpen")
EYE_JOINT_UNITS = tuple(unit for unit in ARKIT_UNITS if unit.startswith("eyeLook"))
EXPRESSION_UNITS = tuple(unit for unit in ARKIT_UNITS if unit not in JAW_JOINT_UNITS + EYE_JOINT_UNITS)
UNIT_SLOT = {unit: slot for slot, unit in enumerate(EXPRESSION_UNITS)}
