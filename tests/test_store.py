"""The store: round trips of clips and spans, resumed runs, validation, and older formats."""

import errno
import io
import json
import shutil
from dataclasses import fields
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dualtalk.core import DUALTALK56, FULL62, HeadMotion
from dualtalk.errors import InputError, SetupError
from dualtalk.store import Task, build_store, open_store, validate_store
from dualtalk.store import store as store_module
from dualtalk.store.formats import FORMAT
from dualtalk.store.npz_reader import NpzRows
from dualtalk.store.schema import MANIFEST, METADATA, REJECTED, TURNS, ClipRecord

GENERATED = {"corpus": "random"}


def tree(root) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}


def tasks(*names: str, frames: int = 30) -> list[Task]:
    return [Task(name, "train", "", entry=frames) for name in names]


def test_a_clip_survives_a_round_trip(tmp_path, random_clip):
    expected = random_clip(tasks("one")[0]).conversation
    build_store(tmp_path / "store", GENERATED, tasks("one"), random_clip, workers=0)
    found = open_store(tmp_path / "store").conversation("one")
    for before, after in zip(expected.participants, found.participants, strict=True):
        assert np.array_equal(before.audio, after.audio)
        assert np.array_equal(before.motion.coefficients, after.motion.coefficients)
        assert before.speech.duration() == pytest.approx(after.speech.duration(), abs=1e-3)


@pytest.mark.parametrize("layout", [FULL62, DUALTALK56])
def test_a_span_equals_the_slice_of_the_whole_clip(make_store, layout):
    store = make_store({"train": [90]})
    whole = store.conversation("train000")
    span = store.span("train000", "train", 20, 40, layout)
    for index, person in enumerate(whole.participants):
        assert np.array_equal(span.audio[index], person.audio[20 * 640 : 60 * 640])
        assert np.array_equal(span.motion[index], person.motion.coefficients[20:60, : layout.width])
        assert np.array_equal(span.speech[index], person.speaking(90)[20:60])
    assert span.valid.all()


def test_a_span_beyond_the_end_is_refused(make_store):
    with pytest.raises(InputError, match="ends before frame 31"):
        make_store({"train": [30]}).span("train000", "train", 10, 21, FULL62)


def test_rows_equal_those_of_the_array(tmp_path):
    arrays = {
        "exp": np.random.default_rng(0).random((50, 7)),
        "valid": np.arange(50) % 3 == 0,
        "fps": np.array(25),
    }
    for write, name in ((np.savez, "plain.npz"), (np.savez_compressed, "small.npz")):
        write(tmp_path / name, **arrays)
        for source in (tmp_path / name, io.BytesIO((tmp_path / name).read_bytes())):
            with NpzRows(source) as rows:
                assert np.array_equal(rows.rows("exp"), arrays["exp"])
                assert np.array_equal(rows.rows("exp", 11, 20), arrays["exp"][11:31])
                assert np.array_equal(rows.rows("valid", 40, 20), arrays["valid"][40:])
                assert "pose" not in rows


def test_rows_of_pickled_objects_are_refused(tmp_path):
    np.savez(tmp_path / "objects.npz", exp=np.array([{}, {}], object))
    with NpzRows(tmp_path / "objects.npz") as rows, pytest.raises(InputError, match="pickled"):
        rows.rows("exp")


def test_invalid_frames_stay_invalid(tmp_path, random_clip):
    def with_missing_frames(task):
        draft = random_clip(task)
        motion = draft.conversation.a.motion
        valid = np.arange(motion.frames) >= 5
        some = HeadMotion(motion.coefficients, motion.space, motion.layout, motion.identity, valid)
        object.__setattr__(draft, "conversation", draft.conversation.with_motion(some, None))
        return draft

    build_store(tmp_path / "store", GENERATED, tasks("one"), with_missing_frames, workers=0)
    store = open_store(tmp_path / "store")
    span = store.span("one", "train", 3, 4, FULL62)
    assert span.valid.tolist() == [[False, False, True, True], [False] * 4]
    row = store.manifest.iloc[0]
    assert (row["layout_a"], row["layout_b"]) == ("full62", "")
    assert row["valid_a"] == pytest.approx(25 / 30, abs=1e-4)
    assert not store.conversation("one").a.motion.valid[:5].any()


def test_the_same_tasks_give_the_same_bytes_however_often_a_run_is_interrupted(tmp_path, random_clip):
    names = tasks("c", "a", "b")
    build_store(tmp_path / "whole", GENERATED, names, random_clip, workers=0)
    made = 0

    def interrupted(task):
        nonlocal made
        made += 1
        if made % 2 == 0:
            raise KeyboardInterrupt
        return random_clip(task)

    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            build_store(tmp_path / "again", GENERATED, names, interrupted, workers=0)
        with pytest.raises(InputError, match="not finished"):
            open_store(tmp_path / "again")
    built = build_store(tmp_path / "again", GENERATED, names, random_clip, workers=0)
    assert (built.made, built.kept) == (1, 2)
    assert tree(tmp_path / "again") == tree(tmp_path / "whole")


