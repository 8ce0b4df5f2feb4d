"""The open head: ARKit blendshapes, directions of rotations, lip aperture, and agreement with smplx."""

import subprocess
import sys
from importlib.resources import as_file, files

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dualtalk.core import FULL62, HeadMotion
from dualtalk.errors import InputError
from dualtalk.head import Region, load_head, retarget
from dualtalk.head.blendshapes import (
    ARKIT_UNITS,
    EXPRESSION_UNITS,
    EYE_JOINT_UNITS,
    arkit_from_motion,
    motion_from_arkit,
)

UNIT_TOLERANCE_M = 0.0005
OPPOSITE_UNITS = (
    *(("jawLeft", "jawRight"), ("eyeLookDownLeft", "eyeLookUpLeft"), ("eyeLookInLeft", "eyeLookOutLeft")),
    *(("eyeLookDownRight", "eyeLookUpRight"), ("eyeLookInRight", "eyeLookOutRight")),
)


@pytest.fixture(scope="module")
def head():
    return load_head("open")


@pytest.fixture(scope="module")
def stored() -> dict[str, np.ndarray]:
    with as_file(files("dualtalk.head") / "open_head.npz") as path, np.load(path) as archive:
        return {key: archive[key] for key in archive.files}


def units(**values: float) -> np.ndarray:
    """(1, 52) ARKit weights: the given ones, and 0 elsewhere."""
    row = np.zeros((1, len(ARKIT_UNITS)))
    for unit, value in values.items():
        row[0, ARKIT_UNITS.index(unit)] = value
    return row


def offset(head, part: str, rotvec_rad) -> np.ndarray:
    """(vertex, 3) displacement under one rotation alone."""
    coefficients = np.zeros((1, FULL62.width), np.float32)
    coefficients[0, FULL62.slice_of(part)] = rotvec_rad
    return head.vertices(HeadMotion(coefficients, "open"))[0] - head.template


def vertices_of(head, region: Region) -> np.ndarray:
    return np.unique(head.faces[head.regions == region])


def random_motion(frames: int, seed: int = 0) -> HeadMotion:
    rng = np.random.default_rng(seed)
    coefficients = rng.normal(0, 0.2, (frames, FULL62.width)).astype(np.float32)
    return HeadMotion(coefficients, "open", identity=rng.normal(0, 1, 300).astype(np.float32))


@pytest.mark.parametrize("unit", ARKIT_UNITS)
def test_each_arkit_blendshape_is_as_sculpted(head, stored, unit):
    if unit in EXPRESSION_UNITS:
        sculpted = stored["units"][EXPRESSION_UNITS.index(unit)]
    else:
        joint_units = [name for name in ARKIT_UNITS if name not in EXPRESSION_UNITS]
        sculpted = stored["joint_units"][joint_units.index(unit)]
    displacement = head.vertices(motion_from_arkit(units(**{unit: 1})))[0] - head.template
    compared = np.ones(len(head.template), bool)
    if unit in EYE_JOINT_UNITS:
        # Eyeballs rotate about their centres; the sculpted blendshape is that of the lids.
        compared[np.concatenate([eye.vertices for eye in head.eyes])] = False
    assert np.linalg.norm(sculpted, axis=1).max() > 0.0005
    assert np.linalg.norm(displacement - sculpted, axis=1)[compared].max() < UNIT_TOLERANCE_M


def test_left_and_right_blendshapes_are_on_the_persons_own_sides(head):
    for unit in ARKIT_UNITS:
        if unit.startswith(("eye", "cheekSquint", "browOuter", "mouthSmile", "noseSneer")):
            moves = head.vertices(motion_from_arkit(units(**{unit: 1})))[0] - head.template
            weight = np.linalg.norm(moves, axis=1)
            side = np.sign((weight * head.template[:, 0]).sum())
            assert side == (1 if unit.endswith("Left") else -1), unit


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_arkit_weights_survive_a_round_trip_through_motion(seed):
    wanted = np.random.default_rng(seed).uniform(0, 1, (4, len(ARKIT_UNITS)))
    for one, other in OPPOSITE_UNITS:
        wanted[:, ARKIT_UNITS.index(one if seed % 2 else other)] = 0
    np.testing.assert_allclose(arkit_from_motion(motion_from_arkit(wanted)), wanted, atol=1e-6)


