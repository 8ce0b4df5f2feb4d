"""The fallback renderer: pyrender, slower and simpler, and an independent check of the default renderer.

pyrender 0.1.45 computes bounds, scale and shadows with `np.infty`, which numpy 2 removed; this module uses none of
them. pyrender reads PYOPENGL_PLATFORM when it is imported, so this module sets the variable to EGL first, unless
the user set it (OSMesa needs PyOpenGL 3.1.10).
"""

import os
from collections.abc import Iterable, Iterator
from functools import cache
from itertools import starmap

import numpy as np
from jaxtyping import Float32, UInt8

from dualtalk.errors import SetupError
from dualtalk.render.gl import GL_PACKAGES
from dualtalk.render.scene import FAR_M, NEAR_M, Scene
from dualtalk.render.surface import Normals, Surface

os.environ.setdefault("PYOPENGL_PLATFORM", "egl")
LIGHTS = (((0.45, 0.55, 0.75), 2.6), ((-0.5, 0.2, 0.8), 0.8))
AMBIENT = (0.32, 0.32, 0.34)


@cache
def offscreen():
    """The only pyrender context of this process: closing one would terminate EGL for all other contexts.

    Raises
    ------
    SetupError
        No GL library works with pyrender.
    """
    try:
        import pyrender

        return pyrender.OffscreenRenderer(64, 64)
    except Exception as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        platform = os.environ["PYOPENGL_PLATFORM"]
        raise SetupError(
            f"OpenGL through {platform} does not work with pyrender ({reason}); on Debian or Ubuntu: "
            f"apt-get install {GL_PACKAGES} libosmesa6"
        ) from error


class PyrenderRenderer:
    """`Renderer` on pyrender."""

    name = "pyrender"

    def __init__(self, scene: Scene):
        self.scene = scene
        self.renderer = offscreen()
        self.surface = Surface.of(scene.head)
        self.normals = Normals(scene.head.faces, len(scene.head.template))
        self.colours = [self.surface.colours(appearance) for appearance in scene.appearances]

    def frame(
        self, a: Float32[np.ndarray, "vertex 3"], b: Float32[np.ndarray, "vertex 3"]
    ) -> UInt8[np.ndarray, "height width 3"]:
        import pyrender

        width, height = self.scene.size
        image = np.empty((height, width, 3), np.uint8)
        meshes = [self._mesh(vertices, person) for person, vertices in enumerate((a, b))]
        for viewport in self.scene.camera_layout.viewports:
            columns = viewport.columns(width)
            backdrop = (
                np.mean([self.scene.appearances[person].background for person in viewport.participants], axis=0)
                / 255
            )
            scene = pyrender.Scene(bg_color=backdrop, ambient_light=AMBIENT)
            for person in viewport.participants:
                scene.add(meshes[person], pose=self.scene.world_from_head(person))
            self._add_lights(scene, viewport.participants)
            camera = pyrender.PerspectiveCamera(viewport.camera.vertical_fov_rad, znear=NEAR_M, zfar=FAR_M)
            scene.add(camera, pose=viewport.camera.world_from_camera())
            self.renderer.viewport_width, self.renderer.viewport_height = columns.stop - columns.start, height
            image[:, columns], _ = self.renderer.render(scene)
        return image

    def frames(
        self, posed: Iterable[tuple[Float32[np.ndarray, "vertex 3"], Float32[np.ndarray, "vertex 3"]]]
    ) -> Iterator[UInt8[np.ndarray, "height width 3"]]:
        return starmap(self.frame, posed)

    def _mesh(self, vertices: np.ndarray, person: int):
        import pyrender

        source = self.surface.source
        skin = pyrender.MetallicRoughnessMaterial(alphaMode="BLEND", metallicFactor=0.0, roughnessFactor=0.75)
        return pyrender.Mesh(
            [
                pyrender.Primitive(
                    positions=vertices[source],
                    normals=self.normals.of(vertices)[source],
                    color_0=self.colours[person],
                    indices=self.surface.faces,
                    material=skin,
                )
            ]
        )

    def _add_lights(self, scene, participants: tuple[int, ...]) -> None:
        """Add the lights. pyrender lights the whole scene, so people in one viewport share the mean directions."""
        import pyrender

        for toward, intensity in LIGHTS:
            directions = [self.scene.light_from(person, toward) for person in participants]
            back = np.mean(directions, axis=0)
            right = np.cross((0.0, 1.0, 0.0), back)
            pose = np.eye(4)
            pose[:3, :3] = np.stack([right, np.cross(back, right), back], axis=1)
            pose[:3, :3] /= np.linalg.norm(pose[:3, :3], axis=0)
            scene.add(pyrender.DirectionalLight(np.ones(3), intensity), pose=pose)

    def close(self) -> None:
        """Do nothing: the process keeps its context."""
