"""The fast renderer: moderngl on EGL, without a display; software GL is enough.

Each person's positions and normals are sent anew every frame, all else once. Light and materials are in
the `.glsl` files. Frames are drawn upside down, so that reading back gives the top row first.
"""

from importlib.resources import files

import moderngl
import numpy as np
from jaxtyping import Float32, UInt8

from dualtalk.errors import SetupError
from dualtalk.render.gl import GL_PACKAGES
from dualtalk.render.materials import KEY_LIGHT, RIM_LIGHT, parts, vertex_attributes
from dualtalk.render.scene import Scene, Viewport
from dualtalk.render.surface import Normals, Surface

SAMPLES_PER_PIXEL = 4
UPSIDE_DOWN = np.diag([1, -1, 1, 1]).astype(np.float32)


def create_context() -> moderngl.Context:
    """A GL 3.3 context without a window.

    glcontext looks for `libEGL.so`, which only -dev packages install, so the runtime's names are passed.

    Raises
    ------
    SetupError
        EGL or GL is not installed, or offers no 3.3 context.
    """
    try:
        return moderngl.create_context(
            standalone=True, require=330, backend="egl", libegl="libEGL.so.1", libgl="libGL.so.1"
        )
    except Exception as error:
        reason = " ".join(str(error).split())
        raise SetupError(
            f"OpenGL does not work here through EGL ({reason}); on Debian or Ubuntu: apt-get install {GL_PACKAGES}"
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
            self.parts = [self._parts(person) for person in range(2)]
        self.uniforms = {
            (viewport, person): self._uniforms(viewport, person)
            for viewport in scene.camera_layout.viewports
            for person in viewport.participants
        }

    def _make_buffers(self) -> None:
        size = self.scene.size
        self.drawn = self.context.framebuffer(
            [self.context.renderbuffer(size, samples=SAMPLES_PER_PIXEL)],
            self.context.depth_renderbuffer(size, samples=SAMPLES_PER_PIXEL),
        )
        self.resolved = self.context.framebuffer([self.context.renderbuffer(size)])
        opaque = np.dstack([self.scene.background(), np.full(size[::-1], 255, np.uint8)])
        self.backdrop = self.context.framebuffer([self.context.texture(size, 4, opaque)])
        self.posed = [self.context.buffer(reserve=len(self.surface.source) * 24, dynamic=True) for _ in range(2)]

    def _parts(self, person: int) -> list[tuple[moderngl.VertexArray, int]]:
        """What to draw of a person, in order, with GL's switches: the head, the eyes, the bust's fading hem."""
        paint = self.context.buffer(vertex_attributes(self.surface, self.scene.appearances[person]))
        head, eyes, hem = parts(self.surface)
        solid = moderngl.DEPTH_TEST | moderngl.CULL_FACE
        painted = (paint, "4f 4f 12x", "colour", "material")
        return [
            (self._array(self.head_program, person, painted, head), solid),
            (self._array(self.eye_program, person, (paint, "4f 4f 3f", *painted[2:], "iris"), eyes), solid),
            (self._array(self.head_program, person, painted, hem), solid | moderngl.BLEND),
        ]

    def _array(
        self, program: moderngl.Program, person: int, painted: tuple, faces: np.ndarray
    ) -> moderngl.VertexArray:
        posed = (self.posed[person], "3f 3f", "position", "normal")
        # GL refuses an empty buffer, and a head may have no eyes or no hem: one triangle of no area stands in.
        indices = faces if len(faces) else np.zeros((1, 3), np.int32)
        return self.context.vertex_array(program, [posed, painted], self.context.buffer(indices))

    def frame(
        self, a: Float32[np.ndarray, "vertex 3"], b: Float32[np.ndarray, "vertex 3"]
    ) -> UInt8[np.ndarray, "height width 3"]:
        width, height = self.scene.size
        picture = np.empty((height, width, 3), np.uint8)
        with self.context:
            for person, vertices in enumerate((a, b)):
                posed = np.concatenate([vertices, self.normals.of(vertices)], axis=1)
                self.posed[person].write(posed.take(self.surface.source, axis=0))
            self.drawn.clear()
            self.context.copy_framebuffer(self.drawn, self.backdrop)
            self.drawn.use()
            # Upside down, triangles wind the other way.
            self.context.front_face = "cw"
            for viewport in self.scene.camera_layout.viewports:
                self._draw(viewport)
            self.context.copy_framebuffer(self.resolved, self.drawn)
            self.resolved.read_into(picture, components=3, alignment=1)
        return picture

    def _draw(self, viewport: Viewport) -> None:
        width, height = self.scene.size
        columns = viewport.columns(width)
        self.context.viewport = (columns.start, 0, columns.stop - columns.start, height)
        for person in viewport.participants:
            for program in (self.head_program, self.eye_program):
                for name, value in self.uniforms[viewport, person].items():
                    program[name].write(value)
            for part, switches in self.parts[person]:
                self.context.enable_only(switches)
                part.render()

    def _uniforms(self, viewport: Viewport, person: int) -> dict[str, np.ndarray]:
        """What the shaders must know to draw a person in a viewport: nothing of it moves."""
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
        self.context.release()


def _program(context: moderngl.Context, name: str) -> moderngl.Program:
    """`name`.vert.glsl and `name`.frag.glsl, both with the light's function before them."""
    folder = files("dualtalk.render")
    light, vertex, fragment = (
        folder.joinpath(file).read_text() for file in ("light.glsl", f"{name}.vert.glsl", f"{name}.frag.glsl")
    )
    head = f"#version 330\n{light}\n"
    return context.program(vertex_shader=head + vertex, fragment_shader=head + fragment)
