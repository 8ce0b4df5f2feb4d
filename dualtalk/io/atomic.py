"""Atomic writing: a file appears under its final name only when it is complete and on the disk.

`written_whole` is the only writer of files under a final name. `write_error` describes an error of
the disk in one line.
"""

import errno
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from dualtalk.errors import WriteError

# Errors of a disk, whichever file they hit.
DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.EFBIG)
_READ_ONLY = (errno.EROFS, errno.EACCES, errno.EPERM)


@contextmanager
def written_whole(path: str | os.PathLike) -> Iterator[Path]:
    """Yield a temporary path beside `path`; rename it to `path` on success, and remove it on any failure.

    The temporary name keeps the suffix, since encoders choose their format by it. It is unique, so that two
    writers of one file do not mix: the file of the one that ends last stays.

    Raises
    ------
    WriteError
        The folder of `path` does not exist or cannot be written to, or the disk is full.
    """
    path = Path(path)
    partial = path.with_name(f".{path.stem[:32]}.{secrets.token_hex(4)}.partial{path.suffix}")
    try:
        with disk_errors_reported(path, partial):
            yield partial
            _flush(partial)
            os.replace(partial, path)
    finally:
        with suppress(OSError):
            partial.unlink(missing_ok=True)


def write_text(path: str | os.PathLike, text: str) -> None:
    """Write a text file in UTF-8, as a whole or not at all."""
    with written_whole(path) as partial:
        partial.write_text(text, encoding="utf-8")


@contextmanager
def disk_errors_reported(path: str | os.PathLike, written: Path) -> Iterator[None]:
    """Raise `write_error(path)` for an `OSError` of the disk, or of `written`, a file or a folder."""
    try:
        yield
    except OSError as error:
        if error.errno not in DISK_ERRORS and not _concerns(error, written):
            raise
        raise write_error(path, error) from error


def write_error(path: str | os.PathLike, error: OSError) -> WriteError:
    """One line for an `OSError` of writing `path`."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return WriteError(f"no space left for {path}; free some space and run the same command again")
    if error.errno == errno.ENOENT and not Path(path).parent.is_dir():
        return WriteError(f"cannot write {path}: its folder does not exist")
    slip = "; is it read-only, or in a folder that is?" if error.errno in _READ_ONLY else ""
    return WriteError(f"cannot write {path}: {error.strerror or error}{slip}")


def _concerns(error: OSError, written: Path) -> bool:
    named = [
        Path(os.fsdecode(name)) for name in (error.filename, error.filename2) if isinstance(name, str | bytes)
    ]
    return any(written in (path, *path.parents) for path in named)


def _flush(path: Path) -> None:
    """Wait until the content is on the disk: the rename may reach it first, and a power cut would lose both."""
    with path.open("rb+") as file:
        os.fsync(file.fileno())
