"""Laws of the synthetic corpus: from a seed, the same files; held-out people, voices and texts; planted causes
that are there; and turns as conversations have them."""

import itertools
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from pyannote.core import Segment, Timeline
from typer.testing import CliRunner

from dualtalk.audio.phonemes import INVENTORY, Phoneme
from dualtalk.audio.turn_statistics import turn_statistics
from dualtalk.audio.turns import turn_table
from dualtalk.cli import app
from dualtalk.errors import InputError, SetupError
from dualtalk.store import open_store, validate_store
from dualtalk.synthesis import add_teacher_motion, synthesize
from dualtalk.synthesis.clips import PEOPLE, Settings, draw_person
from dualtalk.synthesis.dialogue import TOPICS, Writer, said_words
from dualtalk.synthesis.kokoro import AHEAD_S, _varint, draw_name, timed
from dualtalk.synthesis.room_acoustics import Scene, recorded
from dualtalk.synthesis.turn_scheduler import Clock
from dualtalk.synthesis.voices import (
    ARPABET,
    ESPEAK_VARIANTS,
    FLITE_VOICES,
    LEVEL_RMS,
    Utterance,
    Voice,
    missing_synthesisers,
    say,
)

RATE_HZ = 16_000
spoken = pytest.mark.skipif(bool(missing_synthesisers()), reason=f"no {' and no '.join(missing_synthesisers())}")


