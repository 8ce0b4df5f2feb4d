"""Predictions and references on disk: found, matched by name, read as motion of one layout.

Both lie as the published data do: `<clip>_speaker1`, `<clip>_speaker2`, with `.npy` (frame, 56) or `.npz` for a
prediction, and `.npz` with a `.wav` beside it for a reference; a store is such a folder with who speaks when and
what they say beside it. A system that draws samples has such a folder for each: `sample0`, `sample1`. Everything
is brought to the published layout of 56 coefficients, so that eyes, which most systems do not predict, count for
nobody.
"""

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import get_args

import numpy as np
from jaxtyping import Float32
from pyannote.core import Segment, Timeline

from dualtalk.audio.phonemes import Phoneme
from dualtalk.audio.voice_activity import detect_speech
from dualtalk.choices import Protocol
from dualtalk.core import DUALTALK56, PARTY, HeadMotion, Space
from dualtalk.corpora.dualtalk_corpus import SUB_VIDEO_SUFFIX
from dualtalk.errors import InputError
from dualtalk.io.audio_file import read_wave
from dualtalk.store import open_store
from dualtalk.store.schema import METADATA, clip_path, read_clip_json, read_speech
from dualtalk.timebase import MOTION_FPS, SAMPLES_PER_FRAME

PROTOCOLS: tuple[Protocol, ...] = get_args(Protocol)
# A person of a clip: its name, and 0 or 1.
Who = tuple[str, int]
PREDICTED = (".npy", ".npz")
SPEAKER = re.compile(r"(?P<clip>.+)_speaker(?P<number>[12])")
SAMPLE = re.compile(r"sample(\d+)")
SHOWN_NAMES = 5


@dataclass(frozen=True)
class ClipFiles:
    """Where a reference clip's files are; None where there is none.

    Attributes
    ----------
    clip : str
    dialogue : str
        What was recorded in one sitting: clips of one are not independent.
    motions, waves : (Path or None, Path or None)
        Of speaker 1 and speaker 2.
    turns, record : Path or None
        RTTM and JSON, as a store keeps them.
    """

    clip: str
    dialogue: str
    motions: tuple[Path | None, Path | None]
    waves: tuple[Path | None, Path | None]
    turns: Path | None = None
    record: Path | None = None


@dataclass(frozen=True, eq=False)
class ReferencePerson:
    """One person of a reference clip, as far as is known.

    Attributes
    ----------
    motion : HeadMotion or None
        In the published layout.
    audio : (sample,) float32 or None
    speech : Timeline or None
        None where neither turns nor sound are there.
    phonemes : tuple of Phoneme, or None
        Where the store knows them; they are never guessed here.
    """

    motion: HeadMotion | None
    audio: Float32[np.ndarray, "sample"] | None
    speech: Timeline | None
    phonemes: tuple[Phoneme, ...] | None


@dataclass(frozen=True)
class System:
    """One system's predictions.

    Attributes
    ----------
    name : str
    protocol : "partner-given" or "closed-loop"
        What it was given: the partner's real motion, as published, or nothing but both voices.
    files : mapping
        Who -> a file for each sample, as many for everybody; one where the system draws none.
    """

    name: str
    protocol: Protocol
    files: Mapping[Who, tuple[Path, ...]]

    @property
    def samples(self) -> int:
        return len(next(iter(self.files.values())))


def find_reference(root: str | os.PathLike, split: str) -> tuple[ClipFiles, ...]:
    """All clips of a store's split, or of a folder in the published layout, by name.

    Raises
    ------
    InputError
        Nothing of the kind is there.
    """
    root = Path(root)
    if not root.is_dir():
        what = "a file" if root.exists() else "nothing"
        raise InputError(
            f"reference {root} is {what}; wanted a store, or a folder of <clip>_speaker1.npz and .wav"
        )
    if (root / METADATA).is_file():
        return _of_store(root, split)
    folder = _inner(root, split)
    clips = sorted({clip for clip, _ in _by_person(folder, (".npz",))})
    if not clips:
        raise InputError(f"{folder} holds no <clip>_speaker1.npz; wanted a store or the published layout")
    return tuple(
        ClipFiles(
            clip,
            SUB_VIDEO_SUFFIX.sub("", clip),
            _pair(folder, clip, ".npz"),
            _pair(folder, clip, ".wav"),
            _if_there(folder / f"{clip}.rttm"),
        )
        for clip in clips
    )


def _of_store(root: Path, split: str) -> tuple[ClipFiles, ...]:
    rows = open_store(root).manifest
    some = rows[rows["split"] == split]
    if not len(some):
        held = ", ".join(sorted(set(rows["split"])))
        raise InputError(f"{root} has no clip in split {split!r}; it has {held}: pass --split")
    found = []
    for clip, session in sorted(zip(some["clip"], some["session"], strict=True)):
        folder = clip_path(root, split, clip, "").parent
        files = [_if_there(clip_path(root, split, clip, suffix)) for suffix in (".rttm", ".json")]
        found.append(ClipFiles(clip, session, _pair(folder, clip, ".npz"), _pair(folder, clip, ".wav"), *files))
    return tuple(found)


