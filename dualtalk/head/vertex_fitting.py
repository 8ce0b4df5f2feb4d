"""FLAME's expression and jaw from vertices, for systems that predict a mesh (VOCA, FaceFormer, CodeTalker).

Displacements from the person's template are applied to the mean head. The jaw is opened by the angle after which
the expressions, fitted by least squares with a ridge penalty, leave the smallest error; the angle is searched on a
grid and refined by a parabola. Sideways jaw rotation is left to the expressions.
"""

import numpy as np
from jaxtyping import Float

from dualtalk.core import EXPRESSION_COEFFICIENTS, HeadMotion
from dualtalk.errors import InputError
from dualtalk.head.regions import Region
from dualtalk.head.retargeting import LIP_WEIGHT, expression_basis
from dualtalk.head.skinned import SkinnedHead

JAW_RAD = np.linspace(-0.06, 0.5, 29)
# Ridge penalty relative to the mean squared displacement of one coefficient.
RIDGE = 1e-3
MOST_VERTICES = 1500


def motion_from_vertices(
    vertices_m: Float[np.ndarray, "frame vertex 3"],
    template_m: Float[np.ndarray, "own_vertex 3"],
    head: SkinnedHead,
) -> tuple[HeadMotion, float]:
    """Fit a FLAME head to a sequence of meshes of FLAME's topology without head motion.

    Returns
    -------
    HeadMotion
        Mean identity, head upright.
    float
        Mean distance in metres between the vertices of the face and the fit.

    Raises
    ------
    InputError
        The number of vertices is not the head's, or the meshes are not in metres.
    """
    count = len(head.template)
    if vertices_m.shape[1:] != (count, 3) or template_m.shape != (count, 3):
        raise InputError(
            f"meshes of {vertices_m.shape[1]} vertices and a template of {len(template_m)}; the head has {count}: "
            "only FLAME's topology can be fitted"
        )
    shift_m = vertices_m - template_m
    if np.abs(shift_m).max(initial=0) > 0.2:
        raise InputError(
            f"vertices are up to {np.abs(shift_m).max():.3g} from the template; wanted metres and no head motion: "
            "is it the template of this person?"
        )
    used, weights = _face_vertices(head)
    root = np.repeat(np.sqrt(weights), 3)
    basis = root[:, None] * expression_basis(head)[used].reshape(-1, EXPRESSION_COEFFICIENTS)
    gram = basis.T @ basis
    solve = np.linalg.solve(gram + RIDGE * np.trace(gram) / len(gram) * np.eye(len(gram)), basis.T)
    wanted = root * shift_m[:, used].reshape(len(shift_m), -1)
    opened = root * _jaw_shifts(head, JAW_RAD, used)
    errors = _errors(wanted, opened, basis, solve)
    jaw_rad = _refined(JAW_RAD, errors)
    rest = wanted - root * _jaw_shifts(head, jaw_rad, used)
    expression = rest @ solve.T
    residual = (rest - expression @ basis.T) / root
    motion = HeadMotion.from_parts(
        expression=expression,
        jaw_rotvec_rad=np.stack([jaw_rad, 0 * jaw_rad, 0 * jaw_rad], axis=1),
        head_rotvec_rad=np.zeros((len(jaw_rad), 3)),
        eyes_rotvec_rad=np.zeros((len(jaw_rad), 6)),
        space="flame",
    )
    return motion, float(np.linalg.norm(residual.reshape(len(jaw_rad), -1, 3), axis=2).mean())


def _face_vertices(head: SkinnedHead) -> tuple[np.ndarray, np.ndarray]:
    """Vertices of skin and lips that follow the neck, thinned out, and their weights."""
    lips = np.unique(head.faces[head.regions == Region.LIPS])
    skin = np.unique(head.faces[np.isin(head.regions, (Region.SKIN, Region.LIPS))])
    skin = skin[head.arrays.weights[skin, 0] < 0.5]
    thinned = skin[np.linspace(0, len(skin) - 1, min(len(skin), MOST_VERTICES)).astype(int)]
    used = np.union1d(thinned, lips)
    return used, np.where(np.isin(used, lips), LIP_WEIGHT, 1.0)


def _jaw_shifts(head: SkinnedHead, jaw_rad: np.ndarray, used: np.ndarray) -> Float[np.ndarray, "frame coordinate"]:
    frames = len(jaw_rad)
    motion = HeadMotion.from_parts(
        expression=np.zeros((frames, EXPRESSION_COEFFICIENTS)),
        jaw_rotvec_rad=np.stack([jaw_rad, 0 * jaw_rad, 0 * jaw_rad], axis=1),
        head_rotvec_rad=np.zeros((frames, 3)),
        space=head.space,
    )
    posed = head.vertices(motion, vertex_ids=used).astype(np.float64)
    return (posed - head.template[used]).reshape(frames, -1)


def _errors(wanted: np.ndarray, opened: np.ndarray, basis: np.ndarray, solve: np.ndarray) -> np.ndarray:
    """(frame, angle): the smallest value of the penalized squared error over expressions, up to a term per
    frame."""
    left = opened - (opened @ solve.T) @ basis.T
    return (opened * left).sum(axis=1) - 2 * wanted @ left.T


def _refined(grid: np.ndarray, errors: np.ndarray) -> np.ndarray:
    """Minimum of the parabola through the smallest value on the grid and its neighbours."""
    best = errors.argmin(axis=1).clip(1, len(grid) - 2)
    before, here, after = (np.take_along_axis(errors, (best + step)[:, None], axis=1)[:, 0] for step in (-1, 0, 1))
    curvature = np.maximum(before - 2 * here + after, 1e-300)
    step = np.clip((before - after) / (2 * curvature), -1, 1)
    return grid[best] + step * (grid[1] - grid[0])
