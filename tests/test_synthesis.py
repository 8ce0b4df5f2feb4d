"""Laws of the synthetic corpus: the same seed gives the same files; people, voices and texts are held out; the
injected ground-truth events are in the motion; and turn timing matches measured conversations."""

import itertools
import os
from pathlib import Path

import numpy as np
import onnx
import pandas as pd
import pytest
import torch
from onnx.reference import ReferenceEvaluator
from pyannote.core import Segment, Timeline
from typer.testing import CliRunner

from dualtalk.audio.phonemes import ARPABET, INVENTORY, Phoneme
from dualtalk.audio.turn_statistics import turn_statistics
from dualtalk.audio.turns import turn_table
from dualtalk.cli import app
from dualtalk.errors import InputError, SetupError
from dualtalk.head import load_head
from dualtalk.store import open_store, validate_store
from dualtalk.synthesis import synthesize
from dualtalk.synthesis.clips import PEOPLE, SynthesisConfig, draw_person
from dualtalk.synthesis.dialogue import TOPICS, DialogueWriter, read_vocabulary
from dualtalk.synthesis.kokoro import TIMING_OFFSET_S, add_output, draw_voice_mixture, phoneme_times
from dualtalk.synthesis.room_acoustics import RecordingSetup, simulate_recording
from dualtalk.synthesis.turn_scheduler import TurnScheduler
from dualtalk.synthesis.voices import (
    ESPEAK_VARIANTS,
    FLITE_VOICES,
    LEVEL_RMS,
    SpeakerVoice,
    SpokenLine,
    missing_synthesisers,
    synthesize_speech,
)

RATE_HZ = 16_000
needs_synthesisers = pytest.mark.skipif(
    bool(missing_synthesisers()), reason=f"no {' and no '.join(missing_synthesisers())}"
)


