"""Locks of results: two runs never write the same results at once.

The kernel frees the lock of a run that was killed, so a lock file that is left behind stops nobody.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from dualtalk.errors import InputError
from dualtalk.io.atomic import write_error


@contextmanager
def write_lock(results: str | os.PathLike, lock_file: Path | None = None) -> Iterator[None]:
    """Hold the lock of a file or folder of results.

    Parameters
    ----------
    results : path
        What is written.
    lock_file : Path, optional
        By default `.NAME.lock` beside `results`. It is removed at the end.

    Raises
    ------
    InputError
        Another run holds the lock, or the lock file cannot be written.
    """
    target = Path(results).resolve()
    path = lock_file or target.with_name(f".{target.name}.lock")
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise InputError(f"another run is writing {results}; wait for it, or give another name") from error
    except OSError as error:
        raise write_error(results, error) from error
    try:
        yield
    finally:
        # Removed while it is held: whoever opened it before finds that it is gone, and makes another.
        with suppress(OSError):
            path.unlink(missing_ok=True)
        lock.release()
