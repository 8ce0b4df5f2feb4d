"""A conversation as a film or as single pictures.

Vertices are computed a few seconds ahead in a second thread and frames are handed to ffmpeg from a third, so
memory stays the same for hours of talk and neither waits for the drawing.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from jaxtyping import Float32, UInt8

from dualtalk.core import PARTY, Conversation
from dualtalk.errors import InputError
from dualtalk.head import Head
from dualtalk.render.encode import encoded
from dualtalk.render.overlay import plates, speaking_levels
from dualtalk.render.renderer import Renderer, RendererName, open_renderer
from dualtalk.render.scene import APPEARANCES, Appearance, Scene, ViewName, camera_layout

Posed = Float32[np.ndarray, "frame vertex 3"]
FRAMES_AT_ONCE = 50


def render_conversation(
    conversation: Conversation,
    head: Head,
    path: str | os.PathLike,
    *,
    view: ViewName = "split",
    size: tuple[int, int] = (1024, 512),
    renderer: RendererName = "auto",
    appearances: tuple[Appearance, Appearance] = APPEARANCES,
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """Write a film of both people: H.264 at 25 frames a second, A's voice left and B's right.

    Parameters
    ----------
    conversation : Conversation
        Both people with motion in `head`'s space.
    path : path
        Ends in .mp4. Appears only when whole.
    view : "split" or "face-to-face"
        Two portraits, or both in one picture.
    size : (width, height) in pixels
    renderer : "auto", "moderngl" or "pyrender"
    appearances : (Appearance, Appearance)
    progress : callable
        Called with frames done and frames in all after each frame.

    Raises
    ------
    InputError
        Motion is missing or of another space, there is no frame, or `path` cannot be written.
    SetupError
        No GL library works here.
    """
    _check(conversation, head)
    scene = Scene(head, camera_layout(view), appearances, size)
    voices = np.stack([person.audio for person in conversation.participants])
    gl_renderer = open_renderer(scene, renderer)
    try:
        with ThreadPoolExecutor(1) as writer, encoded(path, size, voices) as write:
            pending = None
            for done, picture in enumerate(_pictures(conversation, scene, gl_renderer), start=1):
                if pending:
                    pending.result()
                pending = writer.submit(write, picture)
                if progress:
                    progress(done, conversation.frames)
            pending.result()
    finally:
        gl_renderer.close()


def render_stills(
    conversation: Conversation,
    head: Head,
    frames: Sequence[int],
    *,
    view: ViewName = "split",
    size: tuple[int, int] = (1024, 512),
    renderer: RendererName = "auto",
    appearances: tuple[Appearance, Appearance] = APPEARANCES,
) -> list[UInt8[np.ndarray, "height width 3"]]:
    """Pictures of single frames, as the film has them; arguments as for `render_conversation`.

    Raises
    ------
    InputError
        As for the film, or a frame beyond the conversation's end.
    """
    _check(conversation, head)
    beyond = [frame for frame in frames if not 0 <= frame < conversation.frames]
    if beyond:
        raise InputError(f"no frame {beyond[0]}; the conversation has frames 0 to {conversation.frames - 1}")
    scene = Scene(head, camera_layout(view), appearances, size)
    gl_renderer = open_renderer(scene, renderer)
    finish = _finisher(conversation, scene)
    pictures = []
    try:
        for frame in frames:
            a, b = (vertices[0] for vertices in _posed(conversation, head, slice(frame, frame + 1)))
            pictures.append(finish(gl_renderer.frame(a, b), frame))
    finally:
        gl_renderer.close()
    return pictures


def _check(conversation: Conversation, head: Head) -> None:
    if not conversation.frames:
        raise InputError(f"{conversation.name} has no frames; is its audio shorter than 0.04 s?")
    for label, person in zip(PARTY, conversation.participants, strict=True):
        if person.motion is None:
            raise InputError(f"person {label} of {conversation.name} has no motion to draw; simulate it first")
        if person.motion.space != head.space:
            raise InputError(
                f"motion of person {label} is in space {person.motion.space!r}, the head in {head.space!r}; "
                "give the head that the motion was made for"
            )


def _posed(conversation: Conversation, head: Head, frames: slice) -> tuple[Posed, Posed]:
    a, b = (head.vertices(person.motion[frames]) for person in conversation.participants)
    return a, b


def _pictures(
    conversation: Conversation, scene: Scene, renderer: Renderer
) -> Iterator[UInt8[np.ndarray, "height width 3"]]:
    finish = _finisher(conversation, scene)
    spans = [slice(first, first + FRAMES_AT_ONCE) for first in range(0, conversation.frames, FRAMES_AT_ONCE)]
    with ThreadPoolExecutor(1) as ahead:
        coming = ahead.submit(_posed, conversation, scene.head, spans[0])
        for span, following in zip(spans, [*spans[1:], None], strict=True):
            posed = coming.result()
            if following:
                coming = ahead.submit(_posed, conversation, scene.head, following)
            for frame, (a, b) in enumerate(zip(*posed, strict=True), start=span.start):
                yield finish(renderer.frame(a, b), frame)


def _finisher(conversation: Conversation, scene: Scene) -> Callable:
    """A function that puts both people's plates on a picture of the given frame."""
    both = plates(scene)
    levels = [speaking_levels(person, conversation.frames) for person in conversation.participants]

    def finish(picture: np.ndarray, frame: int) -> np.ndarray:
        for plate, level in zip(both, levels, strict=True):
            if plate is not None:
                plate.put_on(picture, level[frame])
        return picture

    return finish
