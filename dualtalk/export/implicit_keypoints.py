"""Motion for LivePortrait and for Ditto, which move 21 implicit keypoints of a portrait.

The keypoints are learned, and no released file says how an expression moves them, except one: the sliders of
LivePortrait's retargeting page are linear maps from "lips open", "smile" and so on to displacements of keypoints.
ARKit blendshapes drive these sliders here. The result is a caricature of the expression; head rotation is exact.

Axes: x to the right of the image, y down, z into it. Ditto's gaze correction, which moves the eyes against the
head's rotation, confirms the signs of pitch and yaw.

Sources: KwaiVGI/LivePortrait, src/gradio_pipeline.py (update_delta_new_*), app.py (ranges of the sliders) and
src/live_portrait_pipeline.py (make_motion_template); antgroup/ditto-talkinghead,
core/atomic_components/motion_stitch.py (ctrl_motion, _eye_delta, _fix_gaze) and inference.py.
"""

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Float32
from scipy.spatial.transform import Rotation

from dualtalk.core import HeadMotion
from dualtalk.export.contents import Export
from dualtalk.head import Head, load_head
from dualtalk.head.blendshapes import arkit_from_motion, motion_from_arkit
from dualtalk.io.arkit import ARKIT_UNITS
from dualtalk.io.atomic import written_whole
from dualtalk.render.scene import eye_midpoint_m
from dualtalk.timebase import MOTION_FPS

KEYPOINTS = 21
X, Y, Z = 0, 1, 2
# The axes of an image in head coordinates.
IMAGE_AXES = np.diag([1.0, -1.0, -1.0])
# Half the width of a crop, which is 1 in the units of the keypoints: LivePortrait crops to 2.3 face sizes.
HALF_CROP_M = 0.17
# Slider -> displacements (keypoint, axis, gain) at 1.
SLIDERS: dict[str, tuple[tuple[int, int, float], ...]] = {
    "lids closed": ((11, Y, 0.001), (15, Y, 0.001), (13, Y, -0.0003), (16, Y, -0.0003)),
    "gaze right": ((11, X, 0.00085), (15, X, 0.00085)),
    "gaze up": ((11, Y, -0.001), (15, Y, -0.001)),
    "smile": (
        *((20, Y, -0.01), (14, Y, -0.02), (17, Y, 0.0065), (17, Z, 0.003)),
        *((13, Y, -0.00275), (16, Y, -0.00275), (3, Y, -0.0035), (7, Y, -0.0035)),
    ),
    "brows up": ((1, Y, 0.001), (2, Y, -0.001)),
    "brows down": ((1, X, 0.001), (2, X, -0.001), (1, Y, -0.0003), (2, Y, 0.0003)),
    "pursed": ((14, Y, 0.001), (3, Y, -0.0005), (7, Y, -0.0005), (17, Z, -0.0005)),
    "grin": ((20, Z, -0.001), (20, Y, -0.001), (14, Y, -0.001)),
    "lips open": ((19, Y, 0.001), (19, Z, 0.0001), (17, Y, -0.0001)),
}
# Slider -> its value for each ARKit blendshape at 1, within the slider's range.
SLIDER_UNITS: dict[str, Mapping[str, float]] = {
    "lids closed": {"eyeBlinkLeft": 10.0, "eyeBlinkRight": 10.0, "eyeWideLeft": -2.5, "eyeWideRight": -2.5},
    "smile": {"mouthSmileLeft": 0.5, "mouthSmileRight": 0.5, "mouthFrownLeft": -0.15, "mouthFrownRight": -0.15},
    "brows up": {"browInnerUp": 10.0, "browOuterUpLeft": 5.0, "browOuterUpRight": 5.0},
    "brows down": {"browDownLeft": 10.0, "browDownRight": 10.0},
    "pursed": {"mouthPucker": 15.0, "mouthFunnel": 7.5},
    "grin": {"mouthStretchLeft": 7.5, "mouthStretchRight": 7.5},
    "lips open": {"jawOpen": 100.0, "mouthClose": -100.0},
}
# Gaze sliders for a degree of eye rotation, from Ditto's gaze correction.
GAZE_RIGHT_PER_DEGREE, GAZE_UP_PER_DEGREE = 0.26, 0.28
CARICATURE = (
    "expressions are a published linear approximation of implicit keypoints; both eyes share lids and gaze"
)


def keypoint_displacements(motion: HeadMotion) -> Float32[np.ndarray, "frame 21 3"]:
    """Displacements of the implicit keypoints, in image axes, for motion of the open head."""
    units = dict(zip(ARKIT_UNITS, arkit_from_motion(motion).T, strict=True))
    values = {
        slider: sum(gain * units[unit] for unit, gain in parts.items()) for slider, parts in SLIDER_UNITS.items()
    }
    eyes_degrees = np.degrees(motion.eyes_rotvec_rad.reshape(-1, 2, 3).mean(axis=1))
    values["gaze right"] = GAZE_RIGHT_PER_DEGREE * eyes_degrees[:, 1]
    values["gaze up"] = -GAZE_UP_PER_DEGREE * eyes_degrees[:, 0]
    exp = np.zeros((motion.frames, KEYPOINTS, 3), np.float32)
    for slider, displacements in SLIDERS.items():
        for keypoint, axis, gain in displacements:
            exp[:, keypoint, axis] += gain * values[slider]
    return exp


