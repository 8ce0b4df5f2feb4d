"""One interface for every head: motion in, vertices out.

Two heads stand behind it, both evaluated by `smplx.FLAME`: the bundled open head, and FLAME files the user has.
"""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float32, Int, Int32, UInt8

from dualtalk.core import HeadMotion, Space


@dataclass(frozen=True, eq=False)
class Eye:
    """An eyeball at rest: where it sits in the mesh, for gaze and for drawing the iris.

    Attributes
    ----------
    vertices : (vertex,) int32
        Indices of the eyeball's vertices in the head's mesh.
    centre_m : (3,) float32
    radius_m : float
    """

    vertices: Int32[np.ndarray, "vertex"]
    centre_m: Float32[np.ndarray, "3"]
    radius_m: float


@runtime_checkable
class Head(Protocol):
    """A head that motion can drive.

    Attributes
    ----------
    name : str
        "open", or the stem of the FLAME file.
    space : "flame" or "open"
        Motions of another space are refused.
    template : (vertex, 3) float32
        The mean head at rest, metres; x to the person's left, y up, z out of the face.
    faces : (face, 3) int32
    regions : (face,) uint8
        A `Region` for each face.
    blendshape_names : tuple of str
        One name for each of the 50 expression coefficients ("" where the coefficient does nothing).
    eyes : (Eye, Eye)
        Left, then right.
    neck_m, jaw_m : (3,) float32
        Joints about which the head and the jaw turn, at rest.
    upper_lip, lower_lip : (vertex,) int32
        Vertices of the inner lips at the midline, which `lip_gap` measures.
    """

    name: str
    space: Space
    template: Float32[np.ndarray, "vertex 3"]
    faces: Int32[np.ndarray, "face 3"]
    regions: UInt8[np.ndarray, "face"]
    blendshape_names: tuple[str, ...]
    eyes: tuple[Eye, Eye]
    neck_m: Float32[np.ndarray, "3"]
    jaw_m: Float32[np.ndarray, "3"]
    upper_lip: Int32[np.ndarray, "upper"]
    lower_lip: Int32[np.ndarray, "lower"]

    def vertices(
        self,
        motion: HeadMotion,
        shape: Float32[np.ndarray, "300"] | None = None,
        vertex_ids: Int[np.ndarray, "vertex"] | None = None,
    ) -> Float32[np.ndarray, "frame vertex 3"]:
        """Posed vertices in metres. `shape` replaces the motion's own identity.

        `vertex_ids` names the vertices to pose, for metrics of a part of the face: a tenth of the mesh takes
        about a tenth of the time.

        Raises
        ------
        InputError
            The motion's space is not this head's.
        """
        ...

    def lip_gap(self, motion: HeadMotion) -> Float32[np.ndarray, "frame"]:
        """Distance in metres between the inner lips at the midline; 0 where they touch or press."""
        ...
