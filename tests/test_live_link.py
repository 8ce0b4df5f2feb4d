"""Live Link Face files: round trips, the app's conventions, and errors that name the line or column."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from dualtalk.core import FULL62, HeadMotion
from dualtalk.errors import InputError
from dualtalk.geometry.resampling import interpolate_curves, interpolate_rotations
from dualtalk.head.blendshapes import ARKIT_UNITS, arkit_from_motion, motion_from_arkit
from dualtalk.head.live_link import read_live_link, write_live_link
from dualtalk.io.live_link import HEADER

ROTATIONS = ("HeadYaw", "HeadPitch", "HeadRoll", "LeftEyeYaw", "LeftEyePitch", "LeftEyeRoll")


def talking(frames: int = 100, seed: int = 0) -> HeadMotion:
    """Motion in which every blendshape, the head and the eyes move, slowly enough to be resampled."""
    rng = np.random.default_rng(seed)
    t = np.arange(frames)[:, None] / 25
    waves = 0.5 + 0.5 * np.sin(2 * np.pi * rng.uniform(0.1, 0.5, 52) * t + rng.uniform(0, 6, 52))
    for one in ("jawLeft", "eyeLookUpLeft", "eyeLookInLeft", "eyeLookUpRight", "eyeLookInRight"):
        waves[:, ARKIT_UNITS.index(one)] = 0
    head = 0.4 * np.sin(2 * np.pi * rng.uniform(0.1, 0.5, 3) * t + rng.uniform(0, 6, 3))
    return motion_from_arkit(waves, head)


def angle_between_deg(one: np.ndarray, other: np.ndarray) -> float:
    apart = Rotation.from_rotvec(one.reshape(-1, 3)).inv() * Rotation.from_rotvec(other.reshape(-1, 3))
    return float(np.rad2deg(apart.magnitude()).max())


def table(path) -> tuple[list[str], list[list[str]]]:
    rows = [line.split(",") for line in path.read_text().splitlines()]
    return rows[0], rows[1:]


def save(path, header, rows):
    path.write_text("\n".join(",".join(row) for row in [header, *rows]) + "\n")
    return path


@pytest.fixture
def written(tmp_path):
    motion = talking()
    path = tmp_path / "take.csv"
    write_live_link(path, motion, start_s=13 * 3600 + 4.5)
    return path, motion


def test_files_have_the_layout_of_the_app(written):
    header, rows = table(written[0])
    assert tuple(header) == HEADER
    assert header[:4] == ["Timecode", "BlendShapeCount", "EyeBlinkLeft", "EyeLookDownLeft"]
    assert header[16:20] == ["JawForward", "JawRight", "JawLeft", "JawOpen"]
    assert header[53:57] == ["TongueOut", "HeadYaw", "HeadPitch", "HeadRoll"]
    assert rows[0][:2] == ["13:00:04:30.000", "61"]
    assert rows[1][0] == "13:00:04:32.400"
    assert {len(row) for row in rows} == {63}


def test_motion_survives_a_round_trip(written):
    path, motion = written
    times_s, back, start_s, valid = read_live_link(path)
    np.testing.assert_allclose(arkit_from_motion(back), arkit_from_motion(motion), atol=1e-3)
    assert angle_between_deg(back.head_rotvec_rad, motion.head_rotvec_rad) < 0.1
    assert angle_between_deg(back.eyes_rotvec_rad, motion.eyes_rotvec_rad) < 0.1
    np.testing.assert_allclose(times_s, np.arange(100) / 25)
    assert start_s == pytest.approx(13 * 3600 + 4.5)
    assert valid.all()


def test_motion_survives_a_round_trip_at_60_rows_a_second(tmp_path):
    motion = talking()
    write_live_link(tmp_path / "take.csv", motion, fps=60)
    _, rows = table(tmp_path / "take.csv")
    assert len(rows) == 240
    back = read_live_link(tmp_path / "take.csv").motion
    np.testing.assert_allclose(back.coefficients[:-1], motion.coefficients[:-1], atol=0.005)


def test_weights_and_angles_are_in_the_columns_of_their_names(tmp_path):
    coefficients = np.zeros((30, FULL62.width), np.float32)
    coefficients[:, FULL62.slice_of("head")] = (0.2, 0, 0)
    coefficients[:, FULL62.slice_of("eyes")] = (0.1, 0, 0, 0, 0.2, 0)
    coefficients[:, FULL62.slice_of("jaw")] = (0.159, 0, 0)
    write_live_link(tmp_path / "take.csv", HeadMotion(coefficients, "open"))
    header, rows = table(tmp_path / "take.csv")
    displayed = dict(zip(header[2:], map(float, rows[0][2:]), strict=True))
    wanted = {"HeadPitch": 0.2, "LeftEyePitch": 0.1, "RightEyeYaw": 0.2, "JawOpen": 0.5}
    wanted |= {"EyeLookDownLeft": 0.1 / 0.314, "EyeLookInRight": 0.2 / 0.384}
    for name, value in displayed.items():
        assert value == pytest.approx(wanted.get(name, 0), abs=1e-6), name


@pytest.mark.parametrize(
    ("yaw", "pitch", "roll"),
    [(-0.6158317924, -0.3354874849, 0.1987448633), (-0.0312639736, 0.1712819338, -0.0054070088)],
)
def test_recorded_eye_angles_have_no_torsion(written, yaw, pitch, roll):
    """For angles of two recorded eyes, the eye's vertical axis stays in the vertical plane of its gaze."""
    path, _ = written
    header, rows = table(path)
    for row in rows:
        for name, value in zip(ROTATIONS[3:], (yaw, pitch, roll), strict=True):
            row[header.index(name)] = str(value)
    left_eye = read_live_link(save(path, header, rows)).motion.eyes_rotvec_rad[0, :3]
    assert abs(Rotation.from_rotvec(left_eye).as_matrix()[1, 0]) < 1e-5


