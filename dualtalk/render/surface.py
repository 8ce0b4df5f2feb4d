"""The render mesh of a head: vertices split at material borders, normals, ambient occlusion and iris coordinates.

A renderer interpolates colours across a triangle, so a vertex shared by skin and lips would blend the two.
`Surface` gives each region its own copy of the vertices on its border (the corners). Normals are computed on the
unsplit mesh, so they stay smooth across borders.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from jaxtyping import Bool, Float32, Int32, UInt8
from scipy.sparse import csr_array
from scipy.spatial import cKDTree

from dualtalk.core import HeadMotion
from dualtalk.head.head import Head
from dualtalk.head.regions import Region
from dualtalk.render.scene import Appearance

EYE_REGIONS = (Region.SCLERA, Region.IRIS, Region.PUPIL)
MOUTH_REGIONS = (Region.TEETH, Region.TONGUE, Region.MOUTH_INSIDE)
# Iris radius over eyeball radius: 5.9 mm over 12 mm in adults.
IRIS_RADIUS_RATIO = 0.49
# The bust fades out over this distance from the edge of its mesh.
HEM_M = 0.045


class Normals:
    """Smooth vertex normals of one mesh in any pose."""

    def __init__(self, faces: Int32[np.ndarray, "face 3"], vertices: int):
        self.corners = np.ascontiguousarray(faces.T)
        touches = np.ones(faces.size, np.float32)
        rows, columns = faces.reshape(-1), np.repeat(np.arange(len(faces), dtype=np.int32), 3)
        self.vertex_from_face = csr_array((touches, (rows, columns)), shape=(vertices, len(faces)))

    def of(self, vertices: Float32[np.ndarray, "vertex 3"]) -> Float32[np.ndarray, "vertex 3"]:
        """Unit normals: the face normals around each vertex, weighted by face area."""
        return self.smooth(self.of_faces(vertices))

    def of_faces(self, vertices: Float32[np.ndarray, "vertex 3"]) -> Float32[np.ndarray, "face 3"]:
        """Face normals, as long as twice the area of the face, in m^2."""
        first, second, third = np.take(np.ascontiguousarray(vertices.T), self.corners, axis=1).swapaxes(0, 1)
        (ux, uy, uz), (vx, vy, vz) = second - first, third - first
        return np.stack([uy * vz - uz * vy, uz * vx - ux * vz, ux * vy - uy * vx], axis=1)

    def smooth(self, of_faces: Float32[np.ndarray, "face 3"]) -> Float32[np.ndarray, "vertex 3"]:
        """Unit normals of the vertices from the result of `of_faces`."""
        sums = self.vertex_from_face @ of_faces
        lengths = np.sqrt(np.einsum("vc,vc->v", sums, sums))
        return sums / np.maximum(lengths, 1e-20)[:, None]


@dataclass(frozen=True, eq=False)
class Surface:
    """The render mesh of a head. A corner is the copy of a vertex that belongs to one region.

    Attributes
    ----------
    source : (corner,) int32
        The head's vertex that each corner copies.
    faces : (face, 3) int32
        Triangles of corners, in the head's order.
    regions : (corner,) uint8
    ambient_occlusion : (corner,) float32
        Fraction of the ambient light that reaches the corner, 0 to 1.
    alpha : (corner,) float32
        1, falling to 0 toward the lower edge and the sleeves of the bust, so that the cut edge is invisible.
    iris : (corner, 3) float32
        On the eyeballs: the direction from the eyeball's centre in the eye's own axes, z along the gaze, scaled so
        that the iris has radius 1. Zero elsewhere.
    """

    source: Int32[np.ndarray, "corner"]
    faces: Int32[np.ndarray, "face 3"]
    regions: UInt8[np.ndarray, "corner"]
    ambient_occlusion: Float32[np.ndarray, "corner"]
    alpha: Float32[np.ndarray, "corner"]
    iris: Float32[np.ndarray, "corner 3"]

    @classmethod
    @lru_cache(maxsize=4)
    def of(cls, head: Head) -> "Surface":
        """The surface of `head`; cached, so that the video and the stills of one head share it."""
        keys = head.faces.astype(np.int64) * len(Region) + head.regions[:, None]
        drawn, corners = np.unique(keys, return_inverse=True)
        source = (drawn // len(Region)).astype(np.int32)
        regions = (drawn % len(Region)).astype(np.uint8)
        return cls(
            source=source,
            faces=corners.reshape(-1, 3).astype(np.int32),
            regions=regions,
            ambient_occlusion=_ambient_occlusion(head, source, regions),
            alpha=_alpha(head)[source],
            iris=_iris(head)[source] * np.isin(regions, EYE_REGIONS)[:, None].astype(np.float32),
        )

    def hidden_vertices(self) -> Bool[np.ndarray, "vertex"]:
        """Whether no light reaches a vertex, neither with the mouth closed nor with it open."""
        hidden = np.ones(self.source.max() + 1, bool)
        hidden[self.source[self.ambient_occlusion > 0]] = False
        return hidden

    def colours(self, appearance: Appearance) -> Float32[np.ndarray, "corner 4"]:
        """Linear RGB, darkened by ambient occlusion, and alpha; the mesh's faces decide what is iris."""
        colours = np.array([appearance.colour(region) for region in Region], np.float32)
        linear = (colours[self.regions] / 255) ** 2.2
        ambient_occlusion = np.where(np.isin(self.regions, EYE_REGIONS), 1.0, self.ambient_occlusion)
        shaded = linear * (0.35 + 0.65 * ambient_occlusion[:, None])
        alpha = self.alpha**2 * (3 - 2 * self.alpha)
        return np.concatenate([shaded, alpha[:, None]], axis=1).astype(np.float32)


