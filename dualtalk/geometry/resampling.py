"""Motion at another frame rate, or at any moments: numbers along straight lines, rotations along great arcs.

Nothing is filtered: what moves faster than half the new rate folds into slower motion.
"""

import numpy as np
from jaxtyping import Float, Float64
from scipy.spatial.transform import Rotation, Slerp


def frames_at(frames: int, fps: float, new_fps: float) -> int:
    """Whole frames of `new_fps` that `frames` of `fps` last."""
    return int(frames / fps * new_fps + 1e-6)


def resample_curves(
    curves: Float[np.ndarray, "frame coef"], fps: float, new_fps: float
) -> Float[np.ndarray, "new_frame coef"]:
    """Straight lines between the middles of frames; NaN spreads to every frame that touches one."""
    places = _places(len(curves), fps, new_fps)
    before = np.floor(places).astype(int)
    after = np.minimum(before + 1, len(curves) - 1)
    share = (places - before)[:, None]
    return np.where(share == 0, curves[before], (1 - share) * curves[before] + share * curves[after])


def resample_rotations(
    rotvecs_rad: Float[np.ndarray, "frame 3"], fps: float, new_fps: float
) -> Float[np.ndarray, "new_frame 3"]:
    """Axis-angle vectors, turned at an even speed between the middles of frames; NaN as in `resample_curves`."""
    places = _places(len(rotvecs_rad), fps, new_fps)
    if len(rotvecs_rad) < 2:
        return np.repeat(rotvecs_rad, len(places), axis=0)
    known = np.nan_to_num(rotvecs_rad, nan=0.0)
    turned = Slerp(np.arange(len(known)), Rotation.from_rotvec(known))(places).as_rotvec()
    holes = np.isnan(resample_curves(rotvecs_rad, fps, new_fps))
    return np.where(holes, np.nan, turned)


def _places(frames: int, fps: float, new_fps: float) -> np.ndarray:
    """Where the middle of each new frame lies, in frames from the middle of the first."""
    middles_s = (np.arange(frames_at(frames, fps, new_fps)) + 0.5) / new_fps
    return np.clip(middles_s * fps - 0.5, 0, frames - 1)


def curves_at(
    times_s: Float64[np.ndarray, "sample"],
    curves: Float[np.ndarray, "sample coef"],
    at_s: Float64[np.ndarray, "frame"],
) -> Float64[np.ndarray, "frame coef"]:
    """What was recorded at `times_s`, which ascend strictly, as it was at `at_s`. At either end
    the last value holds."""
    columns = [np.interp(at_s, times_s, column) for column in curves.T]
    return np.stack(columns, axis=1) if columns else np.zeros((len(at_s), 0))


def rotations_at(
    times_s: Float64[np.ndarray, "sample"],
    rotvecs_rad: Float[np.ndarray, "sample 3"],
    at_s: Float64[np.ndarray, "frame"],
) -> Float64[np.ndarray, "frame 3"]:
    """As `curves_at`, turned at an even speed about one axis, the shorter way round (slerp; Shoemake 1985,
    "Animating rotation with quaternion curves", section 3.3)."""
    if len(times_s) == 1:
        return np.repeat(rotvecs_rad.astype(np.float64), len(at_s), axis=0)
    turning = Slerp(times_s, Rotation.from_rotvec(rotvecs_rad))
    return turning(np.clip(at_s, times_s[0], times_s[-1])).as_rotvec()
