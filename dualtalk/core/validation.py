"""Validation of the values that every stage exchanges. Readers and public constructors call these functions.

The limits are far beyond what occurs; a value past one has another scale than the one it is taken for.
"""

from collections.abc import Sequence

import numpy as np

from dualtalk.errors import InputError

# Coefficients have about unit variance; 30 standard deviations are no face.
LARGEST_COEFFICIENT = 30.0
# Full scale is 1. A float recording may exceed it by 30 dB.
LARGEST_SAMPLE = 32.0
# No joint of a head turns by more than half a turn: a larger norm means that degrees were passed for radians.
LARGEST_ROTATION_RAD = np.pi


def as_float32(what: str, value: object, shape: Sequence[int | None]) -> np.ndarray:
    """Return an array of floating-point numbers as float32.

    Parameters
    ----------
    what : str
        Names the array in errors.
    value : object
        What a caller passed.
    shape : sequence of int or None
        The wanted shape; None for an axis of any length.

    Raises
    ------
    InputError
        Not a numpy array, not floating point, another shape, or a value that is not finite.
    """
    if not isinstance(value, np.ndarray):
        raise InputError(f"{what} is a {type(value).__name__}; wanted a numpy array of float32")
    if value.dtype.kind != "f":
        slip = "; divide 16-bit samples by 32768" if value.dtype == np.int16 else ""
        raise InputError(f"{what} is of {value.dtype}; wanted float32{slip}")
    if value.ndim != len(shape) or any(
        wanted is not None and found != wanted for found, wanted in zip(value.shape, shape, strict=True)
    ):
        wanted_shape = "(" + ", ".join("any" if one is None else str(one) for one in shape) + ")"
        raise InputError(f"{what} has shape {value.shape}; wanted {wanted_shape}")
    # Values past the range of float32 become infinite.
    with np.errstate(over="ignore"):
        converted = value if value.dtype == np.float32 else value.astype(np.float32)
    require_finite(what, converted)
    return converted


def require_finite(what: str, values: np.ndarray, row: str = "frame") -> None:
    """Raise `InputError` if a value is NaN or infinite; the first row is named, and called `row`."""
    if not _is_finite(values):
        finite = np.isfinite(values).reshape(len(values), -1).all(axis=1)
        raise InputError(f"{what} holds a NaN or infinite value, first in {row} {int(np.flatnonzero(~finite)[0])}")


def require_audio(what: str, samples: np.ndarray) -> None:
    """Raise `InputError` unless samples are finite and on a scale on which 1 is full."""
    require_finite(what, samples, "sample")
    largest = _largest(samples)
    if largest > LARGEST_SAMPLE:
        raise InputError(f"{what} reaches {largest:g}; wanted samples in [-1, 1]: are they on a 16-bit scale?")


def require_coefficients(what: str, values: np.ndarray) -> None:
    """Raise `InputError` unless coefficients are finite and of about unit variance."""
    require_finite(what, values)
    largest = _largest(values)
    if largest > LARGEST_COEFFICIENT:
        raise InputError(f"{what} reaches {largest:.4g}; wanted coefficients of about unit variance")


def require_radians(part: str, rotvecs_rad: np.ndarray) -> None:
    """Check that rotations are plausible in radians; rows that hold a NaN are skipped.

    Parameters
    ----------
    part : str
        Name of the rotation in the error message.
    rotvecs_rad : (frame, 3 or a multiple of it)
        Axis-angle vectors, one joint after the other.

    Raises
    ------
    InputError
        A rotation has a norm above pi.
    """
    with np.errstate(over="ignore"):
        norms = np.linalg.norm(rotvecs_rad.reshape(-1, 3), axis=1)
    # The squares of very large values overflow, so the values count too.
    largest = max(float(one[np.isfinite(one)].max(initial=0.0)) for one in (norms, np.abs(rotvecs_rad)))
    if largest > LARGEST_ROTATION_RAD:
        raise InputError(f"{part} rotation has a norm of {largest:.4g} rad; were degrees passed?")


def _largest(values: np.ndarray) -> float:
    return max(float(values.max(initial=0.0)), -float(values.min(initial=0.0)))


def _is_finite(values: np.ndarray) -> bool:
    # Without a temporary array: recordings are long.
    return bool(np.isfinite(values.min(initial=0.0)) and np.isfinite(values.max(initial=0.0)))
