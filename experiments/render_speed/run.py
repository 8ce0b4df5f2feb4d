"""How many frames a second does each back end draw? Two heads, 1024 x 512, four samples a pixel, read back.

Run: python experiments/render_speed/run.py
"""

import platform
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from pyannote.core import Timeline

from dualtalk import Conversation, HeadMotion, Participant, load_head
from dualtalk.audio.clock import MOTION_FPS, SAMPLES_PER_FRAME
from dualtalk.head import Head
from dualtalk.render import render_conversation
from dualtalk.render.backend import open_renderer
from dualtalk.render.scene import Scene, staging_named
from dualtalk.render.surface import Normals

FRAMES = 150
BACK_ENDS = ("moderngl", "pyrender")
STAGINGS = ("split", "face_to_face")


def moving(phase_rad: float) -> HeadMotion:
    """A head that nods, looks about and opens its mouth."""
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


def milliseconds_a_frame(work: Callable[[], None], frames: int = FRAMES) -> tuple[float, float]:
    """(wall, processor) time a frame; the second is summed over threads, and other programs do not change it."""
    start, start_processor = time.perf_counter(), time.process_time()
    work()
    wall, processor = time.perf_counter() - start, time.process_time() - start_processor
    return 1000 * wall / frames, 1000 * processor / frames


def drawn(talk: Conversation, head: Head, staging: str, back_end: str) -> tuple[float, float]:
    """Vertices, normals, drawing and reading back."""
    renderer = open_renderer(Scene(head, staging_named(staging)), back_end)
    renderer.frame(head.template, head.template)

    def work() -> None:
        for first in range(0, FRAMES, 50):
            span = slice(first, first + 50)
            for pair in zip(*(head.vertices(person.motion[span]) for person in talk.people), strict=True):
                renderer.frame(*pair)

    times = milliseconds_a_frame(work)
    renderer.close()
    return times


def filmed(talk: Conversation, head: Head, staging: str, back_end: str) -> tuple[float, float]:
    """The whole film: drawing, plates, H.264 and AAC."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "film.mp4"
        return milliseconds_a_frame(
            lambda: render_conversation(talk, head, path, staging=staging, back_end=back_end)
        )


def main() -> None:
    head, talk = load_head("open"), a_talk()
    head.vertices(talk.a.motion)
    print(f"Python {platform.python_version()}, {len(head.template)} vertices, {len(head.faces)} faces a head")
    normals = Normals(head.faces, len(head.template))
    vertices, _ = milliseconds_a_frame(lambda: [head.vertices(person.motion) for person in talk.people])
    smooth, _ = milliseconds_a_frame(lambda: [normals.of(head.template) for _ in range(2 * FRAMES)])
    print(f"of which, both heads: vertices {vertices:.1f} ms, normals {smooth:.1f} ms a frame\n")
    print("| what | staging | back end | frames a second | processor ms a frame |\n|---|---|---|---|---|")
    for name, measure in (("drawn", drawn), ("filmed", filmed)):
        for staging in STAGINGS:
            for back_end in BACK_ENDS:
                wall, processor = measure(talk, head, staging, back_end)
                print(f"| {name} | {staging} | {back_end} | {1000 / wall:.0f} | {processor:.0f} |", flush=True)


if __name__ == "__main__":
    main()