def test_a_store_grows_and_shrinks_with_its_tasks(tmp_path, random_clip):
    root = tmp_path / "store"
    build_store(root, GENERATED, tasks("a", "b"), random_clip, workers=0)
    before = tree(root)
    assert build_store(root, GENERATED, tasks("a", "b", "c"), random_clip, workers=0).made == 1
    assert build_store(root, GENERATED, tasks("a", "b"), random_clip, workers=0).made == 0
    assert tree(root) == before


def test_a_clip_whose_inputs_changed_is_made_again(tmp_path, random_clip):
    root = tmp_path / "store"
    build_store(root, GENERATED, tasks("a", "b"), random_clip, workers=0)
    changed = [Task("a", "train", "new", entry=40), *tasks("b")]
    assert build_store(root, GENERATED, changed, random_clip, workers=0).made == 1
    assert open_store(root).manifest["frames"].tolist() == [40, 30]


def test_a_clip_that_cannot_be_made_is_rejected_with_its_reason(tmp_path, random_clip):
    def make(task):
        if task.clip == "bad":
            raise InputError("jaw has 4 values")
        if task.clip == "odd":
            raise ZeroDivisionError("by zero")
        return random_clip(task)

    built = build_store(tmp_path / "store", GENERATED, tasks("good", "bad", "odd"), make, workers=0)
    reasons = pd.read_csv(tmp_path / "store" / REJECTED).set_index("clip")["reason"]
    assert reasons["bad"] == "jaw has 4 values"
    assert "ZeroDivisionError" in reasons["odd"]
    assert (built.made, len(built.rejected)) == (1, 2)
    assert validate_store(tmp_path / "store") == []


def test_no_usable_clip_is_an_error(tmp_path):
    def make(task):
        raise InputError("jaw has 4 values")

    with pytest.raises(InputError, match=r"none of 2 clips could be used.*jaw has 4 values"):
        build_store(tmp_path / "store", GENERATED, tasks("a", "b"), make, workers=0)


def test_a_missing_package_stops_the_run(tmp_path):
    def make(task):
        raise SetupError("no synthesiser")

    with pytest.raises(SetupError, match="no synthesiser"):
        build_store(tmp_path / "store", GENERATED, tasks("a"), make, workers=0)


@pytest.mark.parametrize(
    ("number", "message"),
    [(errno.ENOSPC, "no space left.*resumes"), (errno.EROFS, "read-only"), (errno.EIO, "cannot write")],
)
def test_a_disk_error_stops_the_run_and_the_next_run_resumes(tmp_path, random_clip, monkeypatch, number, message):
    written = []
    real = np.savez

    def failing(path, **arrays):
        written.append(path)
        if len(written) == 4:
            path.write_bytes(b"half")
            raise OSError(number, "disk error")
        real(path, **arrays)

    monkeypatch.setattr(np, "savez", failing)
    with pytest.raises(InputError, match=message):
        build_store(tmp_path / "store", GENERATED, tasks("a", "b", "c"), random_clip, workers=0)
    assert not list((tmp_path / "store").rglob("*.partial.*"))
    monkeypatch.setattr(np, "savez", real)
    built = build_store(tmp_path / "store", GENERATED, tasks("a", "b", "c"), random_clip, workers=0)
    assert (built.made, built.kept) == (2, 1)
    assert validate_store(tmp_path / "store") == []


def test_incomplete_files_of_a_killed_run_are_removed(tmp_path, random_clip):
    root = tmp_path / "store"
    build_store(root, GENERATED, tasks("a"), random_clip, workers=0)
    before = tree(root)
    (root / "train" / ".b_speaker1.partial.wav").write_bytes(b"half")
    (root / "train" / "b_speaker1.wav").write_bytes(b"complete, but its clip is not")
    build_store(root, GENERATED, tasks("a"), random_clip, workers=0)
    assert tree(root) == before


def test_a_store_with_other_metadata_is_not_extended(tmp_path, random_clip):
    root = tmp_path / "store"
    build_store(root, {"corpus": "random", "seed": 1}, tasks("a"), random_clip, workers=0)
    with pytest.raises(InputError, match=r"another seed .1, now 2.; .*--overwrite"):
        build_store(root, {"corpus": "random", "seed": 2}, tasks("a"), random_clip, workers=0)
    build_store(root, {"corpus": "random", "seed": 2}, tasks("a"), random_clip, workers=0, overwrite=True)
    assert open_store(root).metadata["seed"] == 2


def test_a_folder_with_other_files_is_refused_and_unchanged(tmp_path, random_clip):
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(InputError, match=r"holds thesis.tex"):
        build_store(tmp_path, GENERATED, tasks("a"), random_clip, workers=0, overwrite=True)
    assert tree(tmp_path) == {"thesis.tex": b"years of work"}
    with pytest.raises(InputError, match="is a file"):
        build_store(tmp_path / "thesis.tex", GENERATED, tasks("a"), random_clip, workers=0)


def test_only_one_run_writes_at_a_time(tmp_path, random_clip):
    root = tmp_path / "store"

    def nested(task):
        build_store(root, GENERATED, tasks("a"), random_clip, workers=0)

    with pytest.raises(InputError, match="another run is writing"):
        build_store(root, GENERATED, tasks("a"), nested, workers=0)


