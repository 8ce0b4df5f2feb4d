"""Stores behind URLs: a local mirror of what a build needs, and of the clips that were read.

A mirror is a temporary folder. A build downloads the records and the RTTM files of the clips that are complete; a
reader downloads the tables, and the files of a clip when they are first used. Units of work make a clip in a
folder of their own and upload it, the JSON last.
"""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from dualtalk.errors import InputError
from dualtalk.io.remote import RemoteFolder
from dualtalk.store.schema import EVENTS, MANIFEST, METADATA, REJECTED, SPLITS, TURNS, clip_paths
from dualtalk.store.store import Store, read_store

TABLES = (TURNS, EVENTS, REJECTED, MANIFEST)


class StoreMirror:
    """A local folder that stands for a store behind a URL while it is built; a context manager."""

    def __init__(self, url: str) -> None:
        self.remote = RemoteFolder(url)
        self._scratch = tempfile.TemporaryDirectory(prefix="dualtalk-store-")
        self.root = Path(self._scratch.name)

    def __enter__(self) -> "StoreMirror":
        held = self.remote.names()
        if held and METADATA not in held:
            raise InputError(
                f"{self.remote.url} holds {held[0]}, which is not part of a store; give a folder of its own"
            )
        self.remote.download([name for name in held if _needed_to_resume(name, set(held))], self.root)
        return self

    def __exit__(self, *_: object) -> None:
        self._scratch.cleanup()

    def keep(self, files: dict[str, bytes]) -> None:
        """Write the small files of a clip that was uploaded."""
        for name, content in files.items():
            (self.root / name).parent.mkdir(exist_ok=True)
            (self.root / name).write_bytes(content)

    def forget(self, clip: str) -> None:
        """Remove what an earlier run made of a clip that is now rejected."""
        for split in SPLITS:
            for path in clip_paths(self.root, split, clip):
                path.unlink(missing_ok=True)

    def sweep(self) -> None:
        """Remove from the URL the clips that are no longer in the mirror, and upload the metadata."""
        complete = {path.relative_to(self.root).with_suffix("").as_posix() for path in self.root.glob("*/*.json")}
        stale = [
            name
            for name in self.remote.names()
            if name not in (METADATA, *TABLES) and _clip_of(name) not in complete
        ]
        self.remote.remove(stale)
        self.remote.upload(self.root / METADATA, METADATA)

    def upload_tables(self) -> None:
        """The manifest last: with it, the store is complete."""
        for name in TABLES:
            self.remote.upload(self.root / name, name)


def make_and_upload(url: str, make_one: Callable[[Path, Any], Any], task: Any) -> tuple[Any, dict[str, bytes]]:
    """Make a clip in a folder of its own and upload its files.

    Returns
    -------
    result, files
        Of `make_one`; and the small files of the clip, by name, from which the tables are made.
    """
    with tempfile.TemporaryDirectory(prefix="dualtalk-clip-") as scratch:
        folder, remote = Path(scratch), RemoteFolder(url)
        result = make_one(folder, task)
        made = [path for path in clip_paths(folder, task.split, task.clip) if path.exists()]
        for path in made:
            remote.upload(path, path.relative_to(folder).as_posix())
        small = [path for path in made if path.suffix in (".rttm", ".json")]
        return result, {path.relative_to(folder).as_posix(): path.read_bytes() for path in small}


class RemoteStore(Store):
    """A store behind a URL; `root` is its mirror, which grows with every clip that is read."""

    def __init__(self, url: str, scratch: tempfile.TemporaryDirectory, opened: Store) -> None:
        super().__init__(opened.root, opened.metadata, opened.manifest)
        self.url = url
        self._scratch, self._remote = scratch, RemoteFolder(url)
        self._fetched: set[str] = set()

    def fetch(self, clip: str, split: str) -> None:
        if clip in self._fetched:
            return
        row = self.manifest.loc[self.manifest["clip"] == clip].iloc[0]
        paths = clip_paths(self.root, split, clip)
        columns = ("sha256_audio_a", "sha256_audio_b", "sha256_motion_a", "sha256_motion_b")
        present = [bool(row[column]) for column in columns]
        names = [
            path.relative_to(self.root).as_posix()
            for path, there in zip(paths, [*present, True, True], strict=True)
            if there
        ]
        self._remote.download(names, self.root)
        self._fetched.add(clip)

    def __reduce__(self) -> tuple[Callable[[str], Store], tuple[str]]:
        """Another process, or another node, gets a mirror of its own."""
        return open_remote_store, (self.url,)


def open_remote_store(url: str) -> Store:
    """Open a finished store behind a URL.

    Raises
    ------
    InputError
        As for `open_store`, or the URL cannot be read.
    """
    remote = RemoteFolder(url)
    scratch = tempfile.TemporaryDirectory(prefix="dualtalk-store-")
    held = set(remote.names())
    if not held:
        raise InputError(f"no store at {url}; dualtalk prepare or dualtalk synthesize makes one")
    remote.download([name for name in (METADATA, *TABLES) if name in held], Path(scratch.name))
    return RemoteStore(url, scratch, read_store(Path(scratch.name), url))


def _needed_to_resume(name: str, held: set[str]) -> bool:
    if name == METADATA:
        return True
    return (
        name.endswith((".json", ".rttm")) and name.partition("/")[0] in SPLITS and f"{_clip_of(name)}.json" in held
    )


def _clip_of(name: str) -> str:
    """SPLIT/CLIP of the name of a clip's file."""
    stem = name.rpartition(".")[0]
    for speaker in ("_speaker1", "_speaker2"):
        stem = stem.removesuffix(speaker)
    return stem