def test_motion_of_another_space_is_refused(head):
    motion = HeadMotion(np.zeros((1, FULL62.width), np.float32), "flame")
    for function in (head.vertices, head.lip_gap, arkit_from_motion, lambda m: retarget(m, head, head)):
        with pytest.raises(InputError, match="space"):
            function(motion)


def test_vertices_agree_with_smplx(head, smplx_vertices):
    motion = random_motion(70)
    np.testing.assert_allclose(head.vertices(motion), smplx_vertices(head, motion), atol=1e-6)


def test_a_subset_of_vertices_is_posed_as_in_the_whole_mesh(head):
    motion = random_motion(3)
    chosen = np.array([5000, 3, 77])
    np.testing.assert_allclose(
        head.vertices(motion, vertex_ids=chosen), head.vertices(motion)[:, chosen], atol=1e-6
    )


def test_the_open_head_is_posed_without_smplx():
    """smplx is an optional extra; only FLAME files need it."""
    program = """
import sys
sys.modules["smplx"] = None
import numpy as np
from dualtalk import HeadMotion, load_head
vertices = load_head("open").vertices(HeadMotion(np.zeros((2, 62), np.float32), "open"))
print(np.abs(vertices - load_head("open").template).max() < 1e-6)
"""
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert run.stdout == "True\n"


def test_frames_do_not_depend_on_each_other(head):
    motion = random_motion(130)
    np.testing.assert_allclose(head.vertices(motion)[77:79], head.vertices(motion[77:79]), atol=1e-6)
    assert head.vertices(motion[:0]).shape == (0, *head.template.shape)


def test_shape_replaces_the_motions_identity(head):
    motion, shape = random_motion(2), random_motion(1, seed=1).identity
    other = HeadMotion(motion.coefficients, "open", identity=shape)
    np.testing.assert_array_equal(head.vertices(motion, shape), head.vertices(other))


def test_positive_x_lowers_the_head_opens_the_jaw_and_turns_the_eyes_down(head):
    nose = head.template[:, 2].argmax()
    assert offset(head, "head", (0.2, 0, 0))[nose, 1] < -0.005
    lower_lip = head.lower_lip
    assert (offset(head, "jaw", (0.2, 0, 0))[lower_lip, 1] < -0.005).all()
    pupils = vertices_of(head, Region.PUPIL)
    assert (offset(head, "eyes", (0.2, 0, 0) * 2)[pupils, 1] < -0.001).all()


def test_positive_y_turns_head_jaw_and_eyes_to_the_persons_left(head):
    assert head.eyes[0].centre_m[0] > 0 > head.eyes[1].centre_m[0]
    nose = head.template[:, 2].argmax()
    assert offset(head, "head", (0, 0.2, 0))[nose, 0] > 0.005
    assert (offset(head, "jaw", (0, 0.1, 0))[head.lower_lip, 0] > 0.002).all()
    pupils = vertices_of(head, Region.PUPIL)
    assert (offset(head, "eyes", (0, 0.2, 0) * 2)[pupils, 0] > 0.001).all()


def test_positive_z_tilts_the_crown_to_the_persons_right(head):
    crown = head.template[:, 1].argmax()
    assert offset(head, "head", (0, 0, 0.2))[crown, 0] < -0.01


def test_head_rotation_bends_the_neck_and_does_not_move_the_bust(head):
    lowest = head.template[:, 1] < head.template[:, 1].min() + 0.03
    turned = offset(head, "head", (0.2, 0.3, 0.1))
    assert np.abs(turned[lowest]).max() < 0.001
    followed = head.arrays.weights[:, 1:].sum(axis=1)
    assert ((followed > 0.1) & (followed < 0.9)).sum() > 50


