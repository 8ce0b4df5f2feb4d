"""FLAME files (2020, 2023, 2023 Open) as heads.

A FLAME file holds a mesh, its blendshapes and its joints, but it does not label the eyes, irises and lips. This
module finds them from the geometry and the skinning weights, so it needs no list of vertex indices. An eyeball is
the connected part of the mesh that follows an eye joint. The lips meet where vertices that drop as the jaw opens
lie next to vertices that do not. Skin, brows and hair are one region.
"""

import os
from pathlib import Path

import numpy as np
from jaxtyping import Float, UInt8
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation

from dualtalk.core import EXPRESSION_COEFFICIENTS
from dualtalk.errors import InputError
from dualtalk.head.head import Eye
from dualtalk.head.regions import Region
from dualtalk.head.skinned import FlameArrays, SkinnedHead
from dualtalk.head.smplx_lbs import smplx_lbs
from dualtalk.io.flame_pickle import read_pickled_arrays

SHAPES: dict[str, tuple[str | int, ...]] = {
    "v_template": ("V", 3),
    "f": ("F", 3),
    "shapedirs": ("V", 3, 400),
    "posedirs": ("V", 3, 36),
    "J_regressor": (5, "V"),
    "weights": ("V", 5),
    "kintree_table": (2, 5),
}
JAW, LEFT_EYE, RIGHT_EYE = 2, 3, 4
# Radii of a human iris (11.7 mm wide) and of its pupil in room light.
IRIS_RADIUS_M, PUPIL_RADIUS_M = 0.00585, 0.002
# Jaw rotation at which the lips are searched for. It is large enough to separate the lower lip from the upper lip.
PROBE_RAD = 0.2
# Two skin vertices at most this far apart, whose drops differ by more than this share of the largest drop, lie on
# opposite sides of the mouth opening.
LARGEST_LIP_STEP_M, PARTED_SHARE = 0.004, 0.12
LEAST_OPENING_M, MIDLINE_M, LIP_DEPTH_M = 0.005, 0.003, 0.02
UPPER_LIP_M, LOWER_LIP_M = 0.008, 0.010


def read_flame(path: str | os.PathLike) -> SkinnedHead:
    """Read a FLAME file as a head.

    Raises
    ------
    InputError
        There is no such file, it is not a pickle, the pickle could run code, or its arrays are not FLAME's.
    """
    path = Path(path)
    arrays = _flame_arrays(path, read_pickled_arrays(path))
    parts = _parts(arrays)
    eyes = (_eye(path, arrays, parts, LEFT_EYE), _eye(path, arrays, parts, RIGHT_EYE))
    skin = parts == np.bincount(parts).argmax()
    upper, lower = _mouth_line(path, arrays, skin)
    regions = np.full(len(arrays.f), Region.SKIN, np.uint8)
    regions[_lip_faces(arrays, skin, upper, lower)] = Region.LIPS
    for eye in eyes:
        _colour_eye(regions, arrays, eye)
    middle = np.abs(arrays.v_template[upper, 0]).argsort(kind="stable")[:3]
    return SkinnedHead(
        name=path.stem,
        space="flame",
        arrays=arrays,
        regions=regions,
        blendshape_names=tuple(f"expression{number}" for number in range(1, EXPRESSION_COEFFICIENTS + 1)),
        eyes=eyes,
        upper_lip=upper[middle].astype(np.int32),
        lower_lip=lower[middle].astype(np.int32),
        lbs=smplx_lbs(),
    )


def _flame_arrays(path: Path, found: dict[str, np.ndarray]) -> FlameArrays:
    missing = [name for name in SHAPES if name not in found]
    if missing:
        raise InputError(
            f"{path} has no {', '.join(missing)}; its arrays are {', '.join(sorted(found)) or 'none'}; "
            "wanted a FLAME model, not its masks, textures or landmarks"
        )
    sizes = {"V": len(found["v_template"]), "F": len(found["f"])}
    for name, axes in SHAPES.items():
        expected = tuple(axis if isinstance(axis, int) else sizes[axis] for axis in axes)
        if found[name].shape != expected:
            raise InputError(
                f"{path}: {name} has shape {found[name].shape}; wanted {expected}; is it a body model?"
            )
    faces = found["f"].astype(np.int32)
    if faces.min() < 0 or faces.max() >= sizes["V"]:
        raise InputError(f"{path}: f names vertex {faces.max()} of {sizes['V']}; is the file damaged?")
    floats = {
        name: found[name].astype(np.float32)
        for name in ("v_template", "shapedirs", "posedirs", "J_regressor", "weights")
    }
    if not all(np.isfinite(array).all() for array in floats.values()):
        raise InputError(f"{path} holds values that are NaN or infinite; is the file damaged?")
    # The root's parent is stored as the largest unsigned number.
    tree = found["kintree_table"].astype(np.int64)
    tree[0, 0] = -1
    return FlameArrays(f=faces, kintree_table=tree, **floats)


def _parts(arrays: FlameArrays) -> np.ndarray:
    """(vertex,) number of the connected part that each vertex belongs to."""
    start, end = arrays.f[:, [0, 1, 2]].ravel(), arrays.f[:, [1, 2, 0]].ravel()
    count = len(arrays.v_template)
    joined = coo_array((np.ones(len(start), np.int8), (start, end)), shape=(count, count))
    return connected_components(joined, directed=False)[1]


