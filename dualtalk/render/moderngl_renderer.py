"""The default renderer: moderngl on EGL, without a display; software GL is sufficient.

Positions and normals are uploaded every frame, everything else once. The `.glsl` files define lighting and
materials. Frames are rendered upside down, so that reading them back gives the top row first.

A frame is drawn with one sample per pixel. A second pass smooths the edges of the meshes (see `edges`).
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

import moderngl
import numpy as np
from jaxtyping import Float32, UInt8

from dualtalk.errors import SetupError
from dualtalk.render.edges import MeshEdges
from dualtalk.render.gl import GL_PACKAGES
from dualtalk.render.materials import KEY_LIGHT, RIM_LIGHT, draw_groups, vertex_attributes
from dualtalk.render.scene import Scene, Viewport
from dualtalk.render.surface import Normals, Surface

UPSIDE_DOWN = np.diag([1, -1, 1, 1]).astype(np.float32)
# Frames that are drawn at the same time: one is being rasterized while the vertices of the next are shaded.
FRAMES_IN_FLIGHT = 2

PosedPair = tuple[Float32[np.ndarray, "vertex 3"], Float32[np.ndarray, "vertex 3"]]


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


@dataclass(frozen=True)
class Target:
    """The buffers of one frame: as drawn, and with smooth edges."""

    image: moderngl.Texture
    drawn: moderngl.Framebuffer
    smooth: moderngl.Framebuffer

    @classmethod
    def of_size(cls, context: moderngl.Context, size: tuple[int, int]) -> "Target":
        image, depth = context.texture(size, 4), context.depth_renderbuffer(size)
        smooth = context.framebuffer([context.renderbuffer(size)], depth)
        # The second pass tests against the depth of the first.
        smooth.depth_mask = False
        return cls(image, context.framebuffer([image], depth), smooth)


class ModernGLRenderer:
    """`Renderer` on moderngl."""

    name = "moderngl"

    def __init__(self, scene: Scene):
        self.scene = scene
        self.context = create_context()
        self.surface = Surface.of(scene.head)
        self.normals = Normals(scene.head.faces, len(scene.head.template))
        self.edges = MeshEdges(scene.head.faces, scene.head.regions, self.surface.hidden_vertices())
        with self.context:
            self.programs = {name: _program(self.context, name) for name in ("head", "eye", "edge")}
            self._make_buffers()
            self.vertex_arrays = [self._vertex_arrays(person) for person in range(2)]
        drawn = [
            (viewport, person) for viewport in scene.camera_layout.viewports for person in viewport.participants
        ]
        self.uniforms = {one: self._uniforms(*one) for one in drawn}
        self.cameras_m = {one: scene.camera_from(*one) for one in drawn}

    def _make_buffers(self) -> None:
        size = self.scene.size
        self.targets = [Target.of_size(self.context, size) for _ in range(FRAMES_IN_FLIGHT)]
        opaque = np.dstack([self.scene.background(), np.full(size[::-1], 255, np.uint8)])
        self.backdrop = self.context.framebuffer([self.context.texture(size, 4, opaque)])
        self.posed = [self.context.buffer(reserve=len(self.surface.source) * 24, dynamic=True) for _ in range(2)]
        # Two triangles for each edge, between its four vertices.
        edges = len(self.edges.ends)
        quads = (4 * np.arange(edges)[:, None] + np.array([0, 1, 2, 2, 1, 3])).astype(np.int32)
        self.edge_ends = self.context.buffer(reserve=edges * 4 * 24, dynamic=True)
        self.edge_array = self.context.vertex_array(
            self.programs["edge"], [(self.edge_ends, "3f 3f", "first", "second")], self.context.buffer(quads)
        )

    def _vertex_arrays(self, person: int) -> list[tuple[moderngl.VertexArray, int]]:
        """A person's vertex arrays in drawing order (head, eyes, fading hem), each with its GL state flags."""
        attributes = self.context.buffer(vertex_attributes(self.surface, self.scene.appearances[person]))
        head, eyes, hem = draw_groups(self.surface)
        solid = moderngl.DEPTH_TEST | moderngl.CULL_FACE
        material = (attributes, "4f 4f 12x", "colour", "material")
        return [
            (self._array("head", person, material, head), solid),
            (self._array("eye", person, (attributes, "4f 4f 3f", *material[2:], "iris"), eyes), solid),
            (self._array("head", person, material, hem), solid | moderngl.BLEND),
        ]

    def _array(self, program: str, person: int, material: tuple, faces: np.ndarray) -> moderngl.VertexArray:
        posed = (self.posed[person], "3f 3f", "position", "normal")
        # GL rejects an empty buffer, and a head may have no eyes or no hem: use one degenerate triangle.
        indices = faces if len(faces) else np.zeros((1, 3), np.int32)
        return self.context.vertex_array(self.programs[program], [posed, material], self.context.buffer(indices))

    def frame(
        self, a: Float32[np.ndarray, "vertex 3"], b: Float32[np.ndarray, "vertex 3"]
    ) -> UInt8[np.ndarray, "height width 3"]:
        return next(self.frames([(a, b)]))

    def frames(self, posed: Iterable[PosedPair]) -> Iterator[UInt8[np.ndarray, "height width 3"]]:
        pending: list[Target] = []
        for number, pair in enumerate(posed):
            pending.append(self.targets[number % FRAMES_IN_FLIGHT])
            with self.context:
                self._submit(pending[-1], pair)
            if len(pending) == FRAMES_IN_FLIGHT:
                yield self._read(pending.pop(0))
        yield from map(self._read, pending)

    def _submit(self, target: Target, pair: PosedPair) -> None:
        """Start drawing a frame; GL works on while this thread goes on."""
        face_normals = [self.normals.of_faces(vertices) for vertices in pair]
        for person, vertices in enumerate(pair):
            posed = np.concatenate([vertices, self.normals.smooth(face_normals[person])], axis=1)
            self.posed[person].write(posed.take(self.surface.source, axis=0))
        target.drawn.clear()
        self.context.copy_framebuffer(target.drawn, self.backdrop)
        target.drawn.use()
        # The frame is upside down, so the triangles' winding order is reversed.
        self.context.front_face = "cw"
        for viewport in self.scene.camera_layout.viewports:
            self._draw(viewport)
        self.context.copy_framebuffer(target.smooth, target.drawn)
        target.smooth.use()
        target.image.use()
        for viewport in self.scene.camera_layout.viewports:
            self._smooth(viewport, pair, face_normals)

    def _read(self, target: Target) -> UInt8[np.ndarray, "height width 3"]:
        width, height = self.scene.size
        image = np.empty((height, width, 3), np.uint8)
        with self.context:
            target.smooth.read_into(image, components=3, alignment=1)
        return image

    def _use_viewport(self, viewport: Viewport) -> None:
        width, height = self.scene.size
        columns = viewport.columns(width)
        self.context.viewport = (columns.start, 0, columns.stop - columns.start, height)

    def _draw(self, viewport: Viewport) -> None:
        self._use_viewport(viewport)
        for person in viewport.participants:
            for program in ("head", "eye"):
                self._set_uniforms(program, self.uniforms[viewport, person])
            for vertex_array, flags in self.vertex_arrays[person]:
                self.context.enable_only(flags)
                vertex_array.render()

    def _smooth(self, viewport: Viewport, pair: PosedPair, face_normals: list[np.ndarray]) -> None:
        """Smooth the edges in a viewport that is drawn. Where edges meet in a pixel, the last one counts."""
        self._use_viewport(viewport)
        self.context.enable_only(moderngl.DEPTH_TEST)
        for person in viewport.participants:
            vertices, camera_m = pair[person], self.cameras_m[viewport, person]
            ends = self.edges.discontinuous(vertices, face_normals[person], camera_m)
            self.edge_ends.write(ends.reshape(-1, 6).repeat(4, axis=0))
            self._set_uniforms("edge", self.uniforms[viewport, person])
            self.edge_array.render(vertices=6 * len(ends))

    def _set_uniforms(self, program: str, values: dict[str, np.ndarray]) -> None:
        for name, value in values.items():
            uniform = self.programs[program].get(name, None)
            if isinstance(uniform, moderngl.Uniform):
                uniform.write(value)

    def _uniforms(self, viewport: Viewport, person: int) -> dict[str, np.ndarray]:
        """The shaders' uniforms for a person in a viewport; they are the same in every frame."""
        width, height = self.scene.size
        columns = viewport.columns(width)
        size_px = np.array([columns.stop - columns.start, height])
        clip_from_world = viewport.camera.clip_from_world(size_px[0] / size_px[1])
        values = {
            "clip_from_world": (UPSIDE_DOWN @ clip_from_world).T,
            "world_from_head": self.scene.world_from_head(person).T,
            "camera_m": np.array(viewport.camera.position_m),
            "key_light": self.scene.light_from(person, KEY_LIGHT),
            "rim_light": self.scene.light_from(person, RIM_LIGHT),
            "viewport_px": size_px,
        }
        uniforms = {name: np.ascontiguousarray(value, np.float32) for name, value in values.items()}
        return {**uniforms, "columns": np.array([columns.start, columns.stop], np.int32)}

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
