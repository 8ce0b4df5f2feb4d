"""Templates for LivePortrait and control for Ditto, read by the rules of their code."""

import pickle

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from dualtalk.core import HeadMotion
from dualtalk.head import load_head
from dualtalk.head.blendshapes import ARKIT_UNITS, motion_from_arkit
from dualtalk.render.scene import eye_midpoint_m

FRAMES = 6
# x to the right of the image, y down, z into it.
TO_IMAGE = np.diag([1, -1, -1])


def read(path):
    with path.open("rb") as file:
        return pickle.load(file)


def units(**weights):
    """Two frames of the open head: rest, then the given ARKit blendshapes."""
    frames = np.zeros((2, len(ARKIT_UNITS)))
    for unit, weight in weights.items():
        frames[1, ARKIT_UNITS.index(unit)] = weight
    return motion_from_arkit(frames)


def degrees_to_matrix(pitch, yaw, roll):
    """get_rotation_matrix of both programs, before its transpose: Rz Ry Rx."""
    x, y, z = (
        Rotation.from_euler(axis, angle, degrees=True).as_matrix()
        for axis, angle in zip("xyz", (pitch, yaw, roll), strict=True)
    )
    return z @ y @ x


@pytest.fixture(scope="module")
def motion(lively):
    return lively(FRAMES, 0)


def test_template_has_the_shapes_that_liveportrait_concatenates(motion, exported):
    template = read(exported("liveportrait", motion) / "a.pkl")
    assert template["n_frames"] == len(template["motion"]) == FRAMES
    assert template["output_fps"] == 25
    shapes = {"scale": (1, 1), "R": (1, 3, 3), "exp": (1, 21, 3), "t": (1, 3), "kp": (1, 21, 3), "x_s": (1, 21, 3)}
    for frame in template["motion"]:
        assert {name: values.shape for name, values in frame.items()} == shapes
        assert all(values.dtype == np.float32 for values in frame.values())
        assert not frame["t"][0, 2]
        posed = frame["scale"] * (frame["kp"] @ frame["R"] + frame["exp"]) + frame["t"]
        np.testing.assert_allclose(frame["x_s"], posed, atol=1e-6)
    assert {one.shape for one in template["c_eyes_lst"]} == {(1, 2)}
    assert {one.shape for one in template["c_lip_lst"]} == {(1, 1)}


def test_template_turns_a_source_as_the_head_turned_since_the_first_frame(motion, exported):
    frames = read(exported("liveportrait", motion) / "b.pkl")["motion"]
    source = degrees_to_matrix(4, -7, 2).T[None]
    heads = Rotation.from_rotvec(motion.head_rotvec_rad).as_matrix()
    nose = np.array([[0, 0, -1.0]])
    for number, frame in enumerate(frames):
        turned = nose @ (frame["R"] @ frames[0]["R"].transpose(0, 2, 1) @ source)[0]
        # The source turned by the inverse of the first frame, then by this frame, in image axes.
        expected = TO_IMAGE @ heads[number] @ TO_IMAGE
        expected = source[0].T @ (TO_IMAGE @ heads[0].T @ TO_IMAGE) @ expected @ nose[0]
        np.testing.assert_allclose(turned[0], expected, atol=1e-5)


@pytest.mark.parametrize(("rotvec_rad", "axis", "sign"), [((0.2, 0, 0), 1, 1), ((0, 0.2, 0), 0, 1)])
def test_nose_goes_down_and_to_the_persons_left(exported, rotvec_rad, axis, sign):
    motion = motion_from_arkit(np.zeros((2, 52)), np.float32([(0, 0, 0), rotvec_rad]))
    frame = read(exported("liveportrait", motion) / "a.pkl")["motion"][1]
    nose = np.array([0, 0, -1.0]) @ frame["R"][0]
    assert sign * nose[axis] > 0.1
    # The head turns about the neck, so the middle of the face follows.
    assert sign * frame["t"][0, axis] > 0.01


@pytest.mark.parametrize(
    ("unit", "keypoint", "axis", "sign"),
    [
        ("jawOpen", 19, 1, 1),
        ("mouthSmileLeft", 14, 1, -1),
        ("eyeBlinkLeft", 11, 1, 1),
        ("browInnerUp", 2, 1, -1),
        ("mouthPucker", 14, 1, 1),
        ("eyeLookUpLeft", 15, 1, -1),
        ("eyeLookOutLeft", 11, 0, 1),
    ],
)
def test_units_displace_the_keypoints_of_the_published_sliders(exported, unit, keypoint, axis, sign):
    rest, posed = read(exported("liveportrait", units(**{unit: 1})) / "a.pkl")["motion"]
    assert not rest["exp"].any()
    assert sign * posed["exp"][0, keypoint, axis] > 1e-4
    assert np.abs(posed["exp"]).max() < 0.13


def test_ditto_adds_rotation_and_upper_face_to_each_frame(motion, exported):
    more = read(exported("ditto", motion) / "a.pkl")
    control = more["run_kwargs"]["ctrl_info"]
    assert list(control) == list(range(FRAMES))
    heads = Rotation.from_rotvec(motion.head_rotvec_rad).as_matrix()
    for frame, own in control.items():
        turned = degrees_to_matrix(own["delta_pitch"], own["delta_yaw"], own["delta_roll"])
        np.testing.assert_allclose(turned, TO_IMAGE @ heads[frame] @ TO_IMAGE, atol=1e-6)
        assert own["delta_exp"].shape == (1, 63)
    closed = read(exported("ditto", units(eyeBlinkLeft=1, jawOpen=1)) / "a.pkl")["run_kwargs"]["ctrl_info"][1]
    assert closed["delta_exp"][0, 3 * 11 + 1] > 0
    assert not closed["delta_exp"][0, 3 * 19 : 3 * 20].any()


@pytest.mark.parametrize("name", ["liveportrait", "ditto"])
def test_one_frame_of_flame_motion(motion, exported, name):
    exported(name, HeadMotion(motion.coefficients[:1], "flame"))
    assert any("pass --head" in note for note in exported.notes)


def test_shift_is_that_of_the_point_between_the_eyes(exported):
    rotvec_rad = np.float32([(0, 0, 0), (0, 0.4, 0)])
    frame = read(exported("liveportrait", motion_from_arkit(np.zeros((2, 52)), rotvec_rad)) / "a.pkl")["motion"][1]
    arm_m = eye_midpoint_m(load_head("open")) - load_head("open").neck_m
    np.testing.assert_allclose(frame["t"][0, 0], arm_m[2] * np.sin(0.4) / 0.17, atol=1e-5)
