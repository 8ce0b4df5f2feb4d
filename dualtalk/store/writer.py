"""Building a store, many clips at once, so that an interrupted run resumes and ends with the same bytes.

Every clip is made from its task alone, in a single-threaded process, so the same tasks give the same bytes for any
number of workers. A clip that cannot be made is rejected with its reason, and the others continue; a disk that
cannot be written to stops the run.
"""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
from pyannote.core import Timeline

from dualtalk.audio.turns import turn_table
from dualtalk.choices import Workers
from dualtalk.errors import DualTalkError, InputError, SetupError, WriteError
from dualtalk.io.atomic import DISK_ERRORS, write_error, written_whole
from dualtalk.io.json_file import read_json_object
from dualtalk.io.lock import write_lock
from dualtalk.io.names import check_name
from dualtalk.io.remote import is_url
from dualtalk.parallel import worker_pool
from dualtalk.progress import Progress
from dualtalk.store.formats import FORMAT, check_format
from dualtalk.store.remote import StoreMirror, make_and_upload
from dualtalk.store.schema import (
    EVENT_COLUMNS,
    EVENTS,
    MANIFEST,
    METADATA,
    REJECTED,
    SPLITS,
    TURNS,
    ClipDraft,
    ClipRecord,
    check_split,
    clip_path,
    clip_paths,
    read_clip_json,
    read_speech,
    write_clip,
    write_json,
)

LOCK = ".building.lock"
# Name of `REJECTED` in format 1.
REJECTED_FORMAT_1 = "quarantine.csv"


@dataclass(frozen=True)
class Task:
    """A clip to be made.

    Attributes
    ----------
    clip, split : str
    input_hash : str
        Hash of everything that the clip is made from; a clip whose hash has changed is made again.
    entry : object
        Further input of `make`; picklable.
    """

    clip: str
    split: str
    input_hash: str
    entry: Any = None


@dataclass(frozen=True)
class Rejected:
    """A clip that could not be used, and why."""

    clip: str
    reason: str


@dataclass(frozen=True)
class BuildReport:
    """Outcome of a run.

    Attributes
    ----------
    made, kept : int
        Number of clips made in this run, and of complete clips found from an earlier one.
    rejected : tuple of Rejected
    """

    made: int
    kept: int
    rejected: tuple[Rejected, ...]


Make = Callable[[Task], ClipDraft]


def build_store(
    root: str | os.PathLike,
    metadata: Mapping[str, Any],
    tasks: Sequence[Task],
    make: Make,
    *,
    rejected: Sequence[Rejected] = (),
    workers: Workers = 1,
    overwrite: bool = False,
    progress: Progress = lambda done, total: None,
) -> BuildReport:
    """Make the clips of `tasks`, then the tables.

    Parameters
    ----------
    root : path or URL
        A folder; it may hold an unfinished or smaller store with the same metadata, which is completed.
    metadata : mapping
        JSON for `store.json`: corpus, licence, and under `generator` the settings that the clips depend on.
    tasks : sequence of Task
    make : callable
        Turns a task into a `ClipDraft`; it must be picklable. An `InputError` rejects the clip.
    rejected : sequence of Rejected
        Clips that were rejected before any work.
    workers : int or RayCluster
        Number of processes; 0 works in this one. Or a cluster, whose nodes reach `root`.
    overwrite : bool
        Replace a store with other metadata.
    progress : callable
        Called with the number of finished clips and the number of all clips.

    Raises
    ------
    InputError
        `root` cannot be written to, holds something else, or holds a store of another format or with other
        metadata; the disk is full; no clip could be made.
    SetupError
        `make` needs something that this machine lacks.
    """
    build = partial(_build, metadata, tasks, make, tuple(rejected), workers, overwrite, progress)
    if is_url(root):
        with StoreMirror(str(root)) as mirror:
            return build(mirror.root, mirror)
    _make_folder(Path(root))
    with write_lock(root, Path(root) / LOCK):
        return build(Path(root), None)


