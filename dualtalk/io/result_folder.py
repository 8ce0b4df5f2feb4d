"""Result folders that appear as a whole or not at all."""

import json
import os
import shutil
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from fnmatch import fnmatchcase
from pathlib import Path

from dualtalk.errors import InputError
from dualtalk.io.atomic import disk_errors_reported, write_error
from dualtalk.io.lock import write_lock


@contextmanager
def result_folder(
    path: str | os.PathLike,
    *,
    overwrite: bool,
    record: str,
    results: Collection[str] = (),
    inputs: Iterable[str | os.PathLike] = (),
) -> Iterator[Path]:
    """Yield an empty folder beside `path`, which is renamed to `path` on success and removed on any failure.

    Parameters
    ----------
    path : path
        The folder of the results.
    overwrite : bool
        Replace the results of an earlier run.
    record : str
        Name of the JSON file that every run writes. A folder without it does not count as results.
    results : collection of str
        Patterns of the names that a run may write, the record's included. A folder that holds any other name is
        never replaced. Empty if the record lists the names, as `files`.
    inputs : iterable of path
        Files and folders that the run reads. They must not lie in `path`, which may be replaced.

    Raises
    ------
    InputError
        Before any work: `path` is a file, an input lies in it, its parent is missing or not writable, another run
        is writing it, it holds results and `overwrite` is false, or it holds files that no run wrote.
    WriteError
        The disk is full or read-only.
    """
    final = Path(path).resolve()
    _refuse_inputs(final, path, inputs)
    _refuse_to_replace(final, path, overwrite=overwrite, record=record, results=results)
    if not final.parent.is_dir():
        raise InputError(f"cannot write {path}: its folder does not exist; make {final.parent} first")
    with write_lock(path):
        # Another run may have ended in the meantime.
        _refuse_to_replace(final, path, overwrite=overwrite, record=record, results=results)
        partial = final.with_name(f".{final.name}.partial")
        try:
            # A run that was killed leaves one.
            shutil.rmtree(partial, ignore_errors=True)
            partial.mkdir()
        except OSError as error:
            raise write_error(path, error) from error
        try:
            with disk_errors_reported(path, partial):
                yield partial
                _replace(final, partial)
        finally:
            shutil.rmtree(partial, ignore_errors=True)


def _refuse_inputs(final: Path, given: str | os.PathLike, inputs: Iterable[str | os.PathLike]) -> None:
    for path in inputs:
        resolved = Path(path).resolve()
        if final == resolved or final in resolved.parents:
            raise InputError(f"{path} is inside {given}, which the results replace; give another folder")


def _refuse_to_replace(
    final: Path, given: str | os.PathLike, *, overwrite: bool, record: str, results: Collection[str]
) -> None:
    """Raise unless `final` is free, or holds only results that may be replaced."""
    if final.is_file():
        raise InputError(f"{given} is a file; wanted a folder for the results")
    if not final.is_dir():
        return
    names = sorted(entry.name for entry in final.iterdir())
    ours = (results or _listed_files(final / record)) if record in names else ()
    foreign = [name for name in names if not any(fnmatchcase(name, pattern) for pattern in ours)]
    if foreign:
        raise InputError(f"{given} holds {foreign[0]}, which dualtalk did not write; give another folder")
    if names and not overwrite:
        raise InputError(
            f"{given} already holds results ({names[0]} and more); pass --overwrite (in Python, overwrite=True) "
            "to replace them"
        )


def _listed_files(record: Path) -> Collection[str]:
    """The names that a record lists; any name for a record of an older version, which lists none."""
    try:
        listed = json.loads(record.read_text(encoding="utf-8"))["files"]
        return [record.name, *map(str, listed)]
    except KeyError:
        return ["*"]
    except (OSError, ValueError, TypeError, RecursionError):
        return []


def _replace(final: Path, partial: Path) -> None:
    """Rename `partial` to `final`; the former folder is deleted last, so that a failure loses nothing."""
    former = final.with_name(f".{final.name}.former")
    shutil.rmtree(former, ignore_errors=True)
    if final.exists():
        os.replace(final, former)
    try:
        os.replace(partial, final)
    except BaseException:
        if former.exists():
            os.replace(former, final)
        raise
    shutil.rmtree(former, ignore_errors=True)