def _iris(head: Head) -> Float32[np.ndarray, "vertex 3"]:
    directions = np.zeros_like(head.template)
    for eye in head.eyes:
        away = head.template[eye.vertices] - eye.centre_m
        away /= np.maximum(np.linalg.norm(away, axis=1, keepdims=True), 1e-9)
        gaze = _optical_axis(head, eye.vertices, away)
        right = np.cross((0.0, 1.0, 0.0), gaze)
        right /= np.linalg.norm(right)
        axes = np.stack([right, np.cross(gaze, right), gaze], axis=1)
        directions[eye.vertices] = away @ axes / IRIS_RADIUS_RATIO
    return directions


def _optical_axis(head: Head, vertices: np.ndarray, away: np.ndarray) -> Float32[np.ndarray, "3"]:
    """Direction from the eyeball's centre to the middle of the pupil; straight ahead on a mesh without a pupil."""
    pupil = np.unique(head.faces[np.isin(head.regions, (Region.PUPIL, Region.IRIS))])
    middle = away[np.isin(vertices, pupil)].sum(axis=0)
    length = np.linalg.norm(middle)
    return (middle / length if length > 0 else np.array([0.0, 0.0, 1.0])).astype(np.float32)


def _alpha(head: Head) -> Float32[np.ndarray, "vertex"]:
    edges = np.sort(head.faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2), axis=1)
    edges, uses = np.unique(edges, axis=0, return_counts=True)
    rim = np.unique(edges[uses == 1])
    rim = rim[head.template[rim, 1] < head.neck_m[1]]
    if not len(rim):
        return np.ones(len(head.template), np.float32)
    distance_m = cKDTree(head.template[rim]).query(head.template)[0]
    return np.clip(distance_m / HEM_M, 0, 1).astype(np.float32)


def _ambient_occlusion(head: Head, source: np.ndarray, regions: np.ndarray) -> Float32[np.ndarray, "corner"]:
    """Computed on the face at rest, and inside the mouth on the face with the jaw open."""
    jaw_rad = np.array([[0, 0, 0], [0.3, 0, 0]], np.float32)
    still = np.zeros((2, 3), np.float32)
    motion = HeadMotion.from_parts(
        expression=np.zeros((2, 50), np.float32),
        jaw_rotvec_rad=jaw_rad,
        head_rotvec_rad=still,
        space=head.space,
    )
    closed, opened = (sky_visibility(vertices, head.faces)[source] for vertices in head.vertices(motion))
    return np.where(np.isin(regions, MOUTH_REGIONS), opened, closed)


def sky_visibility(
    vertices: Float32[np.ndarray, "vertex 3"], faces: Int32[np.ndarray, "face 3"], directions: int = 48
) -> Float32[np.ndarray, "vertex"]:
    """Cosine-weighted fraction of a uniform environment that is visible from each vertex, 0 to 1.

    For each of `directions`, points on the mesh are splatted into a grid of heights along that direction. A vertex
    is visible from there if no point in its cell is higher.
    """
    pixel_m, lift_m, slack_m = 0.003, 0.002, 0.004
    normals = Normals(faces, len(vertices)).of(vertices)
    points = _points_on(vertices, faces, 60_000)
    lifted = vertices + lift_m * normals
    visible, total = np.zeros(len(vertices), np.float32), np.full(len(vertices), 1e-6, np.float32)
    for axes in _sphere(directions):
        columns, heights = points @ axes[:2].T, points @ axes[2]
        low = columns.min(axis=0) - pixel_m
        width = int(np.ceil((columns[:, 0].max() - low[0]) / pixel_m)) + 2
        cells = ((columns - low) / pixel_m).astype(np.int64) @ (1, width)
        highest = np.full(int(cells.max()) + width + 2, -np.inf, np.float32)
        np.maximum.at(highest, cells, heights)
        here = ((lifted @ axes[:2].T - low) / pixel_m).astype(np.int64) @ (1, width)
        weight = np.maximum(normals @ axes[2], 0)
        visible += weight * (lifted @ axes[2] + slack_m > highest[np.clip(here, 0, len(highest) - 1)])
        total += weight
    return visible / total


def _points_on(vertices: np.ndarray, faces: np.ndarray, count: int) -> Float32[np.ndarray, "point 3"]:
    """Points distributed uniformly over the mesh; the same points on every call."""
    rng = np.random.default_rng(0)
    first, second, third = vertices[faces.T]
    areas = np.linalg.norm(np.cross(second - first, third - first), axis=1)
    selected = np.searchsorted(np.cumsum(areas), rng.uniform(0, areas.sum(), count)).clip(max=len(faces) - 1)
    u, v = rng.uniform(size=(2, count, 1))
    u, v = np.where(u + v > 1, 1 - u, u), np.where(u + v > 1, 1 - v, v)
    points = first[selected] + u * (second - first)[selected] + v * (third - first)[selected]
    return points.astype(np.float32)


def _sphere(count: int) -> Float32[np.ndarray, "direction 3 3"]:
    """Rotation matrices whose third rows are distributed evenly over the sphere (golden spiral)."""
    height = 1 - 2 * (np.arange(count) + 0.5) / count
    turn = np.pi * (1 + 5**0.5) * np.arange(count)
    ring = np.sqrt(1 - height**2)
    up = np.stack([ring * np.cos(turn), height, ring * np.sin(turn)], axis=1)
    side = np.cross(up, np.where(np.abs(up[:, :1]) < 0.9, (1.0, 0.0, 0.0), (0.0, 0.0, 1.0)))
    side /= np.linalg.norm(side, axis=1, keepdims=True)
    return np.stack([side, np.cross(up, side), up], axis=1).astype(np.float32)
