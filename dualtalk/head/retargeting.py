"""Retargeting of motion between heads: the open head's ARKit blendshapes to a FLAME file's expressions.

Joint rotations have the same meaning on both heads and are copied. Expressions are fitted by least squares: the
target's coefficients are those whose vertex displacements come closest to the source's displacements. For the fit,
the mean heads are aligned by their eyes and jaw, and each target vertex is paired with the nearest source vertex.
Displacements outside the span of the target's basis are lost. Lip vertices have a larger weight in the fit.
"""

from dataclasses import replace
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from scipy.spatial import cKDTree

from dualtalk.core import FULL62, HeadMotion
from dualtalk.errors import InputError
from dualtalk.head.head import Head
from dualtalk.head.regions import Region

# Vertices whose nearest vertex is further away than this are not paired: ears, neck and hair differ between heads.
FARTHEST_PAIR_M = 0.012
# Ridge penalty relative to the mean squared displacement of one coefficient. It keeps coefficients small where two
# of them displace the skin in nearly the same way.
RIDGE = 1e-2
LIP_WEIGHT = 4.0
# Frames, evenly spaced, over which the residual of a fit is averaged.
RESIDUAL_FRAMES = 200


def retarget(motion: HeadMotion, source: Head, target: Head) -> HeadMotion:
    """Convert motion to `target`'s space.

    The identity is reset to the mean head, because the heads' shape spaces differ too.

    Raises
    ------
    InputError
        `motion` is not in `source`'s space, or fewer than 100 vertices of the two heads can be paired.
    """
    if motion.space != source.space:
        raise InputError(f"motion is in space {motion.space!r}; wanted {source.space!r}, that of the source head")
    coefficients = motion.coefficients.copy()
    expression = motion.layout.slice_of("expression")
    coefficients[:, expression] = motion.expression @ expression_map(source, target).T
    return replace(motion, coefficients=coefficients, space=target.space, identity=np.zeros_like(motion.identity))


class FitResidual(NamedTuple):
    """How much of the expressions a target head cannot represent.

    Attributes
    ----------
    residual_m : float
        Distance between desired and fitted displacement; mean over frames and paired skin vertices.
    displacement_m : float
        Size of the desired displacement, the same mean.
    """

    residual_m: float
    displacement_m: float


def fit_residual(motion: HeadMotion, source: Head, target: Head) -> FitResidual:
    """The residual of `retarget` for a motion, on the target head, without joint rotations."""
    if not motion.frames:
        return FitResidual(0.0, 0.0)
    fit = _expression_fit(source, target)
    frames = motion.expression[np.linspace(0, motion.frames - 1, min(motion.frames, RESIDUAL_FRAMES)).astype(int)]
    desired = np.einsum("fe,vxe->fvx", frames, fit.desired)
    fitted = np.einsum("fe,vxe->fvx", frames @ fit.matrix.T, fit.basis)
    residual_m, displacement_m = (
        float(np.linalg.norm(vectors, axis=-1).mean()) for vectors in (desired - fitted, desired)
    )
    return FitResidual(residual_m, displacement_m)


def expression_map(source: Head, target: Head) -> Float[np.ndarray, "50 50"]:
    """Least-squares matrix from `source`'s expression coefficients to `target`'s."""
    return _expression_fit(source, target).matrix


class _ExpressionFit(NamedTuple):
    """The least-squares problem of a pair of heads and its solution.

    Attributes
    ----------
    matrix : (50, 50)
    desired, basis : (vertex, 3, 50)
        Displacements of the paired vertices for each coefficient at 1: the source's, scaled, and the target's.
    """

    matrix: np.ndarray
    desired: np.ndarray
    basis: np.ndarray


@lru_cache(maxsize=4)
def _expression_fit(source: Head, target: Head) -> _ExpressionFit:
    aligned, scale = align_templates(source, target)
    nearest_m, counterpart = cKDTree(aligned).query(target.template)
    skin = np.zeros(len(target.template), bool)
    skin[target.faces[np.isin(target.regions, (Region.SKIN, Region.LIPS, Region.BROW))].ravel()] = True
    paired = np.flatnonzero(skin & (nearest_m < FARTHEST_PAIR_M))
    if len(paired) < 100:
        raise InputError(
            f"only {len(paired)} vertices of {target.name} and {source.name} can be paired; wanted 100 or more: "
            "is the file a head in metres?"
        )
    weight = np.ones(len(paired))
    lips = np.unique(target.faces[target.regions == Region.LIPS])
    weight[np.isin(paired, lips)] = LIP_WEIGHT
    desired = scale * expression_basis(source)[counterpart[paired]]
    basis = expression_basis(target)[paired]
    rows = np.sqrt(weight)[:, None, None]
    a = (rows * basis).reshape(-1, basis.shape[-1])
    b = (rows * desired).reshape(-1, desired.shape[-1])
    gram = a.T @ a
    penalty = RIDGE * np.trace(gram) / len(gram)
    matrix = np.linalg.solve(gram + penalty * np.eye(len(gram)), a.T @ b).astype(np.float32)
    return _ExpressionFit(matrix, desired, basis)


def align_templates(source: Head, target: Head) -> tuple[np.ndarray, float]:
    """Scale and translate the source's template so that its eyes and jaw match the target's; return both."""
    marks = [np.stack([head.eyes[0].centre_m, head.eyes[1].centre_m, head.jaw_m]) for head in (source, target)]
    middles = [mark.mean(axis=0) for mark in marks]
    spans = [np.linalg.norm(mark - middle) for mark, middle in zip(marks, middles, strict=True)]
    scale = float(spans[1] / spans[0])
    return (source.template - middles[0]) * scale + middles[1], scale


def expression_basis(head: Head) -> Float[np.ndarray, "vertex 3 coef"]:
    """Displacement of each vertex for each expression coefficient at 1."""
    count = FULL62.widths["expression"]
    units = np.zeros((count + 1, FULL62.width), np.float32)
    units[1:, FULL62.slice_of("expression")] = np.eye(count)
    vertices = head.vertices(HeadMotion(units, head.space))
    return np.moveaxis(vertices[1:] - vertices[:1], 0, -1)
