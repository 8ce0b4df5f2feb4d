"""The renderer interface, and the choice of a renderer that works on this machine.

GL libraries are imported only by the two renderer modules, which this module imports when a renderer is opened:
`import dualtalk.render` loads no GL library.
"""

import warnings
from collections.abc import Iterable, Iterator
from typing import Protocol, get_args, runtime_checkable

import numpy as np
from jaxtyping import Float32, UInt8

from dualtalk.choices import RendererName
from dualtalk.errors import InputError, SetupError
from dualtalk.render.scene import Scene


@runtime_checkable
class Renderer(Protocol):
    """Draws the frames of one scene. Use it from the thread that created it, and close it afterwards."""

    name: str
    scene: Scene

    def frame(
        self, a: Float32[np.ndarray, "vertex 3"], b: Float32[np.ndarray, "vertex 3"]
    ) -> UInt8[np.ndarray, "height width 3"]:
        """Draw one frame.

        Parameters
        ----------
        a, b : (vertex, 3) float32
            The posed heads, each in its own coordinates, metres.

        Returns
        -------
        (height, width, 3) uint8
            sRGB, top row first.
        """
        ...

    def frames(
        self, posed: Iterable[tuple[Float32[np.ndarray, "vertex 3"], Float32[np.ndarray, "vertex 3"]]]
    ) -> Iterator[UInt8[np.ndarray, "height width 3"]]:
        """Draw the frames of a video, which is faster than one by one: a renderer may begin the next frame early.

        Parameters
        ----------
        posed : iterable of (a, b)
            The posed heads of each frame, as for `frame`. Draw nothing else until the iterator ends.
        """
        ...

    def close(self) -> None:
        """Release the GL resources."""
        ...


def open_renderer(scene: Scene, renderer: str = "auto") -> Renderer:
    """Open a renderer for `scene`.

    "auto" opens moderngl; if that fails, it opens pyrender and warns with the reason.

    Raises
    ------
    InputError
        `renderer` is not a renderer's name.
    SetupError
        No GL library for the renderer works on this machine; the message names the Debian packages.
    """
    if renderer not in get_args(RendererName):
        raise InputError(f"unknown renderer {renderer!r}; wanted one of {', '.join(get_args(RendererName))}")
    if renderer == "pyrender":
        return _pyrender(scene)
    try:
        return _moderngl(scene)
    except SetupError as first:
        if renderer == "moderngl":
            raise
        try:
            fallback = _pyrender(scene)
        except SetupError as second:
            raise SetupError(f"{first}; pyrender fails too: {second}") from first
        warnings.warn(f"rendering with pyrender, which is slower: {first}", stacklevel=2)
        return fallback


def _moderngl(scene: Scene) -> Renderer:
    from dualtalk.render.moderngl_renderer import ModernGLRenderer

    return ModernGLRenderer(scene)


def _pyrender(scene: Scene) -> Renderer:
    from dualtalk.render.pyrender_renderer import PyrenderRenderer

    return PyrenderRenderer(scene)
