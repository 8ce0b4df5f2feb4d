"""Motion for programs that drive an avatar with FLAME's parameters, in the files that their released code reads.

A folder `<label>` for each participant holds one program's files. The arrays are those of `FlameTrack`; the
formats differ in names, shapes and rotations, and in whether the head turns or the camera. Sources: the code named
at each writer. Most programs use their avatar's own shape; the files contain the shape of the motion.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from scipy.spatial.transform import Rotation

from dualtalk.export.cameras import OPENCV_AXES, PYTORCH3D_AXES, FrontCamera, about_joint, first_two_rows
from dualtalk.export.contents import Export
from dualtalk.export.flame_track import FlameTrack, flame_tracks
from dualtalk.geometry.rotations import matrix_from_rotvec
from dualtalk.timebase import MOTION_FPS

CAMERA = FrontCamera()
# Vertices of FLAME with the teeth that GaussianAvatars adds.
VERTICES_WITH_TEETH = 5143
# IMavatar's lineage scales FLAME by this factor.
IMAVATAR_SCALE = 4.0
# Portrait4D's camera in front of a head scaled by 5, and its intrinsics for a field of view of 12 degrees.
PORTRAIT4D_DISTANCE, PORTRAIT4D_FOCAL = 4.2, 4.2647
STYLE_FRAMES = 50
CAP4D_SHAPES, CAP4D_EXPRESSIONS = 150, 65


@dataclass(frozen=True)
class AvatarFormat:
    """Files of one program.

    Attributes
    ----------
    write : callable (folder, FlameTrack)
    eyelids : bool
        Whether the files have eyelids beside the expression.
    needs_neck : bool
        Whether the head's rotation is written as a rigid motion about the neck joint.
    losses : tuple of str
        What the files do not represent.
    """

    write: Callable[[Path, FlameTrack], None]
    eyelids: bool = False
    needs_neck: bool = False
    losses: tuple[str, ...] = ()


def write(export: Export, folder: Path, name: str) -> list[str]:
    """Write each participant in one of `FORMATS`, with the voices, and return the notes."""
    form = FORMATS[name]
    tracks, notes = flame_tracks(export, eyelids=form.eyelids, needs_neck=form.needs_neck)
    for label, track in tracks.items():
        (folder / label).mkdir()
        form.write(folder / label, track)
    export.write_voices(folder)
    return [*notes, *form.losses]


def _write_json(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content), encoding="utf-8")


def _vhap(folder: Path, track: FlameTrack) -> None:
    """GaussianAvatars, scene/flame_gaussian_model.py (`motion.npz`); VHAP, export_as_nerf_dataset.py (all other
    files), which LAM and MeGA read."""
    zeros = np.zeros((track.frames, 3), np.float32)
    motion: dict[str, Any] = {
        "translation": zeros,
        "rotation": zeros,
        "neck_pose": track.head_rotvec_rad,
        "jaw_pose": track.jaw_rotvec_rad,
        "eyes_pose": track.eyes_rotvec_rad,
        "expr": track.expression,
    }
    # GaussianAvatars takes frame t of every array. A broadcast array is compressed without being in memory.
    offset = np.broadcast_to(np.float32(0), (track.frames, VERTICES_WITH_TEETH, 3))
    np.savez_compressed(folder / "motion.npz", **motion, dynamic_offset=offset)
    constant: dict[str, Any] = {"shape": track.shape, "static_offset": offset[:1] if track.frames else offset}
    (folder / "flame_param").mkdir()
    frames = []
    for frame in range(track.frames):
        name = f"flame_param/{frame:05d}.npz"
        own: dict[str, Any] = {key: values[frame : frame + 1] for key, values in motion.items()}
        np.savez_compressed(folder / name, **own, **constant)
        frames.append(_vhap_frame(frame, name))
    canonical: dict[str, Any] = {key: np.zeros_like(values[:1]) for key, values in motion.items()}
    canonical["jaw_pose"] = np.array([[0.3, 0, 0]], np.float32)
    np.savez_compressed(folder / "canonical_flame_param.npz", **canonical, **constant)
    transforms = {**_nerf_intrinsics(), "frames": frames}
    for name in ("transforms", "transforms_train", "transforms_val", "transforms_test"):
        _write_json(folder / f"{name}.json", transforms)


def _nerf_intrinsics() -> dict[str, Any]:
    middle = CAMERA.size_px / 2
    angle_rad = 2 * float(np.arctan(middle / CAMERA.focal_px))
    return {
        "camera_angle_x": angle_rad,
        "camera_angle_y": angle_rad,
        "fl_x": CAMERA.focal_px,
        "fl_y": CAMERA.focal_px,
        "cx": middle,
        "cy": middle,
        "w": CAMERA.size_px,
        "h": CAMERA.size_px,
    }


def _vhap_frame(frame: int, flame_param_path: str) -> dict[str, Any]:
    return {
        "timestep_index": frame,
        "timestep_index_original": frame,
        "timestep_id": f"{frame:05d}",
        "camera_index": 0,
        "camera_id": "0",
        "file_path": f"images/{frame:05d}_00.png",
        "fg_mask_path": f"fg_masks/{frame:05d}_00.png",
        "flame_param_path": flame_param_path,
        "transform_matrix": CAMERA.world_from_camera.tolist(),
        **_nerf_intrinsics(),
    }


def _metrical(folder: Path, track: FlameTrack) -> None:
    """metrical-tracker, tracker.py: save_checkpoint; read by INSTA, GaussianBlendshapes and FlashAvatar."""
    (folder / "checkpoint").mkdir()
    opencv_r, opencv_t = CAMERA.camera_from_head(track.head_rotvec_rad, track.neck_m, OPENCV_AXES)
    # PyTorch3D multiplies row vectors, so its R is the transpose.
    turned, shift_m = CAMERA.camera_from_head(track.head_rotvec_rad, track.neck_m, PYTORCH3D_AXES)
    camera_r = first_two_rows(turned.transpose(0, 2, 1))
    jaw, left_eye, right_eye = (
        first_two_rows(matrix_from_rotvec(rotvec_rad))
        for rotvec_rad in (track.jaw_rotvec_rad, track.eyes_rotvec_rad[:, :3], track.eyes_rotvec_rad[:, 3:])
    )
    for frame in range(track.frames):
        here = slice(frame, frame + 1)
        flame = {
            "exp": track.expression[here],
            "shape": track.shape[None],
            "tex": np.zeros((1, 140), np.float32),
            "sh": np.zeros((1, 9, 3), np.float32),
            "eyes": np.concatenate([left_eye[here], right_eye[here]], axis=1),
            "eyelids": track.eyelids[here],
            "jaw": jaw[here],
        }
        camera = {
            "R": camera_r[here].astype(np.float32),
            "t": shift_m[here].astype(np.float32),
            "fl": np.array([[2 * CAMERA.focal_px / CAMERA.size_px]], np.float32),
            "pp": np.zeros((1, 2), np.float32),
        }
        opencv = {"R": opencv_r[here], "t": opencv_t[here], "K": CAMERA.intrinsics[None]}
        content = {
            "flame": flame,
            "camera": camera,
            "opencv": {name: values.astype(np.float32) for name, values in opencv.items()},
            "img_size": np.array([CAMERA.size_px, CAMERA.size_px]),
            "frame_id": f"{frame:05d}",
            "global_step": frame,
        }
        torch.save(content, folder / "checkpoint" / f"{frame:05d}.frame")


def _opengl_camera(scale: float) -> list[list[float]]:
    """(3, 4) camera from world, in OpenGL's convention, for a head scaled about the origin."""
    return [[1.0, 0.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, -scale * CAMERA.distance_m]]