def test_flame_motion_keeps_its_joint_rotations(tmp_path):
    motion = HeadMotion(talking().coefficients, "flame")
    write_live_link(tmp_path / "take.csv", motion)
    back = read_live_link(tmp_path / "take.csv").motion
    assert not back.expression.any()
    np.testing.assert_allclose(back.jaw_rotvec_rad, motion.jaw_rotvec_rad, atol=1e-5)
    np.testing.assert_allclose(back.head_rotvec_rad, motion.head_rotvec_rad, atol=1e-5)


def test_dropped_rows_are_interpolated_and_marked_invalid(written):
    path, motion = written
    header, rows = table(path)
    rows[40] = [rows[40][0], "0"]
    times_s, back, _, valid = read_live_link(save(path, header, rows[:10] + rows[11:60] + rows[70:]))
    assert len(times_s) == 100
    assert np.flatnonzero(~valid).tolist() == list(range(60, 70))
    np.testing.assert_array_equal(back.valid, valid)
    np.testing.assert_allclose(back.coefficients, motion.coefficients, atol=0.2)
    np.testing.assert_allclose(back.coefficients[:10], motion.coefficients[:10], atol=1e-3)


@pytest.mark.parametrize("fps", [24, 25, 30, 60])
def test_the_rate_of_the_timecode_is_estimated_from_the_file(written, fps):
    path, _ = written
    header, rows = table(path)
    for index, row in enumerate(rows):
        row[0] = f"10:00:{index // fps:02d}:{index % fps:02d}"
    times_s = read_live_link(save(path, header, rows)).times_s
    assert times_s[-1] == pytest.approx(99 / fps, abs=0.04)


@settings(max_examples=30, deadline=None)
@given(st.floats(0, 24 * 3600 - 10), st.integers(0, 2**32 - 1))
def test_any_head_rotation_and_time_of_day_survive_a_round_trip(tmp_path_factory, start_s, seed):
    rng = np.random.default_rng(seed)
    path = tmp_path_factory.getbasetemp() / "any.csv"
    motion = motion_from_arkit(np.zeros((3, 52)), rng.uniform(-0.8, 0.8, (3, 3)))
    write_live_link(path, motion, start_s=start_s)
    take = read_live_link(path)
    assert angle_between_deg(take.motion.head_rotvec_rad, motion.head_rotvec_rad) < 0.1
    assert take.start_s == pytest.approx(start_s, abs=1e-5)


def test_a_take_may_pass_midnight(written):
    path, motion = written
    write_live_link(path, motion, start_s=24 * 3600 - 2.0)
    times_s, back, start_s, _ = read_live_link(path)
    assert start_s == pytest.approx(24 * 3600 - 2.0)
    assert len(times_s) == back.frames == 100


def test_columns_are_found_by_name_and_rotations_may_be_absent(written):
    path, motion = written
    header, rows = table(path)
    order = [0, 1, *np.random.default_rng(0).permutation(np.arange(2, 54))]
    shuffled = [[row[0], "52", *(row[column] for column in order[2:])] for row in rows]
    back = read_live_link(save(path, [header[column].lower() for column in order], shuffled)).motion
    np.testing.assert_allclose(arkit_from_motion(back), arkit_from_motion(motion), atol=1e-3)
    assert not back.head_rotvec_rad.any()