def tree(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """Ten short conversations: eight for training, one for validation, one for test."""
    if missing_synthesisers():
        pytest.skip(f"no {' and no '.join(missing_synthesisers())}")
    out = tmp_path_factory.mktemp("synthetic") / "store"
    synthesize(out, hours=10 * 30 / 3600, seed=5, clip_seconds=30, workers=0)
    return open_store(out)


@needs_synthesisers
def test_the_same_seed_gives_the_same_files_for_any_number_of_workers(tmp_path):
    for workers in (0, 2):
        torch.manual_seed(workers)
        synthesize(tmp_path / str(workers), hours=3 * 10 / 3600, seed=1, clip_seconds=10, workers=workers)
    assert tree(tmp_path / "0") == tree(tmp_path / "2")
    synthesize(tmp_path / "other", hours=10 / 3600, seed=2, clip_seconds=10, workers=0)
    assert tree(tmp_path / "other") != tree(tmp_path / "0")


@needs_synthesisers
def test_more_hours_extend_a_store(tmp_path):
    synthesize(tmp_path / "store", hours=10 / 3600, clip_seconds=10, workers=0)
    built = synthesize(tmp_path / "store", hours=20 / 3600, clip_seconds=10, workers=0)
    assert (built.made, built.kept) == (1, 1)


def test_the_store_is_valid(store):
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
    config = SynthesisConfig(seed=0, clip_seconds=60)
    faces = {
        split: {draw_person(config, split, number).identity.tobytes() for number in range(count)}
        for split, count in PEOPLE.items()
    }
    assert all(len(faces[split]) == count for split, count in PEOPLE.items())
    for one, two in itertools.combinations(faces, 2):
        assert not faces[one] & faces[two]


def test_a_person_is_the_same_in_every_clip(store):
    identities: dict[str, bytes] = {}
    for row in store.manifest.itertuples():
        talk = store.conversation(row.clip)
        for name, person in ((row.person_a, talk.a), (row.person_b, talk.b)):
            assert (
                identities.setdefault(name, person.motion.identity.tobytes()) == person.motion.identity.tobytes()
            )


def test_no_sentence_about_a_topic_is_in_two_splits():
    def sentences(split: str) -> set[str]:
        writer = DialogueWriter(np.random.default_rng(0), split)
        lines = (line.text for _ in range(300) for line in writer.turn().lines)
        return {text for text in lines if len(text) > 35}

    texts = {split: sentences(split) for split in TOPICS}
    assert all(len(some) > 200 for some in texts.values())
    for one, two in itertools.combinations(texts, 2):
        shared = texts[one] & texts[two]
        assert len(shared) < 0.05 * min(len(texts[one]), len(texts[two])), shared


def test_speakers_alternate_and_sentences_rarely_repeat():
    writer = DialogueWriter(np.random.default_rng(1), "train")
    turns = [writer.turn() for _ in range(60)]
    assert all(one.lines[0].person != two.lines[0].person for one, two in itertools.pairwise(turns))
    long = [line.text for turn in turns for line in turn.lines if len(line.text) > 35]
    assert len(set(long)) > 0.95 * len(long)


def word_list(folder: Path) -> str:
    path = folder / "words"
    path.write_text("\n".join(["mumble", "bump", "lamp", "USA", "Bob", "it's", "abominations", ""]))
    return str(path)


def test_a_vocabulary_adds_nonsense_sentences(tmp_path):
    """Most sentences consist of words of the list and of function words; without a list, none does."""
    words = read_vocabulary(word_list(tmp_path))
    assert words == ("mumble", "bump", "lamp")
    writer, other = (DialogueWriter(np.random.default_rng(2), "train", some) for some in (words, ()))
    texts, others = ([line.text for _ in range(200) for line in one.turn().lines] for one in (writer, other))
    of_the_list = [text for text in texts if set(text.lower().strip(".?").split()) & set(words)]
    assert 0.4 < len(of_the_list) / len(texts) < 0.7
    assert all(text[0].isupper() and text[-1] in ".?" for text in of_the_list)
    assert not any(set(text.lower().strip(".?").split()) & {"mumble", "bump"} for text in others)


@needs_synthesisers
def test_vocabulary_and_speech_rate_change_the_corpus(tmp_path):
    """The vocabulary applies to the training split only, the speech rate to everybody; both are recorded."""
    words = word_list(tmp_path)
    synthesize(
        tmp_path / "store", hours=3 * 10 / 3600, clip_seconds=10, workers=0, vocabulary=words, speech_rate=1.4
    )
    store = open_store(tmp_path / "store")
    assert (store.metadata["generator"]["vocabulary"], store.metadata["generator"]["speech_rate"]) == (
        "words",
        1.4,
    )
    for row in store.manifest.itertuples():
        text = " ".join(line[3] for line in store.details(row.clip)["provenance"]["lines"]).lower()
        assert ("mumble" in text or "bump" in text) == (row.split == "train")
    slow, fast = (draw_person(SynthesisConfig(0, 60, speech_rate=rate), "train", 7).voice for rate in (1.0, 1.4))
    assert fast.speech_rate == pytest.approx(1.4 * slow.speech_rate, abs=0.001)
    text = "The lamp by the window is mine."
    spoken = synthesize_speech([(fast, text), (slow, text)])
    assert spoken[0].duration_s < 0.85 * spoken[1].duration_s


def test_phoneme_times_match_the_audio(store):
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


def test_injected_events_follow_their_cause(store):
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


def test_injected_nods_are_in_the_motion(store):
    """The head's pitch changes more after the start of an injected nod than elsewhere."""
    during, elsewhere = [], []
    for clip, some in store.events[store.events["kind"] == "nod"].groupby("clip"):
        talk = store.conversation(clip)
        for label, person in zip("ab", talk.participants, strict=True):
            speed = np.abs(np.diff(person.motion.head_rotvec_rad[:, 0]))
            nodding = np.zeros(len(speed), bool)
            for frame in some[some["person"] == label]["frame"]:
                nodding[frame : frame + 20] = True
            listening = ~person.speaking(talk.frames)[1:]
            during += speed[nodding & listening].tolist()
            elsewhere += speed[~nodding & listening].tolist()
    assert np.mean(during) > 2 * np.mean(elsewhere)


def turns_without_speech(rng: np.random.Generator, seconds: float) -> pd.DataFrame:
    """Turn table of a scheduled dialogue whose lines are silence of a plausible duration."""
    writer, scheduler = DialogueWriter(rng, "train"), TurnScheduler(rng)
    while scheduler.end_s < seconds:
        turn = writer.turn()
        speech = {}
        for line in turn.all_lines:
            duration_s = max(len(line.text) / 14, 0.3)
            audio = np.zeros(round(duration_s * RATE_HZ), np.float32)
            speech[line] = SpokenLine(audio, (Phoneme("a", 0.0, duration_s),))
        scheduler.schedule(turn, speech)
    own = [[one for one in scheduler.scheduled if one.line.person == person] for person in (0, 1)]
    segments = [Timeline([Segment(one.start_s, one.speech_end_s) for one in some]) for some in own]
    return turn_table(*segments, seconds)


def test_turn_timing_matches_published_statistics():
    """Offsets, pauses and overlaps of three hours of turns are near the published ones."""
    rng = np.random.default_rng(0)
    found = turn_statistics(pd.concat([turns_without_speech(rng, 600.0) for _ in range(18)]), 18 * 600.0)
    assert abs(found.offset_mode_s - 0.2) < 0.1
    assert 0.28 < found.overlapped < 0.42
    assert 0.44 < found.within_200ms < 0.6
    assert 0.7 < found.within_500ms < 0.86
    assert 0.01 < found.overlap_share < 0.05
    assert 4 < found.backchannels_per_minute < 7.5
    assert 0.25 < found.pause_median_s < 0.55


@needs_synthesisers
@pytest.mark.parametrize(
    "voice",
    [
        SpeakerVoice("flite", "slt", formant_scale=1.1, speech_rate=1.2),
        SpeakerVoice("espeak-ng", "en-us+f2"),
        SpeakerVoice("flite", "kal16"),
    ],
)
def test_speech_has_the_phonemes_of_its_text(voice):
    (spoken,) = synthesize_speech([(voice, "My papa bought a map.")])
    symbols = "".join(phoneme.ipa for phoneme in spoken.phonemes)
    assert [symbol for symbol in symbols if symbol in "mpb"] == list("mppbmp")
    assert 1 < spoken.duration_s < 2.5
    assert all(one.end_s <= two.start_s + 1e-6 for one, two in itertools.pairwise(spoken.phonemes))
    assert spoken.phonemes[-1].end_s <= spoken.duration_s
    spans = np.concatenate([spoken.audio[int(s.start * RATE_HZ) : int(s.end * RATE_HZ)] for s in spoken.speech])
    assert np.sqrt(np.mean(spans**2)) == pytest.approx(LEVEL_RMS, rel=0.05)


@needs_synthesisers
def test_speech_rate_and_formant_scale_change_only_duration_and_spectrum():
    def speak(**changes) -> SpokenLine:
        voice = SpeakerVoice("flite", "rms", **changes)
        return synthesize_speech([(voice, "The river was very long and the boat was small.")])[0]

    def spectrum(line: SpokenLine) -> np.ndarray:
        """Log of the mean power at frequencies 1 % apart."""
        windows = np.lib.stride_tricks.sliding_window_view(line.audio, 512)[::128] * np.hanning(512)
        power = np.square(np.abs(np.fft.rfft(windows))).mean(axis=0)
        frequencies_hz = 300 * 1.01 ** np.arange(280)
        return np.log(np.interp(frequencies_hz, np.fft.rfftfreq(512, 1 / RATE_HZ), power))

    plain, shifted = speak(), speak(formant_scale=1.12)
    assert speak(speech_rate=1.25).duration_s == pytest.approx(plain.duration_s / 1.25, rel=0.06)
    assert shifted.duration_s == pytest.approx(plain.duration_s, rel=0.06)
    low, high = spectrum(plain)[:240], spectrum(shifted)
    shifts = [np.corrcoef(low, high[shift : shift + 240])[0, 1] for shift in range(30)]
    assert 1.01 ** int(np.argmax(shifts)) == pytest.approx(1.12, abs=0.03)


def test_arpabet_maps_into_the_inventory():
    assert set(ARPABET.values()) <= INVENTORY
    assert len(ARPABET) == 41


def test_a_recording_keeps_time_and_has_crosstalk_only_in_one_room():
    rng = np.random.default_rng(0)
    voices = np.zeros((2, RATE_HZ * 4), np.float32)
    voices[0, 8000:24000] = 0.1 * rng.standard_normal(16000)
    voices[1, 40000:56000] = 0.1 * rng.standard_normal(16000)
    for same_room in (True, False):
        setup = RecordingSetup(same_room, (0.3, 0.3), (0.3, 0.3), (-25.0, -25.0), (-60.0, -60.0))
        recorded = simulate_recording(voices, 0.1, setup, np.random.default_rng(1))
        for index, own in enumerate(recorded):
            lag = np.correlate(own[:60000], voices[index, 100:59900], "valid").argmax() - 100
            assert abs(lag) <= 1
        quiet, loud = recorded[0][40000:56000], recorded[0][8000:24000]
        leak_db = 20 * np.log10(quiet.std() / loud.std())
        assert -30 < leak_db < -3 if same_room else leak_db < -45


@needs_synthesisers
def test_animate_keeps_audio_and_replaces_motion(tmp_path):
    synthesize(tmp_path / "source", hours=20 / 3600, clip_seconds=10, workers=0)
    synthesize(tmp_path / "animated", animate=tmp_path / "source", seed=1, workers=0)
    source, animated = open_store(tmp_path / "source"), open_store(tmp_path / "animated")
    assert validate_store(animated.root) == []
    assert animated.manifest["split"].tolist() == source.manifest["split"].tolist()
    for clip in source.manifest["clip"]:
        before, after = source.conversation(clip), animated.conversation(clip)
        assert np.array_equal(before.a.audio, after.a.audio)
        assert not np.array_equal(before.a.motion.coefficients, after.a.motion.coefficients)
    assert len(animated.events)
    with pytest.raises(InputError, match="is the store whose audio is animated"):
        synthesize(source.root, animate=source.root)


@needs_synthesisers
def test_animate_takes_the_phonemes_of_the_store(tmp_path, monkeypatch):
    """Stored phonemes and laughs drive the new motion; no recogniser runs, and faces stay."""
    synthesize(tmp_path / "source", hours=20 / 3600, clip_seconds=10, workers=0)

    def refuse(*_):
        raise AssertionError("a recogniser runs")

    monkeypatch.setattr("dualtalk.animator.voice_features.recognise_phonemes", refuse)
    synthesize(tmp_path / "animated", animate=tmp_path / "source", workers=0)
    source, animated = open_store(tmp_path / "source"), open_store(tmp_path / "animated")
    for clip in source.manifest["clip"]:
        before, after = source.conversation(clip), animated.conversation(clip)
        assert animated.details(clip)["phonemes"] == source.details(clip)["phonemes"]
        assert animated.details(clip)["provenance"] == source.details(clip)["provenance"]
        for one, two in zip(before.participants, after.participants, strict=True):
            assert np.array_equal(one.motion.identity, two.motion.identity)
            # The same phonemes move the lips alike, though the recorded voice is not the anechoic one.
            gaps = [load_head("open").lip_gap(person.motion) for person in (one, two)]
            assert np.corrcoef(*gaps)[0, 1] > 0.9


# A store, which options are refused for before it is read.
STORE = Path(__file__).parent / "data" / "store_format_1"


def run(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--hours", "0"], "hours is 0; wanted a positive number"),
        (["--hours", "-1"], "hours is -1"),
        (["--hours", "nan"], "hours is nan"),
        ([], "wanted either hours of conversation to generate, or animate"),
        (["--hours", "1", "--animate", STORE], "wanted either hours of conversation to generate, or animate"),
        (["--animate", "nowhere"], "no store at nowhere"),
        (["--animate", STORE, "--speech-rate", "1.2"], "speech_rate applies to generated speech"),
        (["--animate", STORE, "--vocabulary", "y"], "vocabulary applies to generated speech"),
        (["--animate", STORE, "--clip-seconds", "20"], "clip_seconds applies to generated speech"),
        (["--hours", "1", "--piper-voice", "joe.onnx"], "no Piper voice at joe.onnx"),
        (
            ["--hours", "1", "--kokoro-dir", "nowhere"],
            "no folder at nowhere; wanted the folder of Kokoro's voices",
        ),
        (["--hours", "1", "--vocabulary", "nowhere"], "nowhere cannot be read as a word list"),
        (
            ["--hours", "1", "--vocabulary", os.devnull],
            "/dev/null has no word of up to 9 lowercase letters; wanted one word a line",
        ),
        (["--hours", "1", "--speech-rate", "3"], "speech_rate is 3; wanted 0.5 to 2"),
    ],
)
def test_unusable_options_are_refused_in_one_line(tmp_path, monkeypatch, arguments, message):
    monkeypatch.setattr("dualtalk.synthesis.corpus.missing_synthesisers", list)
    result = run("synthesize", *arguments, "--out", tmp_path / "store")
    assert result.exit_code == 2
    assert message in result.stderr
    assert result.stderr.count("\n") == 1
    assert not (tmp_path / "store").exists()


