"""A restricted unpickler for FLAME files, which runs no code.

A pickle names the callables that rebuild its objects, so a downloaded one can run any program. This unpickler
only allows numpy's reconstruction of arrays. Sparse matrices and chumpy arrays (chumpy can no longer be built)
become inert records, which are converted to arrays afterwards. Every other name is refused.
"""

import math
import os
import pickle
from collections import OrderedDict
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from scipy import sparse

from dualtalk.errors import InputError

# FLAME's largest sparse matrix has 5 x 5023 entries; its chumpy objects are at most two deep.
LARGEST_MATRIX = 10_000_000
DEEPEST_CHUMPY = 8


class _Record:
    """Replaces an object: stores its pickled state, and does nothing."""

    state: dict

    def __new__(cls, *_args, **_kwargs):
        record = super().__new__(cls)
        record.state = {}
        return record

    def __init__(self, *_args, **_kwargs) -> None:
        pass

    def __setstate__(self, state: object) -> None:
        if not isinstance(state, dict):
            raise pickle.UnpicklingError(f"an object whose state is a {type(state).__name__}")
        self.state = state


class _SparseColumns(_Record):
    matrix = sparse.csc_matrix


class _SparseRows(_Record):
    matrix = sparse.csr_matrix


class _Chumpy(_Record):
    pass


def _latin1_bytes(text: str, encoding: str) -> bytes:
    """`codecs.encode` as Python 3 uses it to put bytes into old pickles; its other encodings are refused."""
    if encoding != "latin1":
        raise pickle.UnpicklingError(f"bytes encoded as {encoding!r}")
    return text.encode("latin1")


def _reconstructed(kind: type, base: type, _state: Any) -> _Record:
    """`copyreg._reconstructor` as Python 2 uses it for plain objects."""
    if not (isinstance(kind, type) and issubclass(kind, _Record) and base is object):
        raise pickle.UnpicklingError(f"an object of {kind!r}")
    return kind()


def _set_of(entries: list) -> list:
    """A set becomes a list: FLAME's arrays need none."""
    return entries


_ALLOWED = {
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
    ("_codecs", "encode"): _latin1_bytes,
    ("collections", "OrderedDict"): OrderedDict,
}
for _core in ("numpy.core", "numpy._core"):
    _ALLOWED[f"{_core}.multiarray", "_reconstruct"] = np.empty(0).__reduce__()[0]
    _ALLOWED[f"{_core}.multiarray", "scalar"] = np.float64(0).__reduce__()[0]
    _ALLOWED[f"{_core}.numeric", "_frombuffer"] = np.empty(0).__reduce_ex__(5)[0]
for _name, _kind in (("csc", _SparseColumns), ("csr", _SparseRows)):
    for _module in (f"scipy.sparse.{_name}", f"scipy.sparse._{_name}"):
        _ALLOWED[_module, f"{_name}_matrix"] = _kind
for _builtins, _copyreg in (("__builtin__", "copy_reg"), ("builtins", "copyreg")):
    _ALLOWED[_builtins, "set"] = _set_of
    _ALLOWED[_builtins, "object"] = object
    _ALLOWED[_copyreg, "_reconstructor"] = _reconstructed


# typeshed does not list its methods.
_PythonUnpickler: Any = pickle._Unpickler


