"""Files of predictions and ground truth: finds them, matches them by name, reads them as motion of one layout.

Both have the published layout: `CLIP_speaker1`, `CLIP_speaker2`, with `.npy` (frame, 56) or `.npz` for a
prediction, and `.npz` with a `.wav` beside it for the ground truth. A store is such a folder with turns (RTTM) and
phonemes (JSON) beside it. A stochastic system has one such folder a sample: `sample0`, `sample1`. All motion is
converted to the published layout of 56 coefficients; eyes, which most systems do not predict, are left out.
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
from dualtalk.errors import InputError
from dualtalk.io.clip_files import ClipFiles, published_session, speech_of
from dualtalk.io.npz import read_npy
from dualtalk.store import open_store
from dualtalk.store.schema import METADATA, clip_path, read_clip_json
from dualtalk.timebase import MOTION_FPS, SAMPLES_PER_FRAME

PROTOCOLS: tuple[Protocol, ...] = get_args(Protocol)
# A person of a clip: the name of the clip, and 0 or 1.
PersonKey = tuple[str, int]
PREDICTED = (".npy", ".npz")
SPEAKER = re.compile(r"(?P<clip>.+)_speaker(?P<number>[12])")
SAMPLE = re.compile(r"sample(\d+)")
MAX_LISTED_NAMES = 5


@dataclass(frozen=True, eq=False)
class ReferencePerson:
    """One person of a ground-truth clip; fields without data are None.

    Attributes
    ----------
    motion : HeadMotion or None
        In the published layout.
    audio : (sample,) float32 or None
    speech : Timeline or None
        From the RTTM, or from voice activity of the audio.
    phonemes : tuple of Phoneme, or None
        From the store.
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
        What the system was given of the partner: its real motion, as published, or only both waves.
    files : mapping
        Person -> a file for each sample: one for a deterministic system, equally many for every person.
    """

    name: str
    protocol: Protocol
    files: Mapping[PersonKey, tuple[Path, ...]]

    @property
    def samples(self) -> int:
        return len(next(iter(self.files.values())))


def find_reference(root: str | os.PathLike, split: str) -> tuple[ClipFiles, ...]:
    """All ground-truth clips of a split of a store, or of a folder in the published layout, by name.

    Raises
    ------
    InputError
        There is no such folder, or it has no clips.
    """
    root = Path(root)
    if not root.is_dir():
        what = "a file" if root.exists() else "nothing"
        raise InputError(
            f"ground truth {root} is {what}; wanted a store, or a folder of CLIP_speaker1.npz and .wav"
        )
    if (root / METADATA).is_file():
        return _find_in_store(root, split)
    folder = _split_folder(root, split)
    clips = sorted({clip for clip, _ in _by_person(folder, (".npz",))})
    if not clips:
        raise InputError(f"{folder} holds no CLIP_speaker1.npz; wanted a store or the published layout")
    return tuple(ClipFiles.published(folder, clip, published_session(clip)) for clip in clips)


def _find_in_store(root: Path, split: str) -> tuple[ClipFiles, ...]:
    rows = open_store(root).manifest
    in_split = rows[rows["split"] == split]
    if not len(in_split):
        splits = ", ".join(sorted(set(rows["split"])))
        raise InputError(f"{root} has no clip in split {split!r}; it has {splits}: pass --split")
    return tuple(
        ClipFiles.published(clip_path(root, split, clip, "").parent, clip, session)
        for clip, session in sorted(zip(in_split["clip"], in_split["session"], strict=True))
    )


def _by_person(folder: Path, suffixes: Sequence[str]) -> dict[PersonKey, Path]:
    found: dict[PersonKey, Path] = {}
    for path in sorted(folder.iterdir()):
        named = SPEAKER.fullmatch(path.stem)
        if path.suffix not in suffixes or not named:
            continue
        person = named["clip"], int(named["number"]) - 1
        if person in found:
            raise InputError(f"{folder} holds both {found[person].name} and {path.name}; remove one of them")
        found[person] = path
    return found


def find_system(root: str | os.PathLike, name: str, protocol: Protocol, split: str) -> System:
    """A folder of predictions, `CLIP_speaker{1,2}.npy` or `.npz`, which may be in a subfolder `split`.

    A stochastic system has folders `sample0`, `sample1` and so on, each such a folder with the same file names.

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
        raise InputError(f"predictions {root} are {what}; wanted a folder of CLIP_speaker1.npy or .npz")
    folder = _split_folder(root, split)
    samples = _sample_folders(folder)
    if not samples:
        return System(name, protocol, {person: (path,) for person, path in _predictions(folder).items()})
    if loose := _by_person(folder, PREDICTED):
        raise InputError(
            f"{folder} holds {samples[0].name} and, beside it, {loose[min(loose)].name}; wanted one or the other"
        )
    if len(samples) < 2:
        raise InputError(
            f"{folder} holds one sample, {samples[0].name}; wanted two or more; for a single one pass {samples[0]}"
        )
    found = [_predictions(_split_folder(sample, split)) for sample in samples]
    for sample, files in zip(samples, found, strict=True):
        if unequal := sorted(set(files) ^ set(found[0])):
            lacking, having = (samples[0], sample) if unequal[0] in files else (sample, samples[0])
            raise InputError(
                f"{lacking} has no {names_of(unequal[:1])}, which {having.name} has; wanted the same in all"
            )
    return System(name, protocol, {person: tuple(files[person] for files in found) for person in found[0]})


