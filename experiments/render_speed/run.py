"""Compare the renderer with the multisampled one that it replaced: frames a second, and distance from a reference.

Both take turns in one process, so that other load on the machine meets both.

Run: python experiments/render_speed/run.py [--pictures FOLDER]
"""

import argparse
import os
import tempfile
import time
from collections import defaultdict
from contextlib import closing
from pathlib import Path

import numpy as np
from multisampled import MultisampledRenderer
from PIL import Image
from pyannote.core import Timeline

from dualtalk import Conversation, HeadMotion, Participant, load_head
from dualtalk.head import Head
from dualtalk.render import draw_video
from dualtalk.render.moderngl_renderer import ModernGLRenderer
from dualtalk.render.renderer import Renderer
from dualtalk.render.scene import Scene, camera_layout
from dualtalk.render.video import DRAFT_SIZE, SIZE
from dualtalk.timebase import MOTION_FPS, SAMPLES_PER_FRAME

FRAMES, ROUNDS = 100, 3
VIEWS = ("split", "face-to-face")
# Frames with closed, half-open and open mouths.
STILLS = (12, 30, 37, 41)


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


def posed(talk: Conversation, head: Head) -> list[tuple[np.ndarray, np.ndarray]]:
    return list(zip(*(head.vertices(person.required_motion) for person in talk.participants), strict=True))


def speeds(talk: Conversation, head: Head, view: str) -> None:
    """Print frames a second, as medians over the rounds, and the CPU time of this process (without ffmpeg)."""
    pairs = posed(talk, head)
    scene = Scene(head, camera_layout(view), size=SIZE)
    small = Scene(head, camera_layout(view), size=DRAFT_SIZE)
    fps, cpu_ms = defaultdict(list), defaultdict(list)
    with (
        tempfile.TemporaryDirectory() as folder,
        closing(MultisampledRenderer(scene)) as before,
        closing(ModernGLRenderer(scene)) as after,
        closing(ModernGLRenderer(small)) as draft,
    ):
        path = Path(folder) / "film.mp4"
        work = {
            ("drawn", "before"): lambda: list(map(len, before.frames(pairs))),
            ("drawn", "after"): lambda: list(map(len, after.frames(pairs))),
            ("filmed", "before"): lambda: draw_video(talk, before, path),
            ("filmed", "after"): lambda: draw_video(talk, after, path),
            ("filmed", "draft"): lambda: draw_video(talk, draft, path, draft=True),
        }
        for round_number in range(ROUNDS + 1):
            for key, task in work.items():
                wall_s, cpu_s = time.perf_counter(), time.process_time()
                task()
                if round_number:
                    fps[key].append(FRAMES / (time.perf_counter() - wall_s))
                    cpu_ms[key].append(1000 * (time.process_time() - cpu_s) / FRAMES)
    for what, which in work:
        ratio = np.median(np.divide(fps[what, which], fps[what, "before"]))
        figures = f"{np.median(fps[what, which]):.0f} | {np.median(cpu_ms[what, which]):.0f} | {ratio:.2f}"
        print(f"| {what} | {view} | {which} | {figures} |", flush=True)


def reference(pairs: list[tuple[np.ndarray, np.ndarray]], head: Head, view: str) -> list[np.ndarray]:
    """Frames drawn four times as large with four samples a pixel, averaged."""
    width, height = SIZE
    with closing(MultisampledRenderer(Scene(head, camera_layout(view), size=(4 * width, 4 * height)))) as large:
        return [large.frame(*pairs[frame]).reshape(height, 4, width, 4, 3).mean(axis=(1, 3)) for frame in STILLS]


class WithoutSmoothing(ModernGLRenderer):
    """One sample a pixel, edges as they are."""

    def _smooth(self, *args) -> None:
        pass


def distances(talk: Conversation, head: Head, view: str, pictures: Path | None) -> None:
    """Print the difference of each renderer's frames from the reference and from the multisampled frames."""
    pairs = posed(talk, head)
    expected = reference(pairs, head, view)
    images = {}
    for which, renderer in (
        ("before", MultisampledRenderer),
        ("none", WithoutSmoothing),
        ("after", ModernGLRenderer),
    ):
        opened: Renderer = renderer(Scene(head, camera_layout(view), size=SIZE))
        with closing(opened):
            images[which] = np.array([opened.frame(*pairs[frame]) for frame in STILLS], np.float32)
        away, old = images[which] - expected, images[which] - images["before"]
        rms = np.sqrt((away**2).mean())
        far = (np.abs(away).max(axis=-1) > 24).mean()
        print(
            f"| {view} | {which} | {np.abs(away).mean():.2f} | {rms:.2f} | {far:.2%} | {np.abs(old).mean():.2f} |"
        )
    if pictures:
        for which, frames in images.items():
            Image.fromarray(frames[-1].astype(np.uint8)).save(pictures / f"{view}_{which}.png")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--pictures", type=Path)
    pictures = parser.parse_args().pictures
    head, talk = load_head("open"), a_talk()
    print(f"{len(head.template)} vertices, {len(head.faces)} faces a head; {os.cpu_count()} cores, ", end="")
    print(
        f"load {os.getloadavg()[0]:.1f}\n\n| what | view | renderer | frames/s | CPU ms a frame | times before |"
    )
    print("|---|---|---|---|---|---|")
    for view in VIEWS:
        speeds(talk, head, view)
    print(
        "\n| view | smoothing | mean difference from the reference | RMS | pixels off by > 24 | mean from before |"
    )
    print("|---|---|---|---|---|---|")
    for view in VIEWS:
        distances(talk, head, view, pictures)


if __name__ == "__main__":
    main()