def damage(store, name, content=b"damaged"):
    (store.root / "train" / name).write_bytes(content)


def test_a_valid_store_has_no_errors(make_store):
    assert validate_store(make_store({"train": [20, 30], "test": [25]}).root) == []


def test_validation_finds_every_kind_of_damage(make_store):
    store = make_store({"train": [20, 20, 20], "test": [20]})
    damage(store, "train000_speaker1.wav")
    (store.root / "train" / "train001_speaker2.npz").unlink()
    damage(store, "stray.wav")
    table = store.manifest
    table.loc[table["clip"] == "train002", "person_a"] = "test000_b"
    table.loc[table["clip"] == "train002", "session"] = "test000"
    table.to_parquet(store.root / MANIFEST)
    found = "\n".join(validate_store(store.root))
    assert "train000: train000_speaker1.wav is not what was written" in found
    assert "train001: train001_speaker2.npz is missing" in found
    assert "stray.wav is not in the manifest" in found
    assert "person test000_b is in test and in train" in found
    assert "session test000 is in test and in train" in found


def test_a_folder_that_is_not_a_store_is_refused(tmp_path, make_store):
    with pytest.raises(InputError, match="no store at"):
        open_store(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="is not a store"):
        open_store(tmp_path / "empty")
    store = make_store({"train": [10]})
    (store.root / MANIFEST).write_bytes(b"not parquet")
    with pytest.raises(InputError, match="cannot be read"):
        open_store(store.root)


def test_the_turn_table_has_every_clip(make_store):
    store = make_store({"train": [100, 200]})
    assert set(store.turns["clip"]) == {"train000", "train001"}
    assert (store.root / TURNS).is_file()
    turns = store.turns[store.turns["kind"] == "turn"]
    assert turns.groupby("clip")["person"].apply(list).tolist() == [["a", "b"], ["a", "b"]]


# A store of two clips that the code before format 2 wrote; train000 has 2 frames, validation000 has 1.
FORMAT_1 = Path(__file__).parent / "data" / "store_format_1"


def test_a_store_of_format_1_opens_with_the_current_names():
    store = open_store(FORMAT_1)
    assert store.metadata["generator"] == {"seed": 0}
    row = store.manifest.set_index("clip").loc["train000"]
    assert (row["av_offset_a_ms"], row["av_offset_b_ms"]) == (12.0, -8.0)
    assert row["segmentation_source"] == "corpus"
    assert np.isnan(row["crosstalk_a_db"])
    assert set(store.manifest.columns) == {one.name for one in fields(ClipRecord)}
    details = store.details("train000")
    assert details["provenance"] == {"files": ["a.wav"]}
    assert details["input_hash"] == "abc"
    assert details["record"]["av_offset_b_ms"] == -8.0
    assert store.events["kind"].tolist() == ["nod", "nod"]
    assert store.conversation("train000").frames == 2
    assert store.span("train000", "train", 1, 1, FULL62).speech.tolist() == [[False], [False]]
    assert validate_store(FORMAT_1) == []


def test_a_store_of_format_1_is_not_extended_but_can_be_replaced(tmp_path, random_clip):
    root = shutil.copytree(FORMAT_1, tmp_path / "store")
    with pytest.raises(InputError, match=r"has format 1: it can be read, .* --overwrite"):
        build_store(root, GENERATED, tasks("a"), random_clip, workers=0)
    build_store(root, GENERATED, tasks("a"), random_clip, workers=0, overwrite=True)
    assert not (root / "quarantine.csv").exists()
    assert open_store(root).metadata["format"] == FORMAT
    assert validate_store(root) == []


def test_metadata_of_a_format_1_store_can_describe_a_new_store(tmp_path, random_clip):
    build_store(tmp_path / "new", open_store(FORMAT_1).metadata, tasks("a"), random_clip, workers=0)
    assert open_store(tmp_path / "new").metadata["format"] == FORMAT


@pytest.mark.parametrize(
    ("found", "message"),
    [
        (FORMAT + 1, "written by a newer dualtalk; .* upgrade dualtalk"),
        (None, "has format None"),
        (0, "has format 0"),
    ],
)
def test_another_format_is_refused(make_store, random_clip, found, message):
    store = make_store({"train": [10]})
    (store.root / METADATA).write_text(json.dumps({**store.metadata, "format": found}))
    with pytest.raises(InputError, match=message):
        open_store(store.root)
    with pytest.raises(InputError, match=message):
        build_store(store.root, store.metadata, tasks("a"), random_clip, workers=0)


def test_an_rttm_is_read_once_for_all_windows_of_a_clip(make_store, monkeypatch):
    store = make_store({"train": [90, 60]})
    read = []
    real = store_module.read_speech
    monkeypatch.setattr(store_module, "read_speech", lambda path: read.append(path) or real(path))
    for first in (0, 30, 60):
        store.span("train000", "train", first, 30, FULL62)
    store.span("train001", "train", 10, 30, FULL62)
    assert len(read) == 2
