"""FLAME files: pickles of any age load as heads, agree with smplx, and never run code."""

import os
import pickle
import sys
from types import ModuleType

import numpy as np
import pytest
from scipy import sparse

from dualtalk.core import HeadMotion
from dualtalk.errors import InputError, SetupError
from dualtalk.head import Region, load_head, retarget
from dualtalk.io.flame_pickle import read_pickled_arrays

# `numpy.array([1.5, -2], "f4")` as Python 2 pickled it.
PYTHON_2_ARRAY = (
    b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\nK\x00\x85U\x01btR(K\x01K\x02\x85cnumpy\ndtype\n"
    b"(U\x02f4K\x00K\x01tR(K\x03U\x01<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89U\x08"
    + np.array([1.5, -2], "<f4").tobytes()
    + b"tb"
)


@pytest.fixture(scope="module")
def chumpy_ch():
    """A class that pickles as chumpy's array does; its module no longer exists when the file is read."""
    modules = {name: ModuleType(name) for name in ("chumpy", "chumpy.ch")}

    class Ch:
        def __init__(self, x):
            self.x = x
            self._dirty_vars = {"x"}

    Ch.__module__, Ch.__qualname__ = "chumpy.ch", "Ch"
    modules["chumpy.ch"].Ch = Ch
    sys.modules.update(modules)
    yield Ch
    for name in modules:
        sys.modules.pop(name, None)


@pytest.fixture(scope="module")
def flame_content(chumpy_ch) -> dict:
    """The open head's skin and eyeballs in the format of a FLAME file."""
    head = load_head("open")
    visible = np.isin(head.regions, (Region.TEETH, Region.TONGUE, Region.LASHES), invert=True)
    kept, faces = np.unique(head.faces[visible], return_inverse=True)
    arrays = head.arrays
    return {
        "v_template": chumpy_ch(arrays.v_template[kept].astype(np.float64)),
        "f": faces.reshape(-1, 3).astype(np.uint32),
        "shapedirs": chumpy_ch(arrays.shapedirs[kept]),
        "posedirs": arrays.posedirs[kept],
        "J_regressor": sparse.csc_matrix(arrays.J_regressor[:, kept]),
        "weights": chumpy_ch(arrays.weights[kept]),
        "kintree_table": np.array([[2**32 - 1, 0, 1, 1, 1], range(5)], np.uint32),
        "bs_style": "lbs",
        "bs_type": "lrotmin",
    }


@pytest.fixture(scope="module")
def flame_file(flame_content, tmp_path_factory):
    path = tmp_path_factory.mktemp("flame") / "generic_model.pkl"
    path.write_bytes(pickle.dumps(flame_content, protocol=2))
    for name in ("chumpy", "chumpy.ch"):
        del sys.modules[name]
    return path


@pytest.fixture(scope="module")
def flame_head(flame_file):
    return load_head(flame_file)


def test_arrays_are_read_exactly_and_vertices_agree_with_smplx(flame_head, flame_content, smplx_vertices):
    assert (flame_head.name, flame_head.space) == ("generic_model", "flame")
    np.testing.assert_allclose(flame_head.template, flame_content["v_template"].x, atol=1e-7)
    rest = flame_head.vertices(HeadMotion(np.zeros((2, 62), np.float32), "flame"))
    np.testing.assert_allclose(rest[1], flame_head.template, atol=1e-6)
    rng = np.random.default_rng(0)
    coefficients = rng.normal(0, 0.2, (9, 62)).astype(np.float32)
    motion = HeadMotion(coefficients, "flame", identity=rng.normal(0, 1, 300).astype(np.float32))
    np.testing.assert_allclose(flame_head.vertices(motion), smplx_vertices(flame_head, motion), atol=1e-6)


def test_a_flame_file_without_smplx_names_the_extra(flame_file, monkeypatch):
    for name in ("smplx", "smplx.lbs"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(SetupError, match=r"pip install 'dualtalk\[flame\]'"):
        load_head(flame_file)


def test_eyes_and_irises_are_found_from_the_eye_joints(flame_head):
    for found, known in zip(flame_head.eyes, load_head("open").eyes, strict=True):
        assert len(found.vertices) == len(known.vertices)
        np.testing.assert_allclose(found.centre_m, known.centre_m, atol=1e-6)
    assert flame_head.eyes[0].centre_m[0] > 0 > flame_head.eyes[1].centre_m[0]
    for region, width_m in ((Region.IRIS, 0.0117), (Region.PUPIL, 0.004)):
        points = flame_head.template[flame_head.faces[flame_head.regions == region]]
        left = points[points[:, 0, 0] > 0].reshape(-1, 3)
        assert np.ptp(left[:, 1]) == pytest.approx(width_m, abs=0.0045)


def test_lips_are_found_from_the_opening_of_the_jaw(flame_head):
    upper = flame_head.template[flame_head.upper_lip]
    lower = flame_head.template[flame_head.lower_lip]
    assert np.abs(upper[:, 0]).max() < 0.005
    assert np.linalg.norm(upper - lower, axis=1).max() < 0.006
    opened = np.zeros((3, 62), np.float32)
    opened[:, 50] = 0, 0.1, 0.2
    gap_m = flame_head.lip_gap(HeadMotion(opened, "flame"))
    assert gap_m[0] < 0.001
    assert 0.003 < gap_m[1] < gap_m[2] < 0.05


def test_lip_faces_agree_with_those_of_the_open_head(flame_head):
    known = load_head("open")
    centres = [head.template[head.faces[head.regions == Region.LIPS]].mean(axis=1) for head in (flame_head, known)]
    assert len(centres[0]) > 20
    away_m = np.linalg.norm(centres[0][:, None] - centres[1][None], axis=-1).min(axis=1)
    assert np.median(away_m) < 0.003
    assert away_m.max() < 0.01


def test_motion_of_the_open_head_is_retargeted(flame_head):
    coefficients = np.zeros((1, 62), np.float32)
    coefficients[0, [5, 50]] = 0.5, 0.1
    retargeted = retarget(HeadMotion(coefficients, "open"), load_head("open"), flame_head)
    assert retargeted.space == "flame"
    assert retargeted.jaw_rotvec_rad[0, 0] == pytest.approx(0.1)
    with pytest.raises(InputError, match="space"):
        flame_head.vertices(HeadMotion(coefficients, "open"))


@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4, 5])
def test_every_protocol_and_both_names_of_numpy_and_scipy_are_read(tmp_path, protocol):
    content = {
        "a": np.arange(6.0).reshape(2, 3),
        "b": sparse.csr_matrix(np.eye(3)),
        "c": sparse.csc_matrix(np.eye(2)),
    }
    pickled = pickle.dumps(content, protocol)
    if protocol <= 2:
        for new, old in ((b"numpy._core", b"numpy.core"), (b"sparse._cs", b"sparse.cs")):
            assert new in pickled
            pickled = pickled.replace(new, old)
    (tmp_path / "x.pkl").write_bytes(pickled)
    arrays = read_pickled_arrays(tmp_path / "x.pkl")
    np.testing.assert_array_equal(arrays["a"], content["a"])
    np.testing.assert_array_equal(arrays["b"], np.eye(3))
    np.testing.assert_array_equal(arrays["c"], np.eye(2))


