"""Outputs of other systems are read as motion; what cannot be read is refused in one line."""

import json
from typing import get_args

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.spatial.transform import Rotation
from typer.testing import CliRunner

from dualtalk.choices import SystemName
from dualtalk.cli import app
from dualtalk.core import HeadMotion
from dualtalk.errors import InputError
from dualtalk.head import load_head
from dualtalk.head.blendshapes import arkit_from_motion, motion_from_arkit
from dualtalk.head.system_outputs import SYSTEMS, ReadOptions, read_system_output
from dualtalk.io.arkit import ALPHABETICAL_UNITS, ARKIT_UNITS, BLENDVOCA_UNITS
from dualtalk.io.audio_file import write_wave

FRAMES = 20


@pytest.fixture(scope="module")
def rng():
    return np.random.default_rng(0)


@pytest.fixture(scope="module")
def curves():
    """FLAME parameters at 25 frames a second."""
    rng = np.random.default_rng(1)
    return {
        "shape": np.tile(rng.normal(size=300), (FRAMES, 1)),
        "exp": rng.normal(size=(FRAMES, 100)),
        "head": rng.uniform(-0.4, 0.4, (FRAMES, 3)),
        "jaw": rng.uniform(0, 0.3, (FRAMES, 3)),
    }


def assert_same(motion, curves):
    assert motion.space == "flame"
    np.testing.assert_allclose(motion.expression, curves["exp"][:, :50], atol=1e-6)
    np.testing.assert_allclose(motion.jaw_rotvec_rad, curves["jaw"], atol=1e-6)
    np.testing.assert_allclose(motion.head_rotvec_rad, curves.get("head", np.zeros((FRAMES, 3))), atol=1e-6)


def test_the_command_line_lists_every_system():
    assert set(get_args(SystemName)) == set(SYSTEMS)


def test_diffposetalk_archives(tmp_path, curves):
    pose = np.concatenate([curves["head"], curves["jaw"]], axis=1)
    np.savez(tmp_path / "x.npz", shape=curves["shape"][:, :100], exp=curves["exp"][:, :50], pose=pose)
    motion = read_system_output(tmp_path / "x.npz", "diffposetalk")
    assert_same(motion, curves)
    np.testing.assert_allclose(motion.identity[:100], curves["shape"][0, :100], atol=1e-6)


def test_emote_archives_and_arrays(tmp_path, curves):
    still = {name: curves[name] for name in ("exp", "jaw")}
    np.savez(tmp_path / "x.npz", exp=curves["exp"][:, :50], jaw=curves["jaw"])
    assert_same(read_system_output(tmp_path / "x.npz", "emote"), still)
    np.save(tmp_path / "x.npy", np.concatenate([curves["exp"][:, :50], curves["jaw"]], axis=1))
    assert_same(read_system_output(tmp_path / "x.npy", "emote"), still)


def test_artalk_tensors(tmp_path, curves):
    rows = np.concatenate([curves["exp"], curves["head"], curves["jaw"]], axis=1)
    torch.save(torch.from_numpy(rows).float(), tmp_path / "x.pt")
    assert_same(read_system_output(tmp_path / "x.pt", "artalk"), curves)


def test_unitalker_rows(tmp_path, curves):
    matrices = Rotation.from_rotvec(curves["head"]).as_matrix()
    parts = (curves["shape"], curves["exp"], matrices[:, :2].reshape(FRAMES, 6), curves["jaw"])
    np.save(tmp_path / "x.npy", np.concatenate([*parts, np.zeros((FRAMES, 3)), np.ones((FRAMES, 1))], axis=1))
    assert_same(read_system_output(tmp_path / "x.npy", "unitalker"), curves)


@pytest.fixture
def weights(rng):
    """Half a second that changes linearly, so that resampling is exact between the ends."""
    return np.linspace(rng.uniform(0, 0.4, 52), rng.uniform(0.6, 1, 52), 60)


def resampled(weights, fps):
    middles_s = (np.arange(int(len(weights) * 25 / fps)) + 0.5) / 25
    own_s = (np.arange(len(weights)) + 0.5) / fps
    return np.stack([np.interp(middles_s, own_s, column) for column in weights.T], axis=1)


def weights_of(motion, units=ARKIT_UNITS):
    assert motion.space == "open"
    return arkit_from_motion(motion)[:, [ARKIT_UNITS.index(unit) for unit in units if unit not in OPPOSITES]]