def _split_folder(folder: Path, split: str) -> Path:
    return folder / split if (folder / split).is_dir() else folder


def _sample_folders(folder: Path) -> list[Path]:
    numbered = [(SAMPLE.fullmatch(path.name), path) for path in folder.iterdir() if path.is_dir()]
    return [path for _, path in sorted((int(named[1]), path) for named, path in numbered if named)]


def _predictions(folder: Path) -> dict[PersonKey, Path]:
    files = _by_person(folder, PREDICTED)
    if not files:
        raise InputError(f"{folder} holds no predictions; wanted <clip>_speaker1.npy (frame, 56), or .npz")
    return files


def match_predictions(
    clips: Sequence[ClipFiles], systems: Sequence[System]
) -> tuple[tuple[tuple[ClipFiles, tuple[int, ...]], ...], tuple[str, ...]]:
    """Clips with the people whom the ground truth and every system have, and warnings about what is left out.

    Raises
    ------
    InputError
        Nobody is in all of them.
    """
    expected = {(one.clip, person) for one in clips for person in (0, 1) if one.motions[person]}
    found = []
    for system in systems:
        if unknown := sorted(set(system.files) - expected):
            text = f"left out {len(unknown)} predictions without a ground truth: {names_of(unknown)}"
            found.append((system.name, text))
        if absent := sorted(expected - set(system.files)):
            found.append((system.name, f"no prediction of {len(absent)} people: {names_of(absent)}"))
    warnings = merged_warnings(found, len(systems))
    common = expected.intersection(*(system.files for system in systems))
    if not common:
        first, available = min(systems[0].files), min(expected, default=None)
        other = names_of([available]) if available else "no motion"
        slip = f"and the ground truth {other}"
        raise InputError(f"no prediction has a ground truth: {systems[0].name} has {names_of([first])}, {slip}")
    pairs = [(one, tuple(person for person in (0, 1) if (one.clip, person) in common)) for one in clips]
    if len(systems) > 1 and any(set(system.files) & expected != common for system in systems):
        warnings.append(f"measured the {len(common)} people whom all {len(systems)} systems predict")
    return tuple(pair for pair in pairs if pair[1]), tuple(warnings)


def merged_warnings(warnings: Sequence[tuple[str, str]], systems: int) -> list[str]:
    """One line for each text of (system, text) pairs, with the names of its systems, or "all N systems"."""
    by_text = {text: [name for name, same in warnings if same == text] for _, text in warnings}
    return [
        f"{f'all {systems} systems' if 1 < systems == len(names) else ', '.join(names)}: {text}"
        for text, names in by_text.items()
    ]