def tree(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """Ten short conversations: eight to train with, one to validate, one to test."""
    if missing_synthesisers():
        pytest.skip(f"no {' and no '.join(missing_synthesisers())}")
    out = tmp_path_factory.mktemp("synthetic") / "store"
    synthesize(out, hours=10 * 30 / 3600, seed=5, clip_seconds=30, workers=0)
    return open_store(out)


@spoken
def test_the_same_seed_gives_the_same_files_however_many_make_them(tmp_path):
    for workers in (0, 2):
        torch.manual_seed(workers)
        synthesize(tmp_path / str(workers), hours=3 * 10 / 3600, seed=1, clip_seconds=10, workers=workers)
    assert tree(tmp_path / "0") == tree(tmp_path / "2")
    synthesize(tmp_path / "other", hours=10 / 3600, seed=2, clip_seconds=10, workers=0)
    assert tree(tmp_path / "other") != tree(tmp_path / "0")


@spoken
def test_more_hours_add_to_what_is_there(tmp_path):
    synthesize(tmp_path / "store", hours=10 / 3600, clip_seconds=10, workers=0)
    built = synthesize(tmp_path / "store", hours=20 / 3600, clip_seconds=10, workers=0)
    assert (built.made, built.kept) == (1, 1)


def test_the_store_is_sound(store):
    assert validate_store(store.root) == []
    assert store.manifest["split"].value_counts().to_dict() == {"train": 8, "validation": 1, "test": 1}
    assert (store.manifest["seconds"] == 30).all()
    assert (store.manifest["space"] == "open").all()
    for clip in store.manifest["clip"]:
        talk = store.conversation(clip)
        for person in talk.participants:
            assert np.abs(person.audio).max() <= 1
            assert person.motion.valid.all()
            assert person.motion.layout.name == "full62"


def test_no_voice_is_in_two_splits():
    for one, two in itertools.combinations(TOPICS, 2):
        assert not set(FLITE_VOICES[one]) & set(FLITE_VOICES[two])
        assert not set(ESPEAK_VARIANTS[one]) & set(ESPEAK_VARIANTS[two])
        assert not set(TOPICS[one]) & set(TOPICS[two])


def test_no_face_is_in_two_splits():
    settings = Settings(seed=0, clip_seconds=60)
    faces = {
        split: {draw_person(settings, split, number).identity.tobytes() for number in range(count)}
        for split, count in PEOPLE.items()
    }
    assert all(len(faces[split]) == count for split, count in PEOPLE.items())
    for one, two in itertools.combinations(faces, 2):
        assert not faces[one] & faces[two]


def test_a_person_is_the_same_in_every_clip(store):
    seen: dict[str, bytes] = {}
    for row in store.manifest.itertuples():
        talk = store.conversation(row.clip)
        for name, person in ((row.person_a, talk.a), (row.person_b, talk.b)):
            assert seen.setdefault(name, person.motion.identity.tobytes()) == person.motion.identity.tobytes()


def test_no_sentence_about_a_topic_is_in_two_splits():
    def sentences(split: str) -> set[str]:
        writer = Writer(np.random.default_rng(0), split)
        lines = (line.text for _ in range(300) for line in writer.turn().lines)
        return {text for text in lines if len(text) > 35}

    said = {split: sentences(split) for split in TOPICS}
    assert all(len(some) > 200 for some in said.values())
    for one, two in itertools.combinations(said, 2):
        shared = said[one] & said[two]
        assert len(shared) < 0.05 * min(len(said[one]), len(said[two])), shared


def test_people_take_turns_and_sentences_rarely_repeat():
    writer = Writer(np.random.default_rng(1), "train")
    turns = [writer.turn() for _ in range(60)]
    assert all(one.lines[0].person != two.lines[0].person for one, two in itertools.pairwise(turns))
    long = [line.text for turn in turns for line in turn.lines if len(line.text) > 35]
    assert len(set(long)) > 0.95 * len(long)


def list_of_words(folder: Path) -> str:
    path = folder / "words"
    path.write_text("\n".join(["mumble", "bump", "lamp", "USA", "Bob", "it's", "abominations", ""]))
    return str(path)


def test_words_are_strewn_into_sentences_that_make_no_sense(tmp_path):
    """Most sentences are of words of the list and of such as join them; without a list, none is."""
    words = said_words(list_of_words(tmp_path))
    assert words == ("mumble", "bump", "lamp")
    writer, other = (Writer(np.random.default_rng(2), "train", some) for some in (words, ()))
    texts, others = ([line.text for _ in range(200) for line in one.turn().lines] for one in (writer, other))
    of_the_list = [text for text in texts if set(text.lower().strip(".?").split()) & set(words)]
    assert 0.4 < len(of_the_list) / len(texts) < 0.7
    assert all(text[0].isupper() and text[-1] in ".?" for text in of_the_list)
    assert not any(set(text.lower().strip(".?").split()) & {"mumble", "bump"} for text in others)


@spoken
def test_words_and_pace_change_what_is_trained_on(tmp_path):
    """Words are for the training split only; a pace is everybody's, and kept with what the store was made by."""
    words = list_of_words(tmp_path)
    synthesize(tmp_path / "store", hours=3 * 10 / 3600, clip_seconds=10, workers=0, words=words, pace=1.4)
    store = open_store(tmp_path / "store")
    assert (store.metadata["generator"]["words"], store.metadata["generator"]["pace"]) == ("words", 1.4)
    for row in store.manifest.itertuples():
        text = " ".join(line[3] for line in store.details(row.clip)["provenance"]["lines"]).lower()
        assert ("mumble" in text or "bump" in text) == (row.split == "train")
    slow, fast = (draw_person(Settings(0, 60, pace=pace), "train", 7).voice for pace in (1.0, 1.4))
    assert fast.pace == pytest.approx(1.4 * slow.pace, abs=0.001)
    text = "The lamp by the window is mine."
    assert say([(fast, text)])[0].duration_s < 0.85 * say([(slow, text)])[0].duration_s


def test_sound_is_where_the_phonemes_are(store):
    """Frames with a phoneme are far louder than frames without one, for both people of every clip."""
    for clip in store.manifest["clip"]:
        talk = store.conversation(clip)
        for label, person in zip("ab", talk.participants, strict=True):
            sounds = store.details(clip)["phonemes"][label]
            assert {ipa for ipa, _, _ in sounds} <= INVENTORY
            starts = [start for _, start, _ in sounds]
            assert starts == sorted(starts)
            inside = np.zeros(talk.frames, bool)
            for _, start_s, end_s in sounds:
                inside[int(start_s * 25) : int(np.ceil(end_s * 25))] = True
            power = np.square(person.audio.reshape(-1, 640)).mean(axis=1)
            other = talk.b if person is talk.a else talk.a
            quiet = ~inside & ~other.speaking(talk.frames)
            assert 10 * np.log10(np.median(power[inside]) / np.median(power[quiet])) > 10


def test_planted_events_answer_what_they_say(store):
    events = store.events
    assert {"phrase_end", "partner_smile", "own_phrase_end"} <= set(events["cause"])
    for clip, some in events.groupby("clip"):
        talk = store.conversation(clip)
        speaking = {
            label: person.speaking(talk.frames) for label, person in zip("ab", talk.participants, strict=True)
        }
        for event in some[some["cause"] == "phrase_end"].itertuples():
            partner = speaking["b" if event.person == "a" else "a"]
            before = partner[max(event.cause_frame - 3, 0) : event.cause_frame]
            assert before.any()
            assert 2 <= event.frame - event.cause_frame <= 12


def test_nods_are_where_they_were_planted(store):
    """The head pitches more in the second after a planted nod than elsewhere."""
    moved, still = [], []
    for clip, some in store.events[store.events["kind"] == "nod"].groupby("clip"):
        talk = store.conversation(clip)
        for label, person in zip("ab", talk.participants, strict=True):
            speed = np.abs(np.diff(person.motion.head_rotvec_rad[:, 0]))
            nodding = np.zeros(len(speed), bool)
            for frame in some[some["person"] == label]["frame"]:
                nodding[frame : frame + 20] = True
            listening = ~person.speaking(talk.frames)[1:]
            moved += speed[nodding & listening].tolist()
            still += speed[~nodding & listening].tolist()
    assert np.mean(moved) > 2 * np.mean(still)


def silent_talk(rng: np.random.Generator, seconds: float) -> pd.DataFrame:
    """Turns of a dialogue that is timed but never spoken."""
    writer, clock = Writer(rng, "train"), Clock(rng)
    while clock.end_s < seconds:
        turn = writer.turn()
        said = {}
        for line in turn.all_lines:
            duration_s = max(len(line.text) / 14, 0.3)
            audio = np.zeros(round(duration_s * RATE_HZ), np.float32)
            said[line] = Utterance(audio, (Phoneme("a", 0.0, duration_s),))
        clock.place(turn, said)
    own = [[one for one in clock.placed if one.line.person == person] for person in (0, 1)]
    speech = [Timeline([Segment(one.start_s, one.speech_end_s) for one in some]) for some in own]
    return turn_table(*speech, seconds)


def test_turns_are_timed_as_in_conversations():
    """Three hours of turns: offsets, pauses and overlaps near the published ones."""
    rng = np.random.default_rng(0)
    found = turn_statistics(pd.concat([silent_talk(rng, 600.0) for _ in range(18)]), 18 * 600.0)
    assert abs(found.offset_mode_s - 0.2) < 0.1
    assert 0.28 < found.overlapped < 0.42
    assert 0.44 < found.within_200ms < 0.6
    assert 0.7 < found.within_500ms < 0.86
    assert 0.01 < found.overlap_share < 0.05
    assert 4 < found.backchannels_per_minute < 7.5
    assert 0.25 < found.pause_median_s < 0.55


@spoken
@pytest.mark.parametrize(
    "voice", [Voice("flite", "slt", tract=1.1, pace=1.2), Voice("espeak-ng", "en-us+f2"), Voice("flite", "kal16")]
)
def test_a_voice_says_the_phonemes_of_a_text(voice):
    (said,) = say([(voice, "My papa bought a map.")])
    heard = "".join(sound.ipa for sound in said.phonemes)
    assert [sound for sound in heard if sound in "mpb"] == list("mppbmp")
    assert 1 < said.duration_s < 2.5
    assert all(one.end_s <= two.start_s + 1e-6 for one, two in itertools.pairwise(said.phonemes))
    assert said.phonemes[-1].end_s <= said.duration_s
    spans = np.concatenate([said.audio[int(s.start * RATE_HZ) : int(s.end * RATE_HZ)] for s in said.speech])
    assert np.sqrt(np.mean(spans**2)) == pytest.approx(LEVEL_RMS, rel=0.05)


@spoken
def test_pace_and_tract_change_what_they_should():
    def said(**changes) -> Utterance:
        return say([(Voice("flite", "rms", **changes), "The river was very long and the boat was small.")])[0]

    def spectrum(utterance: Utterance) -> np.ndarray:
        """Mean log power, smooth, at frequencies whose logarithms are evenly spaced, 1 % apart."""
        windows = np.lib.stride_tricks.sliding_window_view(utterance.audio, 512)[::128] * np.hanning(512)
        power = np.square(np.abs(np.fft.rfft(windows))).mean(axis=0)
        wanted_hz = 300 * 1.01 ** np.arange(280)
        return np.log(np.interp(wanted_hz, np.fft.rfftfreq(512, 1 / RATE_HZ), power))

    plain, longer = said(), said(tract=1.12)
    assert said(pace=1.25).duration_s == pytest.approx(plain.duration_s / 1.25, rel=0.06)
    assert longer.duration_s == pytest.approx(plain.duration_s, rel=0.06)
    low, high = spectrum(plain)[:240], spectrum(longer)
    shifts = [np.corrcoef(low, high[shift : shift + 240])[0, 1] for shift in range(30)]
    assert 1.01 ** int(np.argmax(shifts)) == pytest.approx(1.12, abs=0.03)


def test_arpabet_maps_into_the_inventory():
    assert set(ARPABET.values()) <= INVENTORY
    assert len(ARPABET) == 41


def test_a_room_keeps_time_and_lets_the_other_be_heard():
    rng = np.random.default_rng(0)
    voices = np.zeros((2, RATE_HZ * 4), np.float32)
    voices[0, 8000:24000] = 0.1 * rng.standard_normal(16000)
    voices[1, 40000:56000] = 0.1 * rng.standard_normal(16000)
    for together in (True, False):
        scene = Scene(together, (0.3, 0.3), (0.3, 0.3), (-25.0, -25.0), (-60.0, -60.0))
        heard = recorded(voices, 0.1, scene, np.random.default_rng(1))
        for index, own in enumerate(heard):
            lag = np.correlate(own[:60000], voices[index, 100:59900], "valid").argmax() - 100
            assert abs(lag) <= 1
        quiet, loud = heard[0][40000:56000], heard[0][8000:24000]
        leak_db = 20 * np.log10(quiet.std() / loud.std())
        assert -30 < leak_db < -3 if together else leak_db < -45


@spoken
def test_real_audio_gets_teacher_motion(tmp_path):
    synthesize(tmp_path / "source", hours=20 / 3600, clip_seconds=10, workers=0)
    add_teacher_motion(tmp_path / "source", tmp_path / "taught", seed=1, workers=0)
    source, taught = open_store(tmp_path / "source"), open_store(tmp_path / "taught")
    assert validate_store(taught.root) == []
    assert taught.manifest["split"].tolist() == source.manifest["split"].tolist()
    for clip in source.manifest["clip"]:
        before, after = source.conversation(clip), taught.conversation(clip)
        assert np.array_equal(before.a.audio, after.a.audio)
        assert not np.array_equal(before.a.motion.coefficients, after.a.motion.coefficients)
    assert len(taught.events)
    with pytest.raises(InputError, match="is the store that the audio is read from"):
        add_teacher_motion(source.root, source.root)


def run(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--hours", "0"], "0 hours came; wanted more than none"),
        (["--hours", "-1"], "-1 hours came"),
        (["--hours", "nan"], "nan hours came"),
        ([], "wanted either --hours, or --animate"),
        (["--hours", "1", "--animate", "x"], "wanted either --hours, or --animate"),
        (["--animate", "nowhere"], "no store at nowhere"),
        (
            ["--animate", "x", "--speech-rate", "1.2"],
            "--speech-rate applies to generated speech; --animate keeps the audio of the store",
        ),
        (["--animate", "x", "--vocabulary", "y"], "--vocabulary applies to generated speech"),
        (["--hours", "1", "--piper-voice", "joe.onnx"], "no piper voice at joe.onnx"),
        (["--hours", "1", "--kokoro-dir", "nowhere"], "nowhere is no folder of Kokoro's"),
        (["--hours", "1", "--vocabulary", "nowhere"], "nowhere cannot be read as a list of words"),
        (
            ["--hours", "1", "--vocabulary", os.devnull],
            "/dev/null has no word of up to 9 small letters; wanted one a line",
        ),
        (["--hours", "1", "--speech-rate", "3"], "a pace of 3; wanted 0.5 to 2 times as fast"),
    ],
)
def test_what_cannot_be_made_is_told_in_one_line(tmp_path, monkeypatch, arguments, said):
    monkeypatch.setattr("dualtalk.synthesis.corpus.missing_synthesisers", list)
    result = run("synthesize", *arguments, "--out", tmp_path / "store")
    assert result.exit_code == 2
    assert said in result.stderr
    assert result.stderr.count("\n") == 1
    assert not (tmp_path / "store").exists()