# Opposite directions cancel in joint rotations.
OPPOSITES = {"jawLeft", "jawRight", *(unit for unit in ARKIT_UNITS if unit.startswith("eyeLook"))}
KEPT = [unit for unit in ARKIT_UNITS if unit not in OPPOSITES]


def test_said_tables_have_60_rows_a_second(tmp_path, weights):
    table = pd.DataFrame(weights, columns=list(ARKIT_UNITS))[list(BLENDVOCA_UNITS)]
    table.to_csv(tmp_path / "x.csv", index=False)
    kept = [unit for unit in BLENDVOCA_UNITS if unit not in OPPOSITES]
    expected = resampled(table[kept].to_numpy(), 60)
    motion = read_system_output(tmp_path / "x.csv", "said")
    np.testing.assert_allclose(weights_of(motion, BLENDVOCA_UNITS), expected, atol=1e-6)


def test_emotalk_arrays_are_alphabetical(tmp_path, weights):
    np.save(tmp_path / "x.npy", weights[:, [ARKIT_UNITS.index(unit) for unit in ALPHABETICAL_UNITS]])
    motion = read_system_output(tmp_path / "x.npy", "emotalk")
    expected = resampled(weights[:, [ARKIT_UNITS.index(unit) for unit in KEPT]], 30)
    np.testing.assert_allclose(weights_of(motion), expected, atol=1e-6)


@pytest.mark.parametrize("system", ["audio2face", "lam"])
def test_json_of_weights_states_its_rate_and_names(tmp_path, weights, system):
    names = [unit[0].upper() + unit[1:] for unit in ARKIT_UNITS]
    if system == "audio2face":
        content = {"exportFps": 60, "facsNames": names, "weightMat": weights.tolist()}
    else:
        frames = [{"weights": row, "time": 0, "rotation": []} for row in weights.tolist()]
        content = {"names": names, "metadata": {"fps": 60}, "frames": frames}
    (tmp_path / "x.json").write_text(json.dumps(content))
    expected = weights[:, [ARKIT_UNITS.index(unit) for unit in KEPT]]
    motion = read_system_output(tmp_path / "x.json", system)
    np.testing.assert_allclose(weights_of(motion), resampled(expected, 60), atol=1e-6)
    faster = read_system_output(tmp_path / "x.json", system, ReadOptions(fps=30.0))
    np.testing.assert_allclose(weights_of(faster), resampled(expected, 30), atol=1e-6)


@pytest.fixture(scope="module")
def flame(flame_copy):
    return load_head(flame_copy)


def test_meshes_are_fitted_by_jaw_and_expressions(tmp_path, flame):
    units = np.zeros((30, 52))
    units[:, ARKIT_UNITS.index("jawOpen")] = np.linspace(0, 1, 30)
    units[:, ARKIT_UNITS.index("mouthPucker")] = 0.5 + 0.5 * np.sin(np.arange(30))
    motion = HeadMotion(motion_from_arkit(units).coefficients, "flame")
    identity = np.zeros(300, np.float32)
    identity[:5] = 0.8
    # The person's own shape is in the template.
    still = HeadMotion(np.zeros_like(motion.coefficients[:1]), "flame")
    template = flame.vertices(still, shape=identity)[0]
    vertices = template + flame.vertices(motion) - flame.template
    np.save(tmp_path / "x.npy", vertices.reshape(30, -1))
    np.save(tmp_path / "template.npy", template)
    options = ReadOptions(fps=25.0, head=flame, template=tmp_path / "template.npy")
    fitted = read_system_output(tmp_path / "x.npy", "vertices", options)
    np.testing.assert_allclose(fitted.jaw_rotvec_rad[:, 0], motion.jaw_rotvec_rad[:, 0], atol=0.02)
    error_m = np.linalg.norm(flame.vertices(fitted) - flame.vertices(motion), axis=2)
    assert error_m.mean() < 2e-4
    assert error_m.max() < 4e-3


def assert_refused(about, path, system, options=ReadOptions()):
    with pytest.raises(InputError, match=about):
        read_system_output(path, system, options)


