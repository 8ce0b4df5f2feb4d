"""Frames in which a face tracker lost the face: missing, frozen or jumping; and motion across them.

Trackers write NaN for such frames, repeat the last one, or report a face somewhere else for a moment.
"""

import numpy as np
from jaxtyping import Bool, Float
from scipy.ndimage import median_filter

from dualtalk.geometry.masks import runs
from dualtalk.geometry.resampling import interpolate_curves, interpolate_rotations

# A living face is never equal to the last digit for this long.
SHORTEST_FREEZE_S = 0.3
# Motion that is frozen for more than this share was made so, such as a still pose.
LARGEST_FROZEN_SHARE = 0.5
# A head this far from its median over a second, which got there faster than heads turn (voluntary turns peak at
# about 6 rad/s), and further than usual in this track, is another face or a wrong fit.
JUMP_RAD, JUMP_RAD_S, JUMP_OVER_USUAL = 0.25, 6.0, 6.0
MEDIAN_S = 1.0


def lost_frames(
    head_rotvec_rad: Float[np.ndarray, "frame 3"], others: Float[np.ndarray, "frame coef"], fps: float
) -> dict[str, Bool[np.ndarray, "frame"]]:
    """Masks of lost frames by their kind: "missing", "frozen" and "jumping".

    Parameters
    ----------
    head_rotvec_rad : (frame, 3)
    others : (frame, coef)
        All other coefficients.
    fps : float
    """
    rows = np.concatenate([head_rotvec_rad, others], axis=1)
    missing = ~np.isfinite(rows).all(axis=1)
    repeats = np.zeros(len(rows), bool)
    repeats[1:] = (rows[1:] == rows[:-1]).all(axis=1) & rows[1:].any(axis=1)
    frozen = np.zeros(len(rows), bool)
    for first, end in runs(repeats):
        if end - first >= SHORTEST_FREEZE_S * fps:
            frozen[first:end] = True
    if frozen.mean() > LARGEST_FROZEN_SHARE:
        frozen[:] = False
    return {"missing": missing, "frozen": frozen, "jumping": _jumping(head_rotvec_rad, fps)}


def _jumping(head: np.ndarray, fps: float) -> np.ndarray:
    known = np.isfinite(head).all(axis=1)
    if known.sum() < 2:
        return np.zeros(len(head), bool)
    head = bridge(head, known)
    median = median_filter(head, (2 * round(MEDIAN_S * fps / 2) + 1, 1), mode="nearest")
    away_rad = np.linalg.norm(head - median, axis=1)
    speed = np.linalg.norm(np.diff(head, axis=0, prepend=head[:1]), axis=1) * fps
    fast = np.maximum(speed, np.append(speed[1:], 0.0)) > JUMP_RAD_S
    return known & fast & (away_rad > max(JUMP_RAD, JUMP_OVER_USUAL * float(np.median(away_rad))))


def bridge(
    values: Float[np.ndarray, "frame coef"], valid: Bool[np.ndarray, "frame"], *, rotations: bool = False
) -> Float[np.ndarray, "frame coef"]:
    """Replace frames that are not valid by interpolation between their neighbours; at the ends the nearest is
    held.

    Parameters
    ----------
    rotations : bool
        The coefficients are axis-angle vectors, one joint after the other.
    """
    times = np.arange(len(values), dtype=np.float64)
    known = np.flatnonzero(valid).astype(np.float64)
    if not rotations:
        filled = interpolate_curves(known, values[valid].astype(np.float64), times)
    else:
        joints = [values[valid, first : first + 3].astype(np.float64) for first in range(0, values.shape[1], 3)]
        filled = np.concatenate([interpolate_rotations(known, joint, times) for joint in joints], axis=1)
    return np.where(valid[:, None], values, filled).astype(values.dtype)
