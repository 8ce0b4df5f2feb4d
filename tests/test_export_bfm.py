"""Coefficients of the Basel face model, read by the rules of the programs that use it.

The file of the model is made up: the front of the open head, displaced, scaled and with a basis that spans its
expressions and the jaw.
"""

import pickle

import numpy as np
import pytest
from scipy.io import loadmat, savemat
from scipy.spatial.transform import Rotation

from dualtalk.core import HeadMotion
from dualtalk.errors import InputError
from dualtalk.head import Region, load_head
from dualtalk.head.blendshapes import ARKIT_UNITS, motion_from_arkit
from dualtalk.head.landmarks import landmarks_68

SCALE, SHIFT = 10.0, np.array([0.0, -0.3, 0.5])
TILT = Rotation.from_rotvec([0.05, 0.0, 0.0])
FRAMES = 5


@pytest.fixture(scope="module")
def face(tmp_path_factory):
    """The made-up file, and its arrays: mean (vertex, 3), basis (vertex, 3, 64) and landmarks."""
    head = load_head("open")
    visible = np.isin(head.regions, (Region.SKIN, Region.LIPS))
    front = np.unique(head.faces[visible])
    places = landmarks_68(head)
    marks = places.vertices[np.arange(68), places.weights.argmax(axis=1)]
    kept = np.unique(np.concatenate([front[head.template[front, 2] > 0.0], marks]))
    mean = SCALE * TILT.apply(head.template[kept]) + SHIFT
    middle = mean.mean(axis=0)
    poses = motion_from_arkit(np.eye(52))
    still = poses.coefficients.copy()
    still[:, poses.layout.slice_of("eyes")] = 0
    shifts = head.vertices(HeadMotion(still, "open"))[:, kept] - head.template[kept]
    basis = np.zeros((len(kept), 3, 64))
    basis[..., :52] = SCALE * np.moveaxis(np.stack([TILT.apply(each) for each in shifts]), 0, -1)
    path = tmp_path_factory.mktemp("bfm") / "BFM_model_front.mat"
    content = {
        "meanshape": mean.reshape(1, -1),
        "idBase": np.random.default_rng(0).normal(size=(mean.size, 80)),
        "exBase": basis.reshape(-1, 64),
        "keypoints": np.searchsorted(kept, marks)[None] + 1,
    }
    savemat(path, content)
    return path, mean - middle, basis, np.searchsorted(kept, marks), kept, middle


@pytest.fixture(scope="module")
def motion(lively):
    own = lively(FRAMES, 3)
    coefficients = own.coefficients.copy()
    coefficients[:, own.layout.slice_of("jaw")] *= [0.6, 0, 0]
    return HeadMotion(coefficients, "open")


def rotation(angles_rad):
    """compute_rotation of Deep3DFaceReconstruction, as a matrix on column vectors: Rz Ry Rx."""
    x, y, z = (Rotation.from_euler(axis, angle).as_matrix() for axis, angle in zip("xyz", angles_rad, strict=True))
    return z @ y @ x


def posed(face, coefficients):
    """compute_shape, then rigid_transform, for rows of exp 64 | angles 3 | trans 3."""
    _, mean, basis, *_ = face
    shapes = mean + np.einsum("vxk,fk->fvx", basis, coefficients[:, :64])
    return np.stack(
        [shape @ rotation(row[64:67]).T + row[67:70] for shape, row in zip(shapes, coefficients, strict=True)]
    )


def test_sadtalker_poses_the_face_as_the_head_is_posed(face, motion, exported):
    folder = exported("bfm", motion, bfm=face[0]) / "a"
    coefficients = loadmat(folder / "sadtalker.mat")["coeff_3dmm"]
    assert coefficients.shape == (FRAMES, 70)
    still = motion.coefficients.copy()
    still[:, motion.layout.slice_of("eyes")] = 0
    head, (*_, kept, middle) = load_head("open"), face
    expected = np.stack(
        [SCALE * TILT.apply(frame) + SHIFT for frame in head.vertices(HeadMotion(still, "open"))[:, kept]]
    )
    # Neck and shoulders bend on the head and are rigid on the model.
    front = (head.arrays.weights[kept, 0] < 1e-6) & (head.template[kept, 1] > head.jaw_m[1] - 0.07)
    errors = np.linalg.norm(posed(face, coefficients) + middle - expected, axis=2)[:, front]
    displaced = np.linalg.norm(expected - (SCALE * TILT.apply(head.template[kept]) + SHIFT), axis=2)[:, front]
    # In decimetres: 1 mm is 0.01.
    assert errors.mean() < 0.01
    assert displaced.mean() > 0.2
    assert any("mean residual of" in note for note in exported.notes)


