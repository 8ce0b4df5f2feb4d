"""Vertex attributes and draw order for the `.glsl` shaders in this folder: lights, materials and triangle groups.

The moderngl renderer and the 3D viewer share them.
"""

import numpy as np
from jaxtyping import Float32, Int32

from dualtalk.head.regions import Region
from dualtalk.render.scene import Appearance
from dualtalk.render.surface import EYE_REGIONS, Surface

KEY_LIGHT, RIM_LIGHT = (0.45, 0.55, 0.75), (0.75, 0.45, -0.65)
# Wrap of the diffuse light around the terminator, specular strength, and specular exponent.
MATERIALS: dict[Region, tuple[float, float, float]] = {
    Region.SKIN: (0.35, 0.16, 14),
    Region.LIPS: (0.30, 0.30, 30),
    Region.BROW: (0.40, 0.04, 8),
    Region.HAIR: (0.25, 0.10, 12),
    Region.SCLERA: (0.50, 0.80, 160),
    Region.IRIS: (0.50, 0.80, 160),
    Region.PUPIL: (0.50, 0.80, 160),
    Region.TEETH: (0.40, 0.35, 50),
    Region.TONGUE: (0.40, 0.25, 30),
    Region.MOUTH_INSIDE: (0.40, 0.06, 20),
    Region.LASHES: (0.20, 0.00, 8),
    Region.CLOTHES: (0.20, 0.03, 6),
}


def vertex_attributes(surface: Surface, appearance: Appearance) -> Float32[np.ndarray, "corner 11"]:
    """The attributes of each corner.

    Returns
    -------
    (corner, 11) float32
        Linear RGB and alpha (4), material and ambient occlusion (4), iris coordinates (3). Corners of the eyeballs
        carry the iris colour: the shader draws iris, pupil and sclera from the iris coordinates, which is finer
        than the mesh.
    """
    colours = np.array([appearance.colour(Region.IRIS if r in EYE_REGIONS else r) for r in Region], np.float32)
    materials = np.array([MATERIALS[region] for region in Region], np.float32)
    linear = (colours / 255) ** 2.2
    regions = surface.regions
    alpha, ambient_occlusion = surface.alpha[:, None], surface.ambient_occlusion[:, None]
    columns = [linear[regions], alpha, materials[regions], ambient_occlusion, surface.iris]
    return np.concatenate(columns, axis=1).astype(np.float32)


def draw_groups(
    surface: Surface,
) -> tuple[Int32[np.ndarray, "head 3"], Int32[np.ndarray, "eye 3"], Int32[np.ndarray, "hem 3"]]:
    """Triangles in drawing order: the opaque head, the eyes, and the hem of the bust, which fades out."""
    faces = surface.faces
    eyes = np.isin(surface.regions[faces[:, 0]], EYE_REGIONS)
    fading = (surface.alpha[faces] < 1).any(axis=1)
    return faces[~eyes & ~fading], faces[eyes], faces[fading]