def test_python_2_arrays_and_chumpy_selections_are_read(tmp_path):
    selection = (
        b"ccopy_reg\n_reconstructor\n(cchumpy.reordering\nSelect\nc__builtin__\nobject\nNtR}(U\x01a"
        b"cchumpy.ch\nCh\n)\x81}U\x01x" + PYTHON_2_ARRAY + b"sbU\x04idxs"
    )
    index = pickle.dumps(np.array([1, 0, 1]), protocol=2)[2:-1]
    (tmp_path / "x.pkl").write_bytes(
        b"\x80\x02}(U\x05plain" + PYTHON_2_ARRAY + b"U\x08selected" + selection + index + b"ubu."
    )
    arrays = read_pickled_arrays(tmp_path / "x.pkl")
    np.testing.assert_array_equal(arrays["plain"], np.float32([1.5, -2]))
    np.testing.assert_array_equal(arrays["selected"], np.float32([-2, 1.5, -2]))


class Runs:
    def __init__(self, *call):
        self.call = call

    def __reduce__(self):
        return self.call[0], self.call[1:]


@pytest.mark.parametrize(
    ("attack", "named"),
    [
        (Runs(os.system, "touch ran"), "system"),
        (Runs(eval, "open('ran', 'w')"), "eval"),
        (Runs(__import__, "antigravity"), "__import__"),
        (Runs(getattr, "x", "upper"), "getattr"),
        (Runs(np.load, "x.npy"), "load"),
        (Runs(np.testing.measure, "open('ran', 'w')"), "measure"),
        (Runs(sparse.load_npz, "x.npz"), "load_npz"),
    ],
)
@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_a_pickle_that_names_any_other_callable_is_refused(tmp_path, monkeypatch, attack, named, protocol):
    monkeypatch.chdir(tmp_path)
    content = {"v_template": np.zeros((3, 3)), "f": attack}
    (tmp_path / "evil.pkl").write_bytes(pickle.dumps(content, protocol))
    with pytest.raises(InputError, match=rf"asks for \S*{named}"):
        load_head(tmp_path / "evil.pkl")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("pickled", "message"),
    [
        (b"ccopy_reg\n_reconstructor\n(cnumpy\nndarray\nc__builtin__\nobject\nNtR.", "not a readable pickle"),
        (b"c_codecs\nencode\n(Vx\nVzlib\ntR.", "not a readable pickle"),
        (b"", "not a readable pickle"),
        (b"<html>not found</html>", "not a readable pickle"),
        (pickle.dumps([1, 2]), "holds a list"),
        (pickle.dumps({"lmk_face_idx": np.zeros(51, int)}), "no v_template.*lmk_face_idx"),
    ],
)
def test_a_file_that_is_not_flame_is_refused_in_one_line(tmp_path, pickled, message):
    (tmp_path / "x.pkl").write_bytes(pickled)
    with pytest.raises(InputError, match=message) as caught:
        load_head(tmp_path / "x.pkl")
    assert "\n" not in str(caught.value)


def test_a_missing_file_a_folder_and_a_body_model_are_refused(tmp_path, flame_content):
    with pytest.raises(InputError, match="no FLAME file at"):
        load_head(tmp_path / "none.pkl")
    with pytest.raises(InputError, match="is a folder"):
        load_head(tmp_path)
    plain = {key: np.zeros(1) for key in flame_content} | {
        "v_template": np.zeros((9, 3)),
        "f": np.zeros((4, 3), int),
        "shapedirs": np.zeros((9, 3, 10)),
    }
    (tmp_path / "body.pkl").write_bytes(pickle.dumps(plain))
    with pytest.raises(InputError, match=r"shapedirs has shape \(9, 3, 10\); wanted \(9, 3, 400\)"):
        load_head(tmp_path / "body.pkl")
