"""The default renderer: moderngl on EGL, without a display; software GL is sufficient.

Positions and normals are uploaded every frame, everything else once. The `.glsl` files define lighting and
materials. Frames are rendered upside down, so that reading them back gives the top row first.
"""

from importlib.resources import files
from typing import Any

import moderngl
import numpy as np
from jaxtyping import Float32, UInt8

from dualtalk.errors import SetupError
from dualtalk.render.gl import GL_PACKAGES
from dualtalk.render.materials import KEY_LIGHT, RIM_LIGHT, draw_groups, vertex_attributes
from dualtalk.render.scene import Scene, Viewport
from dualtalk.render.surface import Normals, Surface

SAMPLES_PER_PIXEL = 4
UPSIDE_DOWN = np.diag([1, -1, 1, 1]).astype(np.float32)


def create_context() -> moderngl.Context:
    """A GL 3.3 context without a window.

    glcontext searches for `libEGL.so`, which only -dev packages install; the runtime libraries are passed by name.

    Raises
    ------
    SetupError
        EGL or GL is not installed, or provides no 3.3 context.
    """
    try:
        # The stubs of moderngl give all settings one wrong type.
        settings: dict[str, Any] = {"backend": "egl", "libegl": "libEGL.so.1", "libgl": "libGL.so.1"}
        return moderngl.create_context(standalone=True, require=330, **settings)
    except Exception as error:
        reason = " ".join(str(error).split())
        raise SetupError(
            f"OpenGL through EGL does not work on this machine ({reason}); on Debian or Ubuntu: "
            f"apt-get install {GL_PACKAGES}"
        ) from error


class ModernGLRenderer:
    """`Renderer` on moderngl."""

    name = "moderngl"

    def __init__(self, scene: Scene):
        self.scene = scene
        self.context = create_context()
        self.surface = Surface.of(scene.head)
        self.normals = Normals(scene.head.faces, len(scene.head.template))
        with self.context:
            self.head_program, self.eye_program = _program(self.context, "head"), _program(self.context, "eye")
            self._make_buffers()
            self.vertex_arrays = [self._vertex_arrays(person) for person in range(2)]
        self.uniforms = {
            (viewport, person): self._uniforms(viewport, person)
            for viewport in scene.camera_layout.viewports
            for person in viewport.participants
        }

    def _make_buffers(self) -> None:
        size = self.scene.size
        self.multisampled = self.context.framebuffer(
            [self.context.renderbuffer(size, samples=SAMPLES_PER_PIXEL)],
            self.context.depth_renderbuffer(size, samples=SAMPLES_PER_PIXEL),
        )
        self.resolved = self.context.framebuffer([self.context.renderbuffer(size)])
        opaque = np.dstack([self.scene.background(), np.full(size[::-1], 255, np.uint8)])
        self.backdrop = self.context.framebuffer([self.context.texture(size, 4, opaque)])
        self.posed = [self.context.buffer(reserve=len(self.surface.source) * 24, dynamic=True) for _ in range(2)]

    def _vertex_arrays(self, person: int) -> list[tuple[moderngl.VertexArray, int]]:
        """A person's vertex arrays in drawing order (head, eyes, fading hem), each with its GL state flags."""
        attributes = self.context.buffer(vertex_attributes(self.surface, self.scene.appearances[person]))
        head, eyes, hem = draw_groups(self.surface)
        solid = moderngl.DEPTH_TEST | moderngl.CULL_FACE
        material = (attributes, "4f 4f 12x", "colour", "material")
        return [
            (self._array(self.head_program, person, material, head), solid),
            (self._array(self.eye_program, person, (attributes, "4f 4f 3f", *material[2:], "iris"), eyes), solid),
            (self._array(self.head_program, person, material, hem), solid | moderngl.BLEND),
        ]

    def _array(
        self, program: moderngl.Program, person: int, material: tuple, faces: np.ndarray
    ) -> moderngl.VertexArray:
        posed = (self.posed[person], "3f 3f", "position", "normal")
        # GL rejects an empty buffer, and a head may have no eyes or no hem: use one degenerate triangle.
        indices = faces if len(faces) else np.zeros((1, 3), np.int32)
        return self.context.vertex_array(program, [posed, material], self.context.buffer(indices))

    def frame(
        self, a: Float32[np.ndarray, "vertex 3"], b: Float32[np.ndarray, "vertex 3"]
    ) -> UInt8[np.ndarray, "height width 3"]:
        width, height = self.scene.size
        image = np.empty((height, width, 3), np.uint8)
        with self.context:
            for person, vertices in enumerate((a, b)):
                posed = np.concatenate([vertices, self.normals.of(vertices)], axis=1)
                self.posed[person].write(posed.take(self.surface.source, axis=0))
            self.multisampled.clear()
            self.context.copy_framebuffer(self.multisampled, self.backdrop)
            self.multisampled.use()
            # The frame is upside down, so the triangles' winding order is reversed.
            self.context.front_face = "cw"
            for viewport in self.scene.camera_layout.viewports:
                self._draw(viewport)
            self.context.copy_framebuffer(self.resolved, self.multisampled)
            self.resolved.read_into(image, components=3, alignment=1)
        return image

    def _draw(self, viewport: Viewport) -> None:
        width, height = self.scene.size
        columns = viewport.columns(width)
        self.context.viewport = (columns.start, 0, columns.stop - columns.start, height)
        for person in viewport.participants:
            for program in (self.head_program, self.eye_program):
                for name, value in self.uniforms[viewport, person].items():
                    uniform = program[name]
                    assert isinstance(uniform, moderngl.Uniform)
                    uniform.write(value)
            for vertex_array, flags in self.vertex_arrays[person]:
                self.context.enable_only(flags)
                vertex_array.render()

    def _uniforms(self, viewport: Viewport, person: int) -> dict[str, np.ndarray]:
        """The shaders' uniforms for a person in a viewport; they are the same in every frame."""
        width, height = self.scene.size
        columns = viewport.columns(width)
        clip_from_world = viewport.camera.clip_from_world((columns.stop - columns.start) / height)
        values = {
            "clip_from_world": (UPSIDE_DOWN @ clip_from_world).T,
            "world_from_head": self.scene.world_from_head(person).T,
            "camera_m": np.array(viewport.camera.position_m),
            "key_light": self.scene.light_from(person, KEY_LIGHT),
            "rim_light": self.scene.light_from(person, RIM_LIGHT),
        }
        return {name: np.ascontiguousarray(value, np.float32) for name, value in values.items()}

    def close(self) -> None:
        """Release the GL context."""
        self.context.release()


def _program(context: moderngl.Context, name: str) -> moderngl.Program:
    """The program of `name`.vert.glsl and `name`.frag.glsl, both preceded by light.glsl."""
    folder = files("dualtalk.render")
    light, vertex, fragment = (
        folder.joinpath(file).read_text(encoding="utf-8")
        for file in ("light.glsl", f"{name}.vert.glsl", f"{name}.frag.glsl")
    )
    head = f"#version 330\n{light}\n"
    return context.program(vertex_shader=head + vertex, fragment_shader=head + fragment)
