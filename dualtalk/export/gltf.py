"""Both people in one binary glTF 2.0 file: mesh, skin, blend shapes by name, and their animation.

Source: Khronos Group, glTF 2.0 specification, sections 3.6 (accessors, sparse ones included), 3.7 (meshes,
skins), 3.11 (animations), 4 (the binary container). Only its core is used, no extension, so that every reader will
do. Displacements are sparse, since most blend shapes leave most of a face alone, and both people share them.

A person is a mesh node without a transform, and a node named after them that places their joints in the scene.
The first animation, `dialogue`, moves both, as most viewers play one; those after it, named after a person, move
that one, and lie in the same bytes.
"""

import json
import os
import struct
from pathlib import Path

import numpy as np

import dualtalk
from dualtalk.core import HeadMotion
from dualtalk.export.rig import JOINTS, PARENTS, BlendShapes, RiggedMotion
from dualtalk.head.skinned import SkinnedHead
from dualtalk.io.atomic import written_whole
from dualtalk.render.scene import Appearance
from dualtalk.render.surface import Normals, Surface
from dualtalk.timebase import MOTION_FPS

BYTE, SHORT, INT, FLOAT = 5121, 5123, 5125, 5126
COMPONENTS = {np.dtype(np.uint8): BYTE, np.dtype(np.uint16): SHORT, np.dtype(np.uint32): INT}
COMPONENTS[np.dtype(np.float32)] = FLOAT
SHAPES = {(): "SCALAR", (3,): "VEC3", (4,): "VEC4", (4, 4): "MAT4"}
VERTICES, TRIANGLES = 34962, 34963
JSON_CHUNK, BINARY_CHUNK = 0x4E4F534A, 0x004E4942
INFLUENCES = 4
SKIN_ROUGHNESS = 0.75


class _Binary:
    """Accessors, and the bytes they lie in."""

    def __init__(self) -> None:
        self.bytes = bytearray()
        self.viewports: list[dict] = []
        self.accessors: list[dict] = []

    def view(self, array: np.ndarray, target: int | None = None) -> int:
        self.bytes.extend(bytes(-len(self.bytes) % 4))
        view = {"buffer": 0, "byteOffset": len(self.bytes), "byteLength": array.nbytes}
        if target is not None:
            view["target"] = target
        self.bytes.extend(np.ascontiguousarray(array).tobytes())
        self.viewports.append(view)
        return len(self.viewports) - 1

    def add(
        self, array: np.ndarray, target: int | None = None, *, bounded: bool = False, normalized: bool = False
    ) -> int:
        """Index of a new accessor; `bounded` where the format wants its range, `normalized` for integers that
        stand for 0 to 1."""
        accessor = _described(array, bounded)
        accessor["bufferView"] = self.view(array, target)
        if normalized:
            accessor["normalized"] = True
        self.accessors.append(accessor)
        return len(self.accessors) - 1

    def add_displacement(self, moves_m: np.ndarray) -> int:
        """(corner, 3) as a sparse accessor, or a plain one where that is smaller."""
        moved = np.flatnonzero(moves_m.any(axis=1))
        if not 0 < len(moved) < 0.8 * len(moves_m):
            return self.add(moves_m, VERTICES, bounded=True)
        accessor = _described(moves_m, bounded=True)
        indices = moved.astype(_index_type(len(moves_m)))
        accessor["sparse"] = {
            "count": len(moved),
            "indices": {"bufferView": self.view(indices), "componentType": COMPONENTS[indices.dtype]},
            "values": {"bufferView": self.view(moves_m[moved])},
        }
        self.accessors.append(accessor)
        return len(self.accessors) - 1


def _described(array: np.ndarray, bounded: bool) -> dict:
    accessor = {
        "componentType": COMPONENTS[array.dtype],
        "count": len(array),
        "type": SHAPES[array.shape[1:]],
    }
    if bounded:
        accessor["min"] = np.atleast_1d(array.min(axis=0)).tolist()
        accessor["max"] = np.atleast_1d(array.max(axis=0)).tolist()
    return accessor


def _index_type(count: int) -> type:
    return np.uint16 if count < 2**16 else np.uint32


def write_glb(
    path: str | os.PathLike,
    head: SkinnedHead,
    people: dict[str, HeadMotion],
    appearances: dict[str, Appearance],
    placements: dict[str, np.ndarray],
) -> None:
    """Write people by name, each with their appearance and the (4, 4) matrix that places their head in the scene.

    Raises
    ------
    InputError
        A motion is of another space than `head`'s, or has no frame.
    """
    binary = _Binary()
    surface, shapes = Surface.of(head), BlendShapes.of(head)
    shared = _shared(binary, head, surface, shapes)
    document = {
        "asset": {"version": "2.0", "generator": f"dualtalk {dualtalk.__version__}"},
        "scene": 0,
        "scenes": [{"nodes": []}],
        "materials": [_material()],
    }
    document |= {part: [] for part in ("nodes", "meshes", "skins", "animations")}
    for name, motion in people.items():
        rigged = RiggedMotion.of(head, motion)
        mesh = _mesh(binary, head, surface, rigged, appearances[name], shared)
        document["meshes"].append({"name": name, **mesh, "extras": {"targetNames": list(shapes.names)}})
        _add_person(document, binary, name, rigged, placements[name])
    if len(people) > 1:
        document["animations"].insert(0, _together(document["animations"]))
    document["buffers"] = [{"byteLength": len(binary.bytes)}]
    document |= {"bufferViews": binary.viewports, "accessors": binary.accessors}
    with written_whole(path) as partial:
        _write_container(partial, document, bytes(binary.bytes))