class _ArraysOnly(_PythonUnpickler):
    """Python's unpickler in Python, whose steps can be checked; FLAME files have few objects and large arrays."""

    dispatch: ClassVar[dict[int, Any]] = dict(_PythonUnpickler.dispatch)

    def _hashable(self, keys: list) -> None:
        # The hash of nested tuples takes a time that doubles with each level.
        for key in keys:
            if not isinstance(key, str | bytes | int):
                raise pickle.UnpicklingError(f"a {type(key).__name__} as a key")

    def _checked_dict(self) -> None:
        self._hashable(self.stack[0::2])
        _PythonUnpickler.load_dict(self)

    def _checked_items(self) -> None:
        self._hashable(self.stack[0::2])
        _PythonUnpickler.load_setitems(self)

    def _checked_item(self) -> None:
        self._hashable(self.stack[-2:-1])
        _PythonUnpickler.load_setitem(self)

    def _refused(self) -> None:
        raise pickle.UnpicklingError("a set")

    dispatch[pickle.DICT[0]] = _checked_dict
    dispatch[pickle.SETITEMS[0]] = _checked_items
    dispatch[pickle.SETITEM[0]] = _checked_item
    for _set in (pickle.EMPTY_SET, pickle.FROZENSET, pickle.ADDITEMS):
        dispatch[_set[0]] = _refused

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) in _ALLOWED:
            return _ALLOWED[module, name]
        # All of chumpy's classes become inert records.
        if module == "chumpy" or module.startswith("chumpy."):
            return _Chumpy
        raise InputError(f"the pickle asks for {module}.{name}, which no FLAME file needs; it could run code")


def read_pickled_arrays(path: str | os.PathLike) -> dict[str, np.ndarray]:
    """Read every array of a pickled dictionary, by name; sparse matrices become dense.

    Raises
    ------
    InputError
        No such file, not a pickle of a dictionary, or a pickle that names anything other than arrays.
    """
    path = Path(path)
    if path.is_dir():
        raise InputError(f"{path} is a folder; wanted a FLAME file, such as {path / 'flame2023.pkl'}")
    if not path.is_file():
        raise InputError(f"no FLAME file at {path}; it is downloaded by hand, after accepting FLAME's licence")
    try:
        with path.open("rb") as file:
            content = _ArraysOnly(file, encoding="latin1").load()
    except InputError as error:
        raise InputError(f"{path} refused: {error}") from None
    except Exception as error:
        # A damaged pickle can raise almost anything.
        raise InputError(
            f"{path} is not a readable pickle ({type(error).__name__}: {error}); "
            "was it unpacked, and downloaded whole?"
        ) from error
    if not isinstance(content, dict):
        raise InputError(f"{path} holds a {type(content).__name__}; wanted FLAME's dictionary of arrays")
    try:
        return {str(key): array for key, value in content.items() if (array := _as_array(value)) is not None}
    except Exception as error:
        raise InputError(
            f"{path} holds an array that cannot be rebuilt ({type(error).__name__}: {error})"
        ) from error


def _as_array(value: Any, level: int = 0) -> np.ndarray | None:
    """The values of an array, a sparse matrix or a chumpy object; None for anything else."""
    if level > DEEPEST_CHUMPY:
        raise ValueError(f"chumpy objects inside each other, {level} deep")
    if isinstance(value, np.ndarray) and value.dtype.kind in "fiu":
        return value
    if isinstance(value, _Chumpy):
        state = value.state
        return _as_array(state.get("x"), level + 1) if "x" in state else _selected(state, level + 1)
    if isinstance(value, _SparseColumns | _SparseRows):
        parts = [value.state.get(key) for key in ("data", "indices", "indptr")]
        shape = value.state.get("_shape", value.state.get("shape"))
        if shape is None or not all(isinstance(part, np.ndarray) for part in parts):
            return None
        if math.prod(map(int, shape)) > LARGEST_MATRIX:
            raise ValueError(f"a matrix of {shape}")
        matrix = value.matrix(tuple(parts), shape=tuple(shape))
        matrix.check_format(full_check=True)
        return matrix.toarray()
    return None


def _selected(state: dict, level: int) -> np.ndarray | None:
    """chumpy's `Select`: a subset of the entries of another array."""
    source, indices = _as_array(state.get("a"), level), state.get("idxs")
    if source is None or not isinstance(indices, np.ndarray):
        return None
    return source.ravel()[indices].reshape(state.get("preferred_shape", indices.shape))
