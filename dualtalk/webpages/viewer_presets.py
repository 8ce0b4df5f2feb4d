"""The viewer's camera presets: the video's two views, and one over each person's shoulder.

They are computed by the renderer's own code, so that the viewer and the video agree.
"""

from dataclasses import dataclass, replace

from dualtalk.head.head import Head
from dualtalk.render.materials import KEY_LIGHT, RIM_LIGHT
from dualtalk.render.scene import APPEARANCES, Camera, CameraLayout, Scene, Viewport, camera_layout

# How fast the backdrop darkens toward the sides; two portraits that share a frame have half the width each.
SPLIT_FALLOFF, SINGLE_FALLOFF = 1.0, 0.8


@dataclass(frozen=True)
class Preset:
    """A camera layout to choose from.

    Attributes
    ----------
    name, label : str
        Identifier and display text.
    camera_layout : CameraLayout
    tints : tuple of (int, int)
        For each viewport, the people whose background colours tint the left and the right of its backdrop.
    min_aspect : float
        Smallest width over height for which the camera is placed; in a narrower viewport it moves back.
    """

    name: str
    label: str
    camera_layout: CameraLayout
    tints: tuple[tuple[int, int], ...]
    min_aspect: float


def presets() -> tuple[Preset, ...]:
    """The presets in the order of their keys, from 1."""
    split, facing = camera_layout("split"), camera_layout("face-to-face")
    return (
        Preset("split", "Split", split, ((0, 0), (1, 1)), 0.75),
        Preset("over-a", "Over A’s shoulder", _over_shoulder(facing, 0), ((1, 1),), 1.4),
        Preset("over-b", "Over B’s shoulder", _over_shoulder(facing, 1), ((0, 0),), 1.4),
        Preset("face-to-face", "Face to face", facing, ((0, 1),), 1.85),
    )


def _over_shoulder(facing: CameraLayout, person: int) -> CameraLayout:
    """Behind `person`, a little above eye level, with the partner's face in the middle of the frame."""
    side = (-1, 1)[person]
    camera = Camera((side * 0.62, 0.07, 0.3), (side * -0.24, -0.05, 0.0), 0.5)
    return replace(facing, viewports=(Viewport(camera, (0, 1), 0.0, 1.0),))


def preset_data(preset: Preset, head: Head) -> dict:
    """A preset for the page's script: matrices in column-major order, colours 0 to 255, metres and radians."""
    scene = Scene(head, preset.camera_layout)
    falloff = SPLIT_FALLOFF if len(preset.camera_layout.viewports) > 1 else SINGLE_FALLOFF
    participants = [
        {
            "world_from_head": [float(value) for value in scene.world_from_head(person).T.flat],
            "key_light": scene.light_from(person, KEY_LIGHT).tolist(),
            "rim_light": scene.light_from(person, RIM_LIGHT).tolist(),
        }
        for person in range(2)
    ]
    viewports = [
        {
            "position_m": list(viewport.camera.position_m),
            "target_m": list(viewport.camera.target_m),
            "vertical_fov_rad": viewport.camera.vertical_fov_rad,
            "participants": list(viewport.participants),
            "left": viewport.left,
            "right": viewport.right,
            "tints": [list(APPEARANCES[person].background) for person in tints],
            "falloff": falloff,
            "min_aspect": preset.min_aspect,
        }
        for viewport, tints in zip(preset.camera_layout.viewports, preset.tints, strict=True)
    ]
    return {"name": preset.name, "label": preset.label, "participants": participants, "viewports": viewports}
