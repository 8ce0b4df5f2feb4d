"""The contract of a corpus: its description, its index, and a reader for one clip.

A corpus class reports what its files contain and nothing more. Alignment, validation, voice activity detection,
diarization and splitting are the same for every corpus and belong to `dualtalk.preprocess`.
"""

import os
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import numpy as np
from jaxtyping import Float32
from pyannote.core import Timeline

from dualtalk.audio.phonemes import Phoneme
from dualtalk.core import Space
from dualtalk.errors import InputError
from dualtalk.timebase import MOTION_FPS


@dataclass(frozen=True)
class Clip:
    """An entry of a corpus's index.

    Attributes
    ----------
    name : str
        Unique in the corpus and usable as a file name: no slash, no white space.
    session : str
        Identifier of the recording session. Clips of one session are never put into different splits.
    person_ids : (str, str)
        Identifiers of the two people. As far as the corpus's files allow, one person has one identifier in all
        clips.
    split : str
        "train", "validation", "test" or "ood" where the corpus defines official splits, otherwise empty.
    files : tuple of Path
        Every file that the clip is read from.
    key : str
        Key inside the files, for corpora that store many clips in one file.
    errors : tuple of str
        Reasons why the clip is unusable, as far as the index can detect them. Empty for a usable clip.
    """

    name: str
    session: str
    person_ids: tuple[str, str]
    split: str = ""
    files: tuple[Path, ...] = ()
    key: str = ""
    errors: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class PersonTrack:
    """One person's data in a clip, unaligned and unchecked.

    Attributes
    ----------
    audio : (sample,) float32, or None
        This person's voice, 16 kHz. None if the corpus has no audio of this person; silence is used then.
    motion : mapping or None
        Arrays under the published names: `exp` (T, 50 or more) and `pose` (T, 6) = head rotation, jaw rotation,
        axis-angle in radians; optionally `eyes` (T, 6) and others. None if the corpus has no motion in a
        supported expression space.
    fps : float
        Frame rate of the motion.
    speech : Timeline or None
        This person's speech segments in seconds; None if the corpus does not provide them.
    phonemes : tuple of Phoneme
        This person's phonemes with times, in order; empty if the corpus does not provide them.
    """

    audio: Float32[np.ndarray, "sample"] | None
    motion: Mapping[str, np.ndarray] | None = None
    fps: float = float(MOTION_FPS)
    speech: Timeline | None = None
    phonemes: tuple[Phoneme, ...] = ()


@dataclass(frozen=True, eq=False)
class ClipData:
    """The data of one clip: either two tracks, or a recording in which the speakers are not separated yet.

    Attributes
    ----------
    tracks : (PersonTrack, PersonTrack), or None
    recording : tuple of Path
        Sound files to separate into two speakers; used if `tracks` is None.
    notes : tuple of str
        Remarks for the manifest.
    metadata : mapping
        Further information to keep with the clip, such as a transcript. Must be serializable as JSON.
    events : tuple of mappings
        Injected ground-truth events, with the keys `dualtalk.store.schema.EVENT_COLUMNS`; only of a corpus whose
        motion was generated.
    """

    tracks: tuple[PersonTrack, PersonTrack] | None = None
    recording: tuple[Path, ...] = ()
    notes: tuple[str, ...] = ()
    metadata: Mapping = field(default_factory=dict)
    events: tuple[Mapping, ...] = ()


class Corpus(ABC):
    """Base class of every corpus. Instances have no state: each call receives the corpus's folder.

    Attributes
    ----------
    name : str
        Name in the registry and of the corpus's card, `datasets/<name>.md`.
    title, licence, citation : str
    download : str
        One line that says where to get the corpus.
    space : "flame" or "open"
        Expression basis of the motion.
    published_clip_counts : mapping of str to int
        Number of clips in each official split; empty if unknown. `validate` compares against it.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    licence: ClassVar[str]
    citation: ClassVar[str]
    download: ClassVar[str]
    space: ClassVar[Space] = "flame"
    published_clip_counts: ClassVar[Mapping[str, int]] = {}

    @abstractmethod
    def index(self, root: Path) -> list[Clip]:
        """List all clips under `root`, complete or not, sorted by name.

        Raises
        ------
        InputError
            `root` is not a folder or contains no clip of this corpus.
        """

    @abstractmethod
    def read(self, root: Path, clip: Clip) -> ClipData:
        """Read one clip of the index.

        Raises
        ------
        InputError
            A file is missing or does not have the expected content.
        """

    def validate(self, root: str | os.PathLike) -> list[str]:
        """Report what is missing under `root` or differs from the published corpus, one sentence each."""
        clips = self.index(require_folder(root))
        errors = [f"{clip.name}: {error}" for clip in clips for error in clip.errors]
        for split, published in self.published_clip_counts.items():
            count = sum(clip.split == split for clip in clips)
            if count != published:
                errors.append(f"{split} has {count:,} clips of the {published:,} published")
        return errors


def require_folder(root: str | os.PathLike) -> Path:
    """Return `root` as a path; raise an InputError if it is not a folder."""
    path = Path(root)
    if not path.is_dir():
        found = f"{root} is a file" if path.exists() else f"no folder at {root}"
        raise InputError(f"{found}; wanted the folder of a corpus")
    return path
