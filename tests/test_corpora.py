"""One contract for every corpus, tested on small files in each published layout that this file writes."""

import functools
import io
import json
import re
from dataclasses import replace
from pathlib import Path

import lmdb
import numpy as np
import pytest
import soundfile
from pyannote.core import Segment, Timeline
from typer.testing import CliRunner

from dualtalk.audio.av_sync import offset_by_mouth
from dualtalk.cli import app
from dualtalk.core import Conversation, HeadMotion, Participant
from dualtalk.corpora import ALIASES, CORPORA, get_corpus
from dualtalk.corpora.contract import contract_errors
from dualtalk.corpora.corpus import Clip, ClipData, Corpus, PersonTrack
from dualtalk.corpora.l2l import audio_from_mel
from dualtalk.errors import InputError
from dualtalk.head import LIPS_CLOSED_M, load_head
from dualtalk.head.blendshapes import ARKIT_UNITS, motion_from_arkit
from dualtalk.head.live_link import write_live_link
from dualtalk.io.audio_file import write_wave
from dualtalk.preprocess.prepare import prepare
from dualtalk.store import ClipDraft, Task, build_store, open_store, validate_store
from dualtalk.store.schema import SPLITS
from dualtalk.synthesis.voices import SpeakerVoice, SpokenLine, missing_synthesisers, synthesize_speech

FRAMES = 100
READ_SENTENCES = (
    "MY BABY BROTHER MAY BUY A BIG PUMP",
    "PLEASE PUT THE LAMP BY THE TABLE",
    "THE BLIMPO MADE SOME PEOPLE HAPPY",
    "WE KEEP A MAP OF THE PARK AT HOME",
    "BOB TOOK THE BOAT TO THE ISLAND",
    "MAYBE THEY WILL COME BACK LATER",
    "HER MOTHER PAINTED THE ROOM PURPLE",
    "I NEVER SAW SUCH A BEAUTIFUL PLACE",
)
CARDS = Path(__file__).parents[1] / "datasets"


def voice(seconds: float = FRAMES / 25, seed: int = 0, rate_hz: int = 16_000) -> np.ndarray:
    """A buzz with gaps, whose level varies over time like that of speech."""
    times = np.arange(round(seconds * rate_hz)) / rate_hz
    syllables = (np.sin(2 * np.pi * 3 * times + seed) > -0.3) * (np.sin(2 * np.pi * 0.3 * times + seed) > 0)
    buzz = sum(np.sin(2 * np.pi * 120 * (1 + 0.1 * seed) * n * times) / n for n in range(1, 20))
    return (0.1 * buzz * syllables).astype(np.float32)


def face(frames: int = FRAMES, seed: int = 0, width: int = 50) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    pose = np.concatenate(
        [0.05 * rng.standard_normal((frames, 3)), [0.05, 0.005, 0.005] * rng.random((frames, 3))], 1
    )
    return rng.standard_normal((frames, width)).astype(np.float32), pose.astype(np.float32)


def write_dualtalk_corpus(root: Path) -> None:
    for split, clips in (("train", 3), ("test", 1), ("ood", 1)):
        (root / split).mkdir()
        for number in range(clips):
            for speaker in (1, 2):
                stem = root / split / f"{split}Video{number}_sub_video_7_000_speaker{speaker}"
                soundfile.write(stem.with_suffix(".wav"), voice(seed=speaker), 16_000, subtype="FLOAT")
                exp, pose = face(FRAMES + 1, seed=speaker)
                further = {"shape": np.zeros((FRAMES + 1, 100), np.float32), "cam": exp[:, :3]}
                np.savez(stem.with_suffix(".npz"), exp=exp, pose=pose, **further)


def write_seamless(root: Path) -> None:
    for split, session in (("train", "S0001"), ("train", "S0002"), ("dev", "S0003"), ("test", "S0004")):
        for archive, person in (("0000", "P0001"), ("0007", f"P0002{'A' if session == 'S0002' else ''}")):
            folder = root / "improvised" / split / "0000" / archive
            folder.mkdir(parents=True, exist_ok=True)
            stem = folder / f"V00_{session}_I00000125_{person[:1]}{session[1:]}{person[1:]}"
            soundfile.write(stem.with_suffix(".wav"), voice(rate_hz=48_000, seed=len(archive)), 48_000)
            metadata = {
                "id": stem.name,
                "metadata:vad": [{"start": 0.5, "end": 1.5}] if archive == "0000" else [],
                "metadata:transcript": [{"words": [], "start": 0.5, "end": 1.5, "transcript": "hello"}],
            }
            stem.with_suffix(".json").write_text(json.dumps(metadata))


