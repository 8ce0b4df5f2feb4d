"""Rows of an array in an npz file, without reading the rest of it.

`np.savez` stores arrays uncompressed, one `.npy` after another in a zip, so rows lie at a known offset. Compressed
arrays are read as a whole. The checksums of a file are verified when a process opens it for the first time.
"""

import math
import os
import zipfile
from functools import lru_cache
from io import BufferedIOBase
from pathlib import Path
from typing import cast

import numpy as np

from dualtalk.errors import InputError
from dualtalk.io.npz import npz_members, read_header

LOCAL_HEADER_BYTES, NAME_LENGTH_AT = 30, 26
# Files whose verification a process remembers.
VERIFIED_FILES = 100_000


class NpzRows:
    """Arrays of an npz file, given by its path or as an open file; a context manager.

    Raises
    ------
    InputError
        Not an npz file, a damaged one, or one with pickled objects.
    """

    def __init__(self, path: str | os.PathLike | BufferedIOBase) -> None:
        self.path = path
        try:
            if isinstance(path, BufferedIOBase):
                _verify(path)
            else:
                status = Path(path).stat()
                _verify_file(os.fspath(path), status.st_mtime_ns, status.st_size)
            self._zip = zipfile.ZipFile(path)
            self._members = npz_members(self._zip)
        except Exception as error:
            # A damaged archive can raise almost anything.
            raise InputError(f"{path} is not a readable npz of plain arrays: {error}") from error

    def __enter__(self) -> "NpzRows":
        return self

    def __exit__(self, *_) -> None:
        self._zip.close()

    def __contains__(self, key: str) -> bool:
        return key in self._members

    def rows(self, key: str, first: int = 0, count: int | None = None) -> np.ndarray:
        """Rows `first` to `first + count` of the array `key`, or as many of them as there are.

        Raises
        ------
        InputError
            There is no such array, it has no rows, or it is not plain numbers.
        """
        if key not in self._members:
            raise InputError(f"{self.path} has no array {key}; its arrays are {sorted(self._members)}")
        member = self._members[key]
        try:
            if member.compress_type != zipfile.ZIP_STORED:
                with self._zip.open(member) as compressed:
                    return _selected(cast(BufferedIOBase, compressed), member, first, count)
            file = cast(BufferedIOBase, self._zip.fp)
            file.seek(member.header_offset + NAME_LENGTH_AT)
            lengths = file.read(LOCAL_HEADER_BYTES - NAME_LENGTH_AT)
            skipped = int.from_bytes(lengths[:2], "little") + int.from_bytes(lengths[2:], "little")
            file.seek(member.header_offset + LOCAL_HEADER_BYTES + skipped)
            return _selected(file, member, first, count)
        except (InputError, OSError, ValueError, zipfile.BadZipFile) as error:
            raise InputError(f"{self.path}: {key} cannot be read ({error}); save it as plain rows") from error


@lru_cache(maxsize=VERIFIED_FILES)
def _verify_file(path: str, modified_ns: int, size: int) -> None:
    """Verify the checksums of a file once for each state of it; `modified_ns` and `size` tell the states apart."""
    if not Path(path).is_file():
        raise InputError("it is no file")
    _verify(path)


def _verify(file: str | BufferedIOBase) -> None:
    with zipfile.ZipFile(file) as archive:
        npz_members(archive)
        if damaged := archive.testzip():
            raise InputError(f"the checksum of {damaged} differs")


def _selected(file: BufferedIOBase, member: zipfile.ZipInfo, first: int, count: int | None) -> np.ndarray:
    """Rows of the `.npy` that begins here."""
    shape, fortran, dtype = read_header(file)
    if fortran or not shape:
        raise InputError(f"it is in Fortran order, or has the shape {shape}")
    row_bytes = math.prod(shape[1:]) * dtype.itemsize
    if shape[0] * row_bytes > member.file_size:
        raise InputError(f"it has the shape {shape}, but {member.file_size} bytes")
    left = max(shape[0] - first, 0)
    count = left if count is None else min(count, left)
    file.seek(first * row_bytes, os.SEEK_CUR)
    data = file.read(count * row_bytes)
    return np.frombuffer(data, dtype).reshape(count, *shape[1:])
