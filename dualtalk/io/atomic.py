"""Atomic writing: a file appears under its final name only when it is complete."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dualtalk.errors import InputError


@contextmanager
def written_whole(path: str | os.PathLike) -> Iterator[Path]:
    """Yield a temporary path beside `path`; rename it to `path` on success, and remove it on any failure.

    The temporary name keeps the suffix, since encoders choose their format by it.

    Raises
    ------
    InputError
        The folder of `path` does not exist or cannot be written to.
    """
    path = Path(path)
    partial = path.with_name(f".{path.stem}.partial{path.suffix}")
    try:
        yield partial
        os.replace(partial, path)
    except PermissionError as error:
        raise InputError(f"cannot write {path}: {error.strerror}; is the folder read-only?") from error
    except FileNotFoundError as error:
        if path.parent.is_dir():
            raise
        raise InputError(f"cannot write {path}: its folder does not exist") from error
    finally:
        partial.unlink(missing_ok=True)
