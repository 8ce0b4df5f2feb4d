"""Motion at other moments than those it was recorded at: straight lines for numbers, great arcs for rotations.

Moments are seconds, and those of a recording ascend strictly. Before the first and after the last recorded moment
its value holds. Nothing is filtered: what moves faster than half the new rate folds into slower motion.
"""

import numpy as np
from jaxtyping import Float, Float64
from scipy.spatial.transform import Rotation, Slerp


def resample_linear(
    times_s: Float64[np.ndarray, "sample"],
    values: Float[np.ndarray, "sample coef"],
    at_s: Float64[np.ndarray, "frame"],
) -> Float64[np.ndarray, "frame coef"]:
    """Values at `at_s`, on straight lines between the recorded ones."""
    columns = [np.interp(at_s, times_s, column) for column in values.T]
    return np.stack(columns, axis=1) if columns else np.zeros((len(at_s), 0))


def resample_rotations(
    times_s: Float64[np.ndarray, "sample"],
    rotvec_rad: Float[np.ndarray, "sample 3"],
    at_s: Float64[np.ndarray, "frame"],
) -> Float64[np.ndarray, "frame 3"]:
    """Rotations at `at_s`, each turned at constant speed about one axis (slerp; Shoemake 1985, "Animating
    rotation with quaternion curves", section 3.3), the shorter way round."""
    if len(times_s) == 1:
        return np.repeat(rotvec_rad.astype(np.float64), len(at_s), axis=0)
    turning = Slerp(times_s, Rotation.from_rotvec(rotvec_rad))
    return turning(np.clip(at_s, times_s[0], times_s[-1])).as_rotvec()
