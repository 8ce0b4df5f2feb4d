"""The renderer before the edges were smoothed one by one: four samples in every pixel, one frame at a time."""

from collections.abc import Iterable, Iterator
from itertools import starmap

import numpy as np

from dualtalk.render.moderngl_renderer import ModernGLRenderer, PosedPair


class MultisampledRenderer(ModernGLRenderer):
    """`Renderer` with multisampling, the same shaders and the same meshes."""

    name = "multisampled"
    samples_per_pixel = 4

    def _make_buffers(self) -> None:
        super()._make_buffers()
        size, samples = self.scene.size, self.samples_per_pixel
        self.multisampled = self.context.framebuffer(
            [self.context.renderbuffer(size, samples=samples)],
            self.context.depth_renderbuffer(size, samples=samples),
        )
        self.resolved = self.context.framebuffer([self.context.renderbuffer(size)])

    def frame(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        width, height = self.scene.size
        image = np.empty((height, width, 3), np.uint8)
        with self.context:
            for person, vertices in enumerate((a, b)):
                posed = np.concatenate([vertices, self.normals.of(vertices)], axis=1)
                self.posed[person].write(posed.take(self.surface.source, axis=0))
            self.multisampled.clear()
            self.context.copy_framebuffer(self.multisampled, self.backdrop)
            self.multisampled.use()
            self.context.front_face = "cw"
            for viewport in self.scene.camera_layout.viewports:
                self._draw(viewport)
            self.context.copy_framebuffer(self.resolved, self.multisampled)
            self.resolved.read_into(image, components=3, alignment=1)
        return image

    def frames(self, posed: Iterable[PosedPair]) -> Iterator[np.ndarray]:
        return starmap(self.frame, posed)
