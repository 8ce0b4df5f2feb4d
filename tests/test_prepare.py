"""From a corpus to a store: valid data is unchanged, invalid data is rejected, and a killed run resumes."""

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
from dualtalk.corpora.corpus import Clip
from dualtalk.errors import InputError
from dualtalk.preprocess.checks import check_motion
from dualtalk.preprocess.prepare import prepare
from dualtalk.preprocess.splits import split_clips
from dualtalk.store import open_store, validate_store
from dualtalk.store.schema import REJECTED

RATE_HZ, FRAMES = 16_000, 100


def arrays(frames: int = FRAMES, seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    head, jaw = 0.05 * rng.standard_normal((frames, 3)), [0.05, 0.005, 0.005] * rng.random((frames, 3))
    exp = rng.standard_normal((frames, 50)).astype(np.float32)
    return {"exp": exp, "pose": np.hstack([head, jaw]).astype(np.float32)}


def sound(seconds: float = FRAMES / 25, seed: int = 0) -> np.ndarray:
    return (0.1 * np.random.default_rng(seed).standard_normal(round(seconds * RATE_HZ))).astype(np.float32)


def write_clip(folder: Path, name: str, *, motion: dict | None = None, audio: np.ndarray | None = None) -> None:
    """A clip in the published layout; `motion` and `audio`, if given, replace those of speaker 1."""
    folder.mkdir(parents=True, exist_ok=True)
    for speaker in (1, 2):
        own = audio if speaker == 1 and audio is not None else sound(seed=speaker)
        soundfile.write(folder / f"{name}_speaker{speaker}.wav", own, RATE_HZ, subtype="FLOAT")
        own_motion = motion if speaker == 1 and motion is not None else arrays(seed=speaker)
        np.savez(folder / f"{name}_speaker{speaker}.npz", **own_motion)


@pytest.fixture
def corpus(tmp_path) -> Path:
    return tmp_path / "corpus"


def reasons(corpus: Path, out: Path) -> dict[str, str]:
    """Prepare the corpus with one valid clip added; return why each other clip was rejected."""
    write_clip(corpus, "good")
    prepare(corpus, "dualtalk", out, workers=0)
    assert open_store(out).manifest["clip"].tolist() == ["good"]
    assert validate_store(out) == []
    return pd.read_csv(out / REJECTED).set_index("clip")["reason"].to_dict()


def test_arrays_of_a_published_clip_are_unchanged(two_person_wave, corpus, tmp_path):
    """Speech of 748.8 frames with motion of 750 and no motion of the partner, as in published clips."""
    speech = soundfile.read(two_person_wave, dtype="float32")[0][: round(748.8 * 640)]
    write_clip(corpus, "clip", motion=arrays(750) | {"cam": arrays(750)["exp"][:, :3]}, audio=speech)
    soundfile.write(corpus / "clip_speaker2.wav", speech[::-1], RATE_HZ, subtype="FLOAT")
    (corpus / "clip_speaker2.npz").unlink()
    prepare(corpus, "dualtalk", tmp_path / "store", workers=0)
    store = open_store(tmp_path / "store")
    (row,) = store.manifest.itertuples()
    before, after = np.load(corpus / "clip_speaker1.npz"), np.load(store.root / row.split / "clip_speaker1.npz")
    for key in before.files:
        assert np.array_equal(after[key], before[key][: row.frames])
        assert after[key].dtype == before[key].dtype
    for person, audio in zip(store.conversation("clip").participants, (speech, speech[::-1]), strict=True):
        assert np.array_equal(person.audio, audio[: row.frames * 640])
    assert row.frames == 748
    assert row.av_offset_a_ms == 48.0
    assert (row.layout_a, row.layout_b) == ("dualtalk56", "")
    assert "speaker2 has no motion" in row.notes
    assert row.speech_a > 0.2


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda a: a | {"pose": np.degrees(a["pose"]) + 10}, "were degrees passed?"),
        (lambda a: a | {"pose": a["pose"][:, [3, 4, 5, 0, 1, 2]]}, "are they swapped"),
        (lambda a: a | {"exp": a["exp"][:, :40]}, r"exp has shape (100, 40); wanted (T, 50 or more)"),
        (lambda a: a | {"pose": a["pose"][:, :3]}, r"pose has shape (100, 3); wanted (100, 6)"),
        (lambda a: a | {"exp": a["exp"][:-1]}, r"pose has shape (100, 6); wanted (99, 6)"),
        (lambda a: a | {"exp": a["exp"].astype("U8")}, "exp has dtype <U8; wanted numbers"),
        (lambda a: a | {"exp": 100 * a["exp"]}, "wanted coefficients of about unit variance"),
        (lambda a: {"expression": a["exp"]}, "no array exp; the arrays are expression"),
        (lambda a: a | {"exp": np.array([{}] * FRAMES, object)}, "not a readable npz of plain arrays"),
        (
            lambda a: arrays(FRAMES + 4),
            "a difference of 160 ms; wanted at most 80 ms: are they from the same clip?",
        ),
        (lambda a: arrays(0), "wanted (T, 50 or more)"),
    ],
)
def test_invalid_motion_is_rejected(corpus, tmp_path, spoil, message):
    write_clip(corpus, "bad", motion=spoil(arrays()))
    assert message in reasons(corpus, tmp_path / "store")["bad"]


