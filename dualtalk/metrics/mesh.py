"""Motion measured on the skin, in millimetres: lips, whole head, and how lively each part is.

Vertices come in metres with the head held upright (`upright`), so that a turn of the head is no error of the
face. Each measure takes the frames it is over, so that speaking and listening can be told apart; over no frame
it is NaN. Sources: LVE, Richard et al. 2021, "MeshTalk"; FDD, Xing et al. 2023, "CodeTalker". The same measure as
FDD on the jaw's and the head's rotations is called JDD and PDD in work on two people.
"""

from dataclasses import replace

import numpy as np
from jaxtyping import Bool, Float, Int

from dualtalk.core import HeadMotion
from dualtalk.errors import InputError
from dualtalk.head import Head
from dualtalk.head.regions import Region
from dualtalk.metrics.validation import check_shapes, frames_chosen, same_shape

Vertices = Float[np.ndarray, "_frame _vertex 3"]
Mask = Bool[np.ndarray, "_frame"] | None
MM = 1000
# FDD, PDD and JDD are small: tables print a hundred times their value.
DEVIATION_SCALE = 100
# No head has skin that moves this far; more means millimetres were passed for metres.
LARGEST_COORDINATE_M = 5.0


def upright(motion: HeadMotion) -> HeadMotion:
    """The same motion without the head's own rotation, for the measures here."""
    coefficients = motion.coefficients.copy()
    coefficients[:, motion.layout.slice_of("head")] = 0
    return replace(motion, coefficients=coefficients)


def lip_vertices(head: Head) -> Int[np.ndarray, "vertex"]:
    """Indices of the vertices of both lips."""
    return np.unique(head.faces[head.regions == Region.LIPS])


def upper_face_vertices(head: Head) -> Int[np.ndarray, "vertex"]:
    """Indices of skin and brows above the eyeballs' lower edge and in front of their centres."""
    skin = np.unique(head.faces[np.isin(head.regions, (Region.SKIN, Region.BROW))])
    lowest_m = min(float(eye.centre_m[1]) - eye.radius_m for eye in head.eyes)
    behind_m = min(float(eye.centre_m[2]) for eye in head.eyes)
    height_m, depth_m = head.template[skin, 1], head.template[skin, 2]
    return skin[(height_m > lowest_m) & (depth_m > behind_m)]


def lip_vertex_error(
    reference: Vertices, prediction: Vertices, lips: Int[np.ndarray, "_lip"], frames: Mask = None
) -> float:
    """Lip vertex error (LVE): sqrt(mean over frames of the largest |v - u|^2 of all lip vertices).

    Millimetres, in [0, inf), lower is better; symmetric; perfect is 0. `lips`: indices, see `lip_vertices`.
    """
    one, two = _some(reference, prediction, lips)
    chosen = frames_chosen(frames, len(one), "frames to measure")
    square = ((one - two) ** 2).sum(axis=2).max(axis=1)[chosen]
    return float(MM * np.sqrt(square.mean())) if len(square) else np.nan


def mean_head_distance(reference: Vertices, prediction: Vertices, frames: Mask = None) -> float:
    """Mean head distance (MHD): sqrt(mean over frames and vertices of |v - u|^2).

    Millimetres, in [0, inf), lower is better; symmetric; perfect is 0.
    """
    _check_metres(reference, prediction)
    chosen = frames_chosen(frames, len(reference), "frames to measure")
    if not chosen.any():
        return np.nan
    # Whole meshes are large: frame by frame, neither is copied.
    squares = [np.vdot(d, d) for d in (one - two for one, two in zip(reference, prediction, strict=True))]
    if not np.isfinite(squares).all():
        raise InputError("a vertex is NaN or infinite; wanted finite numbers; did the model diverge?")
    return float(MM * np.sqrt(np.mean(np.array(squares, np.float64)[chosen]) / reference.shape[1]))


def _check_metres(reference: Vertices, prediction: Vertices) -> None:
    check_shapes(reference, prediction, ("frame", "vertex", "3"))
    largest = max(float(np.abs(one[0]).max()) for one in (reference, prediction))
    if largest > LARGEST_COORDINATE_M:
        raise InputError(f"a vertex lies at {largest:.0f} m; wanted metres: were millimetres passed?")


def _some(
    reference: Vertices, prediction: Vertices, some: Int[np.ndarray, "_some"]
) -> tuple[Float[np.ndarray, "frame some 3"], Float[np.ndarray, "frame some 3"]]:
    """Those vertices of both, in the precision they came in: a copy in float64 takes longer than the measures."""
    _check_metres(reference, prediction)
    one, two = reference[:, some], prediction[:, some]
    if not (np.isfinite(one).all() and np.isfinite(two).all()):
        raise InputError("a vertex is NaN or infinite; wanted finite numbers; did the model diverge?")
    return one, two


def face_dynamics_deviation(
    reference: Vertices, prediction: Vertices, upper_face: Int[np.ndarray, "_upper"], frames: Mask = None
) -> float:
    """Face dynamics deviation (FDD): how far the upper face is from moving as much as the reference's.

    100 times the mean over vertices and axes of |std over time (prediction) - std over time (reference)|, of
    millimetres; in [0, inf), lower is better; symmetric; perfect is 0. Blind to when things move: a still face
    scores 100 times the reference's mean std. `upper_face`: indices, see `upper_face_vertices`.
    """
    one, two = _some(reference, prediction, upper_face)
    return MM * _dynamics_deviation(*((skin - skin[0]).reshape(len(skin), -1) for skin in (one, two)), frames)


def rotation_dynamics_deviation(
    reference: Float[np.ndarray, "_frame 3"], prediction: Float[np.ndarray, "_frame 3"], frames: Mask = None
) -> float:
    """The same of a rotation, 100 times radians: PDD given the head's, JDD given the jaw's axis-angle vectors."""
    one, two = same_shape(reference, prediction, ("frame", "3"))
    return _dynamics_deviation(one, two, frames)


def _dynamics_deviation(
    reference: Float[np.ndarray, "_frame _coef"], prediction: Float[np.ndarray, "_frame _coef"], frames: Mask
) -> float:
    chosen = frames_chosen(frames, len(reference), "frames to measure")
    if not chosen.any():
        return np.nan
    if not chosen.all():
        reference, prediction = reference[chosen], prediction[chosen]
    apart = np.abs(_std(prediction) - _std(reference))
    return float(DEVIATION_SCALE * apart.mean())


def _std(motion: Float[np.ndarray, "frame coef"]) -> Float[np.ndarray, "coef"]:
    """numpy's, in a quarter of the time and room."""
    centred = motion - motion.mean(axis=0)
    return np.sqrt(np.einsum("tc,tc->c", centred, centred) / len(centred))
