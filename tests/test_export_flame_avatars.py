"""Formats of programs with a FLAME head, read back by the rules of these programs.

The law: posing FLAME as the program does, and projecting it with the program's camera, gives the picture of the
motion on the user's FLAME head.
"""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from dualtalk.core import HeadMotion
from dualtalk.errors import InputError
from dualtalk.export.cameras import FrontCamera
from dualtalk.head import load_head
from dualtalk.head.blendshapes import UNIT_SLOT

FRAMES = 4
# A rigid head lacks the correctives that FLAME adds where the neck bends.
RIGID_M, RIGID_PX = 3e-4, 0.4
FORMATS = ("vhap", "hravatar", "pointavatar", "cvthead", "portrait4d", "artalk")
RIGID = ("metrical", "cap4d", "gaussian-head-avatar")


@pytest.fixture(scope="module")
def flame(flame_copy):
    return load_head(flame_copy)


@pytest.fixture(scope="module")
def motion(lively):
    own = lively(FRAMES, 0)
    return HeadMotion(own.coefficients, "flame", identity=own.identity)


def in_front(points_m):
    """Pixels of points of the head in front of the camera: x to the right of the image, y down."""
    camera = FrontCamera()
    depth_m = camera.distance_m - points_m[..., 2:]
    middle = camera.size_px / 2
    return middle + camera.focal_px * points_m[..., :2] * [1, -1] / depth_m


def rigid_part(flame):
    """Vertices that follow the neck joint and no joint below it."""
    return flame.arrays.weights[:, 0] < 1e-6


def pixels(points_camera, intrinsics):
    """OpenCV's projection."""
    image = points_camera @ np.asarray(intrinsics).T
    return image[..., :2] / image[..., 2:]


def pose(flame, shape, expression, *, neck=None, jaw=None, eyes=None):
    """FLAME's vertices for the parameters of a file."""
    frames = len(expression)
    identity = np.zeros(300, np.float32)
    identity[: len(shape)] = shape
    motion = HeadMotion.from_parts(
        expression=np.asarray(expression, np.float32)[:, :50],
        jaw_rotvec_rad=np.zeros((frames, 3)) if jaw is None else np.asarray(jaw, float),
        head_rotvec_rad=np.zeros((frames, 3)) if neck is None else np.asarray(neck, float),
        eyes_rotvec_rad=np.zeros((frames, 6)) if eyes is None else np.asarray(eyes, float),
        space="flame",
        identity=identity,
    )
    return flame.vertices(motion)


def matrix_of_6d(numbers):
    """PyTorch3D's rotation_6d_to_matrix: two rows, made orthonormal."""
    first, second = np.split(np.asarray(numbers, float), 2, axis=-1)
    first = first / np.linalg.norm(first, axis=-1, keepdims=True)
    second = second - (first * second).sum(axis=-1, keepdims=True) * first
    second = second / np.linalg.norm(second, axis=-1, keepdims=True)
    return np.stack([first, second, np.cross(first, second)], axis=-2)


def rotvec_of_6d(numbers):
    return Rotation.from_matrix(matrix_of_6d(numbers)).as_rotvec()


def test_gaussian_avatars_takes_a_frame_of_every_float32_array(flame, motion, exported):
    with np.load(exported("vhap", motion, flame) / "a" / "motion.npz") as archive:
        # Arrays of other types are dropped by its reader.
        param = {name: archive[name] for name in archive.files if archive[name].dtype == np.float32}
    assert param["dynamic_offset"].shape == (FRAMES, 5143, 3)
    assert param["eyes_pose"].shape == (FRAMES, 6)
    assert param["expr"].shape == (FRAMES, 100)
    posed = pose(
        flame,
        motion.identity,
        param["expr"],
        neck=param["neck_pose"],
        jaw=param["jaw_pose"],
        eyes=param["eyes_pose"],
    )
    assert not param["rotation"].any()
    assert not param["translation"].any()
    np.testing.assert_allclose(posed, flame.vertices(motion), atol=1e-6)


def test_vhap_folder_has_a_camera_and_the_parameters_of_every_frame(flame, motion, exported):
    folder = exported("vhap", motion, flame) / "a"
    content = json.loads((folder / "transforms.json").read_text())
    assert [frame["timestep_index"] for frame in content["frames"]] == list(range(FRAMES))
    assert set(np.load(folder / "canonical_flame_param.npz")) >= {"shape", "jaw_pose", "expr"}
    expected = in_front(flame.vertices(motion))
    for number, frame in enumerate(content["frames"]):
        with np.load(folder / frame["flame_param_path"]) as param:
            assert param["static_offset"].shape == (1, 5143, 3)
            posed = pose(
                flame,
                param["shape"],
                param["expr"],
                neck=param["neck_pose"],
                jaw=param["jaw_pose"],
                eyes=param["eyes_pose"],
            )
        camera_from_world = np.diag([1, -1, -1, 1]) @ np.linalg.inv(frame["transform_matrix"])
        intrinsics = [[frame["fl_x"], 0, frame["cx"]], [0, frame["fl_y"], frame["cy"]], [0, 0, 1]]
        points = posed[0] @ camera_from_world[:3, :3].T + camera_from_world[:3, 3]
        np.testing.assert_allclose(pixels(points, intrinsics), expected[number], atol=1e-3)