def test_unreadable_files_are_rejected(corpus, tmp_path):
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


def test_duplicate_clip_names_are_rejected(corpus, tmp_path):
    write_clip(corpus / "train", "twin")
    write_clip(corpus / "test", "twin")
    write_clip(corpus / "train", "good")
    prepare(corpus, "dualtalk", tmp_path / "store", workers=0)
    found = pd.read_csv(tmp_path / "store" / REJECTED)
    assert found.to_numpy().tolist() == [["twin", "the corpus has 2 clips of this name"]]


def test_nan_frames_become_invalid_and_are_interpolated(corpus, tmp_path):
    holed = arrays()
    holed["exp"][10:13, 4] = np.nan
    holed["pose"][99] = np.inf
    write_clip(corpus, "holed", motion=holed)
    prepare(corpus, "dualtalk", tmp_path / "store", workers=0)
    store = open_store(tmp_path / "store")
    motion = store.conversation("holed").a.motion
    assert np.flatnonzero(~motion.valid).tolist() == [10, 11, 12, 99]
    before, after = motion.coefficients[[9, 13]]
    np.testing.assert_allclose(motion.expression[11], (before[:50] + after[:50]) / 2, atol=1e-6)
    np.testing.assert_allclose(motion.coefficients[99], motion.coefficients[98], atol=1e-6)
    assert np.array_equal(motion.expression[motion.valid], holed["exp"][motion.valid])
    assert "4 of 100 frames are invalid" in store.manifest.iloc[0]["notes"]


def test_motion_of_nan_only_is_absent(corpus, tmp_path):
    write_clip(corpus, "gone", motion={key: np.full_like(array, np.nan) for key, array in arrays().items()})
    prepare(corpus, "dualtalk", tmp_path / "store", workers=0)
    row = open_store(tmp_path / "store").manifest.iloc[0]
    assert (row["layout_a"], row["layout_b"]) == ("", "dualtalk56")
    assert "no frame of the motion is valid" in row["notes"]


def test_double_precision_is_converted_and_noted(corpus, tmp_path):
    write_clip(corpus, "double", motion={key: array.astype(np.float64) for key, array in arrays().items()})
    prepare(corpus, "dualtalk", tmp_path / "store", workers=0)
    store = open_store(tmp_path / "store")
    assert "exp was float64, now float32" in store.manifest.iloc[0]["notes"]
    assert np.array_equal(store.conversation("double").a.motion.expression, arrays()["exp"])


