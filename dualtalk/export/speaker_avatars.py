"""Motion for avatars of one person that TalkingGaussian and SyncTalk train: upper face, blinks and head pose.

These avatars move their lips by the voice. Copy the files into the folder of a trained avatar, beside its images.
Sources: TalkingGaussian, scene/dataset_readers.py and data_utils/process.py (save_transforms); SyncTalk,
nerf_triplane/provider.py and data_utils/blendshape_capture/main.py; OpenFace, "Output format" (AU columns).
"""

import json
from pathlib import Path

import numpy as np
from jaxtyping import Float

from dualtalk.core import HeadMotion
from dualtalk.export.cameras import FrontCamera
from dualtalk.export.contents import Export
from dualtalk.export.landmark_files import front_pixels
from dualtalk.head import load_head
from dualtalk.head.blendshapes import arkit_from_motion
from dualtalk.head.landmarks import landmarks_68
from dualtalk.head.skinned import SkinnedHead
from dualtalk.io.arkit import ALPHABETICAL_UNITS, ARKIT_UNITS
from dualtalk.timebase import MOTION_FPS

CAMERA = FrontCamera()
# OpenFace's intensity of an action unit at its maximum.
FULL_INTENSITY = 5.0
# Both programs clip the intensity of a blink to 2.
FULL_BLINK = 2.0
# OpenFace's action units and the ARKit blendshapes of the same muscles.
ACTION_UNITS: dict[str, tuple[str, ...]] = {
    "AU01": ("browInnerUp",),
    "AU02": ("browOuterUpLeft", "browOuterUpRight"),
    "AU04": ("browDownLeft", "browDownRight"),
    "AU05": ("eyeWideLeft", "eyeWideRight"),
    "AU06": ("cheekSquintLeft", "cheekSquintRight"),
    "AU07": ("eyeSquintLeft", "eyeSquintRight"),
    "AU09": ("noseSneerLeft", "noseSneerRight"),
    "AU10": ("mouthUpperUpLeft", "mouthUpperUpRight"),
    "AU12": ("mouthSmileLeft", "mouthSmileRight"),
    "AU14": ("mouthDimpleLeft", "mouthDimpleRight"),
    "AU15": ("mouthFrownLeft", "mouthFrownRight"),
    "AU17": ("mouthShrugLower",),
    "AU20": ("mouthStretchLeft", "mouthStretchRight"),
    "AU23": ("mouthPressLeft", "mouthPressRight"),
    "AU25": ("jawOpen",),
    "AU26": ("jawOpen",),
    "AU45": ("eyeBlinkLeft", "eyeBlinkRight"),
}
LIPS_BY_VOICE = "the lips are the program's own: it moves them by the voice"
CAMERA_NOTE = (
    f"the camera is {CAMERA.distance_m:g} m away; an avatar's own distance is in its transforms_train.json"
)


def write(export: Export, folder: Path, name: str) -> list[str]:
    """A folder `a` with `au.csv`, `transforms_val.json`, `ori_imgs/*.lms` and, for synctalk, `bs.npy`; the
    voices."""
    motions, notes = export.open_motions()
    head = load_head("open")
    assert isinstance(head, SkinnedHead)
    for label, motion in motions.items():
        (folder / label / "ori_imgs").mkdir(parents=True)
        units = arkit_from_motion(motion)
        _write_action_units(folder / label / "au.csv", units)
        _write_transforms(folder / label, motion, head)
        _write_landmarks(folder / label / "ori_imgs", motion, head)
        if name == "synctalk":
            np.save(folder / label / "bs.npy", _mediapipe_weights(units))
    export.write_voices(folder)
    return [*notes, LIPS_BY_VOICE, CAMERA_NOTE]


def _mediapipe_weights(units: Float[np.ndarray, "frame 52"]) -> Float[np.ndarray, "frame 52"]:
    """mediapipe's blendshapes without `_neutral`, and a last column of 0, where tongueOut would be."""
    weights = np.clip(units[:, [ARKIT_UNITS.index(unit) for unit in ALPHABETICAL_UNITS]].astype(np.float64), 0, 1)
    weights[:, -1] = 0
    return weights


def _write_action_units(path: Path, units: Float[np.ndarray, "frame 52"]) -> None:
    """OpenFace's table; its column names have a leading blank, which both programs ask for."""
    intensities = []
    for name, parts in ACTION_UNITS.items():
        share = np.clip(units[:, [ARKIT_UNITS.index(unit) for unit in parts]].mean(axis=1), 0, 1)
        intensities.append(share * (FULL_BLINK if name == "AU45" else FULL_INTENSITY))
    names = [
        "frame",
        " face_id",
        " timestamp",
        " confidence",
        " success",
        *(f" {name}_r" for name in ACTION_UNITS),
    ]
    rows = [
        ", ".join([str(frame + 1), "0", f"{frame / MOTION_FPS:.3f}", "1", "1", *(f"{value:.4f}" for value in row)])
        for frame, row in enumerate(np.stack(intensities, axis=1))
    ]
    path.write_text("\n".join([",".join(names), *rows]) + "\n", encoding="utf-8")


def _write_transforms(folder: Path, motion: HeadMotion, head: SkinnedHead) -> None:
    """Camera poses, OpenGL, that turn about a head whose origin is the middle of its face."""
    places = landmarks_68(head)
    middle_m = np.einsum("lc,lcx->x", places.weights, head.template[places.vertices]) / len(places.weights)
    turned, shift_m = CAMERA.camera_from_head(motion.head_rotvec_rad, head.neck_m - middle_m, np.eye(3))
    frames = []
    for frame in range(motion.frames):
        pose = np.eye(4)
        pose[:3, :3], pose[:3, 3] = turned[frame].T, -turned[frame].T @ shift_m[frame]
        frames.append({"img_id": frame, "aud_id": frame, "transform_matrix": pose.tolist()})
    middle_px = CAMERA.size_px / 2
    content = {"focal_len": CAMERA.focal_px, "cx": middle_px, "cy": middle_px, "frames": frames}
    # The training split is the avatar's own.
    (folder / "transforms_val.json").write_text(json.dumps(content), encoding="utf-8")


def _write_landmarks(folder: Path, motion: HeadMotion, head: SkinnedHead) -> None:
    pixels = front_pixels(head, landmarks_68(head).positions_m(head, motion), CAMERA.size_px)
    for frame, points in enumerate(pixels):
        np.savetxt(folder / f"{frame}.lms", points, fmt="%.3f")
