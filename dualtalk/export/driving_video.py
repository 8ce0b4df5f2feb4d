"""Each head alone, frontal and square, with its voice: a video for systems that take a driving video.

Portrait animators detect a face in every frame and crop around it. The head is in the middle of a plain picture,
without a name plate, and turns and speaks as in the conversation.
"""

from contextlib import closing
from dataclasses import replace
from pathlib import Path

from dualtalk.core import Conversation
from dualtalk.export.contents import Export
from dualtalk.render.renderer import open_renderer
from dualtalk.render.scene import Camera, CameraLayout, HeadPlacement, Scene, Viewport
from dualtalk.render.video import draw_video

DISTANCE_M, FIELD_OF_VIEW_RAD, BELOW_EYES_M = 1.15, 0.36, 0.03


def front_layout() -> CameraLayout:
    """One head that faces the camera and fills the picture as portraits do."""
    origin = HeadPlacement((0.0, 0.0, 0.0), 0.0)
    camera = Camera((0.0, 0.0, DISTANCE_M), (0.0, -BELOW_EYES_M, -0.02), FIELD_OF_VIEW_RAD)
    return CameraLayout("face-to-face", (origin, origin), (Viewport(camera, (0,), 0.0, 1.0),))


def write_driving_video(export: Export, folder: Path) -> list[str]:
    """`a.mp4` and `b.mp4`: H.264, 25 frames a second, the participant's voice on both channels."""
    export, notes = export.retargeted()
    size = (export.options.size_px, export.options.size_px)
    for label, person in export.participants.items():
        appearance = replace(export.appearances[label], label="")
        scene = Scene(export.head, front_layout(), (appearance, appearance), size)
        with closing(open_renderer(scene)) as renderer:
            draw_video(Conversation(person, person, name=label), renderer, folder / f"{label}.mp4")
    return notes
