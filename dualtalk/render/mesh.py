"""Writing one frame of one head as a mesh file with trimesh."""

import os
from pathlib import Path

import numpy as np
import trimesh

from dualtalk.core import HeadMotion
from dualtalk.errors import InputError
from dualtalk.head import Head, Region
from dualtalk.io.atomic import written_whole
from dualtalk.render.scene import APPEARANCES, Appearance

MESH_SUFFIXES = (".obj", ".ply", ".glb", ".stl")


def write_mesh(
    path: str | os.PathLike,
    head: Head,
    motion: HeadMotion,
    frame: int = 0,
    appearance: Appearance = APPEARANCES[0],
) -> None:
    """Write one frame as .obj, .ply, .glb or .stl, in metres and in the head's own coordinates.

    .obj and .ply keep the order of the head's vertices and faces. .ply has a colour per face; .glb has colours per
    vertex, so its faces share no vertices; .obj and .stl have no colours.

    Raises
    ------
    InputError
        Another suffix, a frame that does not exist, or motion in another space.
    """
    path = Path(path)
    if path.suffix.lower() not in MESH_SUFFIXES:
        raise InputError(f"cannot write a mesh as {path.name}; wanted one of {', '.join(MESH_SUFFIXES)}")
    if not 0 <= frame < motion.frames:
        raise InputError(f"no frame {frame}; the motion has frames 0 to {motion.frames - 1}")
    vertices, faces = head.vertices(motion[frame : frame + 1])[0], head.faces
    colours = np.array([(*appearance.colour(region), 255) for region in Region], np.uint8)[head.regions]
    if path.suffix.lower() == ".glb":
        vertices, faces = vertices[faces].reshape(-1, 3), np.arange(faces.size).reshape(-1, 3)
        mesh = trimesh.Trimesh(vertices, faces, vertex_colors=np.repeat(colours, 3, axis=0), process=False)
    elif path.suffix.lower() == ".ply":
        mesh = trimesh.Trimesh(vertices, faces, face_colors=colours, process=False)
    else:
        mesh = trimesh.Trimesh(vertices, faces, process=False)
    with written_whole(path) as partial:
        mesh.export(partial)
