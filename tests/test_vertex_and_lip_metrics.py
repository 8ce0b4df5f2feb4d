"""Mesh and lip-sync metrics, and dynamic time warping."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter1d
from scipy.stats import pearsonr

from dualtalk.core import HeadMotion
from dualtalk.errors import InputError
from dualtalk.head import load_head
from dualtalk.metrics import lip_timing, mesh
from dualtalk.metrics.dtw import align, derivative
from dualtalk.timebase import MOTION_FPS

LIPS, BROW = np.array([0, 1, 2]), np.array([3, 4])
MILLIMETRE_M = 0.001


def skin(seed: int = 0, frames: int = 60) -> np.ndarray:
    return 0.01 * gaussian_filter1d(np.random.default_rng(seed).standard_normal((frames, 5, 3)), 2, axis=0)


def gap(frames: int = 400, seed: int = 0) -> np.ndarray:
    noise = gaussian_filter1d(np.random.default_rng(seed).standard_normal(frames), 2.5)
    return 0.02 * noise[:, None]


def test_a_perfect_prediction_scores_zero():
    own = skin()
    assert mesh.lip_vertex_error(own, own, LIPS) == 0
    assert mesh.mean_head_distance(own, own) == 0
    assert mesh.face_dynamics_deviation(own, own, BROW) == 0
    assert mesh.rotation_dynamics_deviation(own[:, 0], own[:, 0]) == 0
    assert lip_timing.mean_temporal_misalignment_s(gap(), gap()) == 0
    assert lip_timing.slcc_error(gap(seed=1)[:, 0], gap()[:, 0], gap()[:, 0]) == 0


@pytest.mark.parametrize("millimetres", [0.5, 1.0, 3.0])
def test_a_shift_is_measured_in_metres(millimetres):
    own = skin()
    made = own.copy()
    made[:, 1, 2] += millimetres * MILLIMETRE_M
    assert mesh.lip_vertex_error(own, made, LIPS) == pytest.approx(0.001 * millimetres)
    assert mesh.lip_vertex_error(own, made, BROW) == 0
    assert mesh.mean_head_distance(own, made) == pytest.approx(0.001 * millimetres / np.sqrt(5))
    assert mesh.face_dynamics_deviation(own, made, np.arange(5)) == pytest.approx(0, abs=1e-9)


def test_dynamics_deviation_of_still_and_exaggerated_faces():
    own = skin()
    still = np.zeros_like(own)
    assert mesh.face_dynamics_deviation(own, still, BROW) == pytest.approx(own[:, BROW].std(axis=0).mean())
    values = [mesh.face_dynamics_deviation(own, k * own, BROW) for k in (1, 1.5, 2, 3)]
    assert (np.diff(values) > 0).all()
    backwards = mesh.rotation_dynamics_deviation(own[:, 0], own[::-1, 0].copy())
    assert backwards == pytest.approx(0, abs=1e-9)


def test_only_selected_frames_count():
    own = skin()
    made = own.copy()
    made[30:] += 0.01
    speaking = np.arange(60) < 30
    assert mesh.lip_vertex_error(own, made, LIPS, speaking) == 0
    assert mesh.lip_vertex_error(own, made, LIPS, ~speaking) > 0.01
    nobody = np.zeros(60, bool)
    for value in (
        mesh.lip_vertex_error(own, made, LIPS, nobody),
        mesh.mean_head_distance(own, made, nobody),
        mesh.face_dynamics_deviation(own, made, BROW, nobody),
    ):
        assert np.isnan(value)


def test_millimetres_passed_for_metres_are_refused():
    with pytest.raises(InputError, match="millimetres passed"):
        mesh.mean_head_distance(1000 * (skin() + 0.1), 1000 * skin())
    with pytest.raises(InputError, match="25 frames a second"):
        mesh.mean_head_distance(skin(), skin(), np.ones(50, bool))


def test_the_lips_are_below_the_upper_face():
    head = load_head("open")
    lips, upper = mesh.lip_vertices(head), mesh.upper_face_vertices(head)
    assert len(lips) > 100
    assert len(upper) > 100
    assert head.template[lips, 1].max() < head.template[upper, 1].min()


def test_a_subset_of_vertices_has_the_same_error():
    head = load_head("open")
    rng = np.random.default_rng(0)
    motions = [HeadMotion(rng.normal(0, 0.1, (5, 62)).astype(np.float32), "open") for _ in range(2)]
    lips = mesh.lip_vertices(head)
    whole, part = ([head.vertices(motion, vertex_ids=some) for motion in motions] for some in (None, lips))
    assert part[0] == pytest.approx(whole[0][:, lips], abs=1e-6)
    assert mesh.lip_vertex_error(*part, np.arange(len(lips))) == pytest.approx(
        mesh.lip_vertex_error(*whole, lips), rel=1e-4
    )


def test_a_vertex_that_is_not_finite_is_refused():
    broken = skin()
    broken[7, 1, 0] = np.nan
    for measure in (
        mesh.mean_head_distance,
        lambda one, two: mesh.lip_vertex_error(one, two, LIPS),
        lambda one, two: mesh.face_dynamics_deviation(one, two, np.arange(5)),
    ):
        with pytest.raises(InputError, match="diverge"):
            measure(skin(), broken)


def test_upright_removes_only_the_head_rotation():
    motion = HeadMotion(np.random.default_rng(0).normal(0, 0.1, (4, 62)).astype(np.float32), "open")
    held = mesh.upright(motion)
    assert not held.head_rotvec_rad.any()
    assert np.array_equal(held.expression, motion.expression)
    assert np.array_equal(held.jaw_rotvec_rad, motion.jaw_rotvec_rad)


def plain_warping_cost(cost: np.ndarray) -> float:
    """The textbook algorithm: a double loop."""
    spent = np.full((cost.shape[0] + 1, cost.shape[1] + 1), np.inf)
    spent[0, 0] = 0
    for i, j in np.ndindex(cost.shape):
        spent[i + 1, j + 1] = cost[i, j] + min(spent[i, j], spent[i, j + 1], spent[i + 1, j])
    return spent[-1, -1]


@given(st.integers(1, 12), st.integers(1, 12), st.integers(0, 10_000))
def test_alignment_has_the_smallest_cost(rows, columns, seed):
    cost = np.random.default_rng(seed).random((rows, columns))
    warping = align(cost)
    assert warping.cost == pytest.approx(plain_warping_cost(cost))
    assert cost[tuple(warping.path.T)].sum() == pytest.approx(warping.cost)
    steps = np.diff(warping.path, axis=0)
    assert ((steps == 0) | (steps == 1)).all()
    assert steps.any(axis=1).all() if len(steps) else rows == columns == 1


def test_a_band_limits_the_distance_from_the_diagonal():
    cost = np.random.default_rng(0).random((60, 60))
    path = align(cost, band=4).path
    assert np.abs(path[:, 0] - path[:, 1]).max() <= 4
    assert align(np.ones((3, 20)), band=2).cost == 20


def test_the_derivative_of_a_line_is_its_slope():
    assert derivative(3.0 * np.arange(10)) == pytest.approx(np.full(10, 3.0))
    assert not derivative(np.ones(2)).any()


def test_temporal_misalignment_measures_a_delay():
    own = gap(600)
    values = [lip_timing.mean_temporal_misalignment_s(own[20:-20], own[20 - k : -20 - k]) for k in range(7)]
    assert values[:6] == pytest.approx([k / MOTION_FPS for k in range(6)], abs=0.004)
    assert (np.diff(values) > 0.02).all()


def test_scale_and_offset_of_the_lips_do_not_change_their_timing():
    own = gap()
    assert lip_timing.mean_temporal_misalignment_s(own, 1.5 * own + 0.01) == 0


def test_lips_that_never_move_have_no_timing():
    own, still = gap(), np.zeros((400, 1))
    assert np.isnan(lip_timing.mean_temporal_misalignment_s(own, still))
    assert np.isnan(lip_timing.slcc(own[:, 0], still[:, 0]))


def test_slcc_is_pearsons_r_and_ignores_scale():
    loudness, lips = gap(seed=1)[:, 0], gap(seed=2)[:, 0]
    assert lip_timing.slcc(loudness, lips) == pytest.approx(pearsonr(loudness, lips)[0])
    assert lip_timing.slcc(300 * loudness - 60, 2 * lips + 1) == pytest.approx(lip_timing.slcc(loudness, lips))
    assert lip_timing.slcc(loudness, loudness) == pytest.approx(1)
    noisy = [lip_timing.slcc_error(loudness, loudness, loudness + k * lips) for k in (0, 0.5, 1, 2)]
    assert (np.diff(noisy) > 0).all()
