"""Reading npz archives of plain arrays. Sizes are looked at before memory is taken, and no pickle is read."""

import io
import math
import os
import zipfile
from functools import lru_cache
from io import BufferedIOBase
from pathlib import Path
from typing import cast

import numpy as np
from numpy.lib import format as npy

from dualtalk.errors import InputError

# A day of motion in the largest layout.
LARGEST_NPZ_BYTES = 512 * 2**20
# numpy's own limit.
LONGEST_HEADER_BYTES = 10_000

Header = tuple[tuple[int, ...], bool, np.dtype]


def read_npz(path: str | os.PathLike) -> dict[str, np.ndarray]:
    """Read all arrays of an npz file, by name; checksums are verified.

    Raises
    ------
    InputError
        No such file, not an npz, damaged, too large, or one that holds pickled objects.
    """
    if not Path(path).is_file():
        raise InputError(f"no motion file at {path}")
    with open(path, "rb") as file:
        return parse_npz(file, path)


def parse_npz(file: BufferedIOBase, source: object) -> dict[str, np.ndarray]:
    """The same from an open file; `source` is named in errors."""
    try:
        with zipfile.ZipFile(file) as archive:
            return {key: _read(archive, member) for key, member in npz_members(archive).items()}
    except Exception as error:
        # A damaged archive can raise almost anything.
        raise InputError(f"{source} is not a readable npz of plain arrays: {error}") from error


def read_npy(path: str | os.PathLike) -> np.ndarray:
    """Read the array of an npy file.

    Raises
    ------
    InputError
        No such file, not an npy, damaged, too large, or one that holds pickled objects.
    """
    if not Path(path).is_file():
        raise InputError(f"no array at {path}")
    try:
        with open(path, "rb") as file:
            return _read_array(file, Path(path).stat().st_size)
    except Exception as error:
        # A damaged file can raise almost anything.
        raise InputError(f"{path} is not a readable npy of plain numbers: {error}") from error


def npz_members(archive: zipfile.ZipFile) -> dict[str, zipfile.ZipInfo]:
    """The members of an archive by array name.

    Raises
    ------
    InputError
        Two members have one name, or they are larger than any motion.
    """
    infos = archive.infolist()
    size = sum(info.file_size for info in infos)
    if size > LARGEST_NPZ_BYTES:
        raise InputError(f"its arrays take {size / 2**20:.0f} MiB; wanted at most {LARGEST_NPZ_BYTES >> 20} MiB")
    members = {info.filename.removesuffix(".npy"): info for info in infos}
    if len(members) < len(infos):
        raise InputError("two of its arrays have the same name")
    return members


def read_header(file: BufferedIOBase) -> Header:
    """Shape, order (whether Fortran's) and dtype of the `.npy` that begins here.

    Raises
    ------
    InputError
        Not an array, or one of objects.
    """
    try:
        version = npy.read_magic(file)
        length = int.from_bytes(file.read(2 if version == (1, 0) else 4), "little")
        if length > LONGEST_HEADER_BYTES:
            raise InputError(f"an array has a header of {length} bytes")
        shape, fortran, dtype = _parsed_header(file.read(length))
    except (ValueError, TypeError, SyntaxError, RecursionError) as error:
        raise InputError(f"a member is no array ({error})") from error
    if dtype.hasobject:
        raise InputError("an array holds pickled objects")
    return shape, fortran, dtype


@lru_cache(maxsize=256)
def _parsed_header(header: bytes) -> Header:
    """Headers are Python literals, which are slow to parse, and most of them are equal."""
    shape, fortran, dtype = npy.read_array_header_2_0(io.BytesIO(len(header).to_bytes(4, "little") + header))
    if any(length < 0 for length in shape):
        raise ValueError(f"its shape is {shape}")
    return shape, fortran, dtype


def _read(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> np.ndarray:
    with archive.open(member) as file:
        return _read_array(cast(BufferedIOBase, file), member.file_size)


def _read_array(file: BufferedIOBase, file_bytes: int) -> np.ndarray:
    shape, fortran, dtype = read_header(file)
    size = math.prod(shape) * dtype.itemsize
    if size > min(file_bytes, LARGEST_NPZ_BYTES):
        raise InputError(f"an array has the shape {shape}, but its file {file_bytes} bytes")
    # The read to the end verifies the checksum of a member of an archive.
    content = file.read()
    if len(content) != size:
        raise InputError(f"an array has {len(content)} bytes; its shape {shape} wants {size}")
    return np.frombuffer(bytearray(content), dtype).reshape(shape, order="F" if fortran else "C")
