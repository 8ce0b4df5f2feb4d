"""Nothing is lost: names stay in their folder, files appear whole, and two runs never share a folder."""

import ast
import errno
import json
import os
from pathlib import Path, PureWindowsPath

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dualtalk.errors import InputError, WriteError
from dualtalk.io.atomic import write_text, written_whole
from dualtalk.io.lock import write_lock
from dualtalk.io.names import LONGEST_NAME_BYTES, check_name, file_safe_name
from dualtalk.io.result_folder import result_folder
from dualtalk.simulation.options import RESULTS
from dualtalk.store import Task, build_store, open_store
from dualtalk.store.schema import MANIFEST, REJECTED, clip_path

ROOT = Path(__file__).parents[1]
ESCAPES = [
    "../out",
    "/abs/out",
    "..",
    ".",
    "a/b",
    "a\\b",
    "C:x",
    "new\nline",
    "tab\there",
    "",
    "\ud800",
    "x" * 300,
]


def tree(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


@given(st.text(st.characters(), min_size=1, max_size=300))
def test_any_text_becomes_a_name_that_stays_in_its_folder(text):
    name = file_safe_name(text)
    if not name:
        assert not text.strip() or not text.isprintable()
        return
    assert check_name(name, "it") == file_safe_name(name) == name
    assert len(name.encode()) <= LONGEST_NAME_BYTES
    assert name.split() == [name]
    assert Path("/store", name).parent == Path("/store")
    assert PureWindowsPath("C:/store", name).parent == PureWindowsPath("C:/store")


@pytest.mark.parametrize("name", [*ESCAPES, None, 3, b"x"])
def test_a_name_that_is_a_path_is_refused(name):
    with pytest.raises(InputError, match="the clip is"):
        check_name(name, "the clip")


def test_long_names_that_differ_at_the_end_stay_different():
    names = {file_safe_name("x" * 300 + end) for end in "ab"}
    assert len(names) == 2


@pytest.mark.parametrize(("split", "clip"), [("../out", "a"), ("/abs", "a"), ("other", "a"), ("train", "../../a")])
def test_no_clip_is_written_or_read_outside_of_its_store(tmp_path, random_clip, split, clip):
    with pytest.raises(InputError):
        clip_path(tmp_path, split, clip, ".wav")
    root = tmp_path / "inner" / "store"
    root.parent.mkdir()
    tasks = [Task(clip, split, "", entry=20), Task("good", "train", "", entry=20)]
    built = build_store(root, {"corpus": "random"}, tasks, random_clip, workers=0)
    assert (built.made, [one.clip for one in built.rejected]) == (1, [clip])
    assert {path.parts[0] for path in map(Path, tree(root))} >= {"train", MANIFEST, REJECTED}
    assert [path.name for path in tmp_path.iterdir()] == ["inner"]
    assert [path.name for path in root.parent.iterdir()] == ["store"]
    table = pd.read_parquet(root / MANIFEST).assign(clip=clip, split=split)
    table.to_parquet(root / MANIFEST)
    with pytest.raises(InputError, match=MANIFEST):
        open_store(root)


def test_a_clip_that_cannot_be_written_is_left_out(tmp_path, random_clip):
    def make(task):
        draft = random_clip(task)
        if task.clip == "bad":
            draft.provenance["number"] = float("nan")
        return draft

    tasks = [Task("bad", "train", "", entry=20), Task("good", "train", "", entry=20)]
    built = build_store(tmp_path / "store", {"corpus": "random"}, tasks, make, workers=0)
    assert (built.made, [one.clip for one in built.rejected]) == (1, ["bad"])
    assert not [name for name in tree(tmp_path / "store") if "bad" in name]


def test_an_input_inside_the_results_is_never_replaced(tmp_path):
    out = tmp_path / "call"
    out.mkdir()
    for name in ("run.json", "a.wav"):
        (out / name).write_text("mine")
    for inputs in ([out / "a.wav"], [out], [tmp_path / "other.wav", out / "b.wav"]):
        folder = result_folder(out, overwrite=True, record="run.json", results=RESULTS, inputs=inputs)
        with pytest.raises(InputError, match="is inside"), folder:
            pass
    assert (out / "a.wav").read_text() == "mine"


@pytest.mark.parametrize("record", [None, {"files": ["a.glb"]}])
def test_only_a_folder_with_a_record_counts_as_results(tmp_path, record):
    out = tmp_path / "out"
    out.mkdir()
    (out / "a.wav").write_text("mine")
    if record:
        (out / "export.json").write_text(json.dumps(record))
    results = () if record else ("a.wav", "export.json")
    folder = result_folder(out, overwrite=True, record="export.json", results=results)
    with pytest.raises(InputError, match=r"a\.wav, which dualtalk did not write"), folder:
        pass


def test_a_second_run_with_the_same_output_is_refused(tmp_path):
    arguments = {"overwrite": True, "record": "run.json", "results": RESULTS}
    with result_folder(tmp_path / "out", **arguments) as folder:
        (folder / "run.json").write_text("first")
        with (
            pytest.raises(InputError, match="another run is writing"),
            result_folder(tmp_path / "out", **arguments),
        ):
            pass
    assert (tmp_path / "out" / "run.json").read_text() == "first"
    assert tree(tmp_path) == ["out", "out/run.json"]


def test_a_lock_file_that_a_killed_run_left_stops_nobody(tmp_path):
    (tmp_path / ".film.mp4.lock").touch()
    with write_lock(tmp_path / "film.mp4"):
        pass
    assert tree(tmp_path) == []


def test_two_writers_of_one_file_do_not_mix(tmp_path):
    path = tmp_path / "file.txt"
    with written_whole(path) as one, written_whole(path) as two:
        one.write_text("one")
        two.write_text("two")
    assert path.read_text() == "one"
    assert tree(tmp_path) == ["file.txt"]


@pytest.mark.parametrize(
    ("number", "message"),
    [
        (errno.ENOSPC, "no space left"),
        (errno.EDQUOT, "no space left"),
        (errno.EROFS, "read-only"),
        (errno.EIO, "x"),
    ],
)
def test_a_disk_error_is_one_line_and_keeps_the_former_file(tmp_path, number, message):
    path = tmp_path / "x.txt"
    write_text(path, "former")

    def fail():
        with written_whole(path) as partial:
            partial.write_text("half")
            raise OSError(number, os.strerror(number))

    with pytest.raises(WriteError, match=message):
        fail()
    assert path.read_text() == "former"
    assert tree(tmp_path) == ["x.txt"]


def test_an_error_of_another_file_is_not_taken_for_one_of_writing(tmp_path):
    with pytest.raises(FileNotFoundError), written_whole(tmp_path / "x.txt"):
        (tmp_path / "absent.txt").read_text()


def test_every_text_file_is_opened_with_an_encoding():
    """Without one, Python takes the machine's, which is not UTF-8 everywhere."""
    missing = []
    for path in (ROOT / "dualtalk").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call):
                continue
            method = node.func.attr if isinstance(node.func, ast.Attribute) else ""
            name = method or getattr(node.func, "id", "")
            mode = next((one.value for one in node.args if isinstance(one, ast.Constant)), "")
            text = method in ("read_text", "write_text") or (
                name == "open" and mode in ("r", "w", "w+", "rt", "wt")
            )
            if text and not any(keyword.arg == "encoding" for keyword in node.keywords):
                missing.append(f"{path.relative_to(ROOT)}:{node.lineno}")
    assert missing == []
