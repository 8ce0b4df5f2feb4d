"""Motion as the arrays that programs with a FLAME head read."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32

from dualtalk.core import EXPRESSION_COEFFICIENTS, IDENTITY_COEFFICIENTS, HeadMotion
from dualtalk.errors import InputError
from dualtalk.export.contents import Export
from dualtalk.head.blendshapes import UNIT_SLOT

# The number of expression coefficients of a FLAME file; most programs read all of them.
FLAME_EXPRESSIONS = 100
BLINKS = ("eyeBlinkLeft", "eyeBlinkRight")


@dataclass(frozen=True, eq=False)
class FlameTrack:
    """FLAME's parameters of one participant, float32; rotations are axis-angle in radians.

    Attributes
    ----------
    expression : (frame, 100)
        Zero from coefficient 50 on.
    shape : (300,)
    head_rotvec_rad, jaw_rotvec_rad : (frame, 3)
        The head turns about FLAME's neck joint.
    eyes_rotvec_rad : (frame, 6)
        Left, then right.
    eyelids : (frame, 2)
        How far the left and the right lid is closed, 0 to 1. FLAME has no blendshapes for it; some trackers add
        them. Zero for FLAME motion.
    neck_m : (3,)
        The neck joint of the head with this shape.
    """

    expression: Float32[np.ndarray, "frame 100"]
    shape: Float32[np.ndarray, "300"]
    head_rotvec_rad: Float32[np.ndarray, "frame 3"]
    jaw_rotvec_rad: Float32[np.ndarray, "frame 3"]
    eyes_rotvec_rad: Float32[np.ndarray, "frame 6"]
    eyelids: Float32[np.ndarray, "frame 2"]
    neck_m: Float32[np.ndarray, "3"]

    @property
    def frames(self) -> int:
        return len(self.expression)

    @property
    def full_pose_rad(self) -> Float32[np.ndarray, "frame 15"]:
        """Root (zero), neck, jaw, left eye, right eye."""
        root = np.zeros_like(self.head_rotvec_rad)
        parts = (root, self.head_rotvec_rad, self.jaw_rotvec_rad, self.eyes_rotvec_rad)
        return np.concatenate(parts, axis=1)


def flame_tracks(
    export: Export, *, eyelids: bool = False, needs_neck: bool = False
) -> tuple[dict[str, FlameTrack], list[str]]:
    """FLAME's parameters of each participant, and notes.

    Parameters
    ----------
    eyelids : bool
        Whether the format has eyelids: blinks of the open head are then left out of the expression.
    needs_neck : bool
        Whether the format needs the position of the neck joint.

    Raises
    ------
    InputError
        `needs_neck` without a FLAME file.
    """
    if needs_neck and export.head.space != "flame":
        raise InputError(
            "this format turns the camera or the head about FLAME's neck joint; pass --head with your FLAME file"
        )
    motions, notes = export.flame_motions(without=BLINKS if eyelids else ())
    return {label: _track(export, own, motions[label], eyelids) for label, own in export.motions.items()}, notes


def _track(export: Export, own: HeadMotion, motion: HeadMotion, eyelids: bool) -> FlameTrack:
    expression = np.zeros((motion.frames, FLAME_EXPRESSIONS), np.float32)
    expression[:, :EXPRESSION_COEFFICIENTS] = motion.expression
    lids = np.zeros((motion.frames, len(BLINKS)), np.float32)
    if eyelids and own.space == "open":
        lids = np.clip(own.expression[:, [UNIT_SLOT[unit] for unit in BLINKS]], 0, 1)
    shape = motion.identity.astype(np.float32)
    return FlameTrack(
        expression=expression,
        shape=shape,
        head_rotvec_rad=motion.head_rotvec_rad,
        jaw_rotvec_rad=motion.jaw_rotvec_rad,
        eyes_rotvec_rad=motion.eyes_rotvec_rad,
        eyelids=lids,
        neck_m=_neck_m(export, shape),
    )


def _neck_m(export: Export, shape: Float32[np.ndarray, "300"]) -> Float32[np.ndarray, "3"]:
    if export.head.space != "flame":
        return np.zeros(3, np.float32)
    arrays = export.skinned_head.arrays
    rest_m = arrays.v_template + arrays.shapedirs[..., :IDENTITY_COEFFICIENTS] @ shape
    return (arrays.J_regressor[1] @ rest_m).astype(np.float32)
