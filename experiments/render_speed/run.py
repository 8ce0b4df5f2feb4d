"""Measure the frame rate of each renderer: two heads, 1024 x 512, four samples per pixel, including readback.

Run: python experiments/render_speed/run.py
"""

import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pyannote.core import Timeline

from dualtalk import Conversation, HeadMotion, Participant, load_head
from dualtalk.head import Head
from dualtalk.render import render_conversation
from dualtalk.render.renderer import open_renderer
from dualtalk.render.scene import Scene, camera_layout
from dualtalk.render.surface import Surface
from dualtalk.timebase import MOTION_FPS, SAMPLES_PER_FRAME

FRAMES = 250
RENDERERS = ("moderngl", "pyrender")
VIEWS = ("split", "face-to-face")


def moving(phase_rad: float) -> HeadMotion:
    """A head that nods, looks around and opens its mouth."""
    seconds = np.arange(FRAMES)[:, None] / MOTION_FPS
    swing = np.sin(2 * np.pi * 0.5 * seconds + phase_rad)
    return HeadMotion.from_parts(
        expression=0.3 * np.abs(swing) * np.ones(50),
        jaw_rotvec_rad=0.15 * np.abs(swing) * (1, 0, 0),
        head_rotvec_rad=0.1 * swing * (1, 1, 0),
        eyes_rotvec_rad=0.1 * swing * (0, 1, 0, 0, 1, 0),
        space="open",
    )


def a_talk() -> Conversation:
    voice = np.random.default_rng(0).normal(0, 0.1, FRAMES * SAMPLES_PER_FRAME).astype(np.float32)
    return Conversation(*(Participant(voice, Timeline(), moving(phase)) for phase in (0.0, 1.5)))


@dataclass(frozen=True)
class Speed:
    """Mean frames per second, and over the fastest 25 frames, which other load disturbs least. CPU time is summed
    over the threads of this process, without ffmpeg's."""

    mean_fps: float
    best_fps: float
    cpu_ms: float

    @classmethod
    def of(cls, work: Callable[[Callable[[], None]], None]) -> "Speed":
        """`work` calls its argument after each frame."""
        cpu_s = time.process_time()
        stamps = [time.perf_counter()]
        work(lambda: stamps.append(time.perf_counter()))
        frames, spent = len(stamps) - 1, np.array(stamps)
        best_s = (spent[MOTION_FPS:] - spent[:-MOTION_FPS]).min()
        cpu_ms = 1000 * (time.process_time() - cpu_s) / frames
        return cls(frames / (spent[-1] - spent[0]), MOTION_FPS / best_s, cpu_ms)


def rendered(talk: Conversation, head: Head, view: str, renderer_name: str) -> Speed:
    """Vertices, normals, rendering and readback."""
    renderer = open_renderer(Scene(head, camera_layout(view)), renderer_name)
    renderer.frame(head.template, head.template)

    def work(frame_done: Callable[[], None]) -> None:
        for first in range(0, FRAMES, MOTION_FPS):
            span = slice(first, first + MOTION_FPS)
            for pair in zip(*(head.vertices(person.motion[span]) for person in talk.participants), strict=True):
                renderer.frame(*pair)
                frame_done()

    speed = Speed.of(work)
    renderer.close()
    return speed


def encoded(talk: Conversation, head: Head, view: str, renderer_name: str) -> Speed:
    """The complete video: rendering, name plates, H.264 and AAC."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "film.mp4"

        def work(frame_done: Callable[[], None]) -> None:
            options = {"view": view, "renderer": renderer_name}
            render_conversation(talk, head, path, **options, progress=lambda *_: frame_done())

        return Speed.of(work)


def main() -> None:
    head, talk = load_head("open"), a_talk()
    Surface.of(head)
    load = os.getloadavg()[0]
    print(
        f"{len(head.template)} vertices, {len(head.faces)} faces a head; {os.cpu_count()} cores, load {load:.1f}\n"
    )
    print("| what | view | renderer | frames/s | frames/s, best second | CPU ms per frame |")
    print("|---|---|---|---|---|---|")
    for measure in (rendered, encoded):
        for view in VIEWS:
            for renderer_name in RENDERERS:
                speed = measure(talk, head, view, renderer_name)
                figures = f"{speed.mean_fps:.0f} | {speed.best_fps:.0f} | {speed.cpu_ms:.0f}"
                print(f"| {measure.__name__} | {view} | {renderer_name} | {figures} |", flush=True)


if __name__ == "__main__":
    main()
