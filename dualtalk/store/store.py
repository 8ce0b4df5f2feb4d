"""Reading a store: whole conversations, and spans of them without decoding the rest."""

import json
import os
from dataclasses import replace
from functools import cached_property
from pathlib import Path

import pandas as pd

from dualtalk.core import Conversation, MotionLayout
from dualtalk.errors import InputError
from dualtalk.io.clip_files import ClipFiles
from dualtalk.store.schema import ABOUT, EVENTS, FORMAT, MANIFEST, TURNS, clip_path, read_clip_json, read_speech
from dualtalk.store.window_reader import Span, read_span


class Store:
    """A store that `prepare` or `synthesize` finished.

    Attributes
    ----------
    root : Path
    about : dict
        Corpus, licence, citation, how it was made.
    manifest : pandas.DataFrame
        A row a clip: the fields of `dualtalk.store.schema.ClipRecord`.
    """

    def __init__(self, root: Path, about: dict, manifest: pd.DataFrame) -> None:
        self.root, self.about, self.manifest = root, about, manifest

    def __len__(self) -> int:
        return len(self.manifest)

    @cached_property
    def turns(self) -> pd.DataFrame:
        """`dualtalk.audio.turns.turn_table` of all clips, with the column `clip`."""
        return pd.read_parquet(self.root / TURNS)

    @cached_property
    def events(self) -> pd.DataFrame:
        """Planted dependencies: clip, person, kind, frame, strength, cause, cause_frame."""
        return pd.read_parquet(self.root / EVENTS)

    def details(self, clip: str) -> dict:
        """All that is kept about one clip: `record`, `events`, `phonemes`, `made_of`."""
        return read_clip_json(self._path(clip, ".json"))[1]

    def conversation(self, clip: str) -> Conversation:
        """One whole clip."""
        return replace(Conversation.from_files(self.files(clip)), name=clip)

    def files(self, clip: str) -> ClipFiles:
        """Paths of the files of one clip."""
        return ClipFiles.published(self._path(clip, "").parent, clip, self._sessions[clip])

    def span(self, clip: str, split: str, first: int, frames: int, layout: MotionLayout) -> Span:
        """Frames `first` to `first + frames` of a clip of `split`.

        Raises
        ------
        InputError
            The files do not hold that span, or a motion lacks a part of `layout`.
        """
        motions = [path if path.exists() else None for path in self._pair(clip, split, ".npz")]
        speech = read_speech(clip_path(self.root, split, clip, ".rttm"))
        waves = self._pair(clip, split, ".wav")
        return read_span(waves.__getitem__, motions.__getitem__, speech, first, frames, layout)

    def _pair(self, clip: str, split: str, suffix: str) -> list[Path]:
        return [clip_path(self.root, split, clip, suffix, person) for person in (0, 1)]

    def _path(self, clip: str, suffix: str, person: int | None = None) -> Path:
        return clip_path(self.root, self._splits[clip], clip, suffix, person)

    @cached_property
    def _sessions(self) -> dict[str, str]:
        return dict(zip(self.manifest["clip"], self.manifest["session"], strict=True))

    @cached_property
    def _splits(self) -> dict[str, str]:
        return dict(zip(self.manifest["clip"], self.manifest["split"], strict=True))


def open_store(root: str | os.PathLike) -> Store:
    """Open a finished store.

    Raises
    ------
    InputError
        No store, one that is not finished, or one of another format.
    """
    root = Path(root)
    if not root.is_dir():
        raise InputError(f"no store at {root}; dualtalk prepare or dualtalk synthesize makes one")
    if not (root / ABOUT).is_file():
        raise InputError(f"{root} is not a store (it has no {ABOUT}); dualtalk prepare makes one of it")
    try:
        about = json.loads((root / ABOUT).read_text())
    except ValueError as error:
        raise InputError(f"{root / ABOUT} is not JSON ({error})") from error
    if about.get("format") != FORMAT:
        raise InputError(f"{root} is a store of format {about.get('format')}; this version reads {FORMAT}")
    if not (root / MANIFEST).is_file():
        raise InputError(f"{root} is not finished; run the command that makes it once more: it goes on from there")
    try:
        manifest = pd.read_parquet(root / MANIFEST)
    except (OSError, ValueError) as error:
        raise InputError(f"{root / MANIFEST} cannot be read ({error}); make the store again") from error
    return Store(root, about, manifest)
