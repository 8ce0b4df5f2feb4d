"""Where the viewer's camera can be put at once: the film's two stagings, and over either person's shoulder.

Everything is worked out here, by the code that the film uses, so that both show the same.
"""

from dataclasses import dataclass, replace

from dualtalk.head.head import Head
from dualtalk.render.materials import KEY_LIGHT, RIM_LIGHT
from dualtalk.render.scene import APPEARANCES, Camera, CameraLayout, Scene, Viewport, camera_layout

# How fast the backdrop darkens to the sides; in a frame that two portraits share, each has half the width.
SPLIT_FALLOFF, WHOLE_FALLOFF = 1.0, 0.8


@dataclass(frozen=True)
class Preset:
    """A staging as a choice.

    Attributes
    ----------
    name, label : str
        For the program and for people.
    camera_layout : CameraLayout
    tints : for each view, the people whose colours its backdrop has, left and right
    narrowest_aspect : float
        Width over height that a view must have; in a narrower one the camera steps back.
    """

    name: str
    label: str
    camera_layout: CameraLayout
    tints: tuple[tuple[int, int], ...]
    narrowest_aspect: float


def presets() -> tuple[Preset, ...]:
    """In the order of their keys, from 1."""
    split, facing = camera_layout("split"), camera_layout("face-to-face")
    return (
        Preset("split", "Split", split, ((0, 0), (1, 1)), 0.75),
        Preset("over-a", "Over A’s shoulder", _over_shoulder(facing, 0), ((1, 1),), 1.4),
        Preset("over-b", "Over B’s shoulder", _over_shoulder(facing, 1), ((0, 0),), 1.4),
        Preset("face-to-face", "Face to face", facing, ((0, 1),), 1.85),
    )


def _over_shoulder(facing: CameraLayout, person: int) -> CameraLayout:
    """Behind `person` and a little above their eyes; their partner's face in the middle of the frame."""
    side = (-1, 1)[person]
    camera = Camera((side * 0.62, 0.07, 0.3), (side * -0.24, -0.05, 0.0), 0.5)
    return replace(facing, viewports=(Viewport(camera, (0, 1), 0.0, 1.0),))


def preset_data(preset: Preset, head: Head) -> dict:
    """A preset as the page reads it: matrices a column after the other, colours 0 to 255."""
    scene = Scene(head, preset.camera_layout)
    falloff = SPLIT_FALLOFF if len(preset.camera_layout.viewports) > 1 else WHOLE_FALLOFF
    people = [
        {
            "world_from_head": [float(value) for value in scene.world_from_head(person).T.flat],
            "key_light": scene.light_from(person, KEY_LIGHT).tolist(),
            "rim_light": scene.light_from(person, RIM_LIGHT).tolist(),
        }
        for person in range(2)
    ]
    views = [
        {
            "position_m": list(view.camera.position_m),
            "target_m": list(view.camera.target_m),
            "vertical_view_rad": view.camera.vertical_view_rad,
            "people": list(view.participants),
            "left": view.left,
            "right": view.right,
            "tints": [list(APPEARANCES[person].background) for person in tints],
            "falloff": falloff,
            "narrowest_aspect": preset.narrowest_aspect,
        }
        for view, tints in zip(preset.camera_layout.viewports, preset.tints, strict=True)
    ]
    return {"name": preset.name, "label": preset.label, "people": people, "views": views}