def names_of(people: Sequence[PersonKey]) -> str:
    """File names without suffix; only the first few."""
    listed = ", ".join(f"{clip}_speaker{person + 1}" for clip, person in people[:MAX_LISTED_NAMES])
    return listed if len(people) <= MAX_LISTED_NAMES else f"{listed} and {len(people) - MAX_LISTED_NAMES} more"


def read_motion(path: Path) -> HeadMotion:
    """A motion file in the published layout."""
    try:
        return HeadMotion.load(path).to_layout(DUALTALK56)
    except InputError as error:
        raise error if str(path) in str(error) else InputError(f"{path}: {error}") from error


def read_prediction(path: Path, space: Space) -> HeadMotion:
    """A prediction in the published layout; an npy file is assumed to be in `space`, the ground truth's.

    Raises
    ------
    InputError
        Another width, a NaN, degrees, or an npz of another space.
    """
    if path.suffix == ".npz":
        motion = read_motion(path)
        if motion.space != space:
            raise InputError(
                f"{path} is in space {motion.space!r}, the ground truth in {space!r}; their coefficients mean "
                "different expressions: convert one with dualtalk export"
            )
        return motion
    array = read_npy(path)
    if array.ndim != 2 or array.shape[1] != DUALTALK56.width or array.dtype.kind != "f":
        slip = "was a batch axis left on?" if array.ndim > 2 else "is it expression 50, jaw 3, head 3?"
        raise InputError(
            f"{path} has shape {array.shape} of {array.dtype}; wanted (frame, {DUALTALK56.width}) of float; {slip}"
        )
    try:
        return HeadMotion(array.astype(np.float32), space, DUALTALK56)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def read_clip(files: ClipFiles, *, audio: bool = True) -> tuple[ReferencePerson, ReferencePerson]:
    """Both people; without `audio`, motion only.

    Raises
    ------
    InputError
        A file is invalid, or the two motions are of different spaces.
    """
    motions = [read_motion(path) if path else None for path in files.motions]
    if len(spaces := {motion.space for motion in motions if motion}) > 1:
        raise InputError(f"{files.clip} has motion in spaces {' and '.join(sorted(spaces))}; wanted one")
    if not audio:
        one, two = (ReferencePerson(motion, None, None, None) for motion in motions)
        return one, two
    waves, annotation = files.read_audio(), files.read_annotation()
    if annotation is not None:
        speech = [speech_of(annotation, label) for label in PARTY]
    else:
        speech = [None if wave is None else detect_speech(wave) for wave in waves]
    phonemes = _phonemes(files.record) if files.record else {}
    one, two = (
        ReferencePerson(motions[person], waves[person], speech[person], phonemes.get(PARTY[person]))
        for person in (0, 1)
    )
    return one, two


def _phonemes(record: Path) -> dict[str, tuple[Phoneme, ...]]:
    stored: Iterable = read_clip_json(record)[1].get("phonemes", {}).items()
    return {label: tuple(Phoneme(*fields) for fields in phonemes) for label, phonemes in stored}


def cut_person(person: ReferencePerson, first: int, end: int) -> ReferencePerson:
    """The same person from frame `first` to the frame before `end`; times start at `first`."""
    start_s, stop_s = first / MOTION_FPS, end / MOTION_FPS
    speech, phonemes = person.speech, person.phonemes
    if speech is not None:
        inside = speech.crop(Segment(start_s, stop_s))
        speech = Timeline(Segment(span.start - start_s, span.end - start_s) for span in inside)
    if phonemes is not None:
        phonemes = tuple(
            replace(one, start_s=one.start_s - start_s, end_s=one.end_s - start_s)
            for one in phonemes
            if start_s <= one.start_s and one.end_s <= stop_s
        )
    samples = slice(first * SAMPLES_PER_FRAME, end * SAMPLES_PER_FRAME)
    return ReferencePerson(
        None if person.motion is None else person.motion[first:end],
        None if person.audio is None else person.audio[samples],
        speech,
        phonemes,
    )