def _image_rotations(motion: HeadMotion) -> Float[np.ndarray, "frame 3 3"]:
    """Rotation of the head in image axes, acting on column vectors."""
    return IMAGE_AXES @ Rotation.from_rotvec(motion.head_rotvec_rad).as_matrix() @ IMAGE_AXES


def _image_shifts(motion: HeadMotion, head: Head) -> Float[np.ndarray, "frame 3"]:
    """Shift of the middle of the face in the image, in crop units, because the head turns about the neck."""
    above_neck_m = eye_midpoint_m(head) - head.neck_m
    shift_m = Rotation.from_rotvec(motion.head_rotvec_rad).apply(above_neck_m) - above_neck_m
    return shift_m @ IMAGE_AXES * [1, 1, 0] / HALF_CROP_M


def write_liveportrait(export: Export, folder: Path) -> list[str]:
    """`a.pkl` and `b.pkl`, motion templates for LivePortrait's `-d`, and the voices."""
    motions, notes = export.open_motions()
    for label, motion in motions.items():
        _write_pickle(folder / f"{label}.pkl", _template(motion))
    export.write_voices(folder)
    return [*notes, CARICATURE]


def _template(motion: HeadMotion) -> dict[str, Any]:
    head = load_head("open")
    # LivePortrait multiplies row vectors, so R is the transpose. Only differences from the first frame matter, so
    # the canonical keypoints may be anything: they are zero.
    rotations = _image_rotations(motion).transpose(0, 2, 1).astype(np.float32)
    exp, shifts = keypoint_displacements(motion), _image_shifts(motion, head).astype(np.float32)
    scale, canonical = np.ones((1, 1), np.float32), np.zeros((1, KEYPOINTS, 3), np.float32)
    frames = [
        {
            "scale": scale,
            "R": rotations[frame : frame + 1],
            "exp": exp[frame : frame + 1],
            "t": shifts[frame : frame + 1],
            "kp": canonical,
            "x_s": exp[frame : frame + 1] + shifts[frame],
        }
        for frame in range(motion.frames)
    ]
    units = arkit_from_motion(motion)
    lids, lips = (
        units[:, [ARKIT_UNITS.index(unit) for unit in chosen]]
        for chosen in (("eyeBlinkLeft", "eyeBlinkRight"), ("jawOpen", "mouthClose"))
    )
    # Ratios of opening to width, between what LivePortrait measures on closed and on wide open eyes and lips.
    open_eyes = (0.4 * (1 - np.clip(lids, 0, 1))).astype(np.float32)
    open_lips = (0.6 * np.clip(lips[:, :1] - lips[:, 1:], 0, 1)).astype(np.float32)
    return {
        "n_frames": motion.frames,
        "output_fps": MOTION_FPS,
        "motion": frames,
        "c_eyes_lst": [open_eyes[frame : frame + 1] for frame in range(motion.frames)],
        "c_lip_lst": [open_lips[frame : frame + 1] for frame in range(motion.frames)],
    }


def write_ditto(export: Export, folder: Path) -> list[str]:
    """`a.pkl` and `b.pkl`, for the argument `more_kwargs` of Ditto's `run`, and the voices.

    Ditto moves the lips by the voice. The file adds head rotation, gaze, lids, brows and smiles to its motion.
    """
    motions, notes = export.open_motions()
    for label, motion in motions.items():
        _write_pickle(folder / f"{label}.pkl", _control(motion))
    export.write_voices(folder)
    return [*notes, CARICATURE, "the lips are Ditto's own: it moves them by the voice"]


def _control(motion: HeadMotion) -> dict[str, Any]:
    # Rz Ry Rx is the extrinsic order xyz.
    pitch_yaw_roll = Rotation.from_matrix(_image_rotations(motion)).as_euler("xyz", degrees=True)
    lips = {"jawOpen", "mouthClose", "mouthPucker", "mouthFunnel", "mouthStretchLeft", "mouthStretchRight"}
    upper = keypoint_displacements(_without(motion, lips)).reshape(motion.frames, 1, 3 * KEYPOINTS)
    control = {
        frame: {
            "delta_pitch": float(pitch),
            "delta_yaw": float(yaw),
            "delta_roll": float(roll),
            "delta_exp": upper[frame],
        }
        for frame, (pitch, yaw, roll) in enumerate(pitch_yaw_roll)
    }
    return {"setup_kwargs": {}, "run_kwargs": {"ctrl_info": control}}


def _without(motion: HeadMotion, units: set[str]) -> HeadMotion:
    """Motion of the open head with some of ARKit's blendshapes at 0."""
    weights = arkit_from_motion(motion)
    weights[:, [ARKIT_UNITS.index(unit) for unit in units]] = 0
    return motion_from_arkit(weights, motion.head_rotvec_rad)


def _write_pickle(path: Path, content: dict[str, Any]) -> None:
    with written_whole(path) as partial, partial.open("wb") as file:
        pickle.dump(content, file)