def _hravatar(folder: Path, track: FlameTrack) -> None:
    """HRAvatar, scene/data_loader.py and preprocess/submodules/DECA/optimize.py."""
    world_mat = [*_opengl_camera(IMAVATAR_SCALE), [0.0, 0.0, 0.0, 1.0]]
    content: dict[str, Any] = {
        "world_mat": world_mat,
        "intrinsics": [CAMERA.focal_px] * 2 + [CAMERA.size_px / 2] * 2,
        "shapecode": [track.shape.tolist()],
    }
    for frame in range(track.frames):
        content[f"{frame:05d}"] = {
            "expcode": [track.expression[frame].tolist()],
            "fullposecode": [track.full_pose_rad[frame].tolist()],
            "eyelids": [track.eyelids[frame].tolist()],
            "translation": [[0.0, 0.0, 0.0]],
            "world_mat": world_mat,
            "cam": [1.0, 0.0, 0.0],
        }
    _write_json(folder / "tracked_params.json", content)


def _pointavatar(folder: Path, track: FlameTrack) -> None:
    """PointAvatar and IMavatar, code/datasets/real_dataset.py. The first focal length is negative, because x of
    the image and x of the camera have opposite directions there."""
    focal = CAMERA.focal_px / CAMERA.size_px
    frames = [
        {
            "file_path": f"./image/{frame}",
            "world_mat": _opengl_camera(IMAVATAR_SCALE),
            "expression": track.expression[frame, :50].tolist(),
            "pose": track.full_pose_rad[frame].tolist(),
            "bbox": [0.0, 0.0, 1.0, 1.0],
        }
        for frame in range(track.frames)
    ]
    shape = track.shape[:100].tolist()
    content = {"frames": frames, "shape_params": shape, "intrinsics": [-focal, focal, 0.5, 0.5]}
    _write_json(folder / "flame_params.json", content)


