"""The format of a store: names of files, columns of tables, and how one clip is written.

A store is a folder that scripts for the published DualTalk data can read without change::

    store.json                      corpus, licence, and the settings that generated the store
    manifest.parquet                one row per clip: the fields of `ClipRecord`
    turns.parquet                   turns, pauses, gaps, overlaps and backchannels of every clip
    events.parquet                  injected ground-truth events: who nods or smiles when, and in response to what
    rejected.csv                    clips that were rejected, and why
    SPLIT/CLIP_speaker1.wav         16 kHz mono float32, that person alone
    SPLIT/CLIP_speaker1.npz         `exp` (T, 50), `pose` (T, 6) = head, jaw, and other arrays of the source
    SPLIT/CLIP_speaker2.wav, .npz   the other person; an npz is absent where motion was not observed
    SPLIT/CLIP.rttm                 speech segments, labels "a" (speaker 1) and "b" (speaker 2)
    SPLIT/CLIP.json                 the clip's row, its events, its phonemes and its provenance

SPLIT is one of `SPLITS`. The JSON of a clip is written last, so a clip with a JSON is complete. The manifest is
written after all clips, so a store with a manifest is complete. `dualtalk.store.formats` reads older formats.
"""

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np
from pyannote.core import Segment

from dualtalk.audio.crosstalk import crosstalk_db
from dualtalk.audio.phonemes import Phoneme
from dualtalk.core import PARTY, Conversation, HeadMotion
from dualtalk.errors import InputError
from dualtalk.io.atomic import disk_errors_reported, write_text, written_whole
from dualtalk.io.audio_file import write_wave
from dualtalk.io.json_file import read_json_object
from dualtalk.io.names import check_name
from dualtalk.io.rttm import parse_rttm, read_rttm_text, write_rttm
from dualtalk.store.formats import current_clip

SPLITS = ("train", "validation", "test", "ood")
METADATA, MANIFEST, TURNS, EVENTS, REJECTED = (
    *("store.json", "manifest.parquet", "turns.parquet", "events.parquet", "rejected.csv"),
)
EVENT_COLUMNS = ("person", "kind", "frame", "strength", "cause", "cause_frame")


