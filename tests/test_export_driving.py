"""Driving signals for portraits and for avatars of one person: videos, landmarks, action units, camera poses."""

import json
import subprocess

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from scipy.spatial.transform import Rotation

from dualtalk.core import HeadMotion
from dualtalk.export.cameras import FrontCamera
from dualtalk.head import load_head
from dualtalk.head.blendshapes import ARKIT_UNITS, arkit_from_motion, motion_from_arkit
from dualtalk.head.landmarks import IBUG68, landmarks_68, landmarks_478
from dualtalk.render.encode import ffmpeg_path

FRAMES = 3


@pytest.fixture(scope="module")
def motion(lively):
    return lively(FRAMES, 0)


def units(**weights):
    frame = np.zeros((1, len(ARKIT_UNITS)))
    for unit, weight in weights.items():
        frame[0, ARKIT_UNITS.index(unit)] = weight
    return motion_from_arkit(frame)


def marks(motion, head=None):
    head = head or load_head("open")
    return landmarks_68(head).positions_m(head, motion)[0]


def frame_of(video, folder):
    """The first frame, decoded by ffmpeg, and what ffmpeg says about the streams."""
    picture = folder / "frame.png"
    answer = subprocess.run(
        [ffmpeg_path(), "-y", "-i", video, "-frames:v", "1", picture], capture_output=True, text=True, check=True
    )
    return np.array(Image.open(picture).convert("RGB")).astype(int), answer.stderr


def test_driving_video_is_square_frontal_and_has_sound(exported, tmp_path):
    still = units()
    picture, streams = frame_of(exported("driving-video", still, size_px=256) / "a.mp4", tmp_path)
    assert picture.shape == (256, 256, 3)
    assert "25 fps" in streams
    assert "Audio: aac" in streams
    # One head in the middle that is nearly mirror symmetric, on a plain background.
    assert np.abs(picture - picture[:, ::-1]).mean() < 12
    assert picture[:40, :40].std(axis=(0, 1)).max() < 12
    other, _ = frame_of(exported("driving-video", still, size_px=256) / "b.mp4", tmp_path)
    assert np.abs(picture - other).mean() > 5


def test_landmarks_lie_where_their_names_say():
    points = marks(units())
    left_eye, right_eye = points[42:48].mean(axis=0), points[36:42].mean(axis=0)
    head = load_head("open")
    for eye, found in zip(head.eyes, (left_eye, right_eye), strict=True):
        assert np.linalg.norm((eye.centre_m - found)[:2]) < 0.008
    assert points[30, 2] == points[17:, 2].max()
    assert points[8, 1] == points[:, 1].min()
    assert points[0, 0] < points[4, 0] < points[8, 0] < points[12, 0] < points[16, 0]
    assert abs(points[51, 0]) < 0.003
    assert points[51, 1] > points[62, 1] >= points[66, 1] > points[57, 1]
    # Iris landmarks: right eye, then left.
    irises = landmarks_478(head).positions_m(head, units())[0, [468, 473]]
    np.testing.assert_allclose(irises[:, :2], [head.eyes[1].centre_m[:2], head.eyes[0].centre_m[:2]], atol=0.006)


@pytest.mark.parametrize("kind", ["open", "flame"])
def test_lips_lids_and_mouth_corners_move_with_their_units(kind, flame_copy):
    head = load_head("open" if kind == "open" else flame_copy)
    rest, opened, closed, smiling = (
        marks(HeadMotion(pose.coefficients, kind), head)
        for pose in (units(), units(jawOpen=1), units(eyeBlinkLeft=1), units(mouthSmileLeft=1, mouthSmileRight=1))
    )
    assert np.linalg.norm(opened[62] - opened[66]) - np.linalg.norm(rest[62] - rest[66]) > 0.015
    assert rest[8, 1] - opened[8, 1] > 0.01
    lids = [points[[43, 44], 1].mean() - points[[46, 47], 1].mean() for points in (rest, closed)]
    assert lids[0] > 0.004
    assert lids[1] < 0.6 * lids[0]
    assert np.linalg.norm(smiling[54] - smiling[48]) - np.linalg.norm(rest[54] - rest[48]) > 0.004


