"""Live Link Face recordings as motion of the open head; `dualtalk.io.live_link` reads and writes the files.

The rotation of an eye is Rx(pitch) Ry(yaw) Rz(-roll) in this project's axes: of all compositions, only this one
makes the recorded eyes converge on one point. So pitch is positive downward, yaw is positive to the person's left,
and roll is positive when the crown tilts to the person's left. The head's angles are assumed to be composed in the
same way; no file can confirm that.
"""

import os
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Float64
from scipy.spatial.transform import Rotation

from dualtalk.core import HeadMotion
from dualtalk.geometry.resampling import interpolate_curves, interpolate_rotations
from dualtalk.head.blendshapes import ARKIT_UNITS, arkit_from_motion, motion_from_arkit
from dualtalk.io.live_link import ANGLES, LiveLinkTable, read_live_link_csv, write_live_link_csv
from dualtalk.timebase import DAY_S, MOTION_FPS

# Frames between two rows that are further apart than this are interpolated, not observed.
LONGEST_GAP_S = 0.1


class LiveLinkTake(NamedTuple):
    """A recording as motion, 25 frames a second.

    Attributes
    ----------
    times_s : (frame,)
        Seconds since the take began.
    motion : HeadMotion
        Of the open head, mean identity.
    start_s : float
        Time of day of the first frame.
    valid : (frame,) bool
        Whether the face was observed in that frame, as in `motion.valid`; other frames are interpolated.
    """

    times_s: Float64[np.ndarray, "frame"]
    motion: HeadMotion
    start_s: float
    valid: Bool[np.ndarray, "frame"]


def read_live_link(path: str | os.PathLike) -> LiveLinkTake:
    """Read a CSV file of the app, or of another tool that follows its format, as motion of the open head.

    The eyes take the file's eye rotations, or its eyeLook blendshapes where those rotations are absent or all 0.

    Raises
    ------
    InputError
        See `dualtalk.io.live_link.read_live_link_csv`.
    """
    table = read_live_link_csv(path)
    recorded_s = table.times_s - table.times_s[0]
    times_s = np.arange(int(recorded_s[-1] * MOTION_FPS + 1e-6) + 1) / MOTION_FPS
    head, left_eye, right_eye = (
        interpolate_rotations(recorded_s, _rotvec_rad(angles), times_s)
        for angles in np.split(table.angles_rad, 3, axis=1)
    )
    after = np.searchsorted(recorded_s, times_s - 1e-6).clip(max=len(recorded_s) - 1)
    before = np.searchsorted(recorded_s, times_s + 1e-6, side="right") - 1
    valid = recorded_s[after] - recorded_s[before] <= LONGEST_GAP_S + 1e-6
    motion = motion_from_arkit(interpolate_curves(recorded_s, table.units, times_s), head)
    coefficients, eyes_rotvec_rad = motion.coefficients.copy(), np.concatenate([left_eye, right_eye], axis=1)
    if eyes_rotvec_rad.any():
        coefficients[:, motion.layout.slice_of("eyes")] = eyes_rotvec_rad
    motion = replace(motion, coefficients=coefficients, valid=valid)
    return LiveLinkTake(times_s, motion, float(table.times_s[0] % DAY_S), valid)


def write_live_link(
    path: str | os.PathLike, motion: HeadMotion, *, fps: int = MOTION_FPS, start_s: float = 0.0
) -> None:
    """Write motion as the app would have recorded it, `fps` rows a second, from the time of day `start_s` on.

    At 25 rows a second the open head's motion survives a round trip, except for a jaw that closes beyond rest,
    protrudes or rolls. Other heads' expressions have no ARKit weights: those columns are 0, while the joint
    rotations (head, jaw, eyes) are kept.
    """
    times_s = np.arange(motion.frames) / MOTION_FPS
    at_s = np.arange(int(np.ceil(motion.frames * fps / MOTION_FPS))) / fps
    eyes = motion.eyes_rotvec_rad
    units, angles_rad = np.zeros((len(at_s), len(ARKIT_UNITS))), np.zeros((len(at_s), len(ANGLES)))
    if motion.frames:
        units = interpolate_curves(times_s, arkit_from_motion(as_open(motion)), at_s)
        rotvecs_rad = (motion.head_rotvec_rad, eyes[:, :3], eyes[:, 3:])
        angles = [_angles_rad(interpolate_rotations(times_s, rotvec_rad, at_s)) for rotvec_rad in rotvecs_rad]
        angles_rad = np.concatenate(angles, axis=1)
    write_live_link_csv(path, LiveLinkTable(start_s + at_s, units, angles_rad))


def as_open(motion: HeadMotion) -> HeadMotion:
    """Motion of the open head with the same joint rotations, and without the expression of another head."""
    if motion.space == "open":
        return motion
    return HeadMotion.from_parts(
        expression=np.zeros_like(motion.expression),
        jaw_rotvec_rad=motion.jaw_rotvec_rad,
        head_rotvec_rad=motion.head_rotvec_rad,
        eyes_rotvec_rad=motion.eyes_rotvec_rad,
        space="open",
        valid=motion.valid,
    )


def _rotvec_rad(angles_rad: Float[np.ndarray, "sample 3"]) -> Float[np.ndarray, "sample 3"]:
    """Axis-angle vectors of yaw, pitch and roll."""
    yaw, pitch, roll = angles_rad.T
    return Rotation.from_euler("XYZ", np.stack([pitch, yaw, -roll], axis=1)).as_rotvec()


def _angles_rad(rotvec_rad: Float[np.ndarray, "frame 3"]) -> Float[np.ndarray, "frame 3"]:
    """Yaw, pitch and roll of axis-angle vectors."""
    pitch, yaw, roll = Rotation.from_rotvec(rotvec_rad).as_euler("XYZ").T
    return np.stack([yaw, pitch, -roll], axis=1)