def _material() -> dict:
    """What the vertices' colours are seen on."""
    surface = {"metallicFactor": 0.0, "roughnessFactor": SKIN_ROUGHNESS}
    return {"name": "head", "pbrMetallicRoughness": surface, "doubleSided": True}


def _shared(binary: _Binary, head: SkinnedHead, surface: Surface, shapes: BlendShapes) -> dict:
    """Accessors that are the same for both people."""
    corners = surface.faces.astype(_index_type(len(surface.source))).reshape(-1)
    joints, weights = _influences(head.arrays.weights)
    return {
        "indices": binary.add(corners, TRIANGLES),
        "joints": binary.add(joints[surface.source], VERTICES),
        "weights": binary.add(weights[surface.source], VERTICES),
        "targets": [binary.add_displacement(moves_m[surface.source]) for moves_m in shapes.moves_m],
    }


def _influences(weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(vertex, 4) joints and their weights, heaviest first."""
    joints = np.argsort(-weights, axis=1, kind="stable")[:, :INFLUENCES]
    heaviest = np.take_along_axis(weights, joints, axis=1).astype(np.float64)
    heaviest /= heaviest.sum(axis=1, keepdims=True)
    return np.where(heaviest > 0, joints, 0).astype(np.uint8), heaviest.astype(np.float32)


def _mesh(
    binary: _Binary,
    head: SkinnedHead,
    surface: Surface,
    rigged: RiggedMotion,
    appearance: Appearance,
    shared: dict,
) -> dict:
    normals = Normals(head.faces, len(rigged.rest_m)).of(rigged.rest_m)
    normals[~normals.any(axis=1)] = (0, 0, 1)
    colours = surface.colours(appearance)
    colours[:, 3] = 1
    attributes = {
        "POSITION": binary.add(rigged.rest_m[surface.source], VERTICES, bounded=True),
        "NORMAL": binary.add(normals[surface.source].astype(np.float32), VERTICES),
        "COLOR_0": binary.add(np.rint(colours * 65535).astype(np.uint16), VERTICES, normalized=True),
        "JOINTS_0": shared["joints"],
        "WEIGHTS_0": shared["weights"],
    }
    primitive = {"attributes": attributes, "indices": shared["indices"], "material": 0}
    primitive["targets"] = [{"POSITION": accessor} for accessor in shared["targets"]]
    return {"primitives": [primitive], "weights": [0.0] * len(shared["targets"])}


def _add_person(document: dict, binary: _Binary, name: str, rigged: RiggedMotion, place: np.ndarray) -> None:
    """Add nodes, skin and animation of the mesh last added."""
    nodes, mesh = document["nodes"], len(document["meshes"]) - 1
    placed, first = len(nodes), len(nodes) + 1
    moved = {} if np.array_equal(place, np.eye(4)) else {"matrix": place.T.reshape(-1).tolist()}
    nodes.append({"name": name, **moved, "children": [first]})
    for joint, label in enumerate(JOINTS):
        node = {"name": f"{name}_{label}", "translation": rigged.offsets_m[0, joint].tolist()}
        children = [first + child for child, parent in enumerate(PARENTS) if parent == joint]
        nodes.append(node | ({"children": children} if children else {}))
    body = len(nodes)
    nodes.append({"name": f"{name}_head", "mesh": mesh, "skin": len(document["skins"])})
    document["scenes"][0]["nodes"] += [placed, body]

    unbind = np.tile(np.eye(4, dtype=np.float32), (len(JOINTS), 1, 1))
    # Matrices are stored a column after the other.
    unbind[:, 3, :3] = -rigged.joints_m
    skin = {"joints": list(range(first, body)), "skeleton": first, "inverseBindMatrices": binary.add(unbind)}
    document["skins"].append({"name": name, **skin})
    document["animations"].append({"name": name, **_animation(binary, rigged, first, body)})


def _animation(binary: _Binary, rigged: RiggedMotion, first: int, body: int) -> dict:
    times_s = (np.arange(len(rigged.weights)) / MOTION_FPS).astype(np.float32)
    times = binary.add(times_s, bounded=True)
    tracks = [(body, "weights", rigged.weights.reshape(-1))]
    for joint in range(len(JOINTS)):
        turns, offsets = rigged.quaternions_xyzw[:, joint], rigged.offsets_m[:, joint]
        if joint:
            tracks.append((first + joint, "rotation", turns))
        if (offsets != offsets[0]).any():
            tracks.append((first + joint, "translation", offsets))
    samplers = [
        {"input": times, "interpolation": "LINEAR", "output": binary.add(values)} for _, _, values in tracks
    ]
    channels = [
        {"sampler": sampler, "target": {"node": node, "path": what}}
        for sampler, (node, what, _) in enumerate(tracks)
    ]
    return {"samplers": samplers, "channels": channels}


def _together(animations: list[dict]) -> dict:
    """One animation that does what all of them do."""
    samplers, channels = [], []
    for animation in animations:
        channels += [
            channel | {"sampler": channel["sampler"] + len(samplers)} for channel in animation["channels"]
        ]
        samplers += animation["samplers"]
    return {"name": "dialogue", "samplers": samplers, "channels": channels}


def _write_container(path: Path, document: dict, binary: bytes) -> None:
    text = json.dumps(document, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 4)
    binary += bytes(-len(binary) % 4)
    with path.open("wb") as file:
        file.write(struct.pack("<4sII", b"glTF", 2, 12 + 8 + len(text) + 8 + len(binary)))
        file.write(struct.pack("<II", len(text), JSON_CHUNK) + text)
        file.write(struct.pack("<II", len(binary), BINARY_CHUNK) + binary)
