"""Files that other speech-driven systems write: arrays, tensors, tables and JSON of plain numbers.

No reader runs code of a file: pickles are refused, and tensors are loaded with torch's `weights_only`.
"""

import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float

from dualtalk.errors import InputError
from dualtalk.io.arkit import ARKIT_UNITS

Rows = Float[np.ndarray, "frame coef"]


def read_rows(path: Path) -> Rows:
    """Read one array (frame, coef), or (1, frame, coef), from .npy or .pt.

    Raises
    ------
    InputError
        No such file, another suffix or shape, a pickle, or a value that is not finite.
    """
    _require_file(path)
    try:
        if path.suffix == ".pt":
            array = torch.load(path, map_location="cpu", weights_only=True).numpy()
        elif path.suffix == ".npy":
            array = np.load(path, allow_pickle=False)
        else:
            raise InputError(f"{path} ends in {path.suffix or 'nothing'}; wanted .npy or .pt")
    except (OSError, ValueError, EOFError, RuntimeError, pickle.UnpicklingError, AttributeError) as error:
        raise InputError(f"{path} holds no plain array: {' '.join(str(error).split())[:120]}") from error
    if array.ndim > 2 and array.shape[0] == 1:
        array = array[0]
    return _checked(path, array.reshape(len(array), -1) if array.ndim > 1 else array)


def read_weight_table(path: Path) -> Float[np.ndarray, "frame 52"]:
    """Read a CSV file of blendshape weights whose columns are named as in ARKit; others are ignored, missing ones
    0.

    Raises
    ------
    InputError
        No such file, no column of an ARKit blendshape, or a value that is not a number.
    """
    _require_file(path)
    try:
        table = pd.read_csv(path)
    except (ValueError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is not a table of comma-separated values ({error})") from error
    # Audio2Face's service writes blendShapes.EyeBlinkLeft.
    names = [str(name).strip().removeprefix("blendShapes.") for name in table.columns]
    try:
        return _named_weights(path, names, table.to_numpy(object))
    except ValueError as error:
        raise InputError(f"{path} holds a value that is not a number ({error})") from error


def read_weight_json(path: Path) -> tuple[Float[np.ndarray, "frame 52"], float | None]:
    """Read the weights of Audio2Face's or LAM_Audio2Expression's JSON, and the frame rate that it states.

    Raises
    ------
    InputError
        No such file, not JSON, or without the arrays of one of the two.
    """
    _require_file(path)
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if "weightMat" in content:
            names, rows, fps = content["facsNames"], content["weightMat"], content.get("exportFps")
        else:
            names, rows = content["names"], [frame["weights"] for frame in content["frames"]]
            fps = content.get("metadata", {}).get("fps")
        weights = _named_weights(path, names, np.array(rows, float).reshape(len(rows), -1))
        return weights, None if fps is None else float(fps)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise InputError(
            f"{path} is not JSON of blendshape weights (facsNames and weightMat, or names and frames): {error!r}"
        ) from error


def _named_weights(path: Path, names: list[str], rows: np.ndarray) -> Float[np.ndarray, "frame 52"]:
    if rows.ndim != 2 or rows.shape[1] != len(names):
        raise InputError(
            f"{path} has {len(names)} names and rows of {rows.shape[1:]} weights; wanted equally many"
        )
    column = {name[:1].lower() + name[1:]: number for number, name in enumerate(names)}
    found = [unit for unit in ARKIT_UNITS if unit in column]
    if not found:
        raise InputError(f"{path} has no blendshape of ARKit; its names begin with {', '.join(names[:3])}")
    weights = np.zeros((len(rows), len(ARKIT_UNITS)))
    for unit in found:
        weights[:, ARKIT_UNITS.index(unit)] = rows[:, column[unit]].astype(float)
    return _checked(path, weights)


def _require_file(path: Path) -> None:
    if not path.is_file():
        raise InputError(f"no file at {path}")


def _checked(path: Path, array: np.ndarray) -> Rows:
    if array.ndim != 2 or array.dtype.kind not in "fiu":
        raise InputError(f"{path} holds {array.dtype} of shape {array.shape}; wanted numbers (frame, coefficient)")
    if not np.isfinite(array).all():
        bad = int(np.flatnonzero(~np.isfinite(array).all(axis=1))[0])
        raise InputError(f"{path} holds a NaN or infinite value, first in frame {bad}")
    return array.astype(np.float64)
