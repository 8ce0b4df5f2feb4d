"""Are the lips in time with the reference's and with the sound? Both curves may differ in size.

Lip displacement is how far upper and lower lip are from rest, or the gap between them, in metres a frame.
Closure at p, b, m and in silence is in `lips`, and
movement in silence in `transitions`. Source of MTM and SLCC: Chae-Yeon et al. 2025, "Perceptually
accurate 3D talking head generation" (arXiv 2503.20308); details they leave open are decided here.
"""

import numpy as np
from jaxtyping import Bool, Float
from scipy.signal import find_peaks

from dualtalk.metrics.dtw import slope, warp
from dualtalk.metrics.validation import frames_chosen, same_shape
from dualtalk.timebase import MOTION_FPS

Curve = Float[np.ndarray, "_frame"]

# Ours: a turn of the lips smaller than this is tracking noise; no viewer takes movements further apart than
# the warping's reach for the same one; and the path leads this near to the extremum it means.
LEAST_TURN_M = 0.0005
WARPING_REACH_S = 0.6
PATH_ERROR_S = 0.12


def mean_temporal_misalignment_ms(
    reference: Float[np.ndarray, "_frame _lip"], prediction: Float[np.ndarray, "_frame _lip"]
) -> float:
    """Mean temporal misalignment (MTM): mean over the lips' extrema of |when predicted - when in the reference|.

    Extrema, each a turn of at least 0.5 mm, go together where derivative dynamic time warping says so and both
    are maxima or both minima; those without a counterpart are left out. Milliseconds, lower is better; perfect
    is 0; blind to offset, and to scale as far as the same turns remain. NaN where no extremum has a counterpart.

    Parameters
    ----------
    reference, prediction : (frame, lip)
        Displacement of each lip in metres: upper and lower, or a single column with the gap.
    """
    one, two = same_shape(reference, prediction, ("frame", "lip"))
    offsets = [_offsets(own, made) for own, made in zip(one.T, two.T, strict=True)]
    frames = np.concatenate(offsets)
    return float(np.abs(frames).mean() * 1000 / MOTION_FPS) if len(frames) else np.nan


def _offsets(reference: Curve, prediction: Curve) -> Float[np.ndarray, "extremum"]:
    """Frames by which the prediction's extrema come after the reference's."""
    steepness = [slope(curve) for curve in (reference, prediction)]
    # Slopes of unit size, so that small lips are matched by their shape too.
    steepness = [s / (np.sqrt((s**2).mean()) or 1.0) for s in steepness]
    cost = (steepness[0][:, None] - steepness[1][None]) ** 2
    path = warp(cost, round(WARPING_REACH_S * MOTION_FPS)).path
    visits = np.bincount(path[:, 0], minlength=len(reference))
    leads_to = np.bincount(path[:, 0], weights=path[:, 1], minlength=len(reference)) / visits
    offsets = []
    for sign in (1, -1):
        own, made = (find_peaks(sign * c, prominence=LEAST_TURN_M)[0] for c in (reference, prediction))
        if len(own) and len(made):
            apart = np.abs(leads_to[own][:, None] - made[None])
            matched = apart.min(axis=1) <= PATH_ERROR_S * MOTION_FPS
            offsets.append(made[apart.argmin(axis=1)][matched] - own[matched])
    return np.concatenate([np.zeros(0), *offsets])


def slcc(loudness_db: Curve, displacement_m: Curve, frames: Bool[np.ndarray, "_frame"] | None = None) -> float:
    """Speech-lip intensity correlation (SLCC): Pearson's r of z-scored loudness and lip displacement.

    In [-1, 1]; nearer to the reference's own is better, see `slcc_error`. Blind to offset and positive scale of
    either. NaN where, over the frames chosen, either never changes, as in silence.
    """
    loudness, displacement = same_shape(loudness_db, displacement_m, ("frame",))
    chosen = frames_chosen(frames, len(loudness), "frames to measure")
    loudness, displacement = loudness[chosen], displacement[chosen]
    if len(loudness) < 2 or not (np.ptp(loudness) and np.ptp(displacement)):
        return np.nan
    return float(np.corrcoef(loudness, displacement)[0, 1])


def slcc_error(
    loudness_db: Curve, reference_m: Curve, prediction_m: Curve, frames: Bool[np.ndarray, "_frame"] | None = None
) -> float:
    """|SLCC of the prediction - SLCC of the reference|, in [0, 2], lower is better; perfect is 0."""
    return abs(slcc(loudness_db, prediction_m, frames) - slcc(loudness_db, reference_m, frames))
