"""Retargeting of motion between heads: the open head's ARKit blendshapes to a FLAME file's expressions.

Rotations mean the same on both heads and pass unchanged. Expressions do not: each unit moves the source's skin,
and the target's coefficients are those whose motion of the same places on its own skin comes nearest, by least
squares. Places correspond when they are nearest after the two mean heads have been laid over each other by
their eyes and jaw. What the target's basis cannot make is lost; the fit keeps the mouth first.
"""

from dataclasses import replace
from functools import lru_cache

import numpy as np
from jaxtyping import Float
from scipy.spatial import cKDTree

from dualtalk.core import FULL62, HeadMotion
from dualtalk.errors import InputError
from dualtalk.head.head import Head
from dualtalk.head.regions import Region

# Skin further from its counterpart than this has none: ears, neck and hair differ between heads.
FARTHEST_PAIR_M = 0.012
# Ridge penalty, in units of the mean squared displacement of one coefficient: keeps coefficients small where
# two of them move the skin alike.
RIDGE = 1e-2
LIP_WEIGHT = 4.0


def retarget(motion: HeadMotion, source: Head, target: Head) -> HeadMotion:
    """Convert motion to `target`'s space; the identity is reset, since shape spaces differ too.

    Raises
    ------
    InputError
        `motion` is not in `source`'s space, or the two heads have no skin in common.
    """
    if motion.space != source.space:
        raise InputError(f"motion is in space {motion.space!r}, the head to carry it from in {source.space!r}")
    coefficients = motion.coefficients.copy()
    expression = motion.layout.slice_of("expression")
    coefficients[:, expression] = motion.expression @ expression_map(source, target).T
    return replace(motion, coefficients=coefficients, space=target.space, identity=np.zeros_like(motion.identity))


@lru_cache(maxsize=4)
def expression_map(source: Head, target: Head) -> Float[np.ndarray, "50 50"]:
    """Least-squares matrix from `source`'s expression coefficients to `target`'s."""
    laid_over, scale = _laid_over(source, target)
    nearest_m, counterpart = cKDTree(laid_over).query(target.template)
    skin = np.zeros(len(target.template), bool)
    skin[target.faces[np.isin(target.regions, (Region.SKIN, Region.LIPS, Region.BROW))].ravel()] = True
    paired = np.flatnonzero(skin & (nearest_m < FARTHEST_PAIR_M))
    if len(paired) < 100:
        raise InputError(
            f"{target.name} and {source.name} have {len(paired)} places in common; is the file a head in metres?"
        )
    weight = np.ones(len(paired))
    lips = np.unique(target.faces[target.regions == Region.LIPS])
    weight[np.isin(paired, lips)] = LIP_WEIGHT
    wanted = scale * _expression_basis(source)[counterpart[paired]]
    basis = _expression_basis(target)[paired]
    rows = np.sqrt(weight)[:, None, None]
    a = (rows * basis).reshape(-1, basis.shape[-1])
    b = (rows * wanted).reshape(-1, wanted.shape[-1])
    gram = a.T @ a
    penalty = RIDGE * np.trace(gram) / len(gram)
    return np.linalg.solve(gram + penalty * np.eye(len(gram)), a.T @ b).astype(np.float32)


def _laid_over(source: Head, target: Head) -> tuple[np.ndarray, float]:
    """Source's template scaled and moved so that its eyes and jaw lie on the target's; and that scale."""
    marks = [np.stack([head.eyes[0].centre_m, head.eyes[1].centre_m, head.jaw_m]) for head in (source, target)]
    middles = [mark.mean(axis=0) for mark in marks]
    spans = [np.linalg.norm(mark - middle) for mark, middle in zip(marks, middles, strict=True)]
    scale = float(spans[1] / spans[0])
    return (source.template - middles[0]) * scale + middles[1], scale


def _expression_basis(head: Head) -> Float[np.ndarray, "vertex 3 coef"]:
    """How far each vertex moves for one unit of each expression coefficient."""
    count = FULL62.widths["expression"]
    units = np.zeros((count + 1, FULL62.width), np.float32)
    units[1:, FULL62.slice_of("expression")] = np.eye(count)
    vertices = head.vertices(HeadMotion(units, head.space))
    return np.moveaxis(vertices[1:] - vertices[:1], 0, -1)
