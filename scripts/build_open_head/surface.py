"""Cutting of a triangle mesh along curves; every new vertex is a linear combination of base mesh vertices.

A vertex is a sparse row of weights over the base mesh, so any displacement of the base mesh (an identity, a face
unit) transfers to the cut mesh by one product.
"""

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp


@dataclass(frozen=True, eq=False)
class Surface:
    """Triangles over mixes of base vertices.

    Attributes
    ----------
    mix : (vertex, base vertex) sparse, rows sum to 1
    triangles : (face, 3) int
    regions : (face,) uint8
    """

    mix: sp.csr_matrix
    triangles: np.ndarray
    regions: np.ndarray

    def positions(self, base: np.ndarray) -> np.ndarray:
        return self.mix @ base


def from_quads(quads: np.ndarray, vertices: int, region: int) -> Surface:
    """Two triangles a quad, split along the diagonal of its first corner."""
    triangles = np.concatenate([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]])
    regions = np.full(len(triangles), region, np.uint8)
    return compacted(Surface(sp.identity(vertices, format="csr"), triangles, regions))


def compacted(surface: Surface) -> Surface:
    """Without vertices that no triangle uses."""
    used, triangles = np.unique(surface.triangles, return_inverse=True)
    return Surface(surface.mix[used], triangles.reshape(-1, 3), surface.regions)


def joined(surfaces: list[Surface]) -> Surface:
    starts = np.cumsum([0] + [surface.mix.shape[0] for surface in surfaces])
    return Surface(
        sp.vstack([surface.mix for surface in surfaces]).tocsr(),
        np.concatenate([s.triangles + start for s, start in zip(surfaces, starts, strict=False)]),
        np.concatenate([surface.regions for surface in surfaces]),
    )


def split_along(surface: Surface, field: np.ndarray) -> tuple[Surface, np.ndarray]:
    """Cut every triangle that the zero line of `field` (a value a vertex) crosses.

    Returns
    -------
    surface, inside
        `inside` is (face,) bool: the field is positive there.
    """
    # A vertex very near the line is snapped to it, which avoids slivers.
    spread = np.abs(field[surface.triangles]).max(axis=1)
    near = np.full(len(field), np.inf)
    np.minimum.at(near, surface.triangles.ravel(), np.repeat(spread, 3))
    field = np.where(np.abs(field) < 0.12 * near, 0.0, field)

    new_rows: list[tuple[int, int, float]] = []
    new_index: dict[tuple[int, int], int] = {}
    count = len(field)

    def crossing(i: int, j: int) -> int:
        key = (min(i, j), max(i, j))
        if key not in new_index:
            new_index[key] = count + len(new_rows)
            share = field[key[0]] / (field[key[0]] - field[key[1]])
            new_rows.append((*key, share))
        return new_index[key]

    triangles, regions, inside = [], [], []
    for corners, region in zip(surface.triangles, surface.regions, strict=True):
        values = field[corners]
        if values.max() <= 0 or values.min() >= 0:
            pieces = [tuple(corners)]
            signs = [values.sum() > 0]
        else:
            pieces, signs = _pieces(corners, values, crossing)
        triangles += pieces
        inside += signs
        regions += [region] * len(pieces)
    rows = np.array([(i, j) for i, j, _ in new_rows], int).reshape(-1, 2)
    share = sp.diags([share for *_, share in new_rows]) if new_rows else sp.csr_matrix((0, 0))
    keep = sp.identity(len(new_rows))
    added = (keep - share) @ surface.mix[rows[:, 0]] + share @ surface.mix[rows[:, 1]]
    mixed = Surface(sp.vstack([surface.mix, added]).tocsr(), np.array(triangles), np.array(regions, np.uint8))
    return mixed, np.array(inside)


def _pieces(corners: np.ndarray, values: np.ndarray, crossing) -> tuple[list[tuple], list[bool]]:
    """Triangles on both sides of the line through one triangle."""
    pieces, signs = [], []
    for sign in (1, -1):
        polygon = []
        for k in range(3):
            i, j = int(corners[k]), int(corners[(k + 1) % 3])
            if sign * values[k] >= 0:
                polygon.append(i)
            if values[k] * values[(k + 1) % 3] < 0:
                polygon.append(crossing(i, j))
        for k in range(1, len(polygon) - 1):
            pieces.append((polygon[0], polygon[k], polygon[k + 1]))
            signs.append(sign > 0)
    return pieces, signs


def with_region(surface: Surface, field: np.ndarray, region: int) -> Surface:
    """Give the side on which `field` is positive another region, cutting triangles along the border."""
    cut, inside = split_along(surface, field)
    return Surface(cut.mix, cut.triangles, np.where(inside, region, cut.regions).astype(np.uint8))


def clipped(surface: Surface, field: np.ndarray) -> Surface:
    """Only the side on which `field` is positive."""
    cut, inside = split_along(surface, field)
    return compacted(Surface(cut.mix, cut.triangles[inside], cut.regions[inside]))


def subdivided(surface: Surface, chosen: np.ndarray) -> Surface:
    """Halve the edges of the chosen faces; neighbours are cut to match."""
    triangles, count = surface.triangles, surface.mix.shape[0]
    midpoint: dict[tuple[int, int], int] = {}
    for a, b, c in triangles[chosen]:
        for i, j in ((a, b), (b, c), (c, a)):
            midpoint.setdefault((min(i, j), max(i, j)), count + len(midpoint))
    pieces, regions = [], []
    for (a, b, c), region in zip(triangles, surface.regions, strict=True):
        edges = [midpoint.get((min(i, j), max(i, j))) for i, j in ((a, b), (b, c), (c, a))]
        new = _halved((a, b, c), edges)
        pieces += new
        regions += [region] * len(new)
    pairs = np.array(list(midpoint), int)
    mix = sp.vstack([surface.mix, 0.5 * (surface.mix[pairs[:, 0]] + surface.mix[pairs[:, 1]])]).tocsr()
    return Surface(mix, np.array(pieces), np.array(regions, np.uint8))


def _halved(corners: tuple[int, int, int], edges: list[int | None]) -> list[tuple]:
    """Triangles of one triangle whose edges have midpoints or None."""
    halved = [edge is not None for edge in edges]
    if not any(halved):
        return [corners]
    if all(halved):
        (a, b, c), (ab, bc, ca) = corners, edges
        return [(a, ab, ca), (ab, b, bc), (ca, bc, c), (ab, bc, ca)]
    # Rotate the triangle until its first edge is halved and, if two are, the second too.
    while not (halved[0] and (sum(halved) == 1 or halved[1])):
        corners, edges, halved = corners[1:] + corners[:1], edges[1:] + edges[:1], halved[1:] + halved[:1]
    (a, b, c), (ab, bc, _) = corners, edges
    if sum(halved) == 1:
        return [(a, ab, c), (ab, b, c)]
    return [(a, ab, c), (ab, b, bc), (ab, bc, c)]