@pytest.mark.parametrize("extra_frames", [-2, -1, 0, 1, 2])
def test_a_difference_of_up_to_two_frames_is_trimmed_and_reported(corpus, tmp_path, extra_frames):
    write_clip(corpus, "drifting", motion=arrays(FRAMES + extra_frames))
    prepare(corpus, "dualtalk", tmp_path / "store", workers=0)
    row = open_store(tmp_path / "store").manifest.iloc[0]
    assert row["av_offset_a_ms"] == 40 * extra_frames
    assert row["av_offset_b_ms"] == 0
    assert row["frames"] == FRAMES + min(extra_frames, 0)


def test_motion_at_another_frame_rate_keeps_its_speed():
    """A head that turns at a constant rate turns at the same rate after resampling."""
    frames = 60
    turning = np.zeros((frames, 6), np.float32)
    turning[:, 1] = 0.3 * (np.arange(frames) + 0.5) / 30
    checked = check_motion({"exp": np.zeros((frames, 50), np.float32), "pose": turning}, 30.0, "flame")
    motion = checked.motion
    assert motion is not None
    assert motion.frames == 50
    expected = 0.3 * (np.arange(50) + 0.5) / 25
    assert np.allclose(motion.head_rotvec_rad[1:-1, 1], expected[1:-1], atol=1e-5)
    assert checked.notes == ["resampled from 30 frames a second"]


def test_crosstalk_is_reported(corpus, tmp_path, two_person_wave):
    """Two turns of real speech; the first channel also records the second person at half the amplitude."""
    speech = soundfile.read(two_person_wave, dtype="float32")[0]
    one, two = (np.zeros(200 * 640, np.float32) for _ in "ab")
    one[: 90 * 640] = speech[11 * RATE_HZ :][: 90 * 640]
    two[100 * 640 :] = speech[22 * RATE_HZ :][: 100 * 640]
    write_clip(corpus, "leaking")
    for speaker, audio in ((1, one + 0.5 * two), (2, two)):
        soundfile.write(corpus / f"leaking_speaker{speaker}.wav", audio, RATE_HZ, subtype="FLOAT")
        np.savez(corpus / f"leaking_speaker{speaker}.npz", **arrays(200))
    prepare(corpus, "dualtalk", tmp_path / "store", workers=0)
    row = open_store(tmp_path / "store").manifest.iloc[0]
    assert row["crosstalk_a_db"] == pytest.approx(-6, abs=1.5)
    assert row["crosstalk_b_db"] < -15
    assert "speaker1's channel has crosstalk" in row["notes"]


def test_names_in_any_script(corpus, tmp_path):
    write_clip(corpus, "разговор_会話")
    out = tmp_path / "außen"
    prepare(corpus, "dualtalk", out, workers=0)
    store = open_store(out)
    assert store.conversation("разговор_会話").frames == FRAMES
    assert validate_store(out) == []


clips = st.lists(
    st.tuples(st.integers(0, 12), st.integers(0, 12), st.integers(0, 8), st.sampled_from(["", "train", "test"])),
    min_size=1,
    max_size=40,
)


@given(clips, st.sampled_from(["official", "speaker-disjoint"]))
def test_no_person_and_no_session_is_in_two_splits(entries, splits):
    index = [
        Clip(f"clip{number}", f"session{session}", (f"person{a}", f"other{b}"), split)
        for number, (a, b, session, split) in enumerate(entries)
    ]
    found = split_clips(index, splits=splits)
    assert set(found) == {clip.name for clip in index}
    assert found == split_clips(index[::-1], splits=splits)
    if splits == "official":
        assert all(found[clip.name] == "test" for clip in index if clip.split == "test")
    where: dict[str, set] = {}
    for clip in index:
        for name in (*clip.person_ids, clip.session):
            where.setdefault(name, set()).add(found[clip.name])
    official_test = {name for clip in index if clip.split == "test" for name in (*clip.person_ids, clip.session)}
    for name, used in where.items():
        # Only an official test split can share people with training: it is kept, and `validate` reports it.
        assert len(used) == 1 or (splits == "official" and name in official_test and used == {"train", "test"})


