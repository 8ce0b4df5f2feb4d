"""The files of one clip of two people: motion, audio, speech turns and record.

One reader serves a folder that `Conversation.save` wrote and a clip in the published layout, which stores have.
`dualtalk.core.Conversation.from_files` builds a conversation from these files.
"""

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float32
from pyannote.core import Annotation, Timeline

from dualtalk.choices import PARTY
from dualtalk.errors import InputError
from dualtalk.io.audio_file import map_wave, read_wave
from dualtalk.io.names import check_name
from dualtalk.io.rttm import read_rttm

# About 17 minutes of a voice.
LONG_FILE_BYTES = 64_000_000
Pair = tuple[Path | None, Path | None]
# The published corpus cuts a video into clips named VIDEO_sub_video_N_M.
SUB_VIDEO_SUFFIX = re.compile(r"_sub_video_.*$")


@dataclass(frozen=True)
class ClipFiles:
    """Paths of a clip's files; None for a file that does not exist.

    Attributes
    ----------
    clip : str
    dialogue : str
        Recording session. Clips of one session are not independent of each other.
    motions, waves : (Path or None, Path or None)
        Of the first and the second person.
    turns : Path or None
        RTTM with the labels "a" and "b".
    record : Path or None
        JSON record of a store's clip.
    """

    clip: str
    dialogue: str
    motions: Pair
    waves: Pair
    turns: Path | None = None
    record: Path | None = None

    @classmethod
    def in_folder(cls, folder: str | os.PathLike) -> "ClipFiles":
        """The files that `Conversation.save` wrote into `folder`.

        Raises
        ------
        InputError
            There is no such folder.
        """
        folder = Path(folder)
        if not folder.is_dir():
            raise InputError(f"no conversation folder at {folder}")
        name = folder.resolve().name
        return cls(
            clip=name,
            dialogue=name,
            motions=_pair(folder / f"{label}.npz" for label in PARTY),
            waves=_pair(folder / f"{label}.wav" for label in PARTY),
            turns=_existing(folder / "turns.rttm"),
        )

    @classmethod
    def published(cls, folder: str | os.PathLike, clip: str, dialogue: str) -> "ClipFiles":
        """The files `<clip>_speaker{1,2}.{npz,wav}`, `<clip>.rttm` and `<clip>.json` in `folder`.

        Raises
        ------
        InputError
            `clip` is not a plain name.
        """
        check_name(clip, "the name of a clip")
        folder = Path(folder)
        return cls(
            clip=clip,
            dialogue=dialogue,
            motions=_pair(folder / f"{clip}_speaker{number}.npz" for number in (1, 2)),
            waves=_pair(folder / f"{clip}_speaker{number}.wav" for number in (1, 2)),
            turns=_existing(folder / f"{clip}.rttm"),
            record=_existing(folder / f"{clip}.json"),
        )

    def read_audio(self) -> list[Float32[np.ndarray, "sample"] | None]:
        """The audio of each person, 16 kHz; None without a file."""
        return [None if path is None else _read_voice(path) for path in self.waves]

    def read_annotation(self) -> Annotation | None:
        """The speech of both people, with the recording's name as uri; None without a file.

        Raises
        ------
        InputError
            The file is malformed, or has other labels than "a" and "b".
        """
        if self.turns is None:
            return None
        annotation = read_rttm(self.turns)
        if foreign := set(annotation.labels()) - set(PARTY):
            raise InputError(f"{self.turns} names {min(foreign)}; wanted {' and '.join(PARTY)}")
        return annotation


def _read_voice(path: Path) -> Float32[np.ndarray, "sample"]:
    """The first channel; of a long file it is mapped into memory."""
    return read_wave(path)[0] if path.stat().st_size < LONG_FILE_BYTES else map_wave(path)


def published_session(clip: str) -> str:
    """Recording session of a clip of the published corpus: the name of its video."""
    return SUB_VIDEO_SUFFIX.sub("", clip)


def speech_of(annotation: Annotation | None, label: str) -> Timeline:
    """The speech of one label; empty if it has none."""
    if annotation is None or label not in annotation.labels():
        return Timeline()
    return annotation.label_timeline(label)


def _existing(path: Path) -> Path | None:
    return path if path.is_file() else None


def _pair(paths: Iterable[Path]) -> Pair:
    one, two = (_existing(path) for path in paths)
    return one, two
