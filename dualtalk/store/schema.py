"""The format of a store: names of files, columns of tables, and how one clip is written.

A store is a folder that scripts for the published DualTalk data can read as it is::

    store.json                      which corpus, its licence, how it was made
    manifest.parquet                a row a clip: the fields of `ClipRecord`
    turns.parquet                   turns, pauses, gaps, overlaps and backchannels of every clip
    events.parquet                  what was planted: who nods or smiles when, and what it answers
    quarantine.csv                  clips that were left out, and why
    SPLIT/CLIP_speaker1.wav         16 kHz mono float32, that person alone
    SPLIT/CLIP_speaker1.npz         `exp` (T, 50), `pose` (T, 6) = head, jaw, and what else the source has
    SPLIT/CLIP_speaker2.wav, .npz   the other person; an npz is absent where motion was not observed
    SPLIT/CLIP.rttm                 who speaks when, labels "a" (speaker 1) and "b" (speaker 2)
    SPLIT/CLIP.json                 the clip's row, its events, its phonemes, and what it was made of

SPLIT is one of `SPLITS`. A clip's JSON is written last: where it is found, the clip is whole. The manifest is
written after all clips: where it is found, the store is whole.
"""

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from functools import lru_cache
from pathlib import Path

import numpy as np
from pyannote.core import Segment

from dualtalk.audio.crosstalk import crosstalk_db
from dualtalk.audio.phonemes import Phoneme
from dualtalk.core import PARTY, Conversation
from dualtalk.errors import InputError
from dualtalk.io.atomic import written_whole
from dualtalk.io.audio_file import write_wave
from dualtalk.io.rttm import parse_rttm, write_rttm

FORMAT = 1
SPLITS = ("train", "validation", "test", "ood")
ABOUT, MANIFEST, TURNS, EVENTS, QUARANTINE = (
    *("store.json", "manifest.parquet", "turns.parquet", "events.parquet", "quarantine.csv"),
)
EVENT_COLUMNS = ("person", "kind", "frame", "strength", "cause", "cause_frame")


@dataclass(frozen=True)
class ClipRecord:
    """One clip's row of the manifest. Columns that end in `_a` and `_b` are about speaker 1 and speaker 2.

    Attributes
    ----------
    seconds, frames
        Length; 25 frames a second.
    space : str
        Space of the motion, empty where neither person has any.
    layout_a, layout_b : str
        Layout of a person's motion, empty where it is absent.
    valid_a, valid_b : float
        Share of frames whose motion was observed.
    speech_a, speech_b, overlap : float
        Share of time in which a person speaks, and in which both do.
    drift_a_ms, drift_b_ms : float
        How much longer a person's motion ran than their audio before both were trimmed; NaN without motion.
    leak_a_db, leak_b_db : float
        Level of the other's voice in this person's channel, relative to the other's own channel; NaN where the
        other never speaks alone.
    turns_from : str
        Where the speech spans come from: "corpus", "voice activity", "diarization" or "synthesis".
    sha256_... : str
        Of the files, empty where there is none.
    """

    clip: str
    corpus: str
    split: str
    session: str
    person_a: str
    person_b: str
    seconds: float
    frames: int
    space: str
    layout_a: str
    layout_b: str
    valid_a: float
    valid_b: float
    speech_a: float
    speech_b: float
    overlap: float
    drift_a_ms: float
    drift_b_ms: float
    leak_a_db: float
    leak_b_db: float
    turns_from: str
    notes: str
    sha256_audio_a: str
    sha256_audio_b: str
    sha256_motion_a: str
    sha256_motion_b: str
    sha256_turns: str


@dataclass(frozen=True, eq=False)
class Draft:
    """A clip that is about to be written.

    Attributes
    ----------
    conversation : Conversation
        Its name is the clip's.
    people : (str, str)
        Who they are: the same person has the same name in every clip.
    session : str
        What was recorded in one sitting; clips of one session share a room and perhaps people.
    further_arrays : (mapping, mapping)
        Arrays a frame of each person's source file that a `HeadMotion` does not hold, kept as they are.
    events : sequence of mappings
        Planted dependencies: `EVENT_COLUMNS`.
    phonemes : (sequence, sequence) of Phoneme
        Where they are known and not heard.
    made_of : mapping
        What else is worth keeping: source files, texts, voices. JSON.
    """

    conversation: Conversation
    corpus: str
    split: str
    session: str
    people: tuple[str, str]
    turns_from: str
    further_arrays: tuple[Mapping[str, np.ndarray], Mapping[str, np.ndarray]] = ({}, {})
    drift_ms: tuple[float, float] = (np.nan, np.nan)
    notes: Sequence[str] = ()
    events: Sequence[Mapping] = ()
    phonemes: tuple[Sequence[Phoneme], Sequence[Phoneme]] = ((), ())
    made_of: Mapping = field(default_factory=dict)


def clip_path(root: Path, split: str, clip: str, suffix: str, person: int | None = None) -> Path:
    """Where a clip's file is; `person` is 0 or 1, None for files about both."""
    speaker = "" if person is None else f"_speaker{person + 1}"
    return root / split / f"{clip}{speaker}{suffix}"