def test_eyes_rotate_about_their_centres(head):
    turned = offset(head, "eyes", (0.1, 0.2, 0, 0.1, 0.2, 0))
    for eye in head.eyes:
        before = head.template[eye.vertices] - eye.centre_m
        after = before + turned[eye.vertices]
        np.testing.assert_allclose(
            np.linalg.norm(after, axis=1), np.linalg.norm(before, axis=1), atol=UNIT_TOLERANCE_M
        )


def test_lips_are_closed_at_rest_and_open_with_the_jaw_in_any_head_pose(head):
    opening = np.concatenate([units(jawOpen=amount) for amount in np.linspace(0, 1, 11)])
    gap_m = head.lip_gap(motion_from_arkit(opening))
    assert gap_m[0] < 0.0005
    assert (np.diff(gap_m) > 0).all()
    assert 0.02 < gap_m[-1] < 0.06
    nodding = motion_from_arkit(opening, np.tile(np.float32([0.3, -0.4, 0.2]), (11, 1)))
    np.testing.assert_allclose(head.lip_gap(nodding), gap_m, atol=1e-6)


@pytest.mark.parametrize("opening", [0.25, 0.5, 1.0])
def test_mouth_close_brings_the_lips_together_over_an_open_jaw(head, opening):
    parted = head.lip_gap(motion_from_arkit(units(jawOpen=opening)))[0]
    shut = head.lip_gap(motion_from_arkit(units(jawOpen=opening, mouthClose=opening)))[0]
    assert shut < 0.15 * parted


def test_a_blink_brings_the_lids_together(head):
    sclera = np.unique(head.faces[np.isin(head.regions, (Region.IRIS, Region.PUPIL))])
    blink = head.vertices(motion_from_arkit(units(eyeBlinkLeft=1, eyeBlinkRight=1)))[0]
    skin = head.faces[head.regions == Region.SKIN]
    for eye in head.eyes:
        # A ray forward from each point of the iris must intersect the skin.
        for point in head.template[np.intersect1d(sclera, eye.vertices)][::7]:
            assert ray_meets(blink[skin], point - (0, 0, 0.001))


def ray_meets(triangles: np.ndarray, origin: np.ndarray) -> bool:
    """Whether a ray along +z crosses any of (triangle, 3 corners, 3)."""
    a, b, c = np.moveaxis(triangles - origin, 1, 0)
    area = [u[:, 0] * v[:, 1] - u[:, 1] * v[:, 0] for u, v in ((b, c), (c, a), (a, b))]
    inside = np.all(np.greater_equal(area, 0), axis=0) | np.all(np.less_equal(area, 0), axis=0)
    return bool((inside & (np.max([a[:, 2], b[:, 2], c[:, 2]], axis=0) > 0)).any())


def test_every_region_exists_and_is_symmetric(head):
    assert set(np.unique(head.regions)) == {int(region) for region in Region}
    for region in (Region.IRIS, Region.BROW, Region.LIPS, Region.HAIR):
        points = head.template[vertices_of(head, region)]
        assert abs(points[:, 0].mean()) < 0.002
    iris = head.template[np.intersect1d(vertices_of(head, Region.IRIS), head.eyes[0].vertices)]
    assert 0.010 < np.ptp(iris[:, 0]) < 0.0145


def test_identities_are_distinct_people_of_natural_size(head):
    rng = np.random.default_rng(0)
    still = HeadMotion(np.zeros((1, FULL62.width), np.float32), "open")
    faces = [head.vertices(still, rng.standard_normal(300).astype(np.float32))[0] for _ in range(8)]
    front = head.template[:, 2] > head.template[:, 2].max() - 0.06
    for one, face in enumerate(faces):
        assert np.linalg.norm(face - head.template, axis=1).max() < 0.05
        for other in faces[:one]:
            assert np.linalg.norm(face - other, axis=1)[front].mean() > 0.001