def test_a_corpus_without_splits_gets_all_three():
    index = [Clip(f"clip{n}", f"session{n}", (f"a{n}", f"b{n}")) for n in range(50)]
    counts = pd.Series(split_clips(index)).value_counts()
    assert counts.to_dict() == {"train": 40, "validation": 5, "test": 5}


def test_a_missing_validation_split_is_taken_from_training():
    index = [Clip(f"c{n}", f"s{n}", (f"a{n}", f"b{n}"), "test" if n < 10 else "train") for n in range(50)]
    counts = pd.Series(split_clips(index)).value_counts()
    assert counts.to_dict() == {"train": 36, "test": 10, "validation": 4}


def test_a_store_inside_its_corpus_is_refused(corpus):
    write_clip(corpus, "good")
    with pytest.raises(InputError, match="is inside"):
        prepare(corpus, "dualtalk", corpus / "store", workers=0)


def tree(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}


def test_a_run_killed_three_times_gives_the_same_bytes(corpus, tmp_path):
    for number in range(60):
        write_clip(corpus, f"clip{number:02d}", motion=arrays(seed=number))

    def prepared(out: Path, *, until: int | None = None) -> int:
        """Run the command, kill it once `until` clips are complete, and return how many are."""
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
    ("arguments", "message"),
    [
        (["--corpus", "duotalk"], "unknown corpus 'duotalk'; available: dualtalk_corpus, seamless"),
        (["--corpus", "recordings"], "has no sound files"),
        (["--corpus", "dualtalk"], "has no <clip>_speaker1.wav"),
    ],
)
def test_the_command_line_reports_errors_in_one_line(tmp_path, arguments, message):
    (tmp_path / "empty").mkdir()
    result = run("prepare", tmp_path / "empty", *arguments, "--out", tmp_path / "store")
    assert result.exit_code == 2
    assert result.stderr.startswith("dualtalk: ")
    assert result.stderr.count("\n") == 1
    assert message in result.stderr
    assert not (tmp_path / "store").exists()


def test_the_command_line_summarizes_the_store(corpus, tmp_path):
    write_clip(corpus, "good")
    write_clip(corpus, "bad", motion={"exp": arrays()["exp"]})
    result = run("prepare", corpus, "--corpus", "dualtalk", "--out", tmp_path / "store", "--workers", 0)
    assert result.exit_code == 0, result.output
    assert "1 clips made, 0 kept" in result.stdout
    assert "1 left out, listed in" in result.stdout
    assert "no array pose" in result.stdout
    assert "validated: no errors" in result.stdout
    again = run("prepare", corpus, "--corpus", "dualtalk", "--out", tmp_path / "store", "--workers", 0)
    assert "0 clips made, 1 kept" in again.stdout
    assert "no errors" in run("validate", tmp_path / "store").stdout
    (tmp_path / "store" / "train" / "good_speaker1.wav").write_bytes(b"")
    broken = run("validate", tmp_path / "store")
    assert broken.exit_code == 2
    assert "checksum differs" in broken.stderr


def test_an_unwritable_output_folder_is_refused(corpus, tmp_path):
    write_clip(corpus, "good")
    (tmp_path / "file").write_text("x")
    for out in (tmp_path / "file", tmp_path / "file" / "store", Path("/proc/store")):
        result = run("prepare", corpus, "--corpus", "dualtalk", "--out", out, "--workers", 0)
        assert result.exit_code == 2, result.output
        assert result.stderr.count("\n") == 1


def test_ctrl_c_says_how_to_resume(corpus, tmp_path, monkeypatch):
    write_clip(corpus, "good")

    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("dualtalk.preprocess.prepare.prepare", interrupted)
    result = run("prepare", corpus, "--corpus", "dualtalk", "--out", tmp_path / "store")
    assert result.exit_code == 130
    assert "the same command resumes" in result.stderr