def test_metrical_frames_turn_both_cameras_about_the_neck(flame, motion, exported):
    folder = exported("metrical", motion, flame) / "b" / "checkpoint"
    assert sorted(path.name for path in folder.iterdir()) == [f"{frame:05d}.frame" for frame in range(FRAMES)]
    expected, rigid = in_front(flame.vertices(motion)), rigid_part(flame)
    for number in range(FRAMES):
        frame = torch.load(folder / f"{number:05d}.frame", weights_only=False)
        own = frame["flame"]
        eyes = np.concatenate([rotvec_of_6d(own["eyes"][:, :6]), rotvec_of_6d(own["eyes"][:, 6:])], axis=1)
        posed = pose(flame, own["shape"][0], own["exp"], jaw=rotvec_of_6d(own["jaw"]), eyes=eyes)[0]
        opencv = frame["opencv"]
        points = posed @ opencv["R"][0].T + opencv["t"][0]
        np.testing.assert_allclose(pixels(points, opencv["K"][0])[rigid], expected[number][rigid], atol=RIGID_PX)
        # PyTorch3D: row vectors; x left, y up; the shorter half of the image is 1.
        camera, (height, width) = frame["camera"], frame["img_size"]
        points = posed @ matrix_of_6d(camera["R"])[0] + camera["t"][0]
        screen = camera["fl"] * points[:, :2] / points[:, 2:] + camera["pp"]
        points_px = [width, height] / np.float64(2) * (1 - screen)
        np.testing.assert_allclose(points_px[rigid], expected[number][rigid], atol=RIGID_PX)
        assert own["eyelids"].shape == (1, 2)


def test_hravatar_scales_the_head_by_4_in_front_of_its_camera(flame, motion, exported):
    content = json.loads((exported("hravatar", motion, flame) / "a" / "tracked_params.json").read_text())
    fx, fy, cx, cy = content["intrinsics"]
    shape = np.array(content["shapecode"])[0]
    expected = in_front(flame.vertices(motion))
    for number in range(FRAMES):
        own = content[f"{number:05d}"]
        full = np.array(own["fullposecode"])
        assert not full[:, :3].any()
        posed = pose(flame, shape, own["expcode"], neck=full[:, 3:6], jaw=full[:, 6:9], eyes=full[:, 9:])
        camera_from_world = np.diag([1, -1, -1, 1]) @ np.array(own["world_mat"])
        points = 4 * (posed[0] + own["translation"]) @ camera_from_world[:3, :3].T + camera_from_world[:3, 3]
        np.testing.assert_allclose(
            pixels(points, [[fx, 0, cx], [0, fy, cy], [0, 0, 1]]), expected[number], atol=2e-3
        )
        assert np.shape(own["eyelids"]) == (1, 2)


def test_pointavatar_flips_its_camera_where_the_focal_length_is_negative(flame, motion, exported):
    content = json.loads((exported("pointavatar", motion, flame) / "a" / "flame_params.json").read_text())
    fx, fy, cx, cy = content["intrinsics"]
    assert fx < 0
    expected = in_front(flame.vertices(motion)) / FrontCamera().size_px
    for number, frame in enumerate(content["frames"]):
        assert int(frame["file_path"].split("/")[-1]) == number
        full = np.array(frame["pose"])[None]
        posed = pose(
            flame,
            content["shape_params"],
            [frame["expression"]],
            neck=full[:, 3:6],
            jaw=full[:, 6:9],
            eyes=full[:, 9:],
        )
        # real_dataset.py: x of the camera is negated with fx; then z.
        world_mat = np.array(frame["world_mat"])
        world_mat[0] *= -1
        world_mat[:3, 2] *= -1
        world_mat[2, 3] *= -1
        points = 4 * posed[0] @ world_mat[:, :3].T + world_mat[:, 3]
        # PyTorch3D: x left, y up.
        ndc = np.abs([2 * fx, 2 * fy]) * points[:, :2] / points[:, 2:] - [2 * cx - 1, 2 * cy - 1]
        np.testing.assert_allclose((1 - ndc) / 2, expected[number], atol=1e-5)


def test_cap4d_moves_the_head_rigidly_about_the_neck(flame, motion, exported):
    coefficients = motion.coefficients.copy()
    coefficients[:, motion.layout.slice_of("eyes")] = np.tile([0.1, -0.2, 0.0], 2)
    motion = replace(motion, coefficients=coefficients)
    with np.load(exported("cap4d", motion, flame) / "a" / "fit.npz") as archive:
        fit = dict(archive)
    posed = pose(flame, fit["shape"], fit["expr"], jaw=fit["jaw_rot"], eyes=np.tile(fit["eye_rot"], 2))
    posed = np.einsum("fij,fvj->fvi", Rotation.from_rotvec(fit["rot"]).as_matrix(), posed) + fit["tra"][:, None]
    expected, rigid = flame.vertices(motion), rigid_part(flame)
    np.testing.assert_allclose(posed[:, rigid], expected[:, rigid], atol=RIGID_M)
    # Its OpenCV world is FLAME's with y and z negated.
    points = (posed * [1, -1, -1]) @ fit["extr"][0, :3, :3].T + fit["extr"][0, :3, 3]
    fx, fy, cx, cy = (fit[name][0, 0] for name in ("fx", "fy", "cx", "cy"))
    points_px = pixels(points, [[fx, 0, cx], [0, fy, cy], [0, 0, 1]])
    np.testing.assert_allclose(points_px[:, rigid], in_front(expected)[:, rigid], atol=RIGID_PX)