def test_missing_synthesisers_are_named(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SetupError, match="flite and espeak-ng not found; sudo apt-get install flite espeak-ng"):
        synthesize(tmp_path / "store", hours=1.0)


def test_kokoro_is_timed_by_its_durations():
    """Stress goes to the phoneme after it, length to that before; a space is shared; a comma is silent."""
    sounds = timed("ˈmIː bO, pə", [0.1, 0.15, 0.2, 0.3, 0.35, 0.45, 0.5, 0.6, 0.9, 0.95, 1.0, 1.1])
    assert [sound.ipa for sound in sounds] == ["m", "aɪ", "b", "oʊ", "p", "ə"]
    edges = np.array([(sound.start_s, sound.end_s) for sound in sounds]) + AHEAD_S
    wanted = [(0.1, 0.2), (0.2, 0.4), (0.4, 0.5), (0.5, 0.6), (0.95, 1.0), (1.0, 1.1)]
    assert np.allclose(edges, wanted)
    assert INVENTORY.issuperset(sound.ipa for sound in sounds)


def test_kokoro_draws_english_voices_of_its_folder(tmp_path):
    (tmp_path / "voices").mkdir()
    for name in ("af_one", "bm_two", "jf_three"):
        (tmp_path / "voices" / f"{name}.bin").touch()
    with pytest.raises(InputError, match=r"no folder of Kokoro's \(model.onnx, config.json\)"):
        draw_name(np.random.default_rng(0), str(tmp_path))
    for name in ("model.onnx", "config.json"):
        (tmp_path / name).touch()
    recipes = {draw_name(np.random.default_rng(seed), str(tmp_path)) for seed in range(20)}
    assert len(recipes) > 10
    for recipe in recipes:
        shares = [part.split() for part in recipe.split(" + ")]
        assert sorted(speaker for _, speaker in shares) == ["af_one", "bm_two"]
        assert sum(float(share) for share, _ in shares) == pytest.approx(1)
    people = [draw_person(Settings(0, 60, kokoro=str(tmp_path)), split, 0) for split in ("validation", "test")]
    assert all(person.voice.engine != "kokoro" for person in people)


@pytest.mark.parametrize(("number", "bytes_"), [(1, b"\x01"), (127, b"\x7f"), (300, b"\xac\x02")])
def test_lengths_are_written_as_protocol_buffers_have_them(number, bytes_):
    """300 is the example of the format's own documentation."""
    assert _varint(number) == bytes_
