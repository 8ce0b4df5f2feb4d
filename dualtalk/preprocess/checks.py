"""Is it motion? A corpus's arrays, looked at and brought to a `HeadMotion`.

What is wrong beyond doubt is refused; what can be mended is mended and noted. Frames with NaN become invalid:
they hold the nearest good frame, and nothing learns from them.
"""

from collections.abc import Mapping

import numpy as np

from dualtalk.core import EXPRESSION_COEFFICIENTS, LARGEST_ROTATION_RAD, HeadMotion, Space
from dualtalk.errors import InputError
from dualtalk.geometry.resampling import resample_curves, resample_rotations
from dualtalk.timebase import MOTION_FPS

# A jaw hardly turns about y and z. Tracked talkers' jaws do so a sixth to two fifths as much as their heads (eight
# tracks of two trackers); five times that, and by more than a jaw can, says that the two are exchanged.
SWAPPED_RATIO, SWAPPED_SD_RAD, SWAPPED_FRAMES = 2.0, 0.02, 50
# Expression coefficients are of unit variance; ten deviations are not a face.
LARGEST_EXPRESSION = 30.0


def checked_motion(
    arrays: Mapping[str, np.ndarray], fps: float, space: Space
) -> tuple[HeadMotion | None, dict[str, np.ndarray], list[str]]:
    """A person's motion at 25 frames a second.

    Parameters
    ----------
    arrays : mapping
        `exp` (T, 50 or more), `pose` (T, 6) = head, jaw, and what else the corpus keeps.
    fps : float
        Of the arrays.

    Returns
    -------
    motion, further, notes
        No motion where no frame is valid. `further` are the arrays a frame that a `HeadMotion` does not hold, as
        they were; none where the motion was resampled.

    Raises
    ------
    InputError
        Missing or misshapen arrays, degrees for radians, jaw and head exchanged.
    """
    notes: list[str] = []
    exp, pose, eyes = _core(arrays, notes)
    _refuse_degrees(pose, eyes)
    further = {
        key: array
        for key, array in arrays.items()
        if key not in ("exp", "pose", "eyes", "fps", "space", "layout", "valid") and _is_kept(key, array, len(exp))
    }
    if exp.shape[1] > EXPRESSION_COEFFICIENTS:
        further["exp"] = exp
    if fps != MOTION_FPS:
        notes.append(f"resampled from {fps:g} frames a second")
        further = {}
        exp = resample_curves(exp, fps, float(MOTION_FPS))
        pose, eyes = (_resampled_rotations(one, fps) for one in (pose, eyes))
    valid = np.isfinite(exp).all(axis=1) & np.isfinite(pose).all(axis=1)
    if eyes is not None:
        valid &= np.isfinite(eyes).all(axis=1)
    if "valid" in arrays and fps == MOTION_FPS:
        valid &= np.asarray(arrays["valid"], bool)
    if not valid.any():
        return None, {}, [*notes, "no frame of its motion is valid"]
    if not valid.all():
        notes.append(f"{int((~valid).sum())} of {len(valid)} frames are invalid")
        exp, pose, eyes = (None if one is None else _filled(one, valid) for one in (exp, pose, eyes))
    _refuse_swapped(pose[valid])
    largest = float(np.abs(exp[valid]).max())
    if largest > LARGEST_EXPRESSION:
        raise InputError(f"exp reaches {largest:.0f}; wanted coefficients of about unit variance")
    motion = HeadMotion.from_parts(
        expression=exp[:, :EXPRESSION_COEFFICIENTS],
        head_rotvec_rad=pose[:, :3],
        jaw_rotvec_rad=pose[:, 3:],
        eyes_rotvec_rad=eyes,
        space=space,
        identity=_identity(arrays.get("shape")),
        valid=valid,
    )
    return motion, further, notes


def _core(arrays: Mapping[str, np.ndarray], notes: list[str]) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    for key in ("exp", "pose"):
        if key not in arrays:
            raise InputError(f"no array {key}; there are {', '.join(sorted(arrays))}")
    core = {key: np.asarray(arrays[key]) for key in ("exp", "pose", "eyes") if key in arrays}
    frames = len(core["exp"]) if core["exp"].ndim else 0
    wanted = {"exp": f"(T, {EXPRESSION_COEFFICIENTS} or more)", "pose": f"({frames}, 6)", "eyes": f"({frames}, 6)"}
    for key, array in core.items():
        fits = array.ndim == 2 and (
            array.shape[1] >= EXPRESSION_COEFFICIENTS if key == "exp" else array.shape == (frames, 6)
        )
        if not fits or not frames:
            raise InputError(f"{key} has shape {array.shape}; wanted {wanted[key]}")
        if array.dtype.kind not in "fiu":
            raise InputError(f"{key} holds {array.dtype}; wanted numbers")
        if array.dtype != np.float32:
            notes.append(f"{key} was {array.dtype}, now float32")
            core[key] = array.astype(np.float32)
    return core["exp"], core["pose"], core.get("eyes")


def _is_kept(key: str, array: np.ndarray, frames: int) -> bool:
    """A row a frame and plain numbers; `shape` of one row goes into the motion's identity."""
    return array.ndim >= 1 and len(array) == frames and array.dtype.kind in "fiub"


def _refuse_degrees(pose: np.ndarray, eyes: np.ndarray | None) -> None:
    parts = {"head": pose[:, :3], "jaw": pose[:, 3:]}
    if eyes is not None:
        parts |= {"left eye": eyes[:, :3], "right eye": eyes[:, 3:]}
    for part, rotvecs in parts.items():
        norms = np.linalg.norm(rotvecs, axis=1)
        largest = float(norms[np.isfinite(norms)].max(initial=0.0))
        if largest > LARGEST_ROTATION_RAD:
            raise InputError(f"{part} turns by {largest:.1f} rad; were degrees passed for radians?")


def _refuse_swapped(pose: np.ndarray) -> None:
    if len(pose) < SWAPPED_FRAMES:
        return
    head, jaw = (float(np.sqrt(part[:, 1:].var(axis=0).mean())) for part in (pose[:, :3], pose[:, 3:]))
    if jaw > SWAPPED_SD_RAD and jaw > SWAPPED_RATIO * head:
        raise InputError(
            f"the jaw turns sideways by {jaw:.3f} rad and the head by {head:.3f}; are they exchanged? wanted a "
            "pose of head rotation, then jaw"
        )


def _resampled_rotations(rotvecs: np.ndarray | None, fps: float) -> np.ndarray | None:
    if rotvecs is None:
        return None
    parts = [
        resample_rotations(rotvecs[:, first : first + 3].astype(float), fps, float(MOTION_FPS)) for first in (0, 3)
    ]
    return np.concatenate(parts, axis=1).astype(np.float32)


def _filled(array: np.ndarray, valid: np.ndarray) -> np.ndarray:
    """Each invalid row as the nearest valid one."""
    good = np.flatnonzero(valid)
    places = np.arange(len(array))
    after = np.minimum(np.searchsorted(good, places), len(good) - 1)
    before = np.maximum(after - 1, 0)
    nearer = np.where(np.abs(good[before] - places) <= np.abs(good[after] - places), good[before], good[after])
    return array[nearer]


def _identity(shape: np.ndarray | None) -> np.ndarray | None:
    if shape is None:
        return None
    coefficients = np.nan_to_num(np.nanmean(np.atleast_2d(np.asarray(shape, float)), axis=0))[:300]
    return np.pad(coefficients, (0, 300 - len(coefficients))).astype(np.float32)
