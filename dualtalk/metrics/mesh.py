"""Error and dynamics of a posed mesh: LVE, MHD and FDD, and the same dynamics measure of joint rotations.

Vertices are in metres, with the head upright (`upright`), so that a head rotation does not count as a face error.
Each metric takes an optional mask of frames, to measure speaking and listening separately. Sources: LVE,
Richard et al. 2021, "MeshTalk"; FDD, Xing et al. 2023, "CodeTalker". FDD of the jaw's and the head's rotations is
called JDD and PDD in two-party work.

The field's tables show LVE in millimetres, and FDD, JDD and PDD times 100; the functions here return metres and
radians.
"""

from dataclasses import replace

import numpy as np
from jaxtyping import Float, Int

from dualtalk.core import HeadMotion
from dualtalk.errors import InputError
from dualtalk.head import Head
from dualtalk.head.regions import Region
from dualtalk.metrics.arrays import Mask
from dualtalk.metrics.validation import check_shapes, frame_mask, same_shape

Vertices = Float[np.ndarray, "_frame _vertex 3"]
# No vertex of a head lies this far from the origin: larger values are millimetres.
LARGEST_COORDINATE_M = 5.0


def upright(motion: HeadMotion) -> HeadMotion:
    """The same motion with no head rotation."""
    coefficients = motion.coefficients.copy()
    coefficients[:, motion.layout.slice_of("head")] = 0
    return replace(motion, coefficients=coefficients)


def lip_vertices(head: Head) -> Int[np.ndarray, "vertex"]:
    """Indices of the vertices of both lips."""
    return np.unique(head.faces[head.regions == Region.LIPS])


def upper_face_vertices(head: Head) -> Int[np.ndarray, "vertex"]:
    """Indices of skin and brow vertices above the lower edge and in front of the centres of the eyeballs."""
    skin = np.unique(head.faces[np.isin(head.regions, (Region.SKIN, Region.BROW))])
    lowest_m = min(float(eye.centre_m[1]) - eye.radius_m for eye in head.eyes)
    behind_m = min(float(eye.centre_m[2]) for eye in head.eyes)
    height_m, depth_m = head.template[skin, 1], head.template[skin, 2]
    return skin[(height_m > lowest_m) & (depth_m > behind_m)]


def lip_vertex_error(
    ground_truth: Vertices, prediction: Vertices, lips: Int[np.ndarray, "_lip"], frames: Mask | None = None
) -> float:
    """Lip vertex error (LVE): sqrt(mean over frames of the largest |v - u|^2 of all lip vertices).

    Metres, in [0, inf), lower is better, ideal 0; symmetric. NaN if no frame is selected.

    Parameters
    ----------
    ground_truth, prediction : (frame, vertex, 3)
        Vertices in metres.
    lips : (lip,) int
        Vertex indices, see `lip_vertices`.
    frames : (frame,) bool, optional
        Frames to measure; by default all.
    """
    one, two = _selected(ground_truth, prediction, lips)
    chosen = frame_mask(frames, len(one), "frames to measure")
    square = ((one - two) ** 2).sum(axis=2).max(axis=1)[chosen]
    return float(np.sqrt(square.mean())) if len(square) else np.nan


def mean_head_distance(ground_truth: Vertices, prediction: Vertices, frames: Mask | None = None) -> float:
    """Mean head distance (MHD): sqrt(mean over frames and vertices of |v - u|^2).

    Metres, in [0, inf), lower is better, ideal 0; symmetric. NaN if no frame is selected.
    """
    _check_metres(ground_truth, prediction)
    chosen = frame_mask(frames, len(ground_truth), "frames to measure")
    if not chosen.any():
        return np.nan
    # One frame at a time, so that no copy of a whole sequence of meshes is made.
    squares = [np.vdot(d, d) for d in (one - two for one, two in zip(ground_truth, prediction, strict=True))]
    if not np.isfinite(squares).all():
        raise InputError("a vertex is NaN or infinite; wanted finite numbers; did the model diverge?")
    return float(np.sqrt(np.mean(np.array(squares, np.float64)[chosen]) / ground_truth.shape[1]))


def _check_metres(ground_truth: Vertices, prediction: Vertices) -> None:
    check_shapes(ground_truth, prediction, ("frame", "vertex", "3"))
    largest = max(float(np.abs(one[0]).max()) for one in (ground_truth, prediction))
    if largest > LARGEST_COORDINATE_M:
        raise InputError(f"a vertex lies at {largest:.0f} m; wanted metres: were millimetres passed?")


def _selected(
    ground_truth: Vertices, prediction: Vertices, indices: Int[np.ndarray, "_some"]
) -> tuple[Float[np.ndarray, "frame some 3"], Float[np.ndarray, "frame some 3"]]:
    """Some vertices of both, in their own precision: a float64 copy would take longer than the metrics."""
    _check_metres(ground_truth, prediction)
    one, two = ground_truth[:, indices], prediction[:, indices]
    if not (np.isfinite(one).all() and np.isfinite(two).all()):
        raise InputError("a vertex is NaN or infinite; wanted finite numbers; did the model diverge?")
    return one, two


def face_dynamics_deviation(
    ground_truth: Vertices, prediction: Vertices, upper_face: Int[np.ndarray, "_upper"], frames: Mask | None = None
) -> float:
    """Face dynamics deviation (FDD) of the upper face.

    Mean over vertices and axes of |std over time (prediction) - std over time (ground truth)|. Metres, in
    [0, inf), lower is better, ideal 0; symmetric. It ignores the timing of motion: a still face scores the mean
    std of the ground truth. NaN if no frame is selected.

    Parameters
    ----------
    upper_face : (upper,) int
        Vertex indices, see `upper_face_vertices`.
    """
    one, two = _selected(ground_truth, prediction, upper_face)
    # Offsets from the first frame, so that float32 keeps its precision.
    own, made = ((vertices - vertices[0]).reshape(len(vertices), -1) for vertices in (one, two))
    return _dynamics_deviation(own, made, frames)


def rotation_dynamics_deviation(
    ground_truth: Float[np.ndarray, "_frame 3"],
    prediction: Float[np.ndarray, "_frame 3"],
    frames: Mask | None = None,
) -> float:
    """The formula of FDD for axis-angle vectors, in radians: JDD of the jaw, PDD of the head."""
    one, two = same_shape(ground_truth, prediction, ("frame", "3"))
    return _dynamics_deviation(one, two, frames)


def _dynamics_deviation(
    ground_truth: Float[np.ndarray, "_frame _coef"],
    prediction: Float[np.ndarray, "_frame _coef"],
    frames: Mask | None,
) -> float:
    chosen = frame_mask(frames, len(ground_truth), "frames to measure")
    if not chosen.any():
        return np.nan
    if not chosen.all():
        ground_truth, prediction = ground_truth[chosen], prediction[chosen]
    return float(np.abs(_std(prediction) - _std(ground_truth)).mean())


def _std(motion: Float[np.ndarray, "frame coef"]) -> Float[np.ndarray, "coef"]:
    """`motion.std(axis=0)` in a quarter of the time and memory."""
    centred = motion - motion.mean(axis=0)
    return np.sqrt(np.einsum("tc,tc->c", centred, centred) / len(centred))
