"""The command `export`: every format preserves the motion, and errors are one line."""

import json
import re
import sys
import textwrap
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import trimesh
from pyannote.core import Segment, Timeline
from typer.testing import CliRunner

from dualtalk.cli import app
from dualtalk.core import DUALTALK56, Conversation, HeadMotion, Participant
from dualtalk.export import EXPORTERS
from dualtalk.export.registry import format_help
from dualtalk.head import load_head
from dualtalk.head.blendshapes import EXPRESSION_UNITS, arkit_from_motion
from dualtalk.head.live_link import read_live_link
from dualtalk.io.audio_file import read_wave

FRAMES = 50


def run(*arguments):
    return CliRunner().invoke(app, ["export", *(str(argument) for argument in arguments)])


def refused(result, *about: str) -> None:
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    assert result.stderr.startswith("dualtalk: ")
    assert result.stderr.count("\n") == 1
    for words in about:
        assert words in result.stderr


def save(folder, motions, frames=FRAMES):
    rng = np.random.default_rng(0)
    people = [
        Participant(
            0.1 * rng.standard_normal(640 * frames, np.float32), Timeline([Segment(start, start + 0.5)]), motion
        )
        for start, motion in zip((0.2, 1.0), motions, strict=True)
    ]
    Conversation(*people, name=folder.name).save(folder)
    return folder


@pytest.fixture(scope="module")
def motions(lively):
    return lively(FRAMES, 0), lively(FRAMES, 1)


@pytest.fixture
def talk(motions, tmp_path):
    return save(tmp_path / "talk", motions)


@pytest.fixture
def flame_talk(motions, tmp_path):
    return save(tmp_path / "talk", [HeadMotion(motion.coefficients, "flame") for motion in motions])


def test_live_link_files_contain_both_participants(talk, motions, tmp_path):
    assert run(talk, "--format", "arkit-csv", "--out", tmp_path / "out").exit_code == 0
    for name, motion in zip("ab", motions, strict=True):
        back = read_live_link(tmp_path / "out" / f"{name}.csv").motion
        np.testing.assert_allclose(arkit_from_motion(back), arkit_from_motion(motion), atol=1e-3)
    assert run(talk, "--format", "arkit-csv", "--fps", 60, "--out", tmp_path / "fast").exit_code == 0
    assert len((tmp_path / "fast" / "a.csv").read_text().splitlines()) == 1 + FRAMES * 60 // 25


def test_glb_is_written_with_the_voices(talk, tmp_path):
    result = run(talk, "--format", "glb")
    assert result.exit_code == 0
    out = tmp_path / "talk-glb"
    assert sorted(path.name for path in out.iterdir()) == ["a.wav", "b.wav", "dialogue.glb", "export.json"]
    assert str(out / "dialogue.glb") in result.stdout
    np.testing.assert_array_equal(read_wave(out / "a.wav"), read_wave(talk / "a.wav"))
    scene = trimesh.load(out / "dialogue.glb")
    assert sum(len(mesh.faces) for mesh in scene.geometry.values()) == 2 * len(load_head("open").faces)


@pytest.mark.parametrize("format_name", ["arkit-csv", "glb", "flame-npz", "parquet", "csv"])
def test_export_poses_each_participant_at_most_once(talk, tmp_path, monkeypatch, format_name):
    """No format evaluates the head model frame by frame."""
    head, calls = type(load_head("open")), []
    vertices = head.vertices
    monkeypatch.setattr(
        head, "vertices", lambda *arguments, **more: calls.append(1) or vertices(*arguments, **more)
    )
    assert run(talk, "--format", format_name, "--out", tmp_path / "out").exit_code == 0
    assert len(calls) <= 2


@pytest.mark.parametrize("format_name", ["arkit-csv", "glb", "flame-npz", "parquet", "csv", "obj", "ply"])
def test_one_frame_without_eyes(motions, tmp_path, format_name):
    brief = [HeadMotion(motion.coefficients[:1, : DUALTALK56.width], "open", DUALTALK56) for motion in motions]
    assert run(save(tmp_path / "talk", brief, frames=1), "--format", format_name).exit_code == 0


def test_one_participant_alone(talk, tmp_path):
    assert run(talk, "--format", "glb", "--person", "b", "--out", tmp_path / "out").exit_code == 0
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["b.wav", "dialogue.glb", "export.json"]
    assert json.loads((tmp_path / "out" / "export.json").read_text())["people"] == ["b"]