def test_gaussian_head_avatar_has_59_codes_and_an_image_for_each_frame(flame, motion, exported):
    folder = exported("gaussian-head-avatar", motion, flame) / "a"
    params = sorted(folder.glob("params/*/params.npz"))
    assert len(params) == len(list(folder.glob("images/*/image_0.jpg"))) == FRAMES
    for number, path in enumerate(params):
        with np.load(path) as param:
            codes, turn = param["exp_coeff"], Rotation.from_rotvec(param["pose"][0, :3])
            posed = pose(flame, param["id_coeff"][0], codes[:, :50], jaw=codes[:, 50:53], eyes=codes[:, 53:59])[0]
            posed = turn.apply(param["scale"][0, 0] * posed) + param["pose"][0, 3:]
        rigid = rigid_part(flame)
        np.testing.assert_allclose(posed[rigid], flame.vertices(motion)[number][rigid], atol=RIGID_M)


def test_cvthead_and_portrait4d_and_artalk_have_their_columns(flame, motion, exported):
    with np.load(exported("cvthead", motion, flame) / "a" / "flame_coefs.npz") as coefs:
        assert coefs["shape"].shape == coefs["exp"].shape == (FRAMES, 100)
        own = {"neck": coefs["pose"][:, :3], "jaw": coefs["pose"][:, 3:], "eyes": motion.eyes_rotvec_rad}
        posed = pose(flame, coefs["shape"][0], coefs["exp"], **own)
    np.testing.assert_allclose(posed, flame.vertices(motion), atol=1e-6)

    folder = exported("portrait4d", motion, flame) / "b" / "flame_optim_params"
    rows = np.stack([np.load(path) for path in sorted(folder.iterdir())])
    assert rows.shape == (FRAMES, 437)
    own = {"neck": rows[:, 425:428], "jaw": rows[:, 428:431], "eyes": rows[:, 431:437]}
    posed = pose(flame, rows[0, 25:325], rows[:, 325:425], **own)
    np.testing.assert_allclose(posed, flame.vertices(motion), atol=1e-6)
    np.testing.assert_allclose(rows[0, :16].reshape(4, 4)[:3, :3], np.eye(3))

    folder = exported("artalk", motion, flame) / "a"
    rows = torch.load(folder / "motions.pt", weights_only=True)
    assert rows.dtype == torch.float32
    assert rows.shape == (FRAMES, 106)
    np.testing.assert_array_equal(rows[:, 100:103], motion.head_rotvec_rad)
    np.testing.assert_array_equal(rows[:, 103], motion.jaw_rotvec_rad[:, 0])
    assert torch.load(folder / "style.pt", weights_only=True).shape == (50, 106)


@pytest.mark.parametrize("name", ["metrical", "hravatar"])
def test_blinks_of_the_open_head_become_eyelids_and_no_expression(flame, exported, lively, name):
    coefficients = np.zeros_like(lively(FRAMES, 0).coefficients)
    coefficients[:, UNIT_SLOT["eyeBlinkLeft"]] = (0, 0.5, 1, 1.2)
    blinks = HeadMotion(coefficients, "open")
    folder = exported(name, blinks, flame) / "a"
    if name == "metrical":
        frames = [torch.load(path, weights_only=False)["flame"] for path in sorted(folder.glob("*/*.frame"))]
        lids, expressions = ([frame[part][0] for frame in frames] for part in ("eyelids", "exp"))
    else:
        content = json.loads((folder / "tracked_params.json").read_text())
        lids, expressions = (
            [content[f"{number:05d}"][part][0] for number in range(FRAMES)] for part in ("eyelids", "expcode")
        )
    np.testing.assert_allclose(lids, [[0, 0], [0.5, 0], [1, 0], [1, 0]])
    assert not np.any(expressions)


@pytest.mark.parametrize("name", RIGID)
def test_rigid_formats_need_the_users_flame_file(motion, exported, name):
    with pytest.raises(InputError, match="pass --head with your FLAME file"):
        exported(name, motion)


@pytest.mark.parametrize("name", FORMATS)
def test_open_head_motion_keeps_its_poses_without_a_flame_file(lively, exported, name):
    exported(name, lively(1, 0))
    assert any("only poses are exact" in note for note in exported.notes)


@pytest.mark.parametrize("name", FORMATS + RIGID)
def test_fitted_expressions_come_with_the_size_of_their_residual(flame, lively, exported, name):
    exported(name, lively(2, 0), flame)
    assert any("mean residual of 0." in note for note in exported.notes)
