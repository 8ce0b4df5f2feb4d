"""Reading a store: whole conversations, and spans of them without decoding the rest."""

import os
from dataclasses import fields, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from dualtalk.core import Conversation, MotionLayout
from dualtalk.errors import InputError
from dualtalk.io.clip_files import ClipFiles
from dualtalk.io.json_file import read_json_object
from dualtalk.io.names import check_name
from dualtalk.io.remote import is_url
from dualtalk.store.formats import check_format, current_columns, current_metadata
from dualtalk.store.schema import (
    EVENTS,
    MANIFEST,
    METADATA,
    SPLITS,
    TURNS,
    ClipRecord,
    clip_path,
    read_clip_json,
    read_speech,
)
from dualtalk.store.window_reader import ClipSpan, read_span, speech_mask
from dualtalk.timebase import LONGEST_CLIP_FRAMES


class Store:
    """A finished store, opened with `open_store`.

    Attributes
    ----------
    root : Path
    metadata : dict
        Corpus, licence, citation, and the settings that generated the store.
    manifest : pandas.DataFrame
        One row per clip: the fields of `dualtalk.store.schema.ClipRecord`.
    """

    def __init__(self, root: Path, metadata: dict[str, Any], manifest: pd.DataFrame) -> None:
        self.root, self.metadata, self.manifest = root, metadata, manifest
        self._packed_speech: dict[str, np.ndarray] = {}

    def __len__(self) -> int:
        return len(self.manifest)

    @cached_property
    def turns(self) -> pd.DataFrame:
        """`dualtalk.audio.turns.turn_table` of all clips, with the column `clip`."""
        return _read_table(self.root / TURNS)

    @cached_property
    def events(self) -> pd.DataFrame:
        """Injected ground-truth events: clip, person, kind, frame, strength, cause, cause_frame."""
        return _read_table(self.root / EVENTS)

    def details(self, clip: str) -> dict:
        """Everything stored about one clip: `record`, `events`, `phonemes`, `provenance`, `input_hash`."""
        return read_clip_json(self._path(clip, ".json"))[1]

    def conversation(self, clip: str) -> Conversation:
        """One whole clip."""
        return replace(Conversation.from_files(self.files(clip)), name=clip)

    def files(self, clip: str) -> ClipFiles:
        """Paths of the files of one clip."""
        return ClipFiles.published(self._path(clip, "").parent, clip, self._sessions[clip])

    def span(self, clip: str, split: str, first: int, frames: int, layout: MotionLayout) -> ClipSpan:
        """Frames `first` to `first + frames` of a clip of `split`.

        Raises
        ------
        InputError
            The files do not hold that span, or a motion lacks a part of `layout`.
        """
        motions = [path if path.exists() else None for path in self._pair(clip, split, ".npz")]
        waves = self._pair(clip, split, ".wav")
        speech = self._speech(clip, split)
        return read_span(waves.__getitem__, motions.__getitem__, speech, first, frames, layout)

    def fetch(self, clip: str, split: str) -> None:
        """Make the files of a clip present in `root`, where they are already unless the store is behind a URL."""

    def _speech(self, clip: str, split: str) -> np.ndarray:
        """Who speaks in every frame of a clip. An RTTM is parsed once; its mask is kept, one bit per frame."""
        frames = self._frames[clip]
        if clip not in self._packed_speech:
            self.fetch(clip, split)
            mask = speech_mask(read_speech(clip_path(self.root, split, clip, ".rttm")), frames)
            self._packed_speech[clip] = np.packbits(mask, axis=1)
        return np.unpackbits(self._packed_speech[clip], axis=1, count=frames).astype(bool)

    def _pair(self, clip: str, split: str, suffix: str) -> list[Path]:
        self.fetch(clip, split)
        return [clip_path(self.root, split, clip, suffix, person) for person in (0, 1)]

    def _path(self, clip: str, suffix: str, person: int | None = None) -> Path:
        self.fetch(clip, self._splits[clip])
        return clip_path(self.root, self._splits[clip], clip, suffix, person)

    @cached_property
    def _sessions(self) -> dict[str, str]:
        return dict(zip(self.manifest["clip"], self.manifest["session"], strict=True))

    @cached_property
    def _splits(self) -> dict[str, str]:
        return dict(zip(self.manifest["clip"], self.manifest["split"], strict=True))

    @cached_property
    def _frames(self) -> dict[str, int]:
        return {clip: int(n) for clip, n in zip(self.manifest["clip"], self.manifest["frames"], strict=True)}


def open_store(root: str | os.PathLike) -> Store:
    """Open a finished store, of this format or an older one.

    Parameters
    ----------
    root : path or URL
        Of a store behind a URL, the tables are downloaded, and a clip's files when they are first used.

    Raises
    ------
    InputError
        There is no store, it is not finished, it has a newer format, or its manifest leads out of it.
    """
    if is_url(root):
        # Deferred: it imports this module.
        from dualtalk.store.remote import open_remote_store

        return open_remote_store(str(root))
    if not Path(root).is_dir():
        raise InputError(f"no store at {root}; dualtalk prepare or dualtalk synthesize makes one")
    return read_store(Path(root), root)


def read_store(root: Path, name: str | os.PathLike) -> Store:
    """Open the store in a folder; errors call it `name`."""
    if not (root / METADATA).is_file():
        raise InputError(f"{name} is not a store (it has no {METADATA}); dualtalk prepare makes one of it")
    metadata = read_json_object(root / METADATA)
    check_format(metadata.get("format"), f"the store {name}")
    if not (root / MANIFEST).is_file():
        raise InputError(f"{name} is not finished; run the command that makes it again: it resumes")
    manifest = _read_table(root / MANIFEST)
    manifest.columns = pd.Index(current_columns([str(name) for name in manifest.columns]))
    _check_manifest(root / MANIFEST, manifest)
    return Store(root, current_metadata(metadata), manifest)


def _read_table(path: Path) -> pd.DataFrame:
    try:
        return pd.read_parquet(path)
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read ({error}); make the store again") from error


def _check_manifest(path: Path, manifest: pd.DataFrame) -> None:
    """Refuse a manifest that lacks a column, or whose names or lengths would lead out of the store's files."""
    names = [one.name for one in fields(ClipRecord)]
    if missing := [name for name in names if name not in manifest.columns]:
        raise InputError(f"{path} has no column {missing[0]}; make the store again")
    for clip in manifest["clip"]:
        check_name(clip, f"a clip of {path}")
    if unknown := set(manifest["split"]) - set(SPLITS):
        raise InputError(f"{path} has the split {min(map(repr, unknown))}; wanted one of {', '.join(SPLITS)}")
    for column, kinds, longest in (("frames", "iu", LONGEST_CLIP_FRAMES), ("seconds", "iuf", np.inf)):
        numbers = manifest[column].to_numpy()
        if numbers.dtype.kind not in kinds or not ((numbers >= 1e-9) & (numbers <= longest)).all():
            raise InputError(f"{path}: {column} of a clip is no length of a clip; make the store again")
