"""Motion at another frame rate, or at given times: linear for curves, spherical linear (slerp) for rotations.

`resample_*` convert a sequence to another frame rate; `interpolate_*` evaluate timed samples at other times.
Nothing is low-pass filtered: motion faster than half the new rate aliases.
"""

import numpy as np
from jaxtyping import Float, Float64
from scipy.spatial.transform import Rotation, Slerp


def resample_curves(
    curves: Float[np.ndarray, "frame coef"], fps: float, new_fps: float
) -> Float[np.ndarray, "new_frame coef"]:
    """Resample linearly between the middles of frames.

    A NaN spreads to every new frame whose interpolation involves it. The result has as many whole frames of
    `new_fps` as the input lasts.
    """
    positions = _positions(len(curves), fps, new_fps)
    before = np.floor(positions).astype(int)
    after = np.minimum(before + 1, len(curves) - 1)
    share = (positions - before)[:, None]
    return np.where(share == 0, curves[before], (1 - share) * curves[before] + share * curves[after])


def resample_rotations(
    rotvecs_rad: Float[np.ndarray, "frame 3"], fps: float, new_fps: float
) -> Float[np.ndarray, "new_frame 3"]:
    """Resample axis-angle vectors by slerp between the middles of frames; NaN as in `resample_curves`."""
    positions = _positions(len(rotvecs_rad), fps, new_fps)
    if len(rotvecs_rad) < 2:
        return np.repeat(rotvecs_rad, len(positions), axis=0)
    filled = np.nan_to_num(rotvecs_rad, nan=0.0)
    rotated = Slerp(np.arange(len(filled)), Rotation.from_rotvec(filled))(positions).as_rotvec()
    missing = np.isnan(resample_curves(rotvecs_rad, fps, new_fps))
    return np.where(missing, np.nan, rotated)


def _positions(frames: int, fps: float, new_fps: float) -> np.ndarray:
    """Middle of each new frame, in old frames from the middle of the first old frame."""
    new_frames = int(frames / fps * new_fps + 1e-6)
    middles_s = (np.arange(new_frames) + 0.5) / new_fps
    return np.clip(middles_s * fps - 0.5, 0, frames - 1)


def interpolate_curves(
    times_s: Float64[np.ndarray, "sample"],
    curves: Float[np.ndarray, "sample coef"],
    at_s: Float64[np.ndarray, "frame"],
) -> Float64[np.ndarray, "frame coef"]:
    """Evaluate samples taken at `times_s` (strictly ascending) at the times `at_s`, linearly.

    Before the first sample and after the last one, the nearest sample is held.
    """
    columns = [np.interp(at_s, times_s, column) for column in curves.T]
    return np.stack(columns, axis=1) if columns else np.zeros((len(at_s), 0))


def interpolate_rotations(
    times_s: Float64[np.ndarray, "sample"],
    rotvecs_rad: Float[np.ndarray, "sample 3"],
    at_s: Float64[np.ndarray, "frame"],
) -> Float64[np.ndarray, "frame 3"]:
    """As `interpolate_curves`, for axis-angle vectors: slerp along the shorter arc (Shoemake 1985, "Animating
    rotation with quaternion curves", section 3.3)."""
    if len(times_s) == 1:
        return np.repeat(rotvecs_rad.astype(np.float64), len(at_s), axis=0)
    slerp = Slerp(times_s, Rotation.from_rotvec(rotvecs_rad))
    return slerp(np.clip(at_s, times_s[0], times_s[-1])).as_rotvec()
