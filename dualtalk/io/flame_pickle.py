"""A restricted unpickler for FLAME files, which runs no code.

A pickle names the callables that rebuild its objects, so a downloaded one can run any program. This unpickler
only allows numpy's reconstruction of arrays. Sparse matrices and chumpy arrays (chumpy can no longer be built)
become inert records, which are converted to arrays afterwards. Every other name is refused.
"""

import os
import pickle
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
from scipy import sparse

from dualtalk.errors import InputError


class _Record:
    """Replaces an object: stores its pickled state, and does nothing."""

    def __new__(cls, *_args, **_kwargs):
        return super().__new__(cls)

    def __init__(self, *_args, **_kwargs) -> None:
        self.state: dict = {}

    def __setstate__(self, state: dict) -> None:
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
    _ALLOWED[_builtins, "set"] = set
    _ALLOWED[_builtins, "object"] = object
    _ALLOWED[_copyreg, "_reconstructor"] = _reconstructed


class _ArraysOnly(pickle.Unpickler):
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
    return {str(key): array for key, value in content.items() if (array := _as_array(value)) is not None}


def _as_array(value: Any) -> np.ndarray | None:
    """The values of an array, a sparse matrix or a chumpy object; None for anything else."""
    if isinstance(value, np.ndarray) and value.dtype.kind in "fiu":
        return value
    if isinstance(value, _Chumpy):
        return _as_array(value.state.get("x")) if "x" in value.state else _selected(value.state)
    if isinstance(value, _SparseColumns | _SparseRows):
        parts = [value.state.get(key) for key in ("data", "indices", "indptr")]
        shape = value.state.get("_shape", value.state.get("shape"))
        if shape is None or not all(isinstance(part, np.ndarray) for part in parts):
            return None
        matrix = value.matrix(tuple(parts), shape=tuple(shape))
        matrix.check_format(full_check=True)
        return matrix.toarray()
    return None


def _selected(state: dict) -> np.ndarray | None:
    """chumpy's `Select`: a subset of the entries of another array."""
    source, indices = _as_array(state.get("a")), state.get("idxs")
    if source is None or not isinstance(indices, np.ndarray):
        return None
    return source.ravel()[indices].reshape(state.get("preferred_shape", indices.shape))
