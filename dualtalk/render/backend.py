"""What every renderer does, and choosing one that works on this machine.

GL libraries enter through the two back-end files alone, imported here when asked for: `import dualtalk.render`
touches no GL.
"""

import warnings
from typing import Literal, Protocol, get_args, runtime_checkable

import numpy as np
from jaxtyping import Float32, UInt8

from dualtalk.errors import InputError, SetupError
from dualtalk.render.scene import Scene

BackEndName = Literal["auto", "moderngl", "pyrender"]
GL_PACKAGES = "libegl1 libegl-mesa0 libgl1 libgl1-mesa-dri libgles2"


@runtime_checkable
class Renderer(Protocol):
    """Draws one scene, a frame at a time. Use from the thread that made it; close it when done."""

    name: str

    def frame(
        self, a: Float32[np.ndarray, "vertex 3"], b: Float32[np.ndarray, "vertex 3"]
    ) -> UInt8[np.ndarray, "height width 3"]:
        """The picture of A's and B's heads, each posed in its own coordinates, metres; sRGB, top row first."""
        ...

    def close(self) -> None: ...


def open_renderer(scene: Scene, back_end: str = "auto") -> Renderer:
    """A renderer for `scene`. "auto" takes moderngl, or where that fails pyrender, and warns why.

    Raises
    ------
    InputError
        There is no such back end.
    SetupError
        No GL library of the back end works on this machine; the message names the Debian packages.
    """
    if back_end not in get_args(BackEndName):
        raise InputError(f"no back end {back_end!r}; wanted one of {', '.join(get_args(BackEndName))}")
    if back_end == "pyrender":
        return _pyrender(scene)
    try:
        return _moderngl(scene)
    except SetupError as first:
        if back_end == "moderngl":
            raise
        try:
            renderer = _pyrender(scene)
        except SetupError as second:
            raise SetupError(f"{first}; nor does pyrender: {second}") from first
        warnings.warn(f"drawing with pyrender, which is slower: {first}", stacklevel=2)
        return renderer


def _moderngl(scene: Scene) -> Renderer:
    from dualtalk.render.moderngl_backend import ModernGLRenderer

    return ModernGLRenderer(scene)


def _pyrender(scene: Scene) -> Renderer:
    from dualtalk.render.pyrender_backend import PyrenderRenderer

    return PyrenderRenderer(scene)
