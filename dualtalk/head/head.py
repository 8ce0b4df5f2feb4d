"""One interface for every head: motion in, vertices out.

Two kinds of head implement it: the bundled open head, and the user's FLAME files. Both are posed with the same
arithmetic as smplx's FLAME layer, and are checked against it; FLAME files are posed by smplx's own functions.
"""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float32, Int, Int32, UInt8

from dualtalk.core import HeadMotion, Space

# Lips that are at most this far apart look closed.
LIPS_CLOSED_M = 0.002


@dataclass(frozen=True, eq=False)
class Eye:
    """An eyeball at rest, for gaze and for drawing the iris.

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
    """A head that motion can drive. Heads compare and hash by identity."""

    @property
    def name(self) -> str:
        """ "open", or the stem of the FLAME file."""
        ...

    @property
    def space(self) -> Space:
        """Expression basis; motion in another space is refused."""
        ...

    @property
    def template(self) -> Float32[np.ndarray, "vertex 3"]:
        """The mean head at rest, metres; x to the person's left, y up, z out of the face."""
        ...

    @property
    def faces(self) -> Int32[np.ndarray, "face 3"]:
        """Vertex indices of each triangle."""
        ...

    @property
    def regions(self) -> UInt8[np.ndarray, "face"]:
        """A `Region` for each triangle."""
        ...

    @property
    def blendshape_names(self) -> tuple[str, ...]:
        """One name for each of the 50 expression coefficients ("" where the coefficient has no effect)."""
        ...

    @property
    def eyes(self) -> tuple[Eye, Eye]:
        """Left, then right."""
        ...

    @property
    def neck_m(self) -> Float32[np.ndarray, "3"]:
        """Joint about which the head rotates, at rest, metres."""
        ...

    @property
    def jaw_m(self) -> Float32[np.ndarray, "3"]:
        """Joint about which the jaw rotates, at rest, metres."""
        ...

    @property
    def upper_lip(self) -> Int32[np.ndarray, "upper"]:
        """Vertices of the inner upper lip at the midline, which `lip_gap` measures from."""
        ...

    @property
    def lower_lip(self) -> Int32[np.ndarray, "lower"]:
        """Vertices of the inner lower lip at the midline, which `lip_gap` measures to."""
        ...

    def vertices(
        self,
        motion: HeadMotion,
        shape: Float32[np.ndarray, "300"] | None = None,
        vertex_ids: Int[np.ndarray, "vertex"] | None = None,
    ) -> Float32[np.ndarray, "frame vertex 3"]:
        """Pose the mesh.

        Parameters
        ----------
        motion : HeadMotion
        shape : (300,), optional
            Identity coefficients; the motion's own if not given.
        vertex_ids : (vertex,), optional
            Indices of the vertices to pose, for metrics of a part of the face; all of them if not given. The time
            is about proportional to their number.

        Returns
        -------
        (frame, vertex, 3) float32
            Metres.

        Raises
        ------
        InputError
            The motion is in another space.
        """
        ...

    def lip_gap(self, motion: HeadMotion) -> Float32[np.ndarray, "frame"]:
        """Distance in metres between the inner lips at the midline; 0 where they touch or press."""
        ...

    def __hash__(self) -> int: ...