def no_jaw(header, rows):
    column = header.index("JawOpen")
    return header[:column] + header[column + 1 :], [row[:column] + row[column + 1 :] for row in rows]


def wrong_count(header, rows):
    rows[3][1] = "52"
    return header, rows


def short_row(header, rows):
    return header, [*rows, rows[-1][:20]]


def text_value(header, rows):
    rows[4][header.index("JawOpen")] = "open"
    return header, rows


def not_finite(header, rows):
    rows[4][header.index("JawOpen")] = "nan"
    return header, rows


def time_goes_back(header, rows):
    rows[9][0], rows[8][0] = rows[8][0], rows[9][0]
    return header, rows


def time_jumps_by_hours(header, rows):
    rows[-1][0] = "19" + rows[-1][0][2:]
    return header, rows


def no_timecode(header, rows):
    rows[2][0] = "2.5"
    return header, rows


def unknown_column(header, rows):
    return ["JawOpenn" if name == "JawOpen" else name for name in header], rows


def repeated_column(header, rows):
    return ["JawOpen" if name == "JawLeft" else name for name in header], rows


def degrees(header, rows):
    rows[0][header.index("HeadYaw")] = "25.0"
    return header, rows


def percent(header, rows):
    rows[0][header.index("JawOpen")] = "40.0"
    return header, rows


def no_face(header, rows):
    return header, [[row[0], "0"] for row in rows]


def another_table(header, rows):
    return ["time", "value"], [["0", "1"]]


@pytest.mark.parametrize(
    ("spoil", "about"),
    [
        (no_jaw, "no column JawOpen"),
        (wrong_count, "line 5: 61 values, the count is 52"),
        (short_row, "line 102: 18 values"),
        (text_value, "line 6: JawOpen is 'open'"),
        (not_finite, "JawOpen is 'nan'"),
        (time_goes_back, "line 11: time goes back"),
        (time_jumps_by_hours, "two takes"),
        (no_timecode, "line 4: timecode is '2.5'"),
        (unknown_column, "'JawOpenn'; is it JawOpen"),
        (repeated_column, "JawOpen twice"),
        (degrees, "in degrees"),
        (percent, "in percent"),
        (no_face, "no row that holds a face"),
        (another_table, "begins with 'time,value'"),
    ],
)
def test_a_malformed_file_is_refused_in_one_line(spoil, about, written):
    path, _ = written
    save(path, *spoil(*table(path)))
    with pytest.raises(InputError) as raised:
        read_live_link(path)
    assert about in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_missing_file_and_a_binary_file_are_refused(tmp_path):
    with pytest.raises(InputError, match="no Live Link Face file"):
        read_live_link(tmp_path / "absent.csv")
    (tmp_path / "noise.csv").write_bytes(bytes(range(256)))
    with pytest.raises(InputError, match="not a text file"):
        read_live_link(tmp_path / "noise.csv")
    (tmp_path / "empty.csv").touch()
    with pytest.raises(InputError, match="begins with ''"):
        read_live_link(tmp_path / "empty.csv")


def test_interpolation_passes_through_the_samples_at_constant_angular_speed():
    rng = np.random.default_rng(0)
    times_s = np.sort(rng.uniform(0, 2, 20))
    rotvecs = rng.normal(0, 0.5, (20, 3))
    np.testing.assert_allclose(interpolate_rotations(times_s, rotvecs, times_s), rotvecs, atol=1e-9)
    np.testing.assert_allclose(interpolate_curves(times_s, rotvecs, times_s), rotvecs, atol=1e-12)
    turn = np.array([[0, 0, 0], [0, 1.0, 0]])
    at_s = np.array([-1.0, 0.25, 0.5, 3.0])
    np.testing.assert_allclose(
        interpolate_rotations(np.array([0.0, 1.0]), turn, at_s), [[0, y, 0] for y in (0, 0.25, 0.5, 1)], atol=1e-9
    )


def test_rotations_are_interpolated_along_the_shorter_arc():
    turn = np.array([[0, 3.0, 0], [0, -3.0, 0]])
    halfway = interpolate_rotations(np.array([0.0, 1.0]), turn, np.array([0.5]))[0]
    assert np.linalg.norm(halfway) == pytest.approx(np.pi, abs=1e-6)
