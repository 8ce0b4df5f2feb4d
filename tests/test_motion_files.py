"""Motion files of other tools: layouts, frame rates, and frames in which the tracker lost the face."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from dualtalk.errors import InputError
from dualtalk.geometry.tracking import lost_frames
from dualtalk.io.flame_layouts import LAYOUTS, layout_names
from dualtalk.preprocess.reading import fitting_fps, read_motion

FRAMES = 100


def moving(frames: int = FRAMES, fps: float = 25.0) -> dict[str, np.ndarray]:
    """Slow, smooth motion as arrays under the published names."""
    time_s = (np.arange(frames) + 0.5) / fps
    wave = np.sin(2 * np.pi * np.outer(time_s, np.linspace(0.2, 1.0, 50)))
    head, jaw = 0.3 * wave[:, :3], np.abs(0.2 * wave[:, 10:13]) * [1, 0.1, 0.1]
    return {"exp": wave.astype(np.float32), "pose": np.hstack([head, jaw]).astype(np.float32)}


def written(path, **arrays):
    np.savez(path, **arrays)
    return path


def rows(layout: str) -> np.ndarray:
    """The same motion as rows of a layout."""
    arrays, frames = moving(), FRAMES
    head, jaw = arrays["pose"][:, :3], arrays["pose"][:, 3:]
    parts = {
        "exp": np.hstack([arrays["exp"], np.zeros((frames, 50))]),
        "head": head,
        "jaw": jaw,
        "eyes": np.zeros((frames, 6)),
        "shape": np.zeros((frames, 300)),
        "head6d": Rotation.from_rotvec(head).as_matrix()[:, :2].reshape(frames, 6),
        "(translation)": np.ones((frames, 3)),
        "(scale)": np.ones((frames, 1)),
    }
    return np.hstack([parts[part][:, :width] for part, width in LAYOUTS[layout].items()]).astype(np.float32)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("suffix", ["npy", "npz"])
def test_rows_of_every_layout_give_the_same_motion(tmp_path, layout, suffix):
    path = tmp_path / f"track.{suffix}"
    np.save(path, rows(layout)) if suffix == "npy" else written(path, params=rows(layout))
    motion, expected = read_motion(path, layout).required_motion, moving()
    np.testing.assert_allclose(motion.expression, expected["exp"], atol=1e-5)
    np.testing.assert_allclose(motion.jaw_rotvec_rad, expected["pose"][:, 3:], atol=1e-5)
    if "head" in LAYOUTS[layout] or "head6d" in LAYOUTS[layout]:
        np.testing.assert_allclose(motion.head_rotvec_rad, expected["pose"][:, :3], atol=1e-5)


@pytest.mark.parametrize("width", [53, 112, 413])
def test_a_width_that_one_layout_has_is_read_without_a_choice(tmp_path, width):
    (layout,) = layout_names(width)
    np.save(tmp_path / "track.npy", rows(layout))
    assert read_motion(tmp_path / "track.npy").required_motion.frames == FRAMES


@pytest.mark.parametrize(
    ("width", "candidates"),
    [
        (56, ["dualtalk56", "l2l56", "--layout"]),
        (106, ["artalk106", "exp-jaw-head106", "--layout"]),
        (156, ["deca156", "SMPL-H", "--layout"]),
        (77, ["77 numbers", "emote53 \\(53\\)"]),
    ],
)
def test_a_width_of_several_meanings_is_refused_with_the_candidates(tmp_path, width, candidates):
    np.save(tmp_path / "track.npy", np.zeros((10, width), np.float32))
    with pytest.raises(InputError, match=".*".join(candidates)):
        read_motion(tmp_path / "track.npy")
    with pytest.raises(InputError, match="unknown layout 'x'"):
        read_motion(tmp_path / "track.npy", "x")


@pytest.mark.parametrize("part", ["rotation", "neck_pose"])
def test_head_motion_is_read_from_the_neck_or_from_the_root(tmp_path, part):
    arrays = moving()
    names = {"rotation": np.zeros((FRAMES, 3)), "neck_pose": np.zeros((FRAMES, 3)), part: arrays["pose"][:, :3]}
    path = written(tmp_path / "vhap.npz", expr=arrays["exp"], jaw_pose=arrays["pose"][:, 3:], **names)
    motion = read_motion(path).required_motion
    np.testing.assert_allclose(motion.head_rotvec_rad, arrays["pose"][:, :3], atol=1e-6)
    np.testing.assert_allclose(motion.jaw_rotvec_rad, arrays["pose"][:, 3:], atol=1e-6)


def test_root_and_neck_are_joined(tmp_path):
    yaw, pitch = np.tile([0, 0.3, 0], (FRAMES, 1)), np.tile([0.2, 0, 0], (FRAMES, 1))
    wave = moving()["exp"]
    path = written(tmp_path / "both.npz", expr=wave, rotation=yaw, neck_pose=pitch, jaw_pose=0 * yaw)
    expected = (Rotation.from_rotvec(yaw) * Rotation.from_rotvec(pitch)).as_rotvec()
    np.testing.assert_allclose(read_motion(path).required_motion.head_rotvec_rad, expected, atol=1e-6)


def test_a_pose_of_all_joints_is_read_and_other_widths_are_named(tmp_path):
    arrays, still = moving(), np.zeros((FRAMES, 3))
    pose = np.hstack([still, arrays["pose"], np.zeros((FRAMES, 6))])
    motion = read_motion(written(tmp_path / "full.npz", exp=arrays["exp"], pose=pose)).required_motion
    np.testing.assert_allclose(motion.head_rotvec_rad, arrays["pose"][:, :3], atol=1e-6)
    assert motion.layout.name == "full62"
    with pytest.raises(InputError, match="pose has 18 numbers"):
        read_motion(written(tmp_path / "x.npz", exp=arrays["exp"], pose=np.zeros((FRAMES, 18))))


@pytest.mark.parametrize("fps", [24.0, 29.97, 30.0, 50.0, 60.0])
def test_motion_is_resampled_by_the_declared_rate(tmp_path, fps):
    """Ten minutes: a wrong rate would drift by seconds, rounding by less than a frame."""
    duration_s = 600.0
    frames = round(duration_s * fps)
    path = written(tmp_path / "track.npz", **moving(frames, fps), fps=fps)
    checked = read_motion(path)
    motion, expected = checked.required_motion, moving(15_000)
    assert abs(motion.frames - 15_000) <= 1
    assert any("resampled" in note for note in checked.notes)
    last = slice(motion.frames - 50, motion.frames - 2)
    np.testing.assert_allclose(motion.head_rotvec_rad[last], expected["pose"][last, :3], atol=0.01)


def test_a_rate_that_is_not_declared_is_found_from_the_length():
    assert fitting_fps(18_000, 600.0)[0] == 30.0
    assert fitting_fps(17_982, 600.0)[0] == pytest.approx(29.97, abs=1e-3)
    assert fitting_fps(36_000, 600.0)[0] == 60.0
    assert fitting_fps(12_345, 600.0) == []


@pytest.mark.parametrize("kind", ["missing", "frozen", "jumping"])
def test_frames_without_the_face_are_invalid_bridged_and_counted(tmp_path, kind):
    arrays, lost = moving(), slice(40, 52)
    if kind == "missing":
        arrays["exp"][lost] = np.nan
    elif kind == "frozen":
        for array in arrays.values():
            array[lost] = array[39]
    else:
        arrays["pose"][lost, 1] += np.radians(20) * np.resize([1, -1], 12)
    checked = read_motion(written(tmp_path / "track.npz", **arrays))
    motion, whole = checked.required_motion, moving()
    assert np.flatnonzero(~motion.valid).tolist() == list(range(40, 52))
    assert any("12" in note for note in checked.notes)
    np.testing.assert_array_equal(motion.expression[:40], whole["exp"][:40])
    steps = np.abs(np.diff(motion.head_rotvec_rad, axis=0)).max()
    assert steps <= 1.5 * np.abs(np.diff(whole["pose"][:, :3], axis=0)).max()


def test_a_still_pose_and_a_quick_head_shake_are_kept():
    time_s = np.arange(100) / 25
    still = np.tile([0.1, 0.0, 0.0], (100, 1))
    shake = np.stack([0 * time_s, 0.25 * np.sin(2 * np.pi * 3 * time_s), 0 * time_s], axis=1)
    for head in (still, shake):
        masks = lost_frames(
            head, np.ones((100, 4)) * (head is still) + np.outer(time_s, np.ones(4)) * (head is shake), 25.0
        )
        assert not any(mask.any() for mask in masks.values())
