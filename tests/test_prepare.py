"""From a corpus to a store: nothing is changed that was right, nothing wrong gets in, and a kill costs nothing."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from dualtalk.cli import app
from dualtalk.corpora import Clip
from dualtalk.errors import InputError
from dualtalk.preprocess.checks import checked_motion
from dualtalk.preprocess.prepare import prepare
from dualtalk.preprocess.splits import split_clips
from dualtalk.store import check_store, open_store
from dualtalk.store.schema import QUARANTINE

RATE_HZ, FRAMES = 16_000, 100


def arrays(frames: int = FRAMES, seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    head, jaw = 0.05 * rng.standard_normal((frames, 3)), [0.05, 0.005, 0.005] * rng.random((frames, 3))
    exp = rng.standard_normal((frames, 50)).astype(np.float32)
    return {"exp": exp, "pose": np.hstack([head, jaw]).astype(np.float32)}


def sound(seconds: float = FRAMES / 25, seed: int = 0) -> np.ndarray:
    return (0.1 * np.random.default_rng(seed).standard_normal(round(seconds * RATE_HZ))).astype(np.float32)


def write_clip(folder: Path, name: str, *, motion: dict | None = None, audio: np.ndarray | None = None) -> None:
    """A published clip; `motion` and `audio` are speaker 1's where they are given."""
    folder.mkdir(parents=True, exist_ok=True)
    for speaker in (1, 2):
        own = audio if speaker == 1 and audio is not None else sound(seed=speaker)
        soundfile.write(folder / f"{name}_speaker{speaker}.wav", own, RATE_HZ, subtype="FLOAT")
        moved = motion if speaker == 1 and motion is not None else arrays(seed=speaker)
        np.savez(folder / f"{name}_speaker{speaker}.npz", **moved)


@pytest.fixture
def corpus(tmp_path) -> Path:
    return tmp_path / "corpus"


def reasons(corpus: Path, out: Path) -> dict[str, str]:
    """Prepare, and say why which clip was left out."""
    write_clip(corpus, "good")
    prepare(corpus, "dualtalk", out, workers=0)
    assert open_store(out).manifest["clip"].tolist() == ["good"]
    assert check_store(out) == []
    return pd.read_csv(out / QUARANTINE).set_index("clip")["reason"].to_dict()


def test_a_real_clip_is_kept_exactly(one_wave_each, tmp_path):
    folder = one_wave_each[0].parent
    prepare(folder, "dualtalk", tmp_path / "store", workers=0)
    store = open_store(tmp_path / "store")
    (row,) = store.manifest.itertuples()
    for path in sorted(folder.glob("*.npz")):
        before = np.load(path)
        after = np.load(store.root / row.split / path.name)
        for key in before.files:
            assert np.array_equal(after[key], before[key][: row.frames])
            assert after[key].dtype == before[key].dtype
    for index, path in enumerate(one_wave_each):
        before = soundfile.read(path, dtype="float32")[0]
        assert np.array_equal(store.conversation(row.clip).participants[index].audio, before[: row.frames * 640])
    assert row.frames == 750
    assert row.drift_a_ms == 40.0
    assert (row.layout_a, row.layout_b) == ("dualtalk56", "")
    assert "speaker2 has no motion" in row.notes
    assert row.speech_a > 0.2
    assert row.speech_b > 0.2


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda a: a | {"pose": np.degrees(a["pose"]) + 10}, "were degrees passed for radians"),
        (lambda a: a | {"pose": a["pose"][:, [3, 4, 5, 0, 1, 2]]}, "are they exchanged"),
        (lambda a: a | {"exp": a["exp"][:, :40]}, r"exp has shape (100, 40); wanted (T, 50 or more)"),
        (lambda a: a | {"pose": a["pose"][:, :3]}, r"pose has shape (100, 3); wanted (100, 6)"),
        (lambda a: a | {"exp": a["exp"][:-1]}, r"pose has shape (100, 6); wanted (99, 6)"),
        (lambda a: a | {"exp": a["exp"].astype("U8")}, "exp holds <U8; wanted numbers"),
        (lambda a: a | {"exp": 100 * a["exp"]}, "wanted coefficients of about unit variance"),
        (lambda a: {"expression": a["exp"]}, "no array exp; there are expression"),
        (lambda a: a | {"exp": np.array([{}] * FRAMES, object)}, "not a readable npz of plain arrays"),
        (lambda a: arrays(FRAMES + 4), "160 ms apart; wanted at most 80: are they of the same clip?"),
        (lambda a: arrays(0), "wanted (T, 50 or more)"),
    ],
)
def test_motion_that_cannot_be_right_is_left_out(corpus, tmp_path, spoil, said):
    write_clip(corpus, "bad", motion=spoil(arrays()))
    assert said in reasons(corpus, tmp_path / "store")["bad"]