def _build(
    metadata: Mapping[str, Any],
    tasks: Sequence[Task],
    make: Make,
    rejected: tuple[Rejected, ...],
    workers: Workers,
    overwrite: bool,
    progress: Progress,
    root: Path,
    mirror: StoreMirror | None,
) -> BuildReport:
    """`build_store` in a folder, which is the mirror of a store behind a URL if there is a `mirror`."""
    named, misnamed = _with_usable_names(tasks)
    try:
        # `metadata` may come from a store of an older format.
        _claim(root, {"format": FORMAT, **metadata} | {"format": FORMAT}, overwrite=overwrite)
        _sweep(root, named)
        if mirror:
            mirror.sweep()
        built, records = _make_all(root, named, partial(_results, mirror, make, workers), progress)
        left_out = tuple(sorted((*rejected, *misnamed, *built.rejected), key=lambda one: one.clip))
        if not records:
            reason = f"; the first of them: {left_out[0].clip}: {left_out[0].reason}"
            raise InputError(f"none of {len(tasks) + len(rejected)} clips could be used{reason}")
        _write_tables(root, records, left_out)
        if mirror:
            mirror.sweep()
            mirror.upload_tables()
    except OSError as error:
        raise WriteError(f"{write_error(root, error)}: the store resumes") from error
    except WriteError as error:
        raise WriteError(f"{error}: the store resumes") from error
    return BuildReport(built.made, built.kept, left_out)


def _with_usable_names(tasks: Sequence[Task]) -> tuple[list[Task], list[Rejected]]:
    """The tasks whose files stay in the store's folder, and the others, rejected."""
    named, misnamed = [], []
    for task in tasks:
        try:
            check_split(task.split)
            check_name(task.clip, "its name")
            named.append(task)
        except InputError as error:
            misnamed.append(Rejected(str(task.clip), str(error)))
    return named, misnamed


def _make_folder(root: Path) -> None:
    """Create the folder, or check that it holds a store or nothing."""
    try:
        root.mkdir(parents=True, exist_ok=True)
        held = sorted(entry.name for entry in root.iterdir() if not entry.name.startswith("."))
    except (FileExistsError, NotADirectoryError) as error:
        raise InputError(f"{root} is a file, or in one; wanted a folder for the store") from error
    except OSError as error:
        raise write_error(root, error) from error
    if held and METADATA not in held:
        raise InputError(f"{root} holds {held[0]}, which is not part of a store; give a folder of its own")


def _claim(root: Path, metadata: Mapping[str, Any], *, overwrite: bool) -> None:
    """Make the folder this store's: check that what it holds was made with `metadata`, or remove it."""
    if (root / METADATA).exists():
        if overwrite:
            _empty(root)
        else:
            _check_same(root, read_json_object(root / METADATA), metadata)
    write_json(root / METADATA, metadata)


def _check_same(root: Path, before: Mapping[str, Any], metadata: Mapping[str, Any]) -> None:
    """Refuse to extend a store that was made with other metadata, or in another format."""
    check_format(before.get("format"), f"the store {root}")
    if before["format"] != FORMAT:
        raise InputError(
            f"{root} has format {before['format']}: it can be read, but only a store of format {FORMAT} can be "
            "extended; give another folder, or --overwrite to make it again"
        )
    changed = sorted(key for key in {*before, *metadata} if before.get(key) != metadata.get(key))
    if changed:
        raise InputError(
            f"{root} was made with another {changed[0]} ({before.get(changed[0])!r}, now "
            f"{metadata.get(changed[0])!r}); give another folder, or --overwrite to make it again"
        )


def _empty(root: Path) -> None:
    """Remove the clips and tables of a store, but not its folder."""
    for path in _clip_files(root):
        path.unlink()
    for name in (MANIFEST, TURNS, EVENTS, REJECTED, REJECTED_FORMAT_1):
        (root / name).unlink(missing_ok=True)


def _clip_files(root: Path) -> Iterator[Path]:
    for split in SPLITS:
        yield from sorted(path for path in (root / split).glob("*") if path.is_file())