def _cap4d(folder: Path, track: FlameTrack) -> None:
    """CAP4D, flowface/flame/{flame,utils}.py and gaussianavatars/scene/dataset_readers.py. The last expression
    closes both eyes, both eyes share one rotation, and the camera's world has FLAME's y and z with the opposite
    sign, as OpenCV's camera has. Avatars have 150 shapes and 65 expressions. They do not read `jaw_rot`, which
    flowface does."""
    turned, shift_m = about_joint(track.head_rotvec_rad, track.neck_m)
    expression = track.expression[:, :CAP4D_EXPRESSIONS].copy()
    expression[:, -1] = track.eyelids.mean(axis=1)
    extrinsics = np.eye(4, dtype=np.float32)[None].copy()
    extrinsics[0, 2, 3] = CAMERA.distance_m
    per_camera: dict[str, Any] = {
        name: np.array([[value]], np.float32)
        for name, value in {
            "fx": CAMERA.focal_px,
            "fy": CAMERA.focal_px,
            "cx": CAMERA.size_px / 2,
            "cy": CAMERA.size_px / 2,
        }.items()
    }
    np.savez(
        folder / "fit.npz",
        shape=track.shape[:CAP4D_SHAPES],
        expr=expression,
        rot=Rotation.from_matrix(turned).as_rotvec().astype(np.float32),
        tra=shift_m.astype(np.float32),
        eye_rot=track.eyes_rotvec_rad.reshape(-1, 2, 3).mean(axis=1),
        jaw_rot=track.jaw_rotvec_rad,
        extr=extrinsics,
        resolutions=np.array([[CAMERA.size_px, CAMERA.size_px]]),
        fps=np.array(MOTION_FPS),
        **per_camera,
    )


