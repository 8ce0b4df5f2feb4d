"""Making a store, many clips at once, so that a run which is killed goes on where it was and ends the same.

Every clip is made from its task alone, in a process of one thread, whatever the number of workers: the same
tasks give the same bytes. A clip that cannot be made is quarantined with its reason and the rest goes on; a
disk that cannot be written to stops the run.
"""

import errno
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from functools import partial
from pathlib import Path

import pandas as pd
from filelock import FileLock, Timeout
from pyannote.core import Timeline

from dualtalk.audio.turns import turn_table
from dualtalk.errors import DualTalkError, InputError, SetupError
from dualtalk.io.atomic import written_whole
from dualtalk.parallel import WorkerPool
from dualtalk.store.schema import (
    ABOUT,
    EVENT_COLUMNS,
    EVENTS,
    FORMAT,
    MANIFEST,
    QUARANTINE,
    SPLITS,
    TURNS,
    ClipRecord,
    Draft,
    clip_path,
    clip_paths,
    read_clip_json,
    read_speech,
    write_clip,
    write_json,
)

LOCK = ".building.lock"
# What no other clip would escape either.
DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO)


@dataclass(frozen=True)
class Task:
    """A clip that is wanted.

    Attributes
    ----------
    clip, split : str
    fingerprint : str
        Of all that the clip is made from: where it has changed, the clip is made anew.
    entry : object
        What else `make` needs to know; picklable.
    """

    clip: str
    split: str
    fingerprint: str
    entry: object = None


@dataclass(frozen=True)
class Quarantined:
    clip: str
    reason: str


@dataclass(frozen=True)
class Built:
    """What a run did.

    Attributes
    ----------
    made, kept : int
        Clips made in this run, and clips found whole from an earlier one.
    quarantined : tuple of Quarantined
    """

    made: int
    kept: int
    quarantined: tuple[Quarantined, ...]


Make = Callable[[Task], Draft]
Report = Callable[[int, int], None]


def build_store(
    root: str | os.PathLike,
    about: Mapping,
    tasks: Sequence[Task],
    make: Make,
    *,
    refused: Sequence[Quarantined] = (),
    workers: int = 1,
    overwrite: bool = False,
    report: Report = lambda done, total: None,
) -> Built:
    """Make the clips of `tasks`, then the tables.

    Parameters
    ----------
    about : mapping
        JSON for `store.json`. A store made with another one is not gone on with.
    make : callable
        Turns a task into a `Draft`; it must be picklable. An `InputError` quarantines the clip.
    refused : sequence of Quarantined
        Clips that were quarantined before any work.
    workers : int
        Processes; 0 works in this one.

    Raises
    ------
    InputError
        `root` cannot be written to, holds something else, or holds a store made in another way; the disk is
        full; no clip could be made.
    SetupError
        `make` needs something that this machine lacks.
    """
    root = Path(root)
    _claim(root, {"format": FORMAT, **about}, overwrite=overwrite)
    lock = FileLock(root / LOCK)
    try:
        with lock.acquire(timeout=0):
            _sweep(root, tasks)
            try:
                built, records = _make_all(root, tasks, make, workers, report)
                quarantined = tuple(sorted((*refused, *built.quarantined), key=lambda one: one.clip))
                if not records:
                    reason = f"; the first of them: {quarantined[0].clip}: {quarantined[0].reason}"
                    raise InputError(f"none of {len(tasks) + len(refused)} clips could be used{reason}")
                _write_tables(root, records, quarantined)
            except OSError as error:
                raise _disk_error(root, error) from error
    except Timeout as error:
        raise InputError(f"another run is writing {root}; wait for it, or give another folder") from error
    (root / LOCK).unlink(missing_ok=True)
    return Built(built.made, built.kept, quarantined)


def _claim(root: Path, about: Mapping, *, overwrite: bool) -> None:
    """Make the folder, or see that what is there is this store."""
    try:
        root.mkdir(parents=True, exist_ok=True)
        held = sorted(entry.name for entry in root.iterdir() if not entry.name.startswith("."))
        if held and ABOUT not in held:
            raise InputError(f"{root} holds {held[0]}, which is not part of a store; give a folder of its own")
        if held:
            before = json.loads((root / ABOUT).read_text())
            changed = sorted(key for key in {*before, *about} if before.get(key) != about.get(key))
            if changed and not overwrite:
                raise InputError(
                    f"{root} was made with another {changed[0]} ({before.get(changed[0])!r}, now "
                    f"{about.get(changed[0])!r}); give another folder, or --overwrite to make it anew"
                )
            if overwrite:
                _empty(root)
        write_json(root / ABOUT, about)
    except FileExistsError as error:
        raise InputError(f"{root} is a file; wanted a folder for the store") from error
    except OSError as error:
        raise _disk_error(root, error) from error
    except json.JSONDecodeError as error:
        raise InputError(f"{root / ABOUT} is not a store's ({error}); give a folder of its own") from error