def clip_paths(root: Path, split: str, clip: str) -> list[Path]:
    """Every file that a clip may have, the one that says it is whole last."""
    voices_and_motion = [
        clip_path(root, split, clip, suffix, person) for suffix in (".wav", ".npz") for person in (0, 1)
    ]
    return [*voices_and_motion, *(clip_path(root, split, clip, suffix) for suffix in (".rttm", ".json"))]


def write_clip(root: Path, draft: Draft, task_print: str) -> ClipRecord:
    """Write one clip's files, the JSON last; `task_print` tells later whether the clip is still what was asked."""
    name = draft.conversation.name
    (root / draft.split).mkdir(exist_ok=True)
    audio, motion, turns = ["", ""], ["", ""], clip_path(root, draft.split, name, ".rttm")
    for index, person in enumerate(draft.conversation.participants):
        path = clip_path(root, draft.split, name, ".wav", index)
        write_wave(path, person.audio)
        audio[index] = sha256_of(path)
        if person.motion is not None:
            path = clip_path(root, draft.split, name, ".npz", index)
            with written_whole(path) as partial:
                np.savez(partial, **{**person.motion.to_numpy(), **draft.further_arrays[index]})
            motion[index] = sha256_of(path)
    write_rttm(turns, draft.conversation.annotation)
    record = _record(draft, audio, motion, sha256_of(turns))
    content = {
        "record": {key: None if value != value else value for key, value in asdict(record).items()},
        "events": list(draft.events),
        "phonemes": {
            label: [[sound.ipa, round(sound.start_s, 4), round(sound.end_s, 4)] for sound in sounds]
            for label, sounds in zip(PARTY, draft.phonemes, strict=True)
            if sounds
        },
        "made_of": dict(draft.made_of),
        "task": task_print,
    }
    write_json(clip_path(root, draft.split, name, ".json"), content)
    return record


def _record(draft: Draft, audio: list[str], motion: list[str], turns: str) -> ClipRecord:
    talk = draft.conversation
    spans = [person.speech.support() for person in talk.participants]
    both_s = spans[0].crop(spans[1]).duration()
    motions = [person.motion for person in talk.participants]
    return ClipRecord(
        clip=talk.name,
        corpus=draft.corpus,
        split=draft.split,
        session=draft.session,
        person_a=draft.people[0],
        person_b=draft.people[1],
        seconds=talk.duration_s,
        frames=talk.frames,
        space=next((motion.space for motion in motions if motion), ""),
        **_pair("layout", [motion.layout.name if motion else "" for motion in motions]),
        **_pair("valid", [round(float(motion.valid.mean()), 4) if motion else 0.0 for motion in motions]),
        **_pair("speech", [round(span.duration() / talk.duration_s, 4) for span in spans]),
        overlap=round(both_s / talk.duration_s, 4),
        **{
            f"drift_{label}_ms": round(float(value), 1) for label, value in zip(PARTY, draft.drift_ms, strict=True)
        },
        **{
            f"leak_{label}_db": round(float(value), 1)
            for label, value in zip(PARTY, crosstalk_db(talk), strict=True)
        },
        turns_from=draft.turns_from,
        notes="; ".join(draft.notes),
        **_pair("sha256_audio", audio),
        **_pair("sha256_motion", motion),
        sha256_turns=turns,
    )


def _pair(name: str, values: Sequence) -> dict:
    return {f"{name}_{label}": value for label, value in zip(PARTY, values, strict=True)}


def read_clip_json(path: Path) -> tuple[ClipRecord, dict]:
    """A clip's record, and all of what its JSON holds."""
    try:
        content = json.loads(path.read_text())
        numbers = {f.name for f in fields(ClipRecord) if f.type is float}
        record = {
            key: float("nan") if key in numbers and value is None else value
            for key, value in content["record"].items()
        }
        return ClipRecord(**record), content
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path} is not a clip's record ({error}); prepare the store again") from error


def read_speech(path: Path) -> tuple[list[Segment], list[Segment]]:
    """When speaker 1 and speaker 2 speak, from a clip's RTTM."""
    if not path.is_file():
        raise InputError(f"{path} is missing; prepare the store again")
    return _cached_speech(path, path.stat().st_mtime_ns)


@lru_cache(maxsize=4096)
def _cached_speech(path: Path, modified_ns: int) -> tuple[list[Segment], list[Segment]]:
    """`read_speech`, parsed once for all windows of a clip."""
    return parse_speech(path.read_text(), path)


def parse_speech(text: str, source: str | os.PathLike) -> tuple[list[Segment], list[Segment]]:
    """The same, from the text of an RTTM; `source` is named in errors."""
    spans: dict[str, list[Segment]] = {label: [] for label in PARTY}
    for span, _, label in parse_rttm(text, source).itertracks(yield_label=True):
        if label not in spans:
            raise InputError(f"{source} names {label}; wanted {' and '.join(PARTY)}")
        spans[label].append(span)
    return spans[PARTY[0]], spans[PARTY[1]]


def write_json(path: Path, content: Mapping) -> None:
    with written_whole(path) as partial:
        partial.write_text(json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":")) + "\n")


def sha256_of(path: Path) -> str:
    """Hexadecimal SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
