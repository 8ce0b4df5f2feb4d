"""Rows of an array in an npz file, without reading the rest of it.

`np.savez` stores arrays uncompressed, one `.npy` after another in a zip, so rows lie at a known offset. Compressed
files are read as a whole.
"""

import io
import os
import zipfile
from functools import lru_cache
from io import BufferedIOBase
from typing import cast

import numpy as np
from numpy.lib import format as npy

from dualtalk.errors import InputError

LOCAL_HEADER_BYTES, NAME_LENGTH_AT = 30, 26


class NpzRows:
    """Arrays of an npz file, given by its path or as an open file; a context manager.

    Raises
    ------
    InputError
        Not an npz file, or one with pickled objects.
    """

    def __init__(self, path: str | os.PathLike | BufferedIOBase) -> None:
        self.path = path
        try:
            self._zip = zipfile.ZipFile(path)
        except (OSError, zipfile.BadZipFile) as error:
            raise InputError(f"{path} is not a readable npz of plain arrays: {error}") from error
        self._members = {info.filename.removesuffix(".npy"): info for info in self._zip.infolist()}

    def __enter__(self) -> "NpzRows":
        return self

    def __exit__(self, *_) -> None:
        self._zip.close()

    def __contains__(self, key: str) -> bool:
        return key in self._members

    def rows(self, key: str, first: int = 0, count: int | None = None) -> np.ndarray:
        """Rows `first` to `first + count` of the array `key`, or as many of them as there are."""
        member = self._members[key]
        if member.compress_type != zipfile.ZIP_STORED:
            with self._zip.open(member) as compressed:
                whole = npy.read_array(compressed, allow_pickle=False)
            return whole[first : None if count is None else first + count]
        file = cast(BufferedIOBase, self._zip.fp)
        file.seek(member.header_offset + NAME_LENGTH_AT)
        lengths = file.read(LOCAL_HEADER_BYTES - NAME_LENGTH_AT)
        skipped = int.from_bytes(lengths[:2], "little") + int.from_bytes(lengths[2:], "little")
        file.seek(member.header_offset + LOCAL_HEADER_BYTES + skipped)
        shape, fortran, dtype = _header(file)
        if dtype.hasobject or fortran:
            raise InputError(
                f"{self.path}: {key} holds pickled objects or is in Fortran order; save it as plain rows"
            )
        left = max(shape[0] - first, 0)
        count = left if count is None else min(count, left)
        row = int(np.prod(shape[1:]))
        file.seek(first * row * dtype.itemsize, os.SEEK_CUR)
        data = file.read(count * row * dtype.itemsize)
        return np.frombuffer(data, dtype).reshape(-1, *shape[1:])


def _header(file: BufferedIOBase) -> tuple[tuple[int, ...], bool, np.dtype]:
    version = npy.read_magic(file)
    length = int.from_bytes(file.read(2 if version == (1, 0) else 4), "little")
    return _parsed_header(file.read(length))


@lru_cache(maxsize=256)
def _parsed_header(header: bytes) -> tuple[tuple[int, ...], bool, np.dtype]:
    """Headers are Python literals, which are slow to parse, and most of them are equal."""
    return npy.read_array_header_2_0(io.BytesIO(len(header).to_bytes(4, "little") + header))