def _empty(root: Path) -> None:
    for path in _clip_files(root):
        path.unlink()
    for name in (MANIFEST, TURNS, EVENTS, QUARANTINE):
        (root / name).unlink(missing_ok=True)


def _clip_files(root: Path) -> Iterator[Path]:
    for split in SPLITS:
        yield from sorted(path for path in (root / split).glob("*") if path.is_file())


def _sweep(root: Path, tasks: Sequence[Task]) -> None:
    """Remove what a killed run left half-written, and clips that are not wanted any more."""
    wanted = {path for task in tasks for path in clip_paths(root, task.split, task.clip)}
    for path in _clip_files(root):
        if path not in wanted:
            path.unlink()


def _make_all(
    root: Path, tasks: Sequence[Task], make: Make, workers: int, report: Report
) -> tuple[Built, list[ClipRecord]]:
    records, missing, quarantined = [], [], []
    for task in tasks:
        found = _found_whole(root, task)
        records.append(found) if found else missing.append(task)
    kept = len(records)
    report(kept, len(tasks))
    for result in _results(root, missing, make, workers):
        (quarantined if isinstance(result, Quarantined) else records).append(result)
        report(len(records) + len(quarantined), len(tasks))
    records.sort(key=lambda record: record.clip)
    return Built(len(records) - kept, kept, tuple(quarantined)), records


def _found_whole(root: Path, task: Task) -> ClipRecord | None:
    path = clip_path(root, task.split, task.clip, ".json")
    if not path.is_file():
        return None
    try:
        record, content = read_clip_json(path)
    except InputError:
        return None
    return record if content.get("task") == task.fingerprint else None


def _results(root: Path, tasks: list[Task], make: Make, workers: int) -> Iterator[ClipRecord | Quarantined]:
    if not tasks:
        return
    with WorkerPool(workers) as pool:
        yield from pool.map_unordered(partial(_make_one, root, make=make), tasks)


def _make_one(root: Path, task: Task, make: Make) -> ClipRecord | Quarantined:
    try:
        draft = make(task)
    except SetupError:
        raise
    except DualTalkError as error:
        return Quarantined(task.clip, " ".join(str(error).split()))
    except MemoryError:
        raise
    except Exception as error:
        if isinstance(error, OSError) and error.errno in DISK_ERRORS:
            raise
        return Quarantined(task.clip, f"unexpected {type(error).__name__}: {' '.join(str(error).split())}")
    return write_clip(root, draft, task.fingerprint)


def _disk_error(root: Path, error: OSError) -> InputError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return InputError(f"no space left for {root}; free some and run the same command: it goes on from there")
    return InputError(f"cannot write {root}: {error.strerror}; is it read-only, or in a folder that is?")


def _write_tables(root: Path, records: list[ClipRecord], quarantined: Sequence[Quarantined]) -> None:
    """Tables of all clips, in the order of their names; the manifest last."""
    turns, events = [], []
    for record in records:
        spoken = read_speech(clip_path(root, record.split, record.clip, ".rttm"))
        table = turn_table(*map(Timeline, spoken), record.seconds)
        turns.append(table.assign(clip=record.clip)[["clip", *table.columns]])
        content = read_clip_json(clip_path(root, record.split, record.clip, ".json"))[1]
        events += [{"clip": record.clip, **event} for event in content["events"]]
    left_out = pd.DataFrame([asdict(one) for one in quarantined], columns=["clip", "reason"])
    columns = [field.name for field in fields(ClipRecord)]
    for name, table in (
        (TURNS, pd.concat(turns, ignore_index=True)),
        (EVENTS, pd.DataFrame(events, columns=["clip", *EVENT_COLUMNS])),
        (QUARANTINE, left_out),
        (MANIFEST, pd.DataFrame([asdict(record) for record in records], columns=columns)),
    ):
        with written_whole(root / name) as partial:
            if name.endswith(".csv"):
                table.to_csv(partial, index=False)
            else:
                table.to_parquet(partial, index=False)
