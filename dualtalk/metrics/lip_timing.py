"""Lip-sync timing: against the ground truth (MTM) and against the audio (SLCC).

Lip displacement is the distance of each lip from its rest position, or the aperture between the lips, in metres.
Source of MTM and SLCC: Chae-Yeon et al. 2025, "Perceptually accurate 3D talking head generation" (arXiv
2503.20308); what the paper leaves open is decided here.
"""

import numpy as np
from jaxtyping import Bool, Float
from scipy.signal import find_peaks

from dualtalk.metrics.arrays import Curve
from dualtalk.metrics.dtw import align, derivative
from dualtalk.metrics.validation import frame_mask, same_shape
from dualtalk.timebase import MOTION_FPS

# Smaller extrema are tracking noise.
MIN_PROMINENCE_M = 0.0005
# Extrema further apart than this are not the same lip movement.
BAND_S = 0.6
# How far from an extremum the warping path may lead for the two to be matched.
MATCH_TOLERANCE_S = 0.12


def mean_temporal_misalignment_s(
    ground_truth: Float[np.ndarray, "_frame _lip"], prediction: Float[np.ndarray, "_frame _lip"]
) -> float:
    """Mean temporal misalignment (MTM): mean |time in the prediction - time in the ground truth| of lip extrema.

    Extrema with a prominence of at least 0.5 mm are matched by derivative dynamic time warping, maxima with maxima
    and minima with minima; unmatched extrema are left out. Seconds, in [0, inf), lower is better, ideal 0. It
    ignores offset, and scale as long as the same extrema remain. NaN if no extremum is matched.

    Parameters
    ----------
    ground_truth, prediction : (frame, lip)
        Displacement of each lip in metres: upper and lower lip, or one column with the aperture.
    """
    one, two = same_shape(ground_truth, prediction, ("frame", "lip"))
    lags = np.concatenate([_matched_lags(*curves) for curves in zip(one.T, two.T, strict=True)])
    return float(np.abs(lags).mean() / MOTION_FPS) if len(lags) else np.nan


def _matched_lags(ground_truth: Curve, prediction: Curve) -> Float[np.ndarray, "extremum"]:
    """Frames by which each matched extremum of the prediction is late."""
    slopes = [derivative(curve) for curve in (ground_truth, prediction)]
    # Slopes of unit RMS, so that a smaller lip motion is matched by its shape.
    slopes = [slope / (np.sqrt((slope**2).mean()) or 1.0) for slope in slopes]
    cost = (slopes[0][:, None] - slopes[1][None]) ** 2
    path = align(cost, round(BAND_S * MOTION_FPS)).path
    visits = np.bincount(path[:, 0], minlength=len(ground_truth))
    aligned = np.bincount(path[:, 0], weights=path[:, 1], minlength=len(ground_truth)) / visits
    lags = []
    for sign in (1, -1):
        own, made = (find_peaks(sign * c, prominence=MIN_PROMINENCE_M)[0] for c in (ground_truth, prediction))
        if len(own) and len(made):
            distance = np.abs(aligned[own][:, None] - made[None])
            matched = distance.min(axis=1) <= MATCH_TOLERANCE_S * MOTION_FPS
            lags.append(made[distance.argmin(axis=1)][matched] - own[matched])
    return np.concatenate([np.zeros(0), *lags])


def slcc(loudness_db: Curve, displacement_m: Curve, frames: Bool[np.ndarray, "_frame"] | None = None) -> float:
    """Speech-lip intensity correlation (SLCC): Pearson's r of loudness and lip displacement.

    In [-1, 1]; nearer to the ground truth's own value is better, see `slcc_error`. It ignores offset and positive
    scale. NaN if either is constant over the selected frames.
    """
    loudness, displacement = same_shape(loudness_db, displacement_m, ("frame",))
    chosen = frame_mask(frames, len(loudness), "frames to measure")
    loudness, displacement = loudness[chosen], displacement[chosen]
    if len(loudness) < 2 or not (np.ptp(loudness) and np.ptp(displacement)):
        return np.nan
    return float(np.corrcoef(loudness, displacement)[0, 1])


def slcc_error(
    loudness_db: Curve,
    ground_truth_m: Curve,
    prediction_m: Curve,
    frames: Bool[np.ndarray, "_frame"] | None = None,
) -> float:
    """|SLCC of the prediction - SLCC of the ground truth|, in [0, 2], lower is better, ideal 0."""
    return abs(slcc(loudness_db, prediction_m, frames) - slcc(loudness_db, ground_truth_m, frames))