def test_every_program_gets_the_same_coefficients(face, motion, exported):
    folder = exported("bfm", motion, bfm=face[0]) / "b"
    driven = loadmat(folder / "sadtalker.mat")["coeff_3dmm"]
    pirender = np.load(folder / "pirender.npy")
    assert pirender.shape == (FRAMES, 73)
    np.testing.assert_array_equal(pirender[:, :70], driven)
    style = loadmat(folder / "dreamtalk.mat")
    np.testing.assert_array_equal(style["coeff"][:, 80:144], driven[:, :64])
    np.testing.assert_array_equal(style["coeff"][:, 224:227], driven[:, 64:67])
    np.testing.assert_array_equal(style["coeff"][:, 254:257], driven[:, 67:])
    np.testing.assert_array_equal(style["transform_params"][:, -3:], pirender[:, 70:])
    real3d = np.load(folder / "real3d.npy", allow_pickle=True).tolist()
    np.testing.assert_array_equal(
        np.concatenate([real3d["exp"], real3d["euler"], real3d["trans"]], axis=1), driven
    )
    assert real3d["id"].shape == (1, 80)
    (geneface,) = np.load(folder / "geneface.npy")
    _, _, basis, landmarks, *_ = face
    offsets = np.einsum("lxk,fk->flx", basis[landmarks], driven[:, :64])
    np.testing.assert_allclose(geneface.reshape(FRAMES, 68, 3) / 10, offsets, atol=1e-4)


def test_opening_the_jaw_opens_the_lips_of_the_model(face, exported):
    units = np.zeros((2, 52))
    units[1, ARKIT_UNITS.index("jawOpen")] = 0.7
    folder = exported("bfm", motion_from_arkit(units), bfm=face[0]) / "a"
    shapes = posed(face, loadmat(folder / "sadtalker.mat")["coeff_3dmm"])[:, face[3]]
    gaps = np.linalg.norm(shapes[:, 62] - shapes[:, 66], axis=1)
    assert gaps[1] - gaps[0] > 0.08


@pytest.mark.parametrize(
    ("content", "about"),
    [
        (None, "not a readable MATLAB file"),
        ({"shapeMU": np.zeros((9, 1))}, "no meanshape, idBase, exBase, keypoints"),
        ({"meanshape": np.zeros((1, 9)), "idBase": np.zeros((9, 80)), "exBase": np.zeros((9, 29))}, "keypoints"),
        (
            {
                "meanshape": np.zeros((1, 9)),
                "idBase": np.zeros((9, 80)),
                "exBase": np.zeros((9, 29)),
                "keypoints": np.ones((1, 68)),
            },
            "exBase has shape",
        ),
        (
            {
                "meanshape": np.full((1, 9), np.nan),
                "idBase": np.zeros((9, 80)),
                "exBase": np.zeros((9, 64)),
                "keypoints": np.ones((1, 68)),
            },
            "NaN",
        ),
        (
            {
                "meanshape": np.zeros((1, 9)),
                "idBase": np.zeros((9, 80)),
                "exBase": np.zeros((9, 64)),
                "keypoints": np.full((1, 68), 7),
            },
            "keypoints name vertex 7 of 3",
        ),
    ],
)
def test_files_that_are_no_basel_face_model_are_rejected(tmp_path, motion, exported, content, about):
    path = tmp_path / "model.mat"
    if content is None:
        path.write_bytes(pickle.dumps("nothing"))
    else:
        savemat(path, content)
    with pytest.raises(InputError, match=about):
        exported("bfm", motion, bfm=path)


def test_the_model_is_required(motion, exported):
    with pytest.raises(InputError, match="pass --bfm"):
        exported("bfm", motion)