@pytest.mark.parametrize("format_name", ["parquet", "csv"])
def test_tables_have_one_column_per_coefficient(talk, motions, tmp_path, format_name):
    assert run(talk, "--format", format_name, "--out", tmp_path / "out").exit_code == 0
    read = pd.read_parquet if format_name == "parquet" else pd.read_csv
    table = read(tmp_path / "out" / f"motion.{format_name}")
    assert table.person.tolist() == ["a"] * FRAMES + ["b"] * FRAMES
    for name, motion in zip("ab", motions, strict=True):
        rows = table[table.person == name]
        np.testing.assert_array_equal(rows[list(EXPRESSION_UNITS)].to_numpy(np.float32), motion.expression[:, :41])
        joints = [f"{joint}_{axis}_rad" for joint in ("head", "jaw", "left_eye", "right_eye") for axis in "xyz"]
        expected = np.concatenate([motion.head_rotvec_rad, motion.jaw_rotvec_rad, motion.eyes_rotvec_rad], axis=1)
        np.testing.assert_array_equal(rows[joints].to_numpy(np.float32), expected)
        np.testing.assert_allclose(rows.time_s, np.arange(FRAMES) / 25)
    assert table[table.person == "a"].speaking.to_numpy()[:20].tolist() == [False] * 5 + [True] * 12 + [False] * 3


@pytest.mark.parametrize("format_name", ["obj", "ply"])
def test_mesh_sequences_contain_every_frame(talk, motions, tmp_path, format_name):
    assert run(talk, "--format", format_name, "--out", tmp_path / "out").exit_code == 0
    head = load_head("open")
    for name, motion in zip("ab", motions, strict=True):
        assert len(list((tmp_path / "out" / name).iterdir())) == FRAMES
        expected = head.vertices(motion)
        for frame in (0, 17, FRAMES - 1):
            mesh = trimesh.load(
                tmp_path / "out" / name / f"{frame:06d}.{format_name}", process=False, maintain_order=True
            )
            np.testing.assert_allclose(mesh.vertices, expected[frame], atol=0.6e-5)
            np.testing.assert_array_equal(mesh.faces, head.faces)


def test_flame_npz_has_the_published_layout(flame_talk, tmp_path):
    assert "note" not in run(flame_talk, "--format", "flame-npz", "--out", tmp_path / "out").stdout
    motion = HeadMotion.load(flame_talk / "b.npz")
    with np.load(tmp_path / "out" / "dialogue_speaker2.npz") as published:
        np.testing.assert_array_equal(published["exp"], motion.expression)
        np.testing.assert_array_equal(published["pose"][:, :3], motion.head_rotvec_rad)
        np.testing.assert_array_equal(published["pose"][:, 3:], motion.jaw_rotvec_rad)
        assert published["shape"].shape == (FRAMES, 100)
    np.testing.assert_array_equal(
        HeadMotion.load(tmp_path / "out" / "dialogue_speaker2.npz").coefficients, motion.coefficients
    )
    assert (tmp_path / "out" / "dialogue_speaker1.wav").exists()


def test_open_head_expressions_are_not_written_as_flame_expressions(talk, motions, flame_copy, tmp_path):
    output = run(talk, "--format", "flame-npz", "--out", tmp_path / "bare").stdout
    assert "exp and shape are 0" in output
    bare = HeadMotion.load(tmp_path / "bare" / "dialogue_speaker1.npz")
    assert not bare.expression.any()
    np.testing.assert_array_equal(bare.head_rotvec_rad, motions[0].head_rotvec_rad)
    assert (
        "least squares"
        in run(talk, "--format", "flame-npz", "--head", flame_copy, "--out", tmp_path / "fitted").stdout
    )
    assert HeadMotion.load(tmp_path / "fitted" / "dialogue_speaker1.npz").expression.any()


def test_flame_motion_in_live_link_has_joints_only_without_a_head_file(flame_talk, flame_copy, tmp_path):
    output = run(flame_talk, "--format", "arkit-csv", "--out", tmp_path / "bare").stdout
    assert "pass --head" in output
    motion = HeadMotion.load(flame_talk / "a.npz")
    back = read_live_link(tmp_path / "bare" / "a.csv").motion
    assert not back.expression.any()
    np.testing.assert_allclose(back.head_rotvec_rad, motion.head_rotvec_rad, atol=1e-5)
    output = run(flame_talk, "--format", "arkit-csv", "--head", flame_copy, "--out", tmp_path / "fitted").stdout
    assert "least squares" in output
    assert read_live_link(tmp_path / "fitted" / "a.csv").motion.expression.any()


