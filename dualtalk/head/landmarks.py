"""Face landmarks on any head: mediapipe's 478, and the 68 of the iBUG 300-W annotation.

`open_head_landmarks.npz` places mediapipe's landmarks on the open head's mesh;
scripts/build_open_head/landmarks.py wrote it. On a FLAME head, a landmark is at the nearest place of the aligned
meshes that follows the same joints, so that landmarks of the lower lip are not found on the upper one.
"""

from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import as_file, files

import numpy as np
from jaxtyping import Float32, Int32
from scipy.spatial import cKDTree

from dualtalk.core import HeadMotion
from dualtalk.head import load_head
from dualtalk.head.retargeting import align_templates
from dualtalk.head.skinned import SkinnedHead

# mediapipe's landmarks that come closest to the 68 of iBUG 300-W, in the order of that annotation: the outline
# from the person's right ear to the left one, brows, nose, eyes, outer lips, inner lips.
IBUG68 = (
    *(162, 234, 93, 58, 172, 136, 149, 148, 152, 377, 378, 365, 397, 288, 323, 454, 389),
    *(71, 63, 105, 66, 107, 336, 296, 334, 293, 301),
    *(168, 197, 5, 4, 75, 97, 2, 326, 305),
    *(33, 160, 158, 133, 153, 144, 362, 385, 387, 263, 373, 380),
    *(61, 39, 37, 0, 267, 269, 291, 405, 314, 17, 84, 181),
    *(78, 82, 13, 312, 308, 317, 14, 87),
)
# Two places follow the same joints if their skinning weights differ by at most this much, summed over joints.
LARGEST_WEIGHT_DIFFERENCE = 0.5
NEIGHBOURS = 12


@dataclass(frozen=True, eq=False)
class LandmarkPlaces:
    """Landmarks as weighted means of the corners of triangles.

    Attributes
    ----------
    vertices : (landmark, 3) int32
    weights : (landmark, 3) float32
        Barycentric coordinates.
    """

    vertices: Int32[np.ndarray, "landmark 3"]
    weights: Float32[np.ndarray, "landmark 3"]

    def select(self, numbers: tuple[int, ...]) -> "LandmarkPlaces":
        """Some of the landmarks, in the given order."""
        return LandmarkPlaces(self.vertices[list(numbers)], self.weights[list(numbers)])

    def positions_m(self, head: SkinnedHead, motion: HeadMotion) -> Float32[np.ndarray, "frame landmark 3"]:
        """The landmarks of a head in motion."""
        used, corners = np.unique(self.vertices, return_inverse=True)
        posed = head.vertices(motion, vertex_ids=used)
        return np.einsum("lc,flcx->flx", self.weights, posed[:, corners.reshape(self.vertices.shape)])


def landmarks_478(head: SkinnedHead) -> LandmarkPlaces:
    """mediapipe's 478 landmarks, in its numbering."""
    own = _open_head_landmarks()
    return own if head.space == "open" else _transferred(own, head)


def landmarks_68(head: SkinnedHead) -> LandmarkPlaces:
    """The 68 landmarks of iBUG 300-W."""
    return landmarks_478(head).select(IBUG68)


@lru_cache(maxsize=1)
def _open_head_landmarks() -> LandmarkPlaces:
    with as_file(files("dualtalk.head") / "open_head_landmarks.npz") as path, np.load(path) as archive:
        return LandmarkPlaces(archive["vertices"], archive["weights"])


@lru_cache(maxsize=4)
def _transferred(own: LandmarkPlaces, head: SkinnedHead) -> LandmarkPlaces:
    """The landmarks of the open head at the nearest vertices of another head that follow the same joints."""
    source = load_head("open")
    assert isinstance(source, SkinnedHead)
    aligned_m, _ = align_templates(source, head)
    points_m = np.einsum("lc,lcx->lx", own.weights, aligned_m[own.vertices])
    joints = np.einsum("lc,lcj->lj", own.weights, source.arrays.weights[own.vertices])
    distances_m, candidates = cKDTree(head.template).query(points_m, k=NEIGHBOURS)
    differences = np.abs(head.arrays.weights[candidates] - joints[:, None]).sum(axis=-1)
    distances_m = np.where(differences <= LARGEST_WEIGHT_DIFFERENCE, distances_m, distances_m + 1)
    chosen = np.take_along_axis(candidates, distances_m.argmin(axis=1)[:, None], axis=1)
    vertices: np.ndarray = np.repeat(chosen, 3, axis=1).astype(np.int32)
    weights = np.zeros((len(vertices), 3), np.float32)
    weights[:, 0] = 1
    return LandmarkPlaces(vertices, weights)
