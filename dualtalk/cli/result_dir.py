"""Result folders that appear whole or not at all."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dualtalk.errors import InputError

# In the order in which a reader wants them.
RESULTS = (
    *("dialogue.mp4", "report.html", "viewer.html", "a.npz", "b.npz", "a.wav", "b.wav"),
    *("turns.rttm", "turns.csv", "run.json"),
)


def written(folder: Path) -> list[str]:
    """Names of the results in `folder`."""
    return [name for name in RESULTS if (folder / name).exists()]


@contextmanager
def result_folder(path: str | os.PathLike, *, overwrite: bool, record: str | None = None) -> Iterator[Path]:
    """Give an empty folder beside `path`; it takes that name on success and is removed on any failure.

    A folder that holds a file named `record` is ours, whatever else is in it; where none is named, a folder that
    holds nothing but results is.

    Raises
    ------
    InputError
        Before any work: `path` is a file, its parent is missing or cannot be written to, it holds results and
        `overwrite` was not given, or it holds files that no run of ours wrote.
    """
    final = Path(path).resolve()
    refuse_to_replace(final, path, overwrite=overwrite, record=record)
    partial = final.with_name(f".{final.name}.partial")
    try:
        # Left by a run that was killed.
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


def refuse_to_replace(
    final: Path, shown: str | os.PathLike, *, overwrite: bool, record: str | None = None
) -> None:
    """Raise unless `final` is free, or holds nothing but results that may go."""
    if final.is_file():
        raise InputError(f"{shown} is a file; wanted a folder for the results")
    if not final.is_dir():
        return
    held = sorted(entry.name for entry in final.iterdir())
    ours = held if record in held else () if record else RESULTS
    foreign = [name for name in held if name not in ours]
    if foreign:
        raise InputError(f"{shown} holds {foreign[0]}, which no run of ours wrote; give a folder of its own")
    if held and not overwrite:
        raise InputError(f"{shown} already holds results ({held[0]} and more); pass --overwrite to replace them")


def _replace(final: Path, partial: Path) -> None:
    """Put `partial` in the place of `final`; what was there goes last, so that a failure loses nothing."""
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