def _pair(folder: Path, clip: str, suffix: str) -> tuple[Path | None, Path | None]:
    one, two = (_if_there(folder / f"{clip}_speaker{number}{suffix}") for number in (1, 2))
    return one, two


def _if_there(path: Path) -> Path | None:
    return path if path.is_file() else None


def _by_person(folder: Path, suffixes: Sequence[str]) -> dict[Who, Path]:
    found: dict[Who, Path] = {}
    for path in sorted(folder.iterdir()):
        named = SPEAKER.fullmatch(path.stem)
        if path.suffix not in suffixes or not named:
            continue
        who = named["clip"], int(named["number"]) - 1
        if who in found:
            raise InputError(f"{folder} holds both {found[who].name} and {path.name}; remove one of them")
        found[who] = path
    return found


def find_system(root: str | os.PathLike, name: str, protocol: Protocol, split: str) -> System:
    """A folder of predictions, `<clip>_speaker{1,2}.npy` or `.npz`, or one that has them in a folder `split`.

    Of a system that draws samples, folders `sample0`, `sample1` and so on, each such a folder of the same people.

    Raises
    ------
    InputError
        No such folder, no prediction in it, a single sample, or samples of different people.
    """
    root = Path(root)
    if protocol not in PROTOCOLS:
        raise InputError(f"no protocol {protocol!r}; wanted {' or '.join(PROTOCOLS)}")
    if not root.is_dir():
        what = "a file" if root.exists() else "nothing"
        raise InputError(f"predictions {root} are {what}; wanted a folder of <clip>_speaker1.npy or .npz")
    folder = _inner(root, split)
    samples = _sample_folders(folder)
    if not samples:
        return System(name, protocol, {who: (path,) for who, path in _predictions(folder).items()})
    if loose := _by_person(folder, PREDICTED):
        raise InputError(
            f"{folder} holds {samples[0].name} and, beside it, {loose[min(loose)].name}; wanted one or the other"
        )
    if len(samples) < 2:
        raise InputError(
            f"{folder} holds one sample, {samples[0].name}; wanted two or more; for a single one pass {samples[0]}"
        )
    found = [_predictions(_inner(sample, split)) for sample in samples]
    for sample, files in zip(samples, found, strict=True):
        if apart := sorted(set(files) ^ set(found[0])):
            lacking, having = (samples[0], sample) if apart[0] in files else (sample, samples[0])
            raise InputError(
                f"{lacking} has no {names_of(apart[:1])}, which {having.name} has; wanted the same in all samples"
            )
    return System(name, protocol, {who: tuple(files[who] for files in found) for who in found[0]})


def _inner(folder: Path, split: str) -> Path:
    return folder / split if (folder / split).is_dir() else folder


def _sample_folders(folder: Path) -> list[Path]:
    numbered = [(SAMPLE.fullmatch(path.name), path) for path in folder.iterdir() if path.is_dir()]
    return [path for _, path in sorted((int(named[1]), path) for named, path in numbered if named)]


def _predictions(folder: Path) -> dict[Who, Path]:
    files = _by_person(folder, PREDICTED)
    if not files:
        raise InputError(f"{folder} holds no predictions; wanted <clip>_speaker1.npy (frame, 56), or .npz")
    return files


def matched(
    clips: Sequence[ClipFiles], systems: Sequence[System]
) -> tuple[tuple[tuple[ClipFiles, tuple[int, ...]], ...], tuple[str, ...]]:
    """Clips with the people who can be measured: whom the reference and every system have; and what is left out.

    Raises
    ------
    InputError
        Nobody can.
    """
    wanted = {(one.clip, person) for one in clips for person in (0, 1) if one.motions[person]}
    said = []
    for system in systems:
        if unknown := sorted(set(system.files) - wanted):
            said.append((system.name, f"{len(unknown)} not in the reference, left out: {names_of(unknown)}"))
        if absent := sorted(wanted - set(system.files)):
            said.append((system.name, f"{len(absent)} of the reference are not predicted: {names_of(absent)}"))
    notes = said_once(said, len(systems))
    common = wanted.intersection(*(system.files for system in systems))
    if not common:
        first, had = min(systems[0].files), min(wanted, default=None)
        slip = f"and the reference {names_of([had])}" if had else "and the reference has no motion"
        raise InputError(f"no prediction has a reference: {systems[0].name} has {names_of([first])}, {slip}")
    pairs = [(one, tuple(person for person in (0, 1) if (one.clip, person) in common)) for one in clips]
    if len(systems) > 1 and any(set(system.files) & wanted != common for system in systems):
        notes.append(f"measured on the {len(common)} that all {len(systems)} systems have")
    return tuple(pair for pair in pairs if pair[1]), tuple(notes)