def write_unils(root: Path) -> None:
    index = {"train": {}, "val": {}, "test": {}}
    with (
        lmdb.open(str(root / "data_lmdb"), map_size=2**26) as environment,
        environment.begin(write=True) as records,
    ):
        for split, session in (("train", "S0001"), ("val", "S0002"), ("test", "S0003")):
            keys = [f"V00_{session}_I00000001_P{session[1:]}{person}" for person in (1, 2)]
            for seed, key in enumerate(keys):
                exp, pose = face(seed=seed, width=100)
                eyes = np.zeros((FRAMES, 6), np.float32)
                code = np.concatenate([exp, pose[:, :3], pose[:, 3:], eyes], axis=1)
                mask = (np.arange(FRAMES) > 50).astype(np.float32)
                file = io.BytesIO()
                np.savez(file, audio=voice(seed=seed), motioncode=code, speech_mask=mask)
                records.put(key.encode(), file.getvalue())
            index[split][f"pair_{session}"] = [f"some/where/{keys[0]}", f"some/where/{keys[1]}", FRAMES]
    (root / "seamless_interaction_pairs.json").write_text(json.dumps(index))


def write_l2l(root: Path) -> None:
    rng = np.random.default_rng(0)
    for split, clips in (("train", 2), ("test", 1)):
        folder = root / "conan" / split
        folder.mkdir(parents=True)
        faces = np.zeros((clips, 64, 184), np.float32)
        faces[..., :56] = 0.05 * rng.standard_normal((clips, 64, 56))
        faces[..., 53:56] *= 0.1
        mel = rng.random((clips, 256, 128)).astype(np.float32)
        np.save(folder / "p0_list_faces_clean_deca.npy", faces)
        np.save(folder / "p1_speak_faces_clean_deca.npy", faces)
        np.save(folder / "p1_speak_audio_clean_deca.npy", mel)


