"""The edges of a mesh at which its picture is discontinuous: what antialiasing has to smooth.

Smoothing only these edges, each by its exact position, costs a fraction of four samples in every pixel. Source:
E. Persson, Geometric Antialiasing Methods, in: GPU Pro 3 (2012), pages 71 to 87. `edge.vert.glsl` and
`edge.frag.glsl` draw them.
"""

import numpy as np
from jaxtyping import Bool, Float32, Int32, Int64, UInt8

from dualtalk.head.regions import Region
from dualtalk.render.surface import EYE_REGIONS, MOUTH_REGIONS

# Near its silhouette, a surface bulges toward the camera, the more the flatter it is. Edges are moved forward by
# this distance so as not to be hidden. Chosen in experiments/render_speed: farther, edges behind lids would show.
FORWARD_M, MOUTH_FORWARD_M = 0.006, 0.0015


class MeshEdges:
    """The edges of one mesh.

    Attributes
    ----------
    ends : (edge, 2) int64
        Vertices.
    faces : (2, edge) int64
        The faces on both sides; an edge of one face has the same face twice.
    border : (edge,) bool
        Edges that are discontinuous whenever their first face is visible: those of one face, and those between two
        regions.
    forward_m : (edge,) float32
        By which an edge is moved toward the camera.

    Edges of the eyeballs are left out: the shader draws the iris smooth, and the lids hide the silhouettes. So are
    edges at hidden vertices.
    """

    ends: Int64[np.ndarray, "edge 2"]
    faces: Int64[np.ndarray, "2 edge"]
    border: Bool[np.ndarray, "edge"]
    forward_m: Float32[np.ndarray, "edge"]

    def __init__(
        self,
        faces: Int32[np.ndarray, "face 3"],
        regions: UInt8[np.ndarray, "face"],
        hidden: Bool[np.ndarray, "vertex"],
    ):
        every = np.sort(faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2), axis=1)
        owner = np.repeat(np.arange(len(faces)), 3)
        order = np.lexsort((every[:, 1], every[:, 0]))
        every, owner = every[order], owner[order]
        starts = np.flatnonzero(np.r_[True, (every[1:] != every[:-1]).any(axis=1)])
        uses = np.diff(np.r_[starts, len(every)])
        both = np.stack([owner[starts], owner[starts + (uses > 1)]])
        first, second = regions[both]
        inside_eyes = np.isin(first, EYE_REGIONS) & np.isin(second, EYE_REGIONS)
        kept = ~inside_eyes & ~hidden[every[starts]].all(axis=1)
        self.ends = every[starts][kept].astype(np.int64)
        self.faces = np.ascontiguousarray(both[:, kept])
        self.border = ((uses == 1) | (first != second))[kept]
        in_mouth = np.isin(regions, (Region.LIPS, *MOUTH_REGIONS))[self.faces].any(axis=0)
        self.forward_m = np.where(in_mouth, MOUTH_FORWARD_M, FORWARD_M).astype(np.float32)
        self.corner = faces[:, 0].astype(np.int64)

    def discontinuous(
        self,
        vertices: Float32[np.ndarray, "vertex 3"],
        face_normals: Float32[np.ndarray, "face 3"],
        camera_m: Float32[np.ndarray, "3"],
    ) -> Float32[np.ndarray, "drawn 2 3"]:
        """Both ends of the silhouette edges and of the visible borders, as a camera at `camera_m` views them.

        They are moved toward the camera, by `forward_m`, which does not change their place in the picture.
        """
        toward_camera = camera_m - vertices.take(self.corner, axis=0)
        front = np.einsum("fc,fc->f", face_normals, toward_camera) > 0
        first, second = front.take(self.faces)
        drawn = np.flatnonzero((first != second) | (self.border & first))
        ends = vertices.take(self.ends.take(drawn, axis=0), axis=0)
        sight = camera_m - ends
        forward = self.forward_m.take(drawn) / np.sqrt(np.einsum("dec,dec->de", sight, sight)).T
        return ends + forward.T[..., None] * sight
