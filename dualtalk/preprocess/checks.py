"""Validation of a corpus's motion arrays and their conversion to a `HeadMotion`.

Arrays that are certainly wrong are refused. Defects that can be repaired are repaired and noted. Frames with NaN
or infinity, and frames in which the tracker lost the face, become invalid: they are interpolated, and neither
training nor metrics use them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from dualtalk.core import EXPRESSION_COEFFICIENTS, IDENTITY_COEFFICIENTS, HeadMotion, Space, require_radians
from dualtalk.core.validation import require_coefficients
from dualtalk.errors import InputError
from dualtalk.geometry.resampling import resample_curves, resample_rotations
from dualtalk.geometry.tracking import bridge, lost_frames
from dualtalk.timebase import MOTION_FPS

# A jaw hardly turns about y and z: in eight tracks of two face trackers, the jaw's standard deviation about these
# axes is 1/6 to 2/5 of the head's. Five times the largest ratio, together with a deviation that no jaw reaches,
# indicates that head and jaw are swapped.
SWAPPED_RATIO, SWAPPED_SD_RAD, SWAPPED_MIN_FRAMES = 2.0, 0.02, 50
# Arrays that `HeadMotion` stores itself.
MOTION_ARRAYS = ("exp", "pose", "eyes", "fps", "space", "layout", "valid")


@dataclass(frozen=True, eq=False)
class CheckedMotion:
    """The result of `check_motion`.

    Attributes
    ----------
    motion : HeadMotion or None
        None if no frame is valid.
    further_arrays : dict
        Unchanged per-frame arrays that a `HeadMotion` does not store; empty if the motion was resampled.
    notes : list of str
        Repairs, one sentence each.
    frames_read : int
        Frames of the arrays, at their own rate.
    """

    motion: HeadMotion | None
    further_arrays: dict[str, np.ndarray] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    frames_read: int = 0

    @property
    def required_motion(self) -> HeadMotion:
        """`motion`, where it must not be None.

        Raises
        ------
        InputError
            No frame is valid.
        """
        if self.motion is None:
            raise InputError("no frame of the motion is valid")
        return self.motion


def check_motion(arrays: Mapping[str, np.ndarray], fps: float, space: Space) -> CheckedMotion:
    """Validate one person's motion arrays and convert them to 25 frames a second.

    Parameters
    ----------
    arrays : mapping
        `exp` (T, 50 or more); `pose` (T, 6) = head rotation, jaw rotation, axis-angle in radians; optionally
        `eyes` (T, 6), `shape`, `valid` (T,) and others.
    fps : float
        Frame rate of the arrays.

    Raises
    ------
    InputError
        Arrays are missing or have the wrong shape, rotations are in degrees, or jaw and head are swapped.
    """
    notes: list[str] = []
    exp, pose, eyes = _required_arrays(arrays, notes)
    frames_read = len(exp)
    for part, rotvecs in (("head", pose[:, :3]), ("jaw", pose[:, 3:]), ("eyes", eyes)):
        if rotvecs is not None:
            require_radians(part, rotvecs)
    further = {
        key: array for key, array in arrays.items() if key not in MOTION_ARRAYS and _is_per_frame(array, len(exp))
    }
    if exp.shape[1] > EXPRESSION_COEFFICIENTS:
        further["exp"] = exp
    exp, pose, eyes = _without_lost_frames(exp, pose, eyes, fps, notes)
    if fps != MOTION_FPS:
        notes.append(f"resampled from {fps:g} frames a second")
        further = {}
        exp = resample_curves(exp, fps, float(MOTION_FPS))
        pose = _resample_rotations(pose, fps)
        eyes = None if eyes is None else _resample_rotations(eyes, fps)
    valid = np.isfinite(exp).all(axis=1) & np.isfinite(pose).all(axis=1)
    if eyes is not None:
        valid &= np.isfinite(eyes).all(axis=1)
    if "valid" in arrays and fps == MOTION_FPS:
        valid &= np.asarray(arrays["valid"], bool)
    if not valid.any():
        return CheckedMotion(None, notes=[*notes, "no frame of the motion is valid"], frames_read=frames_read)
    if not valid.all():
        notes.append(f"{int((~valid).sum())} of {len(valid)} frames are invalid")
        exp, pose = bridge(exp, valid), bridge(pose, valid, rotations=True)
        eyes = None if eyes is None else bridge(eyes, valid, rotations=True)
    _refuse_swapped_pose(pose[valid])
    require_coefficients("exp", exp[valid])
    motion = HeadMotion.from_parts(
        expression=exp[:, :EXPRESSION_COEFFICIENTS],
        head_rotvec_rad=pose[:, :3],
        jaw_rotvec_rad=pose[:, 3:],
        eyes_rotvec_rad=eyes,
        space=space,
        identity=_mean_identity(arrays.get("shape")),
        valid=valid,
    )
    return CheckedMotion(motion, further, notes, frames_read)


def _required_arrays(
    arrays: Mapping[str, np.ndarray], notes: list[str]
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """`exp`, `pose` and `eyes` (None if absent) as float32."""
    for key in ("exp", "pose"):
        if key not in arrays:
            raise InputError(f"no array {key}; the arrays are {', '.join(sorted(arrays))}")
    found = {key: np.asarray(arrays[key]) for key in ("exp", "pose", "eyes") if key in arrays}
    frames = len(found["exp"]) if found["exp"].ndim else 0
    shapes = {"exp": f"(T, {EXPRESSION_COEFFICIENTS} or more)", "pose": f"({frames}, 6)", "eyes": f"({frames}, 6)"}
    for key, array in found.items():
        fits = array.ndim == 2 and (
            array.shape[1] >= EXPRESSION_COEFFICIENTS if key == "exp" else array.shape == (frames, 6)
        )
        if not fits or not frames:
            raise InputError(f"{key} has shape {array.shape}; wanted {shapes[key]}")
        if array.dtype.kind not in "fiu":
            raise InputError(f"{key} has dtype {array.dtype}; wanted numbers")
        if array.dtype != np.float32:
            notes.append(f"{key} was {array.dtype}, now float32")
            found[key] = array.astype(np.float32)
    return found["exp"], found["pose"], found.get("eyes")


def _is_per_frame(array: np.ndarray, frames: int) -> bool:
    """One row a frame, of plain numbers. (A `shape` of one row becomes the motion's identity.)"""
    return array.ndim >= 1 and len(array) == frames and array.dtype.kind in "fiub"


def _refuse_swapped_pose(pose: np.ndarray) -> None:
    if len(pose) < SWAPPED_MIN_FRAMES:
        return
    head_sd, jaw_sd = (float(np.sqrt(part[:, 1:].var(axis=0).mean())) for part in (pose[:, :3], pose[:, 3:]))
    if jaw_sd > SWAPPED_SD_RAD and jaw_sd > SWAPPED_RATIO * head_sd:
        raise InputError(
            f"about y and z the jaw's standard deviation is {jaw_sd:.3f} rad and the head's {head_sd:.3f}; are "
            "they swapped? wanted a pose of head rotation, then jaw rotation"
        )


def _resample_rotations(rotvecs: np.ndarray, fps: float) -> np.ndarray:
    parts = [
        resample_rotations(rotvecs[:, first : first + 3].astype(float), fps, float(MOTION_FPS)) for first in (0, 3)
    ]
    return np.concatenate(parts, axis=1).astype(np.float32)


def _without_lost_frames(
    exp: np.ndarray, pose: np.ndarray, eyes: np.ndarray | None, fps: float, notes: list[str]
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """The arrays with NaN where the tracker lost the face, and a note that counts these frames."""
    others = [exp, pose[:, 3:]] if eyes is None else [exp, pose[:, 3:], eyes]
    masks = lost_frames(pose[:, :3], np.concatenate(others, axis=1), fps)
    counts = [f"{int(mask.sum())} {kind}" for kind, mask in masks.items() if kind != "missing" and mask.any()]
    if not counts:
        return exp, pose, eyes
    notes.append(f"the tracker lost the face: {', '.join(counts)} frames")
    lost = (masks["frozen"] | masks["jumping"])[:, None]
    exp, pose = np.where(lost, np.nan, exp), np.where(lost, np.nan, pose)
    return exp, pose, None if eyes is None else np.where(lost, np.nan, eyes)


def _mean_identity(shape: np.ndarray | None) -> np.ndarray | None:
    if shape is None:
        return None
    coefficients = np.nan_to_num(np.nanmean(np.atleast_2d(np.asarray(shape, float)), axis=0))
    coefficients = coefficients[:IDENTITY_COEFFICIENTS]
    return np.pad(coefficients, (0, IDENTITY_COEFFICIENTS - len(coefficients))).astype(np.float32)
