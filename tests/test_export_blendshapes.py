"""Formats of blendshape weights, read back by the rules of the programs that they are for."""

import json
import re

import numpy as np
import pandas as pd
import pygltflib
import pytest
from scipy.spatial.transform import Rotation

from dualtalk.core import HeadMotion
from dualtalk.head.blendshapes import ARKIT_UNITS, arkit_from_motion

FRAMES = 30
# EmoTalk's render.py, and LAM_Audio2Expression: alphabetical.
ALPHABETICAL = re.findall(
    r"\w+",
    "browDownLeft browDownRight browInnerUp browOuterUpLeft browOuterUpRight cheekPuff cheekSquintLeft "
    "cheekSquintRight eyeBlinkLeft eyeBlinkRight eyeLookDownLeft eyeLookDownRight eyeLookInLeft eyeLookInRight "
    "eyeLookOutLeft eyeLookOutRight eyeLookUpLeft eyeLookUpRight eyeSquintLeft eyeSquintRight eyeWideLeft "
    "eyeWideRight jawForward jawLeft jawOpen jawRight mouthClose mouthDimpleLeft mouthDimpleRight mouthFrownLeft "
    "mouthFrownRight mouthFunnel mouthLeft mouthLowerDownLeft mouthLowerDownRight mouthPressLeft mouthPressRight "
    "mouthPucker mouthRight mouthRollLower mouthRollUpper mouthShrugLower mouthShrugUpper mouthSmileLeft "
    "mouthSmileRight mouthStretchLeft mouthStretchRight mouthUpperUpLeft mouthUpperUpRight noseSneerLeft "
    "noseSneerRight tongueOut",
)


@pytest.fixture(scope="module")
def motion(lively):
    return lively(FRAMES, 0)


