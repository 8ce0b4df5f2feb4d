"""Materials of a head's triangles, from which a renderer colours the mesh without textures."""

from enum import IntEnum


class Region(IntEnum):
    """Material of a triangle."""

    SKIN = 0
    LIPS = 1
    BROW = 2
    HAIR = 3
    SCLERA = 4
    IRIS = 5
    PUPIL = 6
    TEETH = 7
    TONGUE = 8
    MOUTH_INSIDE = 9
    LASHES = 10
    CLOTHES = 11