def test_flame_meshes_need_the_head_file(flame_talk, flame_copy, tmp_path):
    refused(run(flame_talk, "--format", "ply", "--out", tmp_path / "out"), "pass --head")
    assert not (tmp_path / "out").exists()
    options = ("--head", flame_copy, "--person", "a", "--out", tmp_path / "out")
    assert "note" not in run(flame_talk, "--format", "ply", *options).stdout
    mesh = trimesh.load(tmp_path / "out" / "a" / "000007.ply", process=False)
    expected = load_head(flame_copy).vertices(HeadMotion.load(flame_talk / "a.npz"))[7]
    np.testing.assert_allclose(mesh.vertices, expected, atol=1e-6)
    assert run(flame_talk, "--format", "glb", *options, "--overwrite").exit_code == 0


def test_earlier_export_is_replaced_only_on_request(talk, tmp_path):
    out = tmp_path / "out"
    assert run(talk, "--format", "csv", "--out", out).exit_code == 0
    refused(run(talk, "--format", "parquet", "--out", out), "--overwrite")
    assert run(talk, "--format", "parquet", "--out", out, "--overwrite").exit_code == 0
    assert sorted(path.name for path in out.iterdir()) == ["export.json", "motion.parquet"]
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.tex").touch()
    refused(run(talk, "--format", "csv", "--out", tmp_path / "other", "--overwrite"), "thesis.tex")


def test_invalid_requests_are_rejected(talk, tmp_path):
    refused(run(talk, "--format", "gltf"), "unknown format 'gltf'", *EXPORTERS.names())
    refused(run(talk, "--format", "glb", "--fps", 60), "glb has 25 frames a second, not 60")
    refused(run(talk, "--format", "arkit-csv", "--fps", 30), "25 or 60 frames a second, not 30")
    refused(run(tmp_path / "absent", "--format", "glb"), "no folder", "dualtalk simulate")
    refused(run(talk / "a.npz", "--format", "glb"), "give the folder it is in")
    (talk / "b.npz").unlink()
    refused(run(talk, "--format", "glb"), "holds no b.npz", "--person a")
    (talk / "a.npz").unlink()
    refused(run(talk, "--format", "glb"), "no a.npz and no b.npz")
    assert [path.name for path in tmp_path.iterdir()] == ["talk"]


def test_missing_package_is_named(talk, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pxr", None)
    refused(run(talk, "--format", "usd", "--out", tmp_path / "out"), "pip install 'dualtalk[usd]'")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("format_name", "writer"), [("glb", "write_glb"), ("obj", "write_mesh_sequence")])
def test_interrupt_leaves_no_files(talk, tmp_path, monkeypatch, format_name, writer):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(f"dualtalk.export.formats.{writer}", interrupted)
    assert run(talk, "--format", format_name).exit_code == 130
    assert [path.name for path in tmp_path.iterdir()] == ["talk"]


@pytest.fixture
def plugin(tmp_path, monkeypatch):
    """Install the package of docs/add-an-export-format.md."""
    page = (Path(__file__).parents[1] / "docs" / "add-an-export-format.md").read_text()
    code = textwrap.dedent(re.search(r"    ```python\n(.*?)    ```", page, re.S)[1])
    entry_point = re.search(r'head-angles = "(.*)"', page)[1]
    folder = tmp_path / "site"
    (folder / "my_package").mkdir(parents=True)
    (folder / "my_package" / "__init__.py").touch()
    (folder / "my_package" / "head_angles.py").write_text(code)
    information = folder / "my_package-1.0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: my-package\nVersion: 1.0\n")
    (information / "entry_points.txt").write_text(f"[dualtalk.exporters]\nhead-angles = {entry_point}\n")
    monkeypatch.syspath_prepend(str(folder))


def test_another_package_adds_a_format(plugin, talk, motions, tmp_path):
    result = run(talk, "--format", "head-angles", "--out", tmp_path / "out")
    assert result.exit_code == 0, result.output
    assert "only the head rotation is here" in result.stdout
    written = np.loadtxt(tmp_path / "out" / "b.csv", delimiter=",", skiprows=1)
    np.testing.assert_allclose(written, motions[1].head_rotvec_rad, atol=1e-6)
    assert "head-angles" in format_help()
    refused(run(talk, "--format", "head-angles", "--fps", 60), "head-angles has 25 frames a second, not 60")