def test_files_that_cannot_be_read_are_left_out(corpus, tmp_path):
    for name in ("empty_npz", "cut_npz", "no_wave", "empty_wave", "long_wave", "stereo"):
        write_clip(corpus, name)
    (corpus / "empty_npz_speaker1.npz").write_bytes(b"")
    whole = (corpus / "cut_npz_speaker1.npz").read_bytes()
    (corpus / "cut_npz_speaker1.npz").write_bytes(whole[: len(whole) // 2])
    (corpus / "no_wave_speaker2.wav").unlink()
    (corpus / "empty_wave_speaker2.wav").write_bytes(b"")
    soundfile.write(corpus / "long_wave_speaker1.wav", sound(5.0), RATE_HZ)
    soundfile.write(corpus / "stereo_speaker1.wav", np.stack([sound(), sound()], 1), RATE_HZ)
    found = reasons(corpus, tmp_path / "store")
    assert "not a readable npz" in found["empty_npz"]
    assert "not a readable npz" in found["cut_npz"]
    assert found["no_wave"] == "no_wave_speaker2.wav is missing"
    assert "is empty (0 bytes)" in found["empty_wave"]
    assert "speaker1's audio lasts 5.00 s" in found["long_wave"]
    assert "has 2 channels; wanted one person's voice" in found["stereo"]


def test_a_clip_that_is_there_twice_is_left_out(corpus, tmp_path):
    write_clip(corpus / "train", "twin")
    write_clip(corpus / "test", "twin")
    write_clip(corpus / "train", "good")
    prepare(corpus, "dualtalk", tmp_path / "store", workers=0)
    found = pd.read_csv(tmp_path / "store" / QUARANTINE)
    assert found.to_numpy().tolist() == [["twin", "2 clips of this name are in the corpus"]]


def test_frames_that_are_nan_become_invalid_and_hold_the_nearest(corpus, tmp_path):
    holed = arrays()
    holed["exp"][10:13, 4] = np.nan
    holed["pose"][99] = np.inf
    write_clip(corpus, "holed", motion=holed)
    prepare(corpus, "dualtalk", tmp_path / "store", workers=0)
    store = open_store(tmp_path / "store")
    motion = store.conversation("holed").a.motion
    assert np.flatnonzero(~motion.valid).tolist() == [10, 11, 12, 99]
    assert np.array_equal(motion.coefficients[[10, 12, 99]], motion.coefficients[[9, 13, 98]])
    assert np.array_equal(motion.expression[motion.valid], holed["exp"][motion.valid])
    assert "4 of 100 frames are invalid" in store.manifest.iloc[0]["notes"]


def test_motion_of_nan_only_is_absent(corpus, tmp_path):
    write_clip(corpus, "gone", motion={key: np.full_like(array, np.nan) for key, array in arrays().items()})
    prepare(corpus, "dualtalk", tmp_path / "store", workers=0)
    row = open_store(tmp_path / "store").manifest.iloc[0]
    assert (row["layout_a"], row["layout_b"]) == ("", "dualtalk56")
    assert "no frame of its motion is valid" in row["notes"]


def test_double_precision_is_brought_to_single_and_noted(corpus, tmp_path):
    write_clip(corpus, "double", motion={key: array.astype(np.float64) for key, array in arrays().items()})
    prepare(corpus, "dualtalk", tmp_path / "store", workers=0)
    store = open_store(tmp_path / "store")
    assert "exp was float64, now float32" in store.manifest.iloc[0]["notes"]
    assert np.array_equal(store.conversation("double").a.motion.expression, arrays()["exp"])


@pytest.mark.parametrize("extra_frames", [-2, -1, 0, 1, 2])
def test_a_frame_or_two_of_drift_is_trimmed_and_told(corpus, tmp_path, extra_frames):
    write_clip(corpus, "drifting", motion=arrays(FRAMES + extra_frames))
    prepare(corpus, "dualtalk", tmp_path / "store", workers=0)
    row = open_store(tmp_path / "store").manifest.iloc[0]
    assert row["drift_a_ms"] == 40 * extra_frames
    assert row["drift_b_ms"] == 0
    assert row["frames"] == FRAMES + min(extra_frames, 0)


def test_motion_at_another_rate_keeps_its_time():
    """A head that turns evenly does so after resampling, at the same radians a second."""
    frames = 60
    turning = np.zeros((frames, 6), np.float32)
    turning[:, 1] = 0.3 * (np.arange(frames) + 0.5) / 30
    motion, _, notes = checked_motion({"exp": np.zeros((frames, 50), np.float32), "pose": turning}, 30.0, "flame")
    assert motion.frames == 50
    expected = 0.3 * (np.arange(50) + 0.5) / 25
    assert np.allclose(motion.head_rotvec_rad[1:-1, 1], expected[1:-1], atol=1e-5)
    assert notes == ["resampled from 30 frames a second"]


def test_a_leaking_channel_is_told(corpus, tmp_path, one_wave_each):
    one, two = (soundfile.read(path, dtype="float32")[0][8 * RATE_HZ : 16 * RATE_HZ] for path in one_wave_each)
    write_clip(corpus, "leaking")
    for speaker, audio in ((1, one + 0.5 * two), (2, two)):
        soundfile.write(corpus / f"leaking_speaker{speaker}.wav", audio, RATE_HZ, subtype="FLOAT")
        np.savez(corpus / f"leaking_speaker{speaker}.npz", **arrays(200))
    prepare(corpus, "dualtalk", tmp_path / "store", workers=0)
    row = open_store(tmp_path / "store").manifest.iloc[0]
    assert row["leak_a_db"] == pytest.approx(-6, abs=1.5)
    assert row["leak_b_db"] < -15
    assert "speaker1's channel holds the other's voice" in row["notes"]


def test_names_in_any_script(corpus, tmp_path):
    write_clip(corpus, "разговор_会話")
    out = tmp_path / "außen"
    prepare(corpus, "dualtalk", out, workers=0)
    store = open_store(out)
    assert store.conversation("разговор_会話").frames == FRAMES
    assert check_store(out) == []


clips = st.lists(
    st.tuples(st.integers(0, 12), st.integers(0, 12), st.integers(0, 8), st.sampled_from(["", "train", "test"])),
    min_size=1,
    max_size=40,
)


@given(clips, st.booleans())
def test_no_person_and_no_session_is_split(entries, own_splits):
    index = [
        Clip(f"clip{number}", f"session{session}", (f"person{a}", f"other{b}"), split)
        for number, (a, b, session, split) in enumerate(entries)
    ]
    splits = split_clips(index, own_splits=own_splits)
    assert set(splits) == {clip.name for clip in index}
    assert splits == split_clips(index[::-1], own_splits=own_splits)
    if own_splits:
        assert all(splits[clip.name] == "test" for clip in index if clip.split == "test")
    where: dict[str, set] = {}
    for clip in index:
        for name in (*clip.people, clip.session):
            where.setdefault(name, set()).add(splits[clip.name])
    given_test = {name for clip in index if clip.split == "test" for name in (*clip.people, clip.session)}
    for name, found in where.items():
        # Only the corpus's own test can meet its training: that is kept, and told by `validate`.
        assert len(found) == 1 or (own_splits and name in given_test and found == {"train", "test"})


def test_a_corpus_without_splits_gets_all_three():
    index = [Clip(f"clip{n}", f"session{n}", (f"a{n}", f"b{n}")) for n in range(50)]
    counts = pd.Series(split_clips(index)).value_counts()
    assert counts.to_dict() == {"train": 40, "validation": 5, "test": 5}


def test_training_clips_lend_a_validation_part_where_the_corpus_has_none():
    index = [Clip(f"c{n}", f"s{n}", (f"a{n}", f"b{n}"), "test" if n < 10 else "train") for n in range(50)]
    counts = pd.Series(split_clips(index)).value_counts()
    assert counts.to_dict() == {"train": 36, "test": 10, "validation": 4}


def test_a_store_inside_its_corpus_is_refused(corpus):
    write_clip(corpus, "good")
    with pytest.raises(InputError, match="is inside"):
        prepare(corpus, "dualtalk", corpus / "store", workers=0)


def tree(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}


def test_a_run_killed_three_times_ends_in_the_same_bytes(corpus, tmp_path):
    for number in range(60):
        write_clip(corpus, f"clip{number:02d}", motion=arrays(seed=number))

    def prepared(out: Path, *, until: int | None = None) -> int:
        """Run the command, killed once `until` clips are whole; how many were."""
        command = [sys.executable, "-m", "dualtalk.cli", "prepare", str(corpus), "--corpus", "dualtalk"]
        with (tmp_path / "log").open("w") as log:
            running = subprocess.Popen([*command, "--out", str(out), "--workers", "2"], stdout=log, stderr=log)
            while until is not None and len(list(out.glob("*/*.json"))) < until:
                assert running.poll() is None, (tmp_path / "log").read_text()
                time.sleep(0.005)
            if until is not None:
                os.kill(running.pid, signal.SIGKILL)
            assert running.wait(timeout=120) == (0 if until is None else -signal.SIGKILL)
        return len(list(out.glob("*/*.json")))

    whole, killed = tmp_path / "whole", tmp_path / "killed"
    assert prepared(whole) == 60
    chance, found = random.Random(0), 0
    for _ in range(3):
        found = prepared(killed, until=found + chance.randint(2, 12))
        assert found < 60
        assert not (killed / "manifest.parquet").exists()
    assert prepared(killed) == 60
    assert tree(killed) == tree(whole)


def run(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--corpus", "duotalk"], "no corpus called 'duotalk'; there are dualtalk, seamless"),
        (["--corpus", "recordings"], "has no sound files"),
        (["--corpus", "dualtalk"], "has no <clip>_speaker1.wav"),
    ],
)
def test_the_command_line_says_in_one_line_what_is_wrong(tmp_path, arguments, said):
    (tmp_path / "empty").mkdir()
    result = run("prepare", tmp_path / "empty", *arguments, "--out", tmp_path / "store")
    assert result.exit_code == 2
    assert result.stderr.startswith("dualtalk: ")
    assert result.stderr.count("\n") == 1
    assert said in result.stderr
    assert not (tmp_path / "store").exists()


def test_the_command_line_tells_what_it_found(corpus, tmp_path):
    write_clip(corpus, "good")
    write_clip(corpus, "bad", motion={"exp": arrays()["exp"]})
    result = run("prepare", corpus, "--corpus", "dualtalk", "--out", tmp_path / "store", "--workers", 0)
    assert result.exit_code == 0, result.output
    assert "1 clips made, 0 kept" in result.stdout
    assert "1 left out, listed in" in result.stdout
    assert "no array pose" in result.stdout
    assert "validated: no fault" in result.stdout
    again = run("prepare", corpus, "--corpus", "dualtalk", "--out", tmp_path / "store", "--workers", 0)
    assert "0 clips made, 1 kept" in again.stdout
    assert "no fault" in run("validate", tmp_path / "store").stdout
    (tmp_path / "store" / "train" / "good_speaker1.wav").write_bytes(b"")
    broken = run("validate", tmp_path / "store")
    assert broken.exit_code == 2
    assert "checksum differs" in broken.stderr


def test_a_place_that_cannot_be_written_is_told_at_once(corpus, tmp_path):
    write_clip(corpus, "good")
    (tmp_path / "file").write_text("x")
    for out in (tmp_path / "file", tmp_path / "file" / "store", Path("/proc/store")):
        result = run("prepare", corpus, "--corpus", "dualtalk", "--out", out, "--workers", 0)
        assert result.exit_code == 2, result.output
        assert result.stderr.count("\n") == 1


def test_ctrl_c_says_how_to_go_on(corpus, tmp_path, monkeypatch):
    write_clip(corpus, "good")

    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("dualtalk.cli.storing.prepare", interrupted)
    result = run("prepare", corpus, "--corpus", "dualtalk", "--out", tmp_path / "store")
    assert result.exit_code == 130
    assert "the same command goes on" in result.stderr