def _sweep(root: Path, tasks: Sequence[Task]) -> None:
    """Remove incomplete files of a killed run, and clips that no task asks for."""
    expected = {path for task in tasks for path in clip_paths(root, task.split, task.clip)}
    for path in _clip_files(root):
        if path not in expected:
            path.unlink()


def _make_all(
    root: Path,
    tasks: Sequence[Task],
    results: Callable[[Path, list[Task]], Iterator[ClipRecord | Rejected]],
    progress: Progress,
) -> tuple[BuildReport, list[ClipRecord]]:
    records: list[ClipRecord] = []
    missing: list[Task] = []
    rejected: list[Rejected] = []
    for task in tasks:
        found = _complete_clip(root, task)
        if found:
            records.append(found)
        else:
            missing.append(task)
    kept = len(records)
    progress(kept, len(tasks))
    for result in results(root, missing):
        if isinstance(result, Rejected):
            rejected.append(result)
        else:
            records.append(result)
        progress(len(records) + len(rejected), len(tasks))
    records.sort(key=lambda record: record.clip)
    return BuildReport(len(records) - kept, kept, tuple(rejected)), records


def _complete_clip(root: Path, task: Task) -> ClipRecord | None:
    """The record of a clip that an earlier run completed from the same inputs."""
    path = clip_path(root, task.split, task.clip, ".json")
    if not path.is_file():
        return None
    try:
        record, content = read_clip_json(path)
    except InputError:
        return None
    return record if content.get("input_hash") == task.input_hash else None


def _results(
    mirror: StoreMirror | None, make: Make, workers: Workers, root: Path, tasks: list[Task]
) -> Iterator[ClipRecord | Rejected]:
    if not tasks:
        return
    make_one = partial(_make_one, make=make)
    with worker_pool(workers) as pool:
        if mirror is None:
            yield from pool.map_unordered(partial(make_one, root), tasks)
            return
        for result, files in pool.map_unordered(partial(make_and_upload, mirror.remote.url, make_one), tasks):
            if isinstance(result, Rejected):
                mirror.forget(result.clip)
            mirror.keep(files)
            yield result


def _make_one(root: Path, task: Task, *, make: Make) -> ClipRecord | Rejected:
    """Make and write a clip; what is wrong with it rejects it, unless it would hit every other clip."""
    try:
        return write_clip(root, make(task), task.input_hash)
    except (SetupError, WriteError, MemoryError):
        raise
    except DualTalkError as error:
        reason = str(error)
    except Exception as error:
        if isinstance(error, OSError) and error.errno in DISK_ERRORS:
            raise
        reason = f"unexpected {type(error).__name__}: {error}"
    for path in clip_paths(root, task.split, task.clip):
        path.unlink(missing_ok=True)
    return Rejected(task.clip, " ".join(reason.split()))


def _write_tables(root: Path, records: list[ClipRecord], rejected: Sequence[Rejected]) -> None:
    """Write the tables of all clips, sorted by name; the manifest last."""
    turns, events = [], []
    for record in records:
        a, b = read_speech(clip_path(root, record.split, record.clip, ".rttm"))
        table = turn_table(Timeline(a), Timeline(b), record.seconds)
        turns.append(table.assign(clip=record.clip)[["clip", *table.columns]])
        content = read_clip_json(clip_path(root, record.split, record.clip, ".json"))[1]
        events += [{"clip": record.clip, **event} for event in content["events"]]
    rejections = pd.DataFrame([asdict(one) for one in rejected], columns=["clip", "reason"])
    columns = [field.name for field in fields(ClipRecord)]
    for name, table in (
        (TURNS, pd.concat(turns, ignore_index=True)),
        (EVENTS, pd.DataFrame(events, columns=["clip", *EVENT_COLUMNS])),
        (REJECTED, rejections),
        (MANIFEST, pd.DataFrame([asdict(record) for record in records], columns=columns)),
    ):
        with written_whole(root / name) as partial:
            if name.endswith(".csv"):
                table.to_csv(partial, index=False)
            else:
                table.to_parquet(partial, index=False)
