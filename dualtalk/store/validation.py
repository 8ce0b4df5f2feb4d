"""Validation of a finished store: every file is there, complete, and as the manifest describes it."""

import os
from collections.abc import Iterator

from dualtalk.core import PARTY
from dualtalk.errors import InputError
from dualtalk.progress import Progress
from dualtalk.store.schema import SPLITS, clip_path, clip_paths, sha256_of
from dualtalk.store.store import Store, open_store


def validate_store(root: str | os.PathLike, progress: Progress = lambda done, total: None) -> list[str]:
    """Errors of a store, one sentence each; empty if the store is valid.

    Checksums of all files are compared, every clip is read, and no person and no session may be in two splits.

    Raises
    ------
    InputError
        `root` is not a finished store.
    """
    store = open_store(root)
    errors = [*_duplicates(store), *_shared_between_splits(store), *_unlisted_files(store)]
    for done, row in enumerate(store.manifest.itertuples(), start=1):
        errors += [f"{row.clip}: {error}" for error in _clip_errors(store, row)]
        progress(done, len(store))
    return errors


def _duplicates(store: Store) -> Iterator[str]:
    clips = store.manifest["clip"]
    yield from (f"{clip} is twice in the manifest" for clip in sorted(set(clips[clips.duplicated()])))


def _shared_between_splits(store: Store) -> Iterator[str]:
    rows = store.manifest
    for what, columns in (("person", ("person_a", "person_b")), ("session", ("session",))):
        splits: dict[str, set[str]] = {}
        for column in columns:
            for name, split in zip(rows[column], rows["split"], strict=True):
                splits.setdefault(name, set()).add(split)
        for name, where in sorted(splits.items()):
            if len(where) > 1:
                yield f"{what} {name} is in {' and in '.join(sorted(where))}"


def _unlisted_files(store: Store) -> Iterator[str]:
    rows = store.manifest
    listed = {
        path
        for clip, split in zip(rows["clip"], rows["split"], strict=True)
        for path in clip_paths(store.root, split, clip)
    }
    for split in SPLITS:
        for path in sorted((store.root / split).glob("*")):
            if path not in listed:
                yield f"{path.relative_to(store.root)} is not in the manifest"


def _clip_errors(store: Store, row) -> Iterator[str]:
    """Errors of the clip of one manifest row; the clip is read only if its files are as they were written."""
    store.fetch(row.clip, row.split)
    files = {"sha256_turns": clip_path(store.root, row.split, row.clip, ".rttm")}
    for index, label in enumerate(PARTY):
        files[f"sha256_audio_{label}"] = clip_path(store.root, row.split, row.clip, ".wav", index)
        files[f"sha256_motion_{label}"] = clip_path(store.root, row.split, row.clip, ".npz", index)
    intact = True
    for column, path in files.items():
        checksum = getattr(row, column)
        if checksum and not path.is_file():
            yield f"{path.name} is missing"
        elif checksum and sha256_of(path) != checksum:
            yield f"{path.name} is not what was written (its checksum differs)"
        elif not checksum and path.is_file():
            yield f"{path.name} is not in the manifest"
        else:
            continue
        intact = False
    if not intact:
        return
    try:
        conversation = store.conversation(row.clip)
    except InputError as error:
        yield str(error)
        return
    if conversation.frames != row.frames or conversation.duration_s != row.seconds:
        yield f"holds {conversation.frames} frames; the manifest says {row.frames}, {row.seconds} s"
