"""One mesh file per frame, .obj or .ply.

trimesh encodes a first file. All other files differ only in their vertices, so this module encodes the vertices
and reuses the rest, which is many times faster than encoding each of the thousands of files of a minute in full.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import trimesh
from jaxtyping import Float32

from dualtalk.core import HeadMotion
from dualtalk.errors import InputError
from dualtalk.head.head import Head
from dualtalk.head.regions import Region
from dualtalk.render.scene import Appearance

CHUNK_FRAMES = 64
# Decimals of a coordinate in .obj: 0.01 mm.
DECIMALS = 5
MAX_COORDINATE_M = 10.0


def write_mesh_sequence(folder: Path, head: Head, motion: HeadMotion, suffix: str, appearance: Appearance) -> None:
    """Write `000000.obj` and so on into a new folder.

    Metres, in the head's own coordinates, with the head's order of vertices and faces. .ply is binary and has a
    colour per face; .obj is text without colours.

    Raises
    ------
    InputError
        The motion is in another space or has no frames.
    """
    if not motion.frames:
        raise InputError("the motion has no frames; is the recording shorter than 0.04 s?")
    folder.mkdir()
    encode = {".ply": _ply, ".obj": _obj}[suffix](head, appearance)
    for first in range(0, motion.frames, CHUNK_FRAMES):
        for number, vertices in enumerate(head.vertices(motion[first : first + CHUNK_FRAMES]), first):
            (folder / f"{number:06d}{suffix}").write_bytes(encode(vertices))


def _ply(head: Head, appearance: Appearance) -> Callable[[Float32[np.ndarray, "vertex 3"]], bytes]:
    colours = np.array([(*appearance.colour(region), 255) for region in Region], np.uint8)[head.regions]
    mesh = trimesh.Trimesh(head.template, head.faces, face_colors=colours, process=False)
    content = mesh.export(file_type="ply")
    assert isinstance(content, bytes)
    header, end, body = content.partition(b"end_header\n")
    faces = body[head.template.nbytes :]
    return lambda vertices: b"".join((header, end, vertices.astype("<f4").tobytes(), faces))


def _obj(head: Head, appearance: Appearance) -> Callable[[Float32[np.ndarray, "vertex 3"]], bytes]:
    content = trimesh.Trimesh(head.template, head.faces, process=False).export(file_type="obj")
    assert isinstance(content, str)
    text = content.encode()
    faces = text[text.index(b"\nf ") + 1 :]
    digits = np.array([list(b"%0*d" % (DECIMALS, number)) for number in range(10**DECIMALS)], np.uint8)
    line = np.frombuffer(b"v" + b"  0.00000" * 3 + b"\n", np.uint8)

    def encode(vertices: Float32[np.ndarray, "vertex 3"]) -> bytes:
        scaled = np.rint(vertices.astype(np.float64) * 10**DECIMALS).astype(np.int64)
        if np.abs(vertices).max() >= MAX_COORDINATE_M - 1:
            raise InputError(
                f"a vertex of {head.name} is {np.abs(vertices).max():g} m from the origin; is the head in metres?"
            )
        whole, part = np.divmod(np.abs(scaled), 10**DECIMALS)
        lines = np.tile(line, (len(vertices), 1))
        numbers = lines[:, 1:-1].reshape(len(vertices), 3, -1)
        numbers[..., 1] = np.where(scaled < 0, ord("-"), ord(" "))
        numbers[..., 2] += whole.astype(np.uint8)
        numbers[..., 4:] = digits[part]
        lines[:, 1:-1] = numbers.reshape(len(vertices), -1)
        return lines.tobytes() + faces

    return encode