def units_of(motion, names, fps=25):
    """Weights of the named units at the middle of each frame of another rate."""
    weights = arkit_from_motion(motion)[:, [ARKIT_UNITS.index(name) for name in names]]
    middles_s = (np.arange(FRAMES * fps // 25) + 0.5) / fps
    own_s = (np.arange(FRAMES) + 0.5) / 25
    return np.stack([np.interp(middles_s, own_s, column) for column in weights.T], axis=1)


def test_audio2face_json_is_read_by_the_names_of_its_poses(motion, exported):
    content = json.loads((exported("a2f-json", motion) / "a.json").read_text())
    weights = np.array(content["weightMat"])
    assert weights.shape == (content["numFrames"], content["numPoses"])
    assert content["exportFps"] == 25
    np.testing.assert_allclose(weights, units_of(motion, content["facsNames"]), atol=1e-6)
    assert sorted(content["facsNames"]) == ALPHABETICAL
    assert (exported("a2f-json", motion) / content["trackPath"]).exists()


def test_lam_json_has_30_frames_a_second_in_alphabetical_order(motion, exported):
    content = json.loads((exported("lam-json", motion) / "b.json").read_text())
    assert content["names"] == content["metadata"]["blendshape_names"] == ALPHABETICAL
    assert content["metadata"]["fps"] == 30
    assert content["metadata"]["frame_count"] == len(content["frames"]) == FRAMES * 30 // 25
    np.testing.assert_allclose([frame["time"] for frame in content["frames"]], np.arange(36) / 30, atol=1e-6)
    weights = [frame["weights"] for frame in content["frames"]]
    np.testing.assert_allclose(weights, units_of(motion, ALPHABETICAL, 30), atol=1e-6)


def test_talkinghead_reaches_each_value_in_the_middle_of_its_frame(motion, exported):
    animation = json.loads((exported("talkinghead", motion) / "a.json").read_text())
    assert animation["name"] == "blendshapes"
    np.testing.assert_allclose(np.cumsum(animation["dt"]), 1000 * (np.arange(FRAMES) + 0.5) / 25)
    weights = np.stack([animation["vs"][unit] for unit in ARKIT_UNITS], axis=1)
    np.testing.assert_allclose(weights, units_of(motion, ARKIT_UNITS), atol=1e-6)
    # three.js: Euler angles of order XYZ are Rx Ry Rz.
    angles_rad = np.stack([animation["vs"][f"headRotate{axis}"] for axis in "XYZ"], axis=1)
    x, y, z = (
        Rotation.from_euler(axis, column[:, None]) for axis, column in zip("xyz", angles_rad.T, strict=True)
    )
    np.testing.assert_allclose((x * y * z).as_rotvec(), motion.head_rotvec_rad, atol=1e-5)


def test_emotalk_array_is_in_the_order_of_its_renderer(motion, exported):
    weights = np.load(exported("emotalk", motion) / "a.npy")
    assert weights.dtype == np.float32
    np.testing.assert_allclose(weights, units_of(motion, ALPHABETICAL, 30), atol=1e-6)


def test_blendvoca_table_has_32_columns_at_60_frames_a_second(motion, exported):
    table = pd.read_csv(exported("blendvoca", motion) / "b.csv")
    assert len(table.columns) == 32
    assert [table.columns[0], table.columns[3], table.columns[-1]] == ["jawForward", "jawOpen", "noseSneerRight"]
    np.testing.assert_allclose(table, units_of(motion, table.columns, 60), atol=1e-6)


def accessor(gltf, number):
    described = gltf.accessors[number]
    view = gltf.bufferViews[described.bufferView]
    width = {"SCALAR": 1, "VEC3": 3, "VEC4": 4}[described.type]
    first = view.byteOffset or 0
    values = np.frombuffer(gltf.binary_blob()[first : first + view.byteLength], np.float32)
    return values.reshape(described.count, width)


def vrm_animation(path):
    """Rotations (xyzw) by bone and weights by expression, as players take them."""
    gltf = pygltflib.GLTF2().load_binary(path)
    assert "VRMC_vrm_animation" in gltf.extensionsUsed
    extension = gltf.extensions["VRMC_vrm_animation"]
    assert extension["specVersion"] == "1.0"
    bones = {bone["node"]: name for name, bone in extension["humanoid"]["humanBones"].items()}
    expressions = {one["node"]: name for kind in extension["expressions"].values() for name, one in kind.items()}
    rotations, weights = {}, {}
    (animation,) = gltf.animations
    for channel in animation.channels:
        values = accessor(gltf, animation.samplers[channel.sampler].output)
        if channel.target.node in bones:
            assert channel.target.path == "rotation"
            rotations[bones[channel.target.node]] = values
        else:
            assert channel.target.path == "translation"
            weights[expressions[channel.target.node]] = values[:, 0]
    return bones, rotations, weights


def test_vrm_animation_has_custom_expressions_and_rotations(motion, exported):
    bones, rotations, weights = vrm_animation(exported("vrma", motion) / "a.vrma")
    assert {"hips", "spine", "head", "leftUpperArm", "rightHand", "leftFoot"} <= set(bones.values())
    expected = np.clip(units_of(motion, ARKIT_UNITS), 0, 1)
    np.testing.assert_allclose(np.stack([weights[unit] for unit in ARKIT_UNITS], axis=1), expected, atol=1e-6)
    parts = {"head": motion.head_rotvec_rad, "leftEye": motion.eyes_rotvec_rad[:, :3]}
    for bone, rotvec_rad in parts.items():
        np.testing.assert_allclose(Rotation.from_quat(rotations[bone]).as_rotvec(), rotvec_rad, atol=1e-5)


def test_vrm_presets_follow_the_jaw_and_the_lids(motion, exported):
    _, _, weights = vrm_animation(exported("vrma", motion) / "a-presets.vrma")
    expected = np.clip(units_of(motion, ["jawOpen", "eyeBlinkLeft"]), 0, 1)
    np.testing.assert_allclose(np.stack([weights["aa"], weights["blinkLeft"]], axis=1), expected, atol=1e-6)


@pytest.mark.parametrize("name", ["a2f-json", "lam-json", "talkinghead", "emotalk", "blendvoca", "vrma"])
def test_one_frame_of_flame_motion_keeps_its_joints_and_says_so(motion, exported, name):
    single = HeadMotion(motion.coefficients[:1], "flame")
    folder = exported(name, single)
    assert any("pass --head" in note for note in exported.notes)
    assert any(folder.iterdir())