def _eye(path: Path, arrays: FlameArrays, parts: np.ndarray, joint: int) -> Eye:
    follows = np.bincount(parts, arrays.weights[:, joint]) / np.bincount(parts)
    ball = np.flatnonzero(parts == follows.argmax())
    if follows.max() < 0.5:
        raise InputError(f"{path}: no separate part of the mesh follows eye joint {joint}; is it a FLAME head?")
    points = arrays.v_template[ball]
    centre = (points.min(axis=0) + points.max(axis=0)) / 2
    return Eye(ball.astype(np.int32), centre, float(np.ptp(points[:, 0]) / 2))


def _colour_eye(regions: UInt8[np.ndarray, "face"], arrays: FlameArrays, eye: Eye) -> None:
    """Mark the eye's faces in `regions`: iris and pupil by angle from the forward axis, the rest as sclera."""
    ball = np.flatnonzero(np.isin(arrays.f[:, 0], eye.vertices))
    outward = arrays.v_template[arrays.f[ball]] - eye.centre_m
    off_axis_m = _mid_range(
        eye.radius_m * np.hypot(outward[..., 0], outward[..., 1]) / np.linalg.norm(outward, axis=2)
    )
    front = (outward[..., 2] > 0).all(axis=1)
    regions[ball] = Region.SCLERA
    regions[ball[front & (off_axis_m < IRIS_RADIUS_M)]] = Region.IRIS
    regions[ball[front & (off_axis_m < PUPIL_RADIUS_M)]] = Region.PUPIL


def _mouth_line(path: Path, arrays: FlameArrays, skin: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of vertices (upper lip, lower lip) that lie against each other at rest."""
    points, drop_m = arrays.v_template, _drop_with_jaw(arrays)
    most = drop_m[skin].max()
    if most < LEAST_OPENING_M:
        raise InputError(f"{path}: the jaw joint opens no mouth; is it a FLAME head in metres?")
    near = np.flatnonzero(skin)
    pairs = near[cKDTree(points[near]).query_pairs(LARGEST_LIP_STEP_M, output_type="ndarray")]
    lower_first = drop_m[pairs[:, 0]] > drop_m[pairs[:, 1]]
    upper, lower = np.where(lower_first, pairs[:, ::-1].T, pairs.T)
    parted = drop_m[lower] - drop_m[upper] > PARTED_SHARE * most
    upper, lower = upper[parted], lower[parted]
    middle = np.abs(points[lower, 0]) < MIDLINE_M
    if not middle.any():
        raise InputError(f"{path}: no lips meet at the middle of the face; is it a FLAME head in metres?")
    # Surfaces of the inner mouth also touch at rest; they lie behind the lips.
    lips = points[lower, 2] > points[lower[middle], 2].max() - LIP_DEPTH_M
    upper, lower = upper[lips], lower[lips]
    closest = np.linalg.norm(points[upper] - points[lower], axis=1).argsort(kind="stable")
    first = np.unique(lower[closest], return_index=True)[1]
    return upper[closest][first], lower[closest][first]


def _drop_with_jaw(arrays: FlameArrays) -> Float[np.ndarray, "vertex"]:
    """Downward displacement of each vertex when the jaw opens by `PROBE_RAD`, in metres."""
    rotation = Rotation.from_rotvec([PROBE_RAD, 0, 0]).as_matrix().astype(np.float32)
    features = np.zeros((4, 3, 3), np.float32)
    features[JAW - 1] = rotation - np.eye(3)
    rest = arrays.v_template + arrays.posedirs @ features.ravel()
    jaw = arrays.J_regressor[JAW] @ arrays.v_template
    turned = (rest - jaw) @ rotation.T + jaw
    weight = arrays.weights[:, JAW : JAW + 1]
    posed = (1 - weight) * rest + weight * turned
    return arrays.v_template[:, 1] - posed[:, 1]


def _lip_faces(arrays: FlameArrays, skin: np.ndarray, upper: np.ndarray, lower: np.ndarray) -> np.ndarray:
    """(face,) bool: faces in a lens-shaped area around the mouth line, as wide as the line and as high as lips."""
    x, y, z = arrays.v_template.T
    line = (arrays.v_template[upper] + arrays.v_template[lower]) / 2
    line = line[line[:, 0].argsort(kind="stable")]
    share = 1 - np.abs(x / np.abs(line[:, 0]).max()) ** 3
    above = y - np.interp(x, line[:, 0], line[:, 1])
    behind = np.interp(x, line[:, 0], line[:, 2]) - z
    height = np.where(above > 0, UPPER_LIP_M, LOWER_LIP_M) * share.clip(1e-3)
    inside = _mid_range((np.abs(above) / height)[arrays.f]) < 1
    return inside & skin[arrays.f[:, 0]] & (behind[arrays.f].max(axis=1) < LIP_DEPTH_M)


def _mid_range(corners: Float[np.ndarray, "face 3"]) -> Float[np.ndarray, "face"]:
    """Mean of the smallest and the largest corner value of each face.

    Both triangles of a quad between two rings of vertices have the same value, so a threshold follows the rings.
    """
    return (corners.min(axis=1) + corners.max(axis=1)) / 2