def syllables(seconds: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Syllables of uneven length: their amplitude at 16 kHz, and noise of that amplitude."""
    rng, times = np.random.default_rng(seed), np.arange(round(seconds * 16_000)) / 16_000
    strength, at_s = np.zeros_like(times), 0.3
    while at_s < seconds - 0.3:
        strength += rng.uniform(0.4, 1) * np.exp(-(((times - at_s) / 0.06) ** 2))
        at_s += rng.uniform(0.16, 0.3) + (rng.uniform() < 0.15) * rng.uniform(0.3, 1.0)
    return strength, (0.1 * strength * rng.standard_normal(len(times)) + 1e-4).astype(np.float32)


def write_face(path: Path, strength: np.ndarray, late_s: float, start_s: float, *, moves: bool = True) -> None:
    """A face recording in which the mouth opens 0.1 s before the sound; the recording lags by `late_s`."""
    frames_s = np.arange(len(strength) // 640) / 25 - late_s + 0.1
    units = np.zeros((len(frames_s), len(ARKIT_UNITS)))
    units[:, ARKIT_UNITS.index("jawOpen")] = moves * np.interp(
        frames_s, np.arange(len(strength)) / 16_000, strength
    ).clip(0, 1)
    units[:, ARKIT_UNITS.index("mouthSmileLeft")] = 0.2
    write_live_link(path, motion_from_arkit(units), fps=60, start_s=start_s)


def write_arkit(root: Path) -> None:
    for number in range(3):
        (root / f"day{number}").mkdir()
        for speaker in (1, 2):
            strength, audio = syllables(8, seed=10 * number + speaker)
            stem = root / f"day{number}" / f"talk_speaker{speaker}"
            soundfile.write(stem.with_suffix(".wav"), audio, 16_000)
            write_face(stem.with_suffix(".csv"), strength, 0.2 * speaker, 36_000.0)


def write_recordings(root: Path) -> None:
    (root / "monday").mkdir()
    soundfile.write(root / "monday" / "call_left.wav", voice(seed=0), 16_000)
    soundfile.write(root / "monday" / "call_right.wav", voice(seed=1), 16_000)
    soundfile.write(root / "stereo talk.flac", np.stack([voice(seed=0), voice(seed=1)], axis=1), 16_000)
    soundfile.write(root / "gespräch über käse.wav", voice(seed=1), 44_100)
    (root / "recordings.csv").write_text("file,session,person_a,person_b\nstereo talk.flac,tuesday,Ann,Bob\n")


def write_synthetic(root: Path) -> None:
    def clip(task: Task) -> ClipDraft:
        people = []
        for seed in (0, 1):
            exp, pose = face(seed=seed)
            motion = HeadMotion.from_parts(
                expression=exp,
                jaw_rotvec_rad=pose[:, 3:],
                head_rotvec_rad=pose[:, :3],
                eyes_rotvec_rad=np.zeros((FRAMES, 6), np.float32),
                space="open",
            )
            people.append(Participant(voice(seed=seed), Timeline([Segment(0.5, 1.5)]), motion))
        names = (f"{task.clip}_a", f"{task.clip}_b")
        return ClipDraft(
            Conversation(*people, name=task.clip), "synthetic", task.split, task.clip, names, "synthesis"
        )

    tasks = [Task(f"synthetic0_{number:06d}", split, "") for number, split in enumerate(SPLITS[:3])]
    build_store(root, {"corpus": "synthetic"}, tasks, clip, workers=0)


@functools.cache
def spoken_sentence(voice_name: str, formant_scale: float, text: str) -> SpokenLine:
    return synthesize_speech([(SpeakerVoice("flite", voice_name, formant_scale), text)])[0]


def write_speechocean762(root: Path) -> None:
    """Sentences of two adults and a child in the part "train" and of two adults in "test"."""
    if missing_synthesisers():
        pytest.skip(f"no {' and no '.join(missing_synthesisers())}")
    readers = {
        "train": {"0001": (30, "slt", 1.0), "0002": (19, "rms", 1.0), "0003": (9, "slt", 1.12)},
        "test": {"0011": (40, "awb", 1.0), "0012": (25, "slt", 0.9)},
    }
    (root / "resource").mkdir()
    (root / "resource" / "lexicon.txt").write_text("BLIMPO\tB L IH1 M P OW0\n")
    for part, speakers in readers.items():
        tables = {name: [] for name in ("text", "utt2spk", "spk2age", "wav.scp")}
        for speaker, (age, *reader) in speakers.items():
            tables["spk2age"].append(f"{speaker} {age}")
            (root / "WAVE" / f"SPEAKER{speaker}").mkdir(parents=True)
            for number, text in enumerate(READ_SENTENCES):
                line, audio = f"{speaker}{number:05d}", spoken_sentence(*reader, text.lower()).audio
                wave = Path("WAVE") / f"SPEAKER{speaker}" / f"{line}.WAV"
                soundfile.write(root / wave, np.pad(audio, 6400), 16_000)
                row = {"text": text, "utt2spk": speaker, "wav.scp": wave.as_posix()}
                for table, value in row.items():
                    tables[table].append(f"{line}\t{value}")
        (root / part).mkdir()
        for table, rows in tables.items():
            (root / part / table).write_text("\n".join(rows) + "\n")


WRITERS = {
    "dualtalk_corpus": write_dualtalk_corpus,
    "seamless": write_seamless,
    "unils": write_unils,
    "l2l": write_l2l,
    "arkit": write_arkit,
    "recordings": write_recordings,
    "speechocean762": write_speechocean762,
    "synthetic": write_synthetic,
}
every_corpus = pytest.mark.parametrize(
    "corpus", [get_corpus(name) for name in CORPORA.names()], ids=CORPORA.names()
)


@pytest.fixture
def root(corpus, tmp_path):
    folder = tmp_path / "corpus"
    folder.mkdir()
    WRITERS[corpus.name](folder)
    return folder


def test_every_corpus_is_tested():
    assert set(WRITERS) == set(CORPORA.names())


@every_corpus
def test_a_corpus_keeps_the_contract(corpus, root):
    assert contract_errors(corpus, root) == []
    assert type(get_corpus(corpus.name)) is type(corpus)
    assert all(clip.errors == () for clip in corpus.index(root))


@every_corpus
def test_the_card_agrees_with_the_class(corpus):
    card = " ".join((CARDS / f"{corpus.name}.md").read_text().replace("`", "").split())
    for text in (corpus.title, corpus.licence, corpus.citation, corpus.download):
        assert text in card
    for heading in ("Description", "Download", "Licence", "Citation", "Preparation"):
        assert f"## {heading} " in card


class Careless(Corpus):
    """A class that breaks the contract in many ways."""

    name = "careless"
    title = " "
    licence = citation = download = "x"
    space = "arkit"

    def index(self, root: Path) -> list[Clip]:
        clip = Clip("a clip", "s", ("p", "p"), split="dev")
        return [replace(clip, name="z"), clip, replace(clip, errors=("no audio",))]

    def read(self, root: Path, clip: Clip) -> ClipData:
        pose = np.zeros((3, 5), np.float32)
        motion = {"exp": np.zeros((3, 49), np.float32), "pose": pose}
        track = PersonTrack(np.zeros(640, np.float32), motion)
        silent = PersonTrack(np.zeros(640, np.float32), {"pose": pose})
        return ClipData((track, silent), (Path("x"),), metadata={"path": root})


def test_contract_errors_names_each_violation(tmp_path):
    errors = "\n".join(contract_errors(Careless(), tmp_path))
    for part in (
        "title is ' '",
        "space is 'arkit'; wanted one of flame, open",
        "index accepts an empty folder",
        "index accepts a missing folder",
        "not sorted by name",
        "two clips of the index have the same name",
        "'a clip' is not usable as a file name",
        "split is 'dev'",
        "wanted two different people",
        "files is empty",
        "wanted either tracks or recording",
        "exp has shape (3, 49)",
        "pose has shape (3, 5)",
        "motion has no array exp",
        "metadata cannot be written as JSON",
    ):
        assert part in errors


@pytest.mark.parametrize(
    ("name", "removed", "message"),
    [
        ("dualtalk_corpus", "train/*_speaker2.wav", "_speaker2.wav is missing"),
        ("dualtalk_corpus", "ood/*.npz", "neither person has a motion file"),
        ("seamless", "**/*P00010001.wav", "has 1 participants"),
        ("arkit", "day0/*_speaker2.wav", "talk_speaker2.wav is missing"),
        ("speechocean762", "WAVE/*/001100002.WAV", "001100002.WAV is missing"),
        ("l2l", "conan/test/p1_speak_audio*", "p1_speak_audio_clean_deca.npy is missing"),
    ],
)
def test_validate_names_what_is_missing(tmp_path, name, removed, message):
    WRITERS[name](tmp_path)
    assert all("published" in error for error in get_corpus(name).validate(tmp_path))
    for path in list(tmp_path.glob(removed)):
        path.unlink()
    assert any(message in error for error in get_corpus(name).validate(tmp_path))


@every_corpus
def test_a_corpus_becomes_a_valid_store(corpus, root, tmp_path):
    prepare(root, corpus.name, tmp_path / "store", workers=0)
    assert validate_store(tmp_path / "store") == []
    store = open_store(tmp_path / "store")
    assert sorted(store.manifest["clip"]) == [clip.name for clip in corpus.index(root)]
    for row in store.manifest.itertuples():
        assert row.corpus == corpus.name
        conversation = store.conversation(row.clip)
        assert conversation.frames == row.frames
        for person in conversation.participants:
            assert person.motion is None or person.motion.space == corpus.space


def test_an_unknown_corpus_lists_the_names():
    with pytest.raises(
        InputError, match="unknown corpus 'duotalk'; available: dualtalk_corpus, seamless, unils, l2l"
    ):
        get_corpus("duotalk")


def test_an_alias_is_the_same_corpus(tmp_path):
    assert get_corpus("dualtalk").name == "dualtalk_corpus"
    write_dualtalk_corpus(tmp_path)
    prepare(tmp_path, "dualtalk", tmp_path.with_name("store"), workers=0)
    assert set(open_store(tmp_path.with_name("store")).manifest["corpus"]) == {"dualtalk_corpus"}


PLUGIN = """
from dualtalk.corpora.corpus import require_folder
from dualtalk.corpora.recordings import Recordings


class Podcasts(Recordings):
    name = "podcasts"
    title = "Podcasts"

    def index(self, root):
        return [clip for clip in super().index(require_folder(root)) if clip.name != "advert"]
"""


@pytest.fixture
def plugin(tmp_path, monkeypatch):
    """Install a package with a corpus, a corpus whose import fails, and an object that is no corpus."""
    site = tmp_path / "site"
    information = site / "podcasts-1.0.dist-info"
    information.mkdir(parents=True)
    (site / "podcasts_plugin.py").write_text(PLUGIN)
    (site / "broken_plugin.py").write_text("import a_package_that_is_not_installed\n")
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: podcasts\nVersion: 1.0\n")
    (information / "entry_points.txt").write_text(
        "[dualtalk.corpora]\npodcasts = podcasts_plugin:Podcasts\nbroken = broken_plugin:Broken\n"
        "nonsense = podcasts_plugin:require_folder\n"
    )
    monkeypatch.syspath_prepend(str(site))


def test_another_package_adds_a_corpus(plugin, tmp_path):
    root = tmp_path / "corpus"
    root.mkdir()
    for name in ("advert_1", "advert_2", "talk_left", "talk_right"):
        soundfile.write(root / f"{name}.wav", voice(seed=len(name)), 16_000)
    assert contract_errors(get_corpus("podcasts"), root) == []
    result = CliRunner().invoke(
        app, ["prepare", str(root), "--corpus", "podcasts", "--out", str(tmp_path / "store"), "--workers", "0"]
    )
    assert result.exit_code == 0, result.output
    assert open_store(tmp_path / "store").manifest[["corpus", "clip"]].to_numpy().tolist() == [
        ["podcasts", "talk"]
    ]


def test_a_broken_plugin_is_named_and_the_other_corpora_work(plugin, caplog):
    with pytest.raises(InputError, match=r"corpus 'broken' \(broken_plugin:Broken\) cannot be imported"):
        get_corpus("broken")
    with pytest.raises(InputError, match=r"corpus 'nonsense' is <function require_folder.*wanted a subclass of"):
        get_corpus("nonsense")
    assert {"podcasts", "seamless"} <= dict(CORPORA.items()).keys()
    assert "a_package_that_is_not_installed" in caplog.text
    with pytest.raises(
        InputError, match=r"unknown corpus 'nowhere'; available: .*, synthetic, broken, nonsense, podc"
    ):
        get_corpus("nowhere")


def test_help_names_every_corpus():
    text = CliRunner().invoke(app, ["prepare", "--help"]).stdout
    assert all(name in text for name in [*CORPORA.names(), *ALIASES])


def test_l2l_pairs_speaker_and_listener(tmp_path):
    write_l2l(tmp_path)
    source = get_corpus("l2l").read(tmp_path, get_corpus("l2l").index(tmp_path)[0])
    speaker, listener = source.tracks
    assert listener.audio is None
    assert len(listener.speech) == 0
    assert speaker.fps == listener.fps == 30
    assert len(speaker.audio) / 16_000 == pytest.approx(64 / 30, abs=1e-3)


def test_audio_reconstructed_from_mel_has_the_right_frequency():
    """A mel spectrogram with power in one band gives a sound of that frequency."""
    mel = np.zeros((240, 128), np.float32)
    mel[:, 40] = 1.0
    spectrum = np.abs(np.fft.rfft(audio_from_mel(mel)))
    peak_hz = spectrum.argmax() / len(spectrum) * 8000
    assert 900 < peak_hz < 1300


def test_read_sentences_become_dialogues_of_adults(tmp_path):
    """The store has the aligned phonemes of the words, events of the animator, and the faces of no child."""
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    write_speechocean762(corpus)
    prepare(corpus, "speechocean762", tmp_path / "store", workers=0)
    store = open_store(tmp_path / "store")
    assert set(store.manifest["person_a"]) == {f"speechocean762_00{number}" for number in ("01", "02", "11", "12")}
    assert sorted(store.manifest["split"]) == ["test", "test", "train", "train"]
    assert len(store.events)
    for clip in store.manifest["clip"]:
        details = store.details(clip)
        left_out = {line for line, _ in details["provenance"]["left_out"]}
        assert len(left_out) <= 2
        sounds = "".join(ipa for label in "ab" for ipa, _, _ in details["phonemes"][label])
        assert sum(sounds.count(symbol) for symbol in "pbm") >= 10
        for person in store.conversation(clip).participants:
            gap = load_head("open").lip_gap(person.motion)
            assert (gap <= LIPS_CLOSED_M).any()


def test_voice_activity_of_seamless_is_used_if_present(tmp_path):
    write_seamless(tmp_path)
    corpus = get_corpus("seamless")
    source = corpus.read(tmp_path, corpus.index(tmp_path)[0])
    assert list(source.tracks[0].speech) == [Segment(0.5, 1.5)]
    assert source.tracks[1].speech is None
    assert "no voice activity" in source.notes[0]
    assert source.metadata["transcript"]


def test_participants_of_seamless_are_paired_across_archives(tmp_path):
    write_seamless(tmp_path)
    one = next(tmp_path.rglob("V00_S0002_*_P*A.wav"))
    one.unlink()
    errors = get_corpus("seamless").validate(tmp_path)
    assert errors == ["V00_S0002_I00000125: has 1 participants (P00020001); wanted two"]


@pytest.mark.parametrize(("b_moves", "found_by"), [(True, "by mouth"), (False, "by timecode")])
def test_phone_faces_are_aligned_to_their_sound(tmp_path, b_moves, found_by):
    (one, voice_a), (other, voice_b) = syllables(20, seed=1), syllables(20, seed=2)
    for number, audio in ((1, voice_a), (2, voice_b)):
        soundfile.write(tmp_path / f"talk_speaker{number}.wav", audio, 16_000)
    write_face(tmp_path / "talk_speaker1.csv", one, 0.8, 36_000.0)
    # The second phone began 0.5 s before the first, so its face runs 0.5 s later.
    write_face(tmp_path / "talk_speaker2.csv", other, 1.3, 35_999.5, moves=b_moves)
    corpus = get_corpus("arkit")
    source = corpus.read(tmp_path, corpus.index(tmp_path)[0])
    late_s = [float(re.search(r"face ([+-]\d+\.\d+) s", note)[1]) for note in source.notes]
    assert late_s == pytest.approx([0.8, 1.3], abs=0.05)
    assert found_by in source.notes[1]
    assert [len(track.motion["exp"]) for track in source.tracks] == [500, 500]
    for track in source.tracks[: 1 + b_moves]:
        residual = offset_by_mouth(track.motion["pose"][:, 3].astype(float), track.audio)
        assert residual.offset_s == pytest.approx(-0.1, abs=0.03)
    # The last 0.8 s of sound have no face.
    assert source.tracks[0].motion["valid"].sum() == pytest.approx(480, abs=2)


def test_still_faces_are_assumed_to_start_with_the_sound(tmp_path):
    for number in (1, 2):
        strength, audio = syllables(5, seed=number)
        soundfile.write(tmp_path / f"talk_speaker{number}.wav", audio, 16_000)
        write_face(tmp_path / f"talk_speaker{number}.csv", strength, 0.0, 0.0, moves=False)
    source = get_corpus("arkit").read(tmp_path, get_corpus("arkit").index(tmp_path)[0])
    assert all("+0.00 s" in note and "start together" in note for note in source.notes)


def test_recordings_are_paired_and_people_identified(tmp_path):
    write_recordings(tmp_path)
    clips = {clip.name: clip for clip in get_corpus("recordings").index(tmp_path)}
    assert set(clips) == {"gespräch_über_käse", "monday_call", "stereo_talk"}
    assert [path.name for path in clips["monday_call"].files] == ["call_left.wav", "call_right.wav"]
    assert clips["monday_call"].session == "monday"
    assert (clips["stereo_talk"].session, clips["stereo_talk"].person_ids) == ("tuesday", ("Ann", "Bob"))
    (tmp_path / "recordings.csv").write_text("name\nx\n")
    with pytest.raises(InputError, match="wanted file, session"):
        get_corpus("recordings").index(tmp_path)


def test_half_a_pair_is_a_recording_of_its_own(tmp_path):
    write_wave(tmp_path / "call_a.wav", voice())
    assert [clip.name for clip in get_corpus("recordings").index(tmp_path)] == ["call_a"]


def test_missing_records_of_unils_are_reported(tmp_path):
    write_unils(tmp_path)
    index = tmp_path / "seamless_interaction_pairs.json"
    pairs = json.loads(index.read_text())
    pairs["train"]["ghost"] = ["a/V00_S0009_I1_P1", "a/V00_S0009_I1_P2", 10]
    index.write_text(json.dumps(pairs))
    keys = ("V00_S0009_I1_P1", "V00_S0009_I1_P2")
    assert get_corpus("unils").validate(tmp_path) == [f"ghost: {key} is not in the database" for key in keys]