@dataclass(frozen=True)
class ClipRecord:
    """One clip's row of the manifest. Columns that end in `_a` and `_b` describe speaker 1 and speaker 2.

    Attributes
    ----------
    seconds, frames
        Length; 25 frames a second.
    space : str
        Space of the motion; empty where neither person has any.
    layout_a, layout_b : str
        Layout of a person's motion; empty where it is absent.
    valid_a, valid_b : float
        Fraction of frames whose motion was observed.
    speech_a, speech_b, overlap : float
        Fraction of time in which a person speaks, and in which both speak.
    av_offset_a_ms, av_offset_b_ms : float
        How much longer a person's motion was than their audio before both were trimmed; NaN without motion.
    crosstalk_a_db, crosstalk_b_db : float
        Level of the other person's voice in this person's channel, relative to their own channel; NaN where the
        other person never speaks alone.
    segmentation_source : str
        Origin of the speech segments: "corpus", "voice activity", "diarization" or "synthesis".
    sha256_... : str
        Checksums of the files; empty where there is no file.
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
    av_offset_a_ms: float
    av_offset_b_ms: float
    crosstalk_a_db: float
    crosstalk_b_db: float
    segmentation_source: str
    notes: str
    sha256_audio_a: str
    sha256_audio_b: str
    sha256_motion_a: str
    sha256_motion_b: str
    sha256_turns: str


@dataclass(frozen=True, eq=False)
class ClipDraft:
    """A clip to be written.

    Attributes
    ----------
    conversation : Conversation
        Its name is the name of the clip.
    corpus, split : str
    session : str
        Recording session; clips of one session share a room and perhaps people.
    people : (str, str)
        Identifiers of the two people, unique within the corpus.
    segmentation_source : str
        See `ClipRecord`.
    further_arrays : (mapping, mapping)
        Per-frame arrays of each person's source file that a `HeadMotion` does not hold; stored as they are.
    av_offset_ms : (float, float)
        See `ClipRecord`.
    notes : sequence of str
    events : sequence of mappings
        Injected ground-truth events, with the keys `EVENT_COLUMNS`.
    phonemes : (sequence, sequence) of Phoneme
        Ground-truth phonemes, where the source has them.
    provenance : mapping
        What else is worth keeping: source files, texts, voices. JSON.
    """

    conversation: Conversation
    corpus: str
    split: str
    session: str
    people: tuple[str, str]
    segmentation_source: str
    further_arrays: tuple[Mapping[str, np.ndarray], Mapping[str, np.ndarray]] = ({}, {})
    av_offset_ms: tuple[float, float] = (np.nan, np.nan)
    notes: Sequence[str] = ()
    events: Sequence[Mapping] = ()
    phonemes: tuple[Sequence[Phoneme], Sequence[Phoneme]] = ((), ())
    provenance: Mapping = field(default_factory=dict)


def check_split(split: object) -> None:
    """Raise `InputError` unless `split` is one of `SPLITS`."""
    if split not in SPLITS:
        raise InputError(f"the split of a clip is {split!r}; wanted one of {', '.join(SPLITS)}")


def clip_path(root: Path, split: str, clip: str, suffix: str, person: int | None = None) -> Path:
    """Path of a clip's file; `person` is 0 or 1, or None for files about both.

    Raises
    ------
    InputError
        `split` is no split, or `clip` is not a plain name: the file would not be in its folder of the store.
    """
    check_split(split)
    check_name(clip, "the name of a clip")
    speaker = "" if person is None else f"_speaker{person + 1}"
    return root / split / f"{clip}{speaker}{suffix}"


def clip_paths(root: Path, split: str, clip: str) -> list[Path]:
    """Every file that a clip may have; the JSON, which marks the clip as complete, is last."""
    voices_and_motion = [
        clip_path(root, split, clip, suffix, person) for suffix in (".wav", ".npz") for person in (0, 1)
    ]
    return [*voices_and_motion, *(clip_path(root, split, clip, suffix) for suffix in (".rttm", ".json"))]


def write_clip(root: Path, draft: ClipDraft, input_hash: str) -> ClipRecord:
    """Write one clip's files, the JSON last.

    `input_hash` is stored, so that a later run can tell whether the inputs of the clip have changed.
    """
    name = draft.conversation.name
    audio, motion, turns = ["", ""], ["", ""], clip_path(root, draft.split, name, ".rttm")
    with disk_errors_reported(turns.parent, turns.parent):
        turns.parent.mkdir(exist_ok=True)
    for index, person in enumerate(draft.conversation.participants):
        path = clip_path(root, draft.split, name, ".wav", index)
        write_wave(path, person.audio)
        audio[index] = sha256_of(path)
        if person.motion is not None:
            path = clip_path(root, draft.split, name, ".npz", index)
            arrays: dict[str, Any] = {**person.motion.to_numpy(), **draft.further_arrays[index]}
            for key in arrays:
                check_name(key, "the name of an array")
            with written_whole(path) as partial:
                np.savez(partial, **arrays)
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
        "provenance": dict(draft.provenance),
        "input_hash": input_hash,
    }
    write_json(clip_path(root, draft.split, name, ".json"), content)
    return record


def _record(draft: ClipDraft, audio: Sequence[str], motion: Sequence[str], turns: str) -> ClipRecord:
    conversation = draft.conversation
    speech = [person.speech.support() for person in conversation.participants]
    a, b = (person.motion for person in conversation.participants)
    crosstalk_a, crosstalk_b = crosstalk_db(conversation)
    return ClipRecord(
        clip=conversation.name,
        corpus=draft.corpus,
        split=draft.split,
        session=draft.session,
        person_a=draft.people[0],
        person_b=draft.people[1],
        seconds=conversation.duration_s,
        frames=conversation.frames,
        space=next((motion.space for motion in (a, b) if motion), ""),
        layout_a=a.layout.name if a else "",
        layout_b=b.layout.name if b else "",
        valid_a=_valid_fraction(a),
        valid_b=_valid_fraction(b),
        speech_a=round(speech[0].duration() / conversation.duration_s, 4),
        speech_b=round(speech[1].duration() / conversation.duration_s, 4),
        overlap=round(speech[0].crop(speech[1]).duration() / conversation.duration_s, 4),
        av_offset_a_ms=round(float(draft.av_offset_ms[0]), 1),
        av_offset_b_ms=round(float(draft.av_offset_ms[1]), 1),
        crosstalk_a_db=round(float(crosstalk_a), 1),
        crosstalk_b_db=round(float(crosstalk_b), 1),
        segmentation_source=draft.segmentation_source,
        notes="; ".join(draft.notes),
        sha256_audio_a=audio[0],
        sha256_audio_b=audio[1],
        sha256_motion_a=motion[0],
        sha256_motion_b=motion[1],
        sha256_turns=turns,
    )


def _valid_fraction(motion: HeadMotion | None) -> float:
    if motion is None or motion.valid is None:
        return 0.0
    return round(float(motion.valid.mean()), 4)


def read_clip_json(path: Path) -> tuple[ClipRecord, dict]:
    """A clip's record, and the whole content of its JSON, with the keys of this version.

    Raises
    ------
    InputError
        The file is missing or is not a clip's JSON.
    """
    try:
        content = current_clip(read_json_object(path))
        numbers = {one.name for one in fields(ClipRecord) if one.type is float}
        record: dict[str, Any] = {
            key: float("nan") if key in numbers and value is None else value
            for key, value in content["record"].items()
        }
        return ClipRecord(**record), content
    except (InputError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{path} is not a clip's record ({error}); prepare the store again") from error


def stored_phonemes(details: Mapping) -> tuple[tuple[Phoneme, ...], tuple[Phoneme, ...]]:
    """Each person's ground-truth phonemes, from the content of a clip's JSON; empty where the store has none."""
    a, b = (tuple(Phoneme(*sound) for sound in details["phonemes"].get(label, ())) for label in PARTY)
    return a, b


def read_speech(path: Path) -> tuple[list[Segment], list[Segment]]:
    """Speech segments of speaker 1 and speaker 2, from a clip's RTTM.

    Raises
    ------
    InputError
        The file is missing, is not RTTM, or has another label.
    """
    return parse_speech(read_rttm_text(path), path)


def parse_speech(text: str, source: str | os.PathLike) -> tuple[list[Segment], list[Segment]]:
    """The same from the text of an RTTM; `source` is named in errors."""
    segments: dict[str, list[Segment]] = {label: [] for label in PARTY}
    for segment, _, label in parse_rttm(text, source).itertracks(yield_label=True):
        if label not in segments:
            raise InputError(f"{source} names {label}; wanted {' and '.join(PARTY)}")
        segments[label].append(segment)
    return segments[PARTY[0]], segments[PARTY[1]]


def write_json(path: Path, content: Mapping) -> None:
    """Write compact JSON atomically."""
    write_text(path, json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":")) + "\n")


def sha256_of(path: Path) -> str:
    """Hexadecimal SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
