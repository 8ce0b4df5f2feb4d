"""Rendering a conversation to a video or to still images.

One thread poses the vertices of the next frames and another writes frames to ffmpeg while this one renders; the
renderer draws two frames at a time. Memory use does not grow with the length of the conversation.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing

import numpy as np
from jaxtyping import Float32, UInt8

from dualtalk.core import PARTY, Conversation
from dualtalk.errors import InputError
from dualtalk.head import Head
from dualtalk.progress import Progress
from dualtalk.render.encode import DRAFT_STEP, open_video
from dualtalk.render.overlay import name_plates, speaking_levels
from dualtalk.render.renderer import Renderer, RendererName, open_renderer
from dualtalk.render.scene import APPEARANCES, Appearance, Scene, ViewName, camera_layout

PosedVertices = Float32[np.ndarray, "frame vertex 3"]
SIZE, DRAFT_SIZE = (1024, 512), (512, 256)
CHUNK_FRAMES = 50


def render_conversation(
    conversation: Conversation,
    head: Head,
    path: str | os.PathLike,
    *,
    view: ViewName = "split",
    size: tuple[int, int] = SIZE,
    renderer: RendererName = "auto",
    appearances: tuple[Appearance, Appearance] = APPEARANCES,
    draft: bool = False,
    progress: Progress | None = None,
) -> None:
    """Render both participants to a video: H.264 at 25 frames a second, A's voice left and B's right.

    Parameters
    ----------
    conversation : Conversation
        Both participants have motion in `head`'s space.
    path : path
        Ends in .mp4; appears only when complete.
    view : "split" or "face-to-face"
        Two portraits side by side, or both people in one scene.
    size : (width, height) in pixels
    renderer : "auto", "moderngl" or "pyrender"
    appearances : (Appearance, Appearance)
    draft : bool
        Draw every second frame only, and encode for speed instead of quality; best with `DRAFT_SIZE`.
    progress : callable
        Called after each frame with the number of finished frames and of all frames.

    Raises
    ------
    InputError
        Motion is missing or in another space, there are no frames, or `path` cannot be written.
    SetupError
        No GL library works on this machine.
    """
    _check(conversation, head)
    scene = Scene(head, camera_layout(view), appearances, size)
    with closing(open_renderer(scene, renderer)) as opened:
        draw_video(conversation, opened, path, draft=draft, progress=progress)


def render_stills(
    conversation: Conversation,
    head: Head,
    frames: Sequence[int],
    *,
    view: ViewName = "split",
    size: tuple[int, int] = SIZE,
    renderer: RendererName = "auto",
    appearances: tuple[Appearance, Appearance] = APPEARANCES,
) -> list[UInt8[np.ndarray, "height width 3"]]:
    """Render single frames, identical to those of the video; parameters as for `render_conversation`.

    Returns
    -------
    list of (height, width, 3) uint8
        sRGB, one image for each of `frames`.

    Raises
    ------
    InputError
        As for `render_conversation`, or a frame does not exist.
    """
    _check(conversation, head)
    _check_frames(conversation, frames)
    scene = Scene(head, camera_layout(view), appearances, size)
    with closing(open_renderer(scene, renderer)) as opened:
        return draw_stills(conversation, opened, frames)


def draw_video(
    conversation: Conversation,
    renderer: Renderer,
    path: str | os.PathLike,
    *,
    draft: bool = False,
    progress: Progress | None = None,
) -> None:
    """Draw a video with a renderer that is open and stays open; see `render_conversation`."""
    _check(conversation, renderer.scene.head)
    voices = (conversation.a.audio, conversation.b.audio)
    frames = range(0, conversation.frames, DRAFT_STEP if draft else 1)
    with ThreadPoolExecutor(1) as writer, open_video(path, renderer.scene.size, voices, draft=draft) as write:
        pending: Future[None] | None = None
        for done, image in enumerate(_rendered_frames(conversation, renderer, frames), start=1):
            if pending:
                pending.result()
            pending = writer.submit(write, image)
            if progress:
                progress(done, len(frames))
        if pending:
            pending.result()


def draw_stills(
    conversation: Conversation, renderer: Renderer, frames: Sequence[int]
) -> list[UInt8[np.ndarray, "height width 3"]]:
    """Draw single frames with a renderer that is open and stays open; see `render_stills`."""
    scene = renderer.scene
    _check(conversation, scene.head)
    _check_frames(conversation, frames)
    add_name_plates = _name_plate_painter(conversation, scene)
    images = []
    for frame in frames:
        a, b = (vertices[0] for vertices in _posed_vertices(conversation, scene.head, range(frame, frame + 1)))
        images.append(add_name_plates(renderer.frame(a, b), frame))
    return images


def _check_frames(conversation: Conversation, frames: Sequence[int]) -> None:
    missing = [frame for frame in frames if not 0 <= frame < conversation.frames]
    if missing:
        raise InputError(f"no frame {missing[0]}; the conversation has frames 0 to {conversation.frames - 1}")


def _check(conversation: Conversation, head: Head) -> None:
    if not conversation.frames:
        raise InputError(f"{conversation.name} has no frames; is its audio shorter than 0.04 s?")
    for label, person in zip(PARTY, conversation.participants, strict=True):
        if person.motion is None:
            raise InputError(
                f"person {label} of {conversation.name} has no motion; simulate the conversation first"
            )
        if person.motion.space != head.space:
            raise InputError(
                f"motion of person {label} is in space {person.motion.space!r}, the head in {head.space!r}; "
                "pass the head that the motion was generated for"
            )


def _posed_vertices(conversation: Conversation, head: Head, frames: range) -> tuple[PosedVertices, PosedVertices]:
    span = slice(frames.start, frames.stop, frames.step)
    a, b = (head.vertices(person.required_motion[span]) for person in conversation.participants)
    return a, b


def _rendered_frames(
    conversation: Conversation, renderer: Renderer, frames: range
) -> Iterator[UInt8[np.ndarray, "height width 3"]]:
    add_name_plates = _name_plate_painter(conversation, renderer.scene)
    posed = _posed_ahead(conversation, renderer.scene.head, frames)
    for frame, image in zip(frames, renderer.frames(posed), strict=True):
        yield add_name_plates(image, frame)


def _posed_ahead(conversation: Conversation, head: Head, frames: range) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """The posed heads of each of `frames`; a thread poses the next chunk."""
    chunks = [frames[first : first + CHUNK_FRAMES] for first in range(0, len(frames), CHUNK_FRAMES)]
    with ThreadPoolExecutor(1) as ahead:
        next_chunk = ahead.submit(_posed_vertices, conversation, head, chunks[0])
        for following in [*chunks[1:], None]:
            posed = next_chunk.result()
            if following:
                next_chunk = ahead.submit(_posed_vertices, conversation, head, following)
            yield from zip(*posed, strict=True)


def _name_plate_painter(conversation: Conversation, scene: Scene) -> Callable:
    """A function that draws both name plates onto the image of a frame."""
    both_plates = name_plates(scene)
    levels = [speaking_levels(person, conversation.frames) for person in conversation.participants]

    def add_name_plates(image: np.ndarray, frame: int) -> np.ndarray:
        for plate, level in zip(both_plates, levels, strict=True):
            if plate is not None:
                plate.draw_on(image, level[frame])
        return image

    return add_name_plates