def test_landmark_files_agree_with_the_driving_video(motion, exported):
    with np.load(exported("landmarks", motion, size_px=256) / "a.npz") as archive:
        arrays = dict(archive)
    assert arrays["points68_m"].shape == (FRAMES, 68, 3)
    assert arrays["pixels478"].shape == (FRAMES, 478, 2)
    np.testing.assert_array_equal(arrays["points478_m"][:, list(IBUG68)], arrays["points68_m"])
    head = load_head("open")
    np.testing.assert_allclose(arrays["points68_m"], landmarks_68(head).positions_m(head, motion), atol=1e-6)
    assert arrays["pixels68"].min() > 0
    assert arrays["pixels68"].max() < 256
    # x to the right of the picture is the person's left; y is down.
    away = np.diff(arrays["pixels68"][:, [36, 45]], axis=1)[:, 0]
    assert (away[:, 0] > 20).all()
    assert (arrays["pixels68"][:, 8, 1] > arrays["pixels68"][:, 27, 1]).all()


@pytest.mark.parametrize("name", ["synctalk", "talkinggaussian"])
def test_action_units_are_read_by_openface_names(motion, exported, name):
    folder = exported(name, motion) / "a"
    table = pd.read_csv(folder / "au.csv")
    own = {
        unit: np.clip(column, 0, 1) for unit, column in zip(ARKIT_UNITS, arkit_from_motion(motion).T, strict=True)
    }
    # TalkingGaussian: clip to 2, then half of it closes the lids.
    blink = np.clip(table[" AU45_r"].to_numpy(), 0, 2) / 2
    np.testing.assert_allclose(blink, (own["eyeBlinkLeft"] + own["eyeBlinkRight"]) / 2, atol=1e-3)
    np.testing.assert_allclose(table[" AU01_r"], 5 * own["browInnerUp"], atol=1e-3)
    for number in (1, 4, 5, 6, 7, 25, 45):
        assert table[f" AU{number:02d}_r"].between(0, 5).all()
    assert (folder / "bs.npy").exists() == (name == "synctalk")


def test_synctalk_weights_are_mediapipes_without_the_neutral_one(motion, exported):
    weights = np.load(exported("synctalk", motion) / "a" / "bs.npy")
    assert weights.dtype == np.float64
    assert weights.shape == (FRAMES, 52)
    own = {
        unit: np.clip(column, 0, 1) for unit, column in zip(ARKIT_UNITS, arkit_from_motion(motion).T, strict=True)
    }
    # Its "upper" area: brows and blinks.
    names = "browDownLeft browDownRight browInnerUp browOuterUpLeft browOuterUpRight eyeBlinkLeft eyeBlinkRight"
    upper = np.hstack([weights[:, 0:5], weights[:, 8:10]])
    np.testing.assert_allclose(upper, np.stack([own[unit] for unit in names.split()], axis=1), atol=1e-6)
    assert not weights[:, -1].any()


def test_camera_poses_and_landmarks_put_the_face_where_the_head_turned_it(exported):
    turned = motion_from_arkit(np.zeros((2, 52)), np.float32([(0, 0, 0), (0.1, 0.3, -0.1)]))
    folder = exported("talkinggaussian", turned) / "b"
    content = json.loads((folder / "transforms_val.json").read_text())
    head, camera = load_head("open"), FrontCamera()
    points = marks(units())
    middle = points.mean(axis=0)
    for frame, rotvec_rad in zip(content["frames"], turned.head_rotvec_rad, strict=True):
        # Their projection: x = -f X / Z + cx, y = f Y / Z + cy, with the camera behind the head's own z.
        camera_from_head = np.linalg.inv(frame["transform_matrix"])
        local = (points - middle) @ camera_from_head[:3, :3].T + camera_from_head[:3, 3]
        posed = Rotation.from_rotvec(rotvec_rad).apply(points - head.neck_m) + head.neck_m - middle
        np.testing.assert_allclose(local, posed - [0, 0, camera.distance_m], atol=1e-6)
        lms = np.loadtxt(folder / "ori_imgs" / f"{frame['img_id']}.lms")
        assert lms.shape == (68, 2)
    assert [frame["aud_id"] for frame in content["frames"]] == [0, 1]
    assert content["focal_len"] == camera.focal_px
