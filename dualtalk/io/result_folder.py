"""Result folders that appear as a whole or not at all."""

import os
import shutil
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from dualtalk.errors import InputError


@contextmanager
def result_folder(
    path: str | os.PathLike, *, overwrite: bool, record: str | None = None, results: Collection[str] = ()
) -> Iterator[Path]:
    """Yield an empty folder beside `path`, which is renamed to `path` on success and removed on any failure.

    Parameters
    ----------
    path : path
        The folder of the results.
    overwrite : bool
        Replace the results of an earlier run.
    record : str, optional
        Name of a file that marks a folder as results of an earlier run, with any other files in it.
    results : collection of str
        Names of files that a run may write. Without `record`, a folder of these files alone counts as results.

    Raises
    ------
    InputError
        Before any work: `path` is a file, its parent is missing or not writable, it holds results and `overwrite`
        is false, or it holds files that no run wrote.
    """
    final = Path(path).resolve()
    _refuse_to_replace(final, path, overwrite=overwrite, record=record, results=results)
    partial = final.with_name(f".{final.name}.partial")
    try:
        # A run that was killed leaves one.
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir()
    except OSError as error:
        slip = "" if final.parent.is_dir() else f"; make {final.parent} first"
        raise InputError(f"cannot write {path}: {error.strerror}{slip}") from error
    try:
        yield partial
        _replace(final, partial)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _refuse_to_replace(
    final: Path, given: str | os.PathLike, *, overwrite: bool, record: str | None, results: Collection[str]
) -> None:
    """Raise unless `final` is free, or holds only results that may be replaced."""
    if final.is_file():
        raise InputError(f"{given} is a file; wanted a folder for the results")
    if not final.is_dir():
        return
    names = sorted(entry.name for entry in final.iterdir())
    ours = names if record in names else results
    foreign = [name for name in names if name not in ours]
    if foreign:
        raise InputError(f"{given} holds {foreign[0]}, which dualtalk did not write; give another folder")
    if names and not overwrite:
        raise InputError(
            f"{given} already holds results ({names[0]} and more); pass --overwrite (in Python, overwrite=True) "
            "to replace them"
        )


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
