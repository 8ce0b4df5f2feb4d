"""Both participants in one binary glTF 2.0 file: mesh, skin, named morph targets and animation.

Source: Khronos Group, glTF 2.0 specification, sections 3.7 (meshes, skins) and 3.11 (animations). The file uses no
extensions, so every glTF reader can load it. Morph targets are sparse accessors, because most blendshapes move few
vertices, and both participants share them.

A participant consists of a mesh node without a transform and a node with their label that places their joints in
the scene. The first animation, `dialogue`, contains both participants, because most viewers play one animation.
The other animations have the labels of the participants, contain one each, and reference the same accessors.
"""

import os
from collections.abc import Mapping
from typing import Any

import numpy as np

import dualtalk
from dualtalk.core import HeadMotion
from dualtalk.export.glb_container import TRIANGLES, VERTICES, GlbBinary, index_type, write_glb_file
from dualtalk.export.rig import JOINTS, PARENTS, BlendShapes, RiggedMotion
from dualtalk.head.skinned import SkinnedHead
from dualtalk.render.scene import Appearance
from dualtalk.render.surface import Normals, Surface
from dualtalk.timebase import MOTION_FPS

INFLUENCES = 4
SKIN_ROUGHNESS = 0.75


def write_glb(
    path: str | os.PathLike,
    head: SkinnedHead,
    motions: Mapping[str, HeadMotion],
    appearances: Mapping[str, Appearance],
    placements: Mapping[str, np.ndarray],
) -> None:
    """Write the participants.

    Parameters
    ----------
    motions, appearances, placements : mapping
        By participant label; a placement is the (4, 4) matrix from head to scene coordinates, metres.

    Raises
    ------
    InputError
        A motion is in another space than `head` or has no frames.
    """
    binary = GlbBinary()
    surface, shapes = Surface.of(head), BlendShapes.of(head)
    shared = _shared(binary, head, surface, shapes)
    document: dict[str, Any] = {
        "asset": {"version": "2.0", "generator": f"dualtalk {dualtalk.__version__}"},
        "scene": 0,
        "scenes": [{"nodes": []}],
        "materials": [_material()],
    }
    document |= {part: [] for part in ("nodes", "meshes", "skins", "animations")}
    for name, motion in motions.items():
        rigged = RiggedMotion.of(head, motion)
        mesh = _mesh(binary, head, surface, rigged, appearances[name], shared)
        document["meshes"].append({"name": name, **mesh, "extras": {"targetNames": list(shapes.names)}})
        _add_participant(document, binary, name, rigged, placements[name])
    if len(motions) > 1:
        document["animations"].insert(0, _combined(document["animations"]))
    write_glb_file(path, document, binary)


def _material() -> dict:
    """The material of the vertex colours."""
    surface = {"metallicFactor": 0.0, "roughnessFactor": SKIN_ROUGHNESS}
    return {"name": "head", "pbrMetallicRoughness": surface, "doubleSided": True}


def _shared(binary: GlbBinary, head: SkinnedHead, surface: Surface, shapes: BlendShapes) -> dict:
    """Accessors that both participants share."""
    corners: np.ndarray = surface.faces.astype(index_type(len(surface.source))).reshape(-1)
    joints, weights = _influences(head.arrays.weights)
    return {
        "indices": binary.add(corners, TRIANGLES),
        "joints": binary.add(joints[surface.source], VERTICES),
        "weights": binary.add(weights[surface.source], VERTICES),
        "targets": [binary.add_displacement(offsets_m[surface.source]) for offsets_m in shapes.offsets_m],
    }


def _influences(weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(vertex, 4) joint indices and weights, largest weight first."""
    joints = np.argsort(-weights, axis=1, kind="stable")[:, :INFLUENCES]
    largest = np.take_along_axis(weights, joints, axis=1).astype(np.float64)
    largest /= largest.sum(axis=1, keepdims=True)
    return np.where(largest > 0, joints, 0).astype(np.uint8), largest.astype(np.float32)


def _mesh(
    binary: GlbBinary,
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


def _add_participant(
    document: dict, binary: GlbBinary, name: str, rigged: RiggedMotion, placement: np.ndarray
) -> None:
    """Add the nodes, the skin and the animation of the mesh that was added last."""
    nodes, mesh = document["nodes"], len(document["meshes"]) - 1
    placed, first = len(nodes), len(nodes) + 1
    transform = {} if np.array_equal(placement, np.eye(4)) else {"matrix": placement.T.reshape(-1).tolist()}
    nodes.append({"name": name, **transform, "children": [first]})
    for joint, label in enumerate(JOINTS):
        node = {"name": f"{name}_{label}", "translation": rigged.offsets_m[0, joint].tolist()}
        children = [first + child for child, parent in enumerate(PARENTS) if parent == joint]
        nodes.append(node | ({"children": children} if children else {}))
    body = len(nodes)
    nodes.append({"name": f"{name}_head", "mesh": mesh, "skin": len(document["skins"])})
    document["scenes"][0]["nodes"] += [placed, body]

    inverse_bind = np.tile(np.eye(4, dtype=np.float32), (len(JOINTS), 1, 1))
    # glTF stores matrices in column-major order.
    inverse_bind[:, 3, :3] = -rigged.joints_m
    skin = {"joints": list(range(first, body)), "skeleton": first, "inverseBindMatrices": binary.add(inverse_bind)}
    document["skins"].append({"name": name, **skin})
    document["animations"].append({"name": name, **_animation(binary, rigged, first, body)})


def _animation(binary: GlbBinary, rigged: RiggedMotion, first: int, body: int) -> dict:
    times_s = (np.arange(len(rigged.weights)) / MOTION_FPS).astype(np.float32)
    times = binary.add(times_s, bounded=True)
    tracks = [(body, "weights", rigged.weights.reshape(-1))]
    for joint in range(len(JOINTS)):
        rotations, offsets = rigged.quaternions_xyzw[:, joint], rigged.offsets_m[:, joint]
        if joint:
            tracks.append((first + joint, "rotation", rotations))
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


def _combined(animations: list[dict]) -> dict:
    """One animation with the channels of all animations."""
    samplers: list[dict] = []
    channels: list[dict] = []
    for animation in animations:
        channels += [
            channel | {"sampler": channel["sampler"] + len(samplers)} for channel in animation["channels"]
        ]
        samplers += animation["samplers"]
    return {"name": "dialogue", "samplers": samplers, "channels": channels}