def _gaussian_head_avatar(folder: Path, track: FlameTrack) -> None:
    """Gaussian Head Avatar, lib/dataset/Dataset.py: ReenactmentDataset, with the FLAME parameters of
    Multiview-3DMM-Fitting, lib/face_models/FLAMEModule.py. It wants an image for each frame, though it reads only
    the parameters: grey ones are written."""
    turned, shift_m = about_joint(track.head_rotvec_rad, track.neck_m)
    pose = np.concatenate([Rotation.from_matrix(turned).as_rotvec(), shift_m], axis=1)
    codes = np.concatenate([track.expression[:, :50], track.jaw_rotvec_rad, track.eyes_rotvec_rad], axis=1)
    grey = Image.new("RGB", (16, 16), (127, 127, 127))
    for frame in range(track.frames):
        for part in ("params", "images"):
            (folder / part / f"{frame:05d}").mkdir(parents=True)
        np.savez(
            folder / "params" / f"{frame:05d}" / "params.npz",
            id_coeff=track.shape[None, :100],
            exp_coeff=codes[frame : frame + 1],
            scale=np.ones((1, 1), np.float32),
            pose=pose[frame : frame + 1].astype(np.float32),
        )
        grey.save(folder / "images" / f"{frame:05d}" / "image_0.jpg")


def _cvthead(folder: Path, track: FlameTrack) -> None:
    """CVTHead, inference.py: arguments of flame_coef_generation, a row for each frame."""
    pose = np.concatenate([track.head_rotvec_rad, track.jaw_rotvec_rad], axis=1)
    shape = np.tile(track.shape[:100], (track.frames, 1))
    np.savez(folder / "flame_coefs.npz", shape=shape, exp=track.expression, pose=pose)


def _portrait4d(folder: Path, track: FlameTrack) -> None:
    """Portrait4D, gen_images_portrait4d.py: the driving side's `flame_optim_params/<frame>.npy`, 437 numbers."""
    (folder / "flame_optim_params").mkdir()
    extrinsics = np.eye(4)
    extrinsics[2, 3] = PORTRAIT4D_DISTANCE
    intrinsics = np.array([[PORTRAIT4D_FOCAL, 0, 0.5], [0, PORTRAIT4D_FOCAL, 0.5], [0, 0, 1]])
    camera = np.concatenate([extrinsics.ravel(), intrinsics.ravel()])
    pose = np.concatenate([track.head_rotvec_rad, track.jaw_rotvec_rad, track.eyes_rotvec_rad], axis=1)
    for frame in range(track.frames):
        parts = (camera, track.shape, track.expression[frame], pose[frame])
        row = np.concatenate(parts).astype(np.float32)
        np.save(folder / "flame_optim_params" / f"{frame:05d}.npy", row)


def _artalk(folder: Path, track: FlameTrack) -> None:
    """ARTalk, inference.py and artalk/GAGAvatar/models.py: expression, head, jaw; it renders the jaw's pitch only.
    The style clip is the first two seconds, repeated if the motion is shorter."""
    rows = np.concatenate([track.expression, track.head_rotvec_rad, track.jaw_rotvec_rad], axis=1)
    rows[:, -2:] = 0
    torch.save(torch.from_numpy(rows), folder / "motions.pt")
    style = np.resize(rows, (STYLE_FRAMES, rows.shape[1]))
    torch.save(torch.from_numpy(style), folder / "style.pt")


FORMATS = {
    "vhap": AvatarFormat(_vhap),
    "metrical": AvatarFormat(_metrical, eyelids=True, needs_neck=True),
    "hravatar": AvatarFormat(_hravatar, eyelids=True),
    "pointavatar": AvatarFormat(_pointavatar),
    "cap4d": AvatarFormat(
        _cap4d,
        eyelids=True,
        needs_neck=True,
        losses=(
            "both eyes share one rotation and one closure of the lids: their means",
            "CAP4D's avatars read no jaw rotation: the mouth opens as far as the expressions do",
        ),
    ),
    "gaussian-head-avatar": AvatarFormat(_gaussian_head_avatar, needs_neck=True),
    "cvthead": AvatarFormat(_cvthead, losses=("eye rotations are not in this format",)),
    "portrait4d": AvatarFormat(
        _portrait4d,
        losses=("Portrait4D also encodes images of the driving face: export driving-video too",),
    ),
    "artalk": AvatarFormat(
        _artalk, losses=("eye rotations, and sideways rotation of the jaw, are not in this format",)
    ),
}
