"""A mesh file for every frame, .obj or .ply, through trimesh.

trimesh writes the first; the others differ from it by their vertices alone, and those are put in their place: a
minute is thousands of files, and formatting each anew would take as many times longer.
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

FRAMES_AT_ONCE = 64
# Decimals of a coordinate in .obj: a hundredth of a millimetre.
DECIMALS = 5
LARGEST_M = 10.0


def write_mesh_sequence(folder: Path, head: Head, motion: HeadMotion, suffix: str, appearance: Appearance) -> None:
    """Write `000000.obj` and so on: metres, the head's own coordinates, vertices and faces in the head's order.

    .ply is binary and has the colours of the regions on the faces; .obj is text, and shape alone.

    Raises
    ------
    InputError
        The motion is of another space, or has no frames.
    """
    if not motion.frames:
        raise InputError("the motion has no frames; was it cut to nothing?")
    folder.mkdir()
    encode = {".ply": _ply, ".obj": _obj}[suffix](head, appearance)
    for first in range(0, motion.frames, FRAMES_AT_ONCE):
        for number, vertices in enumerate(head.vertices(motion[first : first + FRAMES_AT_ONCE]), first):
            (folder / f"{number:06d}{suffix}").write_bytes(encode(vertices))


def _ply(head: Head, appearance: Appearance) -> Callable[[Float32[np.ndarray, "vertex 3"]], bytes]:
    colours = np.array([(*appearance.colour(region), 255) for region in Region], np.uint8)[head.regions]
    mesh = trimesh.Trimesh(head.template, head.faces, face_colors=colours, process=False)
    header, end, body = mesh.export(file_type="ply").partition(b"end_header\n")
    faces = body[head.template.nbytes :]
    return lambda vertices: b"".join((header, end, vertices.astype("<f4").tobytes(), faces))


def _obj(head: Head, appearance: Appearance) -> Callable[[Float32[np.ndarray, "vertex 3"]], bytes]:
    text = trimesh.Trimesh(head.template, head.faces, process=False).export(file_type="obj").encode()
    faces = text[text.index(b"\nf ") + 1 :]
    digits = np.array([list(b"%0*d" % (DECIMALS, number)) for number in range(10**DECIMALS)], np.uint8)
    line = np.frombuffer(b"v" + b"  0.00000" * 3 + b"\n", np.uint8)

    def encode(vertices: Float32[np.ndarray, "vertex 3"]) -> bytes:
        scaled = np.rint(vertices.astype(np.float64) * 10**DECIMALS).astype(np.int64)
        if np.abs(vertices).max() >= LARGEST_M - 1:
            raise InputError(
                f"a vertex of {head.name} is {np.abs(vertices).max():g} m away; is the head in metres?"
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