def said_once(said: Sequence[tuple[str, str]], systems: int) -> list[str]:
    """Notes of (system, what is said of it): what is said of many is said once, of all `systems` or by name."""
    of = {text: [name for name, same in said if same == text] for _, text in said}
    return [
        f"{f'all {systems} systems' if 1 < systems == len(names) else ', '.join(names)}: {text}"
        for text, names in of.items()
    ]


def names_of(people: Sequence[Who]) -> str:
    """File names without suffix, the first few of them."""
    shown = ", ".join(f"{clip}_speaker{person + 1}" for clip, person in people[:SHOWN_NAMES])
    return shown if len(people) <= SHOWN_NAMES else f"{shown} and {len(people) - SHOWN_NAMES} more"


def read_motion(path: Path) -> HeadMotion:
    """A motion file in the published layout."""
    try:
        return HeadMotion.load(path).to_layout(DUALTALK56)
    except InputError as error:
        raise error if str(path) in str(error) else InputError(f"{path}: {error}") from error


def read_prediction(path: Path, space: Space) -> HeadMotion:
    """A prediction in the published layout; an npy file is taken to be in `space`, the reference's.

    Raises
    ------
    InputError
        Another width, a NaN, degrees, or a file that says it is of another space.
    """
    if path.suffix == ".npz":
        motion = read_motion(path)
        if motion.space != space:
            raise InputError(
                f"{path} is in space {motion.space!r}, the reference in {space!r}; their numbers mean other "
                "expressions: dualtalk export carries motion over"
            )
        return motion
    try:
        array = np.load(path, allow_pickle=False)
    except (OSError, ValueError) as error:
        raise InputError(f"{path} is not a readable npy of plain numbers: {error}") from error
    if array.ndim != 2 or array.shape[1] != DUALTALK56.width or array.dtype.kind != "f":
        slip = "was a batch axis left on?" if array.ndim > 2 else "is it expression 50, jaw 3, head 3?"
        raise InputError(
            f"{path} has shape {array.shape} of {array.dtype}; wanted (frame, {DUALTALK56.width}) of float; {slip}"
        )
    try:
        return HeadMotion(array.astype(np.float32), space, DUALTALK56)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def read_clip(files: ClipFiles, *, listen: bool = True) -> tuple[ReferencePerson, ReferencePerson]:
    """Both people; without `listen`, neither sound nor speech.

    Raises
    ------
    InputError
        A file is not as it should be, or the two motions are of different spaces.
    """
    motions = [read_motion(path) if path else None for path in files.motions]
    if len(spaces := {motion.space for motion in motions if motion}) > 1:
        raise InputError(f"{files.clip} has motion in spaces {' and '.join(sorted(spaces))}; wanted one")
    if not listen:
        one, two = (ReferencePerson(motion, None, None, None) for motion in motions)
        return one, two
    voices = [read_wave(path)[0] if path else None for path in files.waves]
    if files.turns:
        speech = [Timeline(spans) for spans in read_speech(files.turns)]
    else:
        speech = [detect_speech(voice) if voice is not None else None for voice in voices]
    sounds = _phonemes(files.record) if files.record else {}
    one, two = (
        ReferencePerson(motions[person], voices[person], speech[person], sounds.get(PARTY[person]))
        for person in (0, 1)
    )
    return one, two


def _phonemes(record: Path) -> dict[str, tuple[Phoneme, ...]]:
    known: Iterable = read_clip_json(record)[1].get("phonemes", {}).items()
    return {label: tuple(Phoneme(*sound) for sound in sounds) for label, sounds in known}


def cut(person: ReferencePerson, first: int, end: int) -> ReferencePerson:
    """The same person over frames `first` to `end`, timed from there."""
    start_s, stop_s = first / MOTION_FPS, end / MOTION_FPS
    speech, sounds = person.speech, person.phonemes
    if speech is not None:
        inside = speech.crop(Segment(start_s, stop_s))
        speech = Timeline(Segment(span.start - start_s, span.end - start_s) for span in inside)
    if sounds is not None:
        sounds = tuple(
            replace(sound, start_s=sound.start_s - start_s, end_s=sound.end_s - start_s)
            for sound in sounds
            if start_s <= sound.start_s and sound.end_s <= stop_s
        )
    samples = slice(first * SAMPLES_PER_FRAME, end * SAMPLES_PER_FRAME)
    return ReferencePerson(
        None if person.motion is None else person.motion[first:end],
        None if person.audio is None else person.audio[samples],
        speech,
        sounds,
    )