def test_files_of_another_kind_are_refused(tmp_path, flame):
    assert_refused("no file at", tmp_path / "x.npy", "emotalk")
    assert_refused("ends in .txt; emotalk writes .npy", tmp_path / "x.txt", "emotalk")
    np.save(tmp_path / "x.npy", np.zeros((5, 70110)))
    assert_refused("BIWI", tmp_path / "x.npy", "vertices", ReadOptions(head=flame))
    assert_refused("rows of 70110 numbers; EmoTalk writes 52", tmp_path / "x.npy", "emotalk")
    np.save(tmp_path / "x.npy", np.zeros((5, 15069)))
    assert_refused("pass --head with your FLAME file", tmp_path / "x.npy", "vertices")
    assert_refused("only FLAME's topology", tmp_path / "x.npy", "vertices", ReadOptions(head=flame))
    np.save(tmp_path / "x.npy", np.full((5, 52), np.nan))
    assert_refused("NaN", tmp_path / "x.npy", "emotalk")
    np.save(tmp_path / "x.npy", np.array({"a": 1}, dtype=object), allow_pickle=True)
    assert_refused("no plain array", tmp_path / "x.npy", "emotalk")
    torch.save({"a": torch.zeros(3)}, tmp_path / "x.pt")
    assert_refused("no plain array", tmp_path / "x.pt", "artalk")
    (tmp_path / "x.pt").write_bytes(b"nothing")
    assert_refused("no plain array", tmp_path / "x.pt", "artalk")
    np.savez(tmp_path / "x.npz", exp=np.zeros((5, 50)), pose=np.full((5, 6), 57.0), shape=np.zeros((5, 100)))
    assert_refused("were degrees passed", tmp_path / "x.npz", "diffposetalk")
    np.savez(tmp_path / "x.npz", exp=np.zeros((5, 50)))
    assert_refused("has no pose, jaw_pose", tmp_path / "x.npz", "diffposetalk")
    (tmp_path / "x.json").write_text('{"names": ["a"], "frames": [{"weights": [1, 2]}]}')
    assert_refused("1 names and rows", tmp_path / "x.json", "lam")
    (tmp_path / "x.json").write_text("[]")
    assert_refused("not JSON of blendshape weights", tmp_path / "x.json", "audio2face")
    (tmp_path / "x.csv").write_text("frame,value\n1,2\n")
    assert_refused("no blendshape of ARKit", tmp_path / "x.csv", "said")


def run(*arguments):
    return CliRunner().invoke(app, ["convert", *(str(argument) for argument in arguments)])


def test_converted_folders_have_the_motion_and_the_voices(tmp_path, weights):
    source = tmp_path / "emotalk"
    source.mkdir()
    for label in "ab":
        np.save(source / f"{label}.npy", weights)
        write_wave(source / f"{label}.wav", np.zeros(640 * 50, np.float32))
    (source / "turns.rttm").write_text("")
    (source / "notes.txt").write_text("")
    result = run(source, "--system", "emotalk", "--out", tmp_path / "out")
    assert result.exit_code == 0, result.output
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert names == ["a.npz", "a.wav", "b.npz", "b.wav", "convert.json", "turns.rttm"]
    assert HeadMotion.load(tmp_path / "out" / "a.npz").space == "open"


def test_expressions_are_fitted_to_the_other_head_on_request(tmp_path, weights, flame_copy):
    source = tmp_path / "emotalk"
    source.mkdir()
    np.save(source / "x_speaker1.npy", weights)
    options = ("--system", "emotalk", "--out", tmp_path / "out", "--space", "flame")
    result = run(source, *options)
    assert result.exit_code == 2
    assert "pass --head" in result.stderr
    assert run(source, *options, "--head", flame_copy).exit_code == 0
    motion = HeadMotion.load(tmp_path / "out" / "x_speaker1.npz")
    assert motion.space == "flame"
    assert motion.expression.any()


def test_invalid_requests_leave_nothing(tmp_path, flame_copy):
    source = tmp_path / "source"
    for arguments, about in (
        ((source, "--system", "said"), "no folder at"),
        ((tmp_path, "--system", "said"), "no file that ends in .csv"),
        ((tmp_path, "--system", "vertices"), "pass --head"),
    ):
        result = run(*arguments, "--out", tmp_path / "out")
        assert result.exit_code == 2
        assert about in result.stderr
        assert result.stderr.count("\n") == 1
    np.save(tmp_path / "x.npy", np.zeros((3, 51)))
    assert run(tmp_path, "--system", "emotalk", "--out", tmp_path / "out").exit_code == 2
    assert not (tmp_path / "out").exists()
