"""The binary container of glTF 2.0: accessors, the binary buffer, and the file.

Source: Khronos Group, glTF 2.0 specification, sections 3.6 (accessors, sparse accessors) and 4 (binary container).
"""

import json
import os
import struct

import numpy as np

from dualtalk.io.atomic import written_whole

BYTE, SHORT, INT, FLOAT = 5121, 5123, 5125, 5126
COMPONENTS = {np.dtype(np.uint8): BYTE, np.dtype(np.uint16): SHORT, np.dtype(np.uint32): INT}
COMPONENTS[np.dtype(np.float32)] = FLOAT
SHAPES = {(): "SCALAR", (3,): "VEC3", (4,): "VEC4", (4, 4): "MAT4"}
VERTICES, TRIANGLES = 34962, 34963
JSON_CHUNK, BINARY_CHUNK = 0x4E4F534A, 0x004E4942


class GlbBinary:
    """The accessors, and the bytes of the binary buffer."""

    def __init__(self) -> None:
        self.bytes = bytearray()
        self.buffer_views: list[dict] = []
        self.accessors: list[dict] = []

    def view(self, array: np.ndarray, target: int | None = None) -> int:
        self.bytes.extend(bytes(-len(self.bytes) % 4))
        view = {"buffer": 0, "byteOffset": len(self.bytes), "byteLength": array.nbytes}
        if target is not None:
            view["target"] = target
        self.bytes.extend(np.ascontiguousarray(array).tobytes())
        self.buffer_views.append(view)
        return len(self.buffer_views) - 1

    def add(
        self, array: np.ndarray, target: int | None = None, *, bounded: bool = False, normalized: bool = False
    ) -> int:
        """Add an accessor and return its index.

        `bounded` adds the minimum and maximum, which some accessors require; `normalized` marks integers that
        represent 0 to 1.
        """
        accessor = _described(array, bounded)
        accessor["bufferView"] = self.view(array, target)
        if normalized:
            accessor["normalized"] = True
        self.accessors.append(accessor)
        return len(self.accessors) - 1

    def add_displacement(self, offsets_m: np.ndarray) -> int:
        """Add (corner, 3) displacements as a sparse accessor, or as a dense one if that is smaller."""
        nonzero = np.flatnonzero(offsets_m.any(axis=1))
        if not 0 < len(nonzero) < 0.8 * len(offsets_m):
            return self.add(offsets_m, VERTICES, bounded=True)
        accessor = _described(offsets_m, bounded=True)
        indices: np.ndarray = nonzero.astype(index_type(len(offsets_m)))
        accessor["sparse"] = {
            "count": len(nonzero),
            "indices": {"bufferView": self.view(indices), "componentType": COMPONENTS[indices.dtype]},
            "values": {"bufferView": self.view(offsets_m[nonzero])},
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


def index_type(count: int) -> type:
    """The smallest type for vertex indices below `count`."""
    return np.uint16 if count < 2**16 else np.uint32


def write_glb_file(path: str | os.PathLike, document: dict, binary: GlbBinary) -> None:
    """Write a document whose accessors are in `binary`; the file appears only when it is complete."""
    document = document | {
        "buffers": [{"byteLength": len(binary.bytes)}],
        "bufferViews": binary.buffer_views,
        "accessors": binary.accessors,
    }
    text = json.dumps(document, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 4)
    content = bytes(binary.bytes) + bytes(-len(binary.bytes) % 4)
    with written_whole(path) as partial, partial.open("wb") as file:
        file.write(struct.pack("<4sII", b"glTF", 2, 12 + 8 + len(text) + 8 + len(content)))
        file.write(struct.pack("<II", len(text), JSON_CHUNK) + text)
        file.write(struct.pack("<II", len(content), BINARY_CHUNK) + content)
