"""The contract of a corpus: what it is, what it holds, what is missing, and one clip of it as it lies there.

A corpus says only what its files say. Aligning, checking, finding who speaks and splitting is the work of
`dualtalk.preprocess`, which is the same for all.
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

from dualtalk.core import Space
from dualtalk.errors import InputError
from dualtalk.timebase import MOTION_FPS


@dataclass(frozen=True)
class Clip:
    """An entry of a corpus's index.

    Attributes
    ----------
    name : str
        Unique in the corpus, and a file name: no slash, no blank.
    session : str
        What was recorded in one sitting.
    people : (str, str)
        Who they are; as far as the corpus tells, the same person has the same name everywhere.
    split : str
        "train", "validation", "test" or "ood" where the corpus has splits of its own, else empty.
    files : tuple of Path
        All that the clip is read from.
    key : str
        Where in the files, for corpora that keep many clips in one.
    faults : tuple of str
        What makes the clip unusable, as far as the index can tell.
    """

    name: str
    session: str
    people: tuple[str, str]
    split: str = ""
    files: tuple[Path, ...] = ()
    key: str = ""
    faults: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Side:
    """One person's part of a clip, as the corpus has it.

    Attributes
    ----------
    audio : (sample,) float32, or None
        This person's voice at 16 kHz; None where the corpus has none: silence is put in its place.
    motion : mapping or None
        Arrays by the published names: `exp` (T, 50 or more) and `pose` (T, 6) = head, jaw; `eyes` (T, 6) and
        others where there are some; None where there is no motion in a space of ours.
    fps : float
        Of the motion.
    speech : Timeline or None
        When this person speaks, where the corpus says it.
    """

    audio: Float32[np.ndarray, "sample"] | None
    motion: Mapping[str, np.ndarray] | None = None
    fps: float = float(MOTION_FPS)
    speech: Timeline | None = None


@dataclass(frozen=True, eq=False)
class Source:
    """One clip, as the corpus has it.

    Attributes
    ----------
    sides : (Side, Side), or None
    recording : tuple of Path
        In place of sides: sound files in which the two people are yet to be told apart.
    notes : tuple of str
    kept : mapping
        What else is worth keeping: a transcript. JSON.
    """

    sides: tuple[Side, Side] | None = None
    recording: tuple[Path, ...] = ()
    notes: tuple[str, ...] = ()
    kept: Mapping = field(default_factory=dict)


class Corpus(ABC):
    """One corpus. Instances hold no state: every call names the folder."""

    name: ClassVar[str]
    title: ClassVar[str]
    licence: ClassVar[str]
    citation: ClassVar[str]
    how_to_get: ClassVar[str]
    space: ClassVar[Space] = "flame"
    # How many clips each split has as published; empty where that is not known.
    published: ClassVar[Mapping[str, int]] = {}

    @abstractmethod
    def index(self, root: Path) -> list[Clip]:
        """All clips under `root`, complete or not, by name.

        Raises
        ------
        InputError
            Nothing of this corpus is there.
        """

    @abstractmethod
    def read(self, root: Path, clip: Clip) -> Source:
        """One clip.

        Raises
        ------
        InputError
            A file is missing or is not what the corpus should hold.
        """

    def validate(self, root: str | os.PathLike) -> list[str]:
        """What is missing under `root` or differs from what was published, a sentence each."""
        clips = self.index(folder_of(root))
        found = [f"{clip.name}: {fault}" for clip in clips for fault in clip.faults]
        for split, count in self.published.items():
            there = sum(clip.split == split for clip in clips)
            if there != count:
                found.append(f"{split} has {there:,} clips of the {count:,} published")
        return found


def folder_of(root: str | os.PathLike) -> Path:
    """`root` as a path, if it is a folder."""
    path = Path(root)
    if not path.is_dir():
        there = f"{root} is a file" if path.exists() else f"no folder at {root}"
        raise InputError(f"{there}; wanted the folder of a corpus")
    return path


def plain_name(name: str) -> str:
    """A name that is one word and one file name. Blanks would split the lines of an RTTM."""
    return "_".join(name.replace("/", "_").replace("\\", "_").split())