def test_missing_synthesisers_are_named(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SetupError, match="flite and espeak-ng not found; sudo apt-get install flite espeak-ng"):
        synthesize(tmp_path / "store", hours=1.0)


def test_kokoro_phoneme_times_follow_the_durations():
    """Stress marks join the next phoneme, length marks the previous; spaces are shared; a comma is silence."""
    phonemes = phoneme_times("ˈmIː bO, pə", [0.1, 0.15, 0.2, 0.3, 0.35, 0.45, 0.5, 0.6, 0.9, 0.95, 1.0, 1.1])
    assert [phoneme.ipa for phoneme in phonemes] == ["m", "aɪ", "b", "oʊ", "p", "ə"]
    times = np.array([(phoneme.start_s, phoneme.end_s) for phoneme in phonemes]) + TIMING_OFFSET_S
    assert np.allclose(times, [(0.1, 0.2), (0.2, 0.4), (0.4, 0.5), (0.5, 0.6), (0.95, 1.0), (1.0, 1.1)])
    assert INVENTORY.issuperset(phoneme.ipa for phoneme in phonemes)


def test_kokoro_mixes_english_voices_for_training_only(tmp_path):
    (tmp_path / "voices").mkdir()
    for name in ("af_one", "bm_two", "jf_three"):
        (tmp_path / "voices" / f"{name}.bin").touch()
    with pytest.raises(InputError, match=r"is not a Kokoro folder: it lacks model.onnx, config.json"):
        draw_voice_mixture(np.random.default_rng(0), str(tmp_path))
    for name in ("model.onnx", "config.json"):
        (tmp_path / name).touch()
    mixtures = {draw_voice_mixture(np.random.default_rng(seed), str(tmp_path)) for seed in range(20)}
    assert len(mixtures) > 10
    for mixture in mixtures:
        shares = [part.split() for part in mixture.split(" + ")]
        assert sorted(speaker for _, speaker in shares) == ["af_one", "bm_two"]
        assert sum(float(share) for share, _ in shares) == pytest.approx(1)
    config = SynthesisConfig(0, 60, kokoro_dir=str(tmp_path))
    for split in ("validation", "test"):
        assert draw_person(config, split, 0).voice.engine != "kokoro"


def test_an_intermediate_value_of_an_onnx_network_becomes_its_last_output(tmp_path):
    value = onnx.helper.make_tensor_value_info
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("Neg", ["x"], ["/hidden"]), onnx.helper.make_node("Exp", ["/hidden"], ["y"])],
        "tiny",
        [value("x", onnx.TensorProto.FLOAT, [2])],
        [value("y", onnx.TensorProto.FLOAT, [2])],
    )
    onnx.save(onnx.helper.make_model(graph), tmp_path / "tiny.onnx")
    extended = onnx.load_from_string(add_output(tmp_path / "tiny.onnx", "/hidden"))
    x = np.array([0.0, 1.0], np.float32)
    y, hidden = ReferenceEvaluator(extended).run(None, {"x": x})
    assert np.allclose(y, np.exp(-x))
    assert np.array_equal(hidden, -x)
    with pytest.raises(SetupError, match="has no value /durations; wanted the export"):
        add_output(tmp_path / "tiny.onnx", "/durations")
    (tmp_path / "text.onnx").write_text("not a network")
    with pytest.raises(SetupError, match=r"text.onnx is not an ONNX network"):
        add_output(tmp_path / "text.onnx", "/hidden")
