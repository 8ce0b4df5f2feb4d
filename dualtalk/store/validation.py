"""Looking a finished store over: every file there, whole, and what the manifest says it is."""

import os
from collections.abc import Callable, Iterator

from dualtalk.core import PARTY
from dualtalk.errors import InputError
from dualtalk.store.schema import SPLITS, clip_path, clip_paths, sha256_of
from dualtalk.store.store import Store, open_store


def check_store(
    root: str | os.PathLike, report: Callable[[int, int], None] = lambda done, total: None
) -> list[str]:
    """What is wrong with a store, a sentence a fault; empty if nothing is.

    Checksums of all files are compared, every clip is read, and no person and no session may be in two splits.
    """
    store = open_store(root)
    faults = [*_doubled(store), *_shared_between_splits(store), *_strays(store)]
    for done, row in enumerate(store.manifest.itertuples(), start=1):
        faults += [f"{row.clip}: {fault}" for fault in _clip_faults(store, row)]
        report(done, len(store))
    return faults


def _doubled(store: Store) -> Iterator[str]:
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


def _strays(store: Store) -> Iterator[str]:
    rows = store.manifest
    known = {
        path
        for clip, split in zip(rows["clip"], rows["split"], strict=True)
        for path in clip_paths(store.root, split, clip)
    }
    for split in SPLITS:
        for path in sorted((store.root / split).glob("*")):
            if path not in known:
                yield f"{path.relative_to(store.root)} is not in the manifest"


def _clip_faults(store: Store, row) -> Iterator[str]:
    files = {"sha256_turns": clip_path(store.root, row.split, row.clip, ".rttm")}
    for index, label in enumerate(PARTY):
        files[f"sha256_audio_{label}"] = clip_path(store.root, row.split, row.clip, ".wav", index)
        files[f"sha256_motion_{label}"] = clip_path(store.root, row.split, row.clip, ".npz", index)
    sound = True
    for column, path in files.items():
        wanted = getattr(row, column)
        if wanted and not path.is_file():
            yield f"{path.name} is missing"
        elif wanted and sha256_of(path) != wanted:
            yield f"{path.name} is not what was written (its checksum differs)"
        elif not wanted and path.is_file():
            yield f"{path.name} is not in the manifest"
        else:
            continue
        sound = False
    if not sound:
        return
    try:
        talk = store.conversation(row.clip)
    except InputError as error:
        yield str(error)
        return
    if talk.frames != row.frames or talk.duration_s != row.seconds:
        yield f"holds {talk.frames} frames; the manifest says {row.frames}, {row.seconds} s"
