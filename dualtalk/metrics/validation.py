"""Checks of the arrays that metrics take, with one-line errors.

Axes: frame, coef, vertex; "sample" is one of several predictions of the same motion. The ground truth comes first,
the prediction second.
"""

import numpy as np
from jaxtyping import Bool, Float

from dualtalk.errors import InputError

FloatArray = Float[np.ndarray, "..."]


def same_shape(
    ground_truth: FloatArray, prediction: FloatArray, axes: tuple[str, ...]
) -> tuple[FloatArray, FloatArray]:
    """Both arrays as float64, if they have the named axes, at least one element, and equal shapes.

    Raises
    ------
    InputError
        Another number of axes, an empty array, different shapes, or a value that is not finite.
    """
    check_shapes(ground_truth, prediction, axes)
    return finite(ground_truth, axes, "ground truth"), finite(prediction, axes, "prediction")


def check_shapes(ground_truth: FloatArray, prediction: FloatArray, axes: tuple[str, ...]) -> None:
    """The shape checks of `same_shape` without the check of values and without a copy, for large arrays."""
    _check_axes(ground_truth, axes, "ground truth")
    _check_axes(prediction, axes, "prediction")
    if ground_truth.shape != prediction.shape:
        same_trailing = ground_truth.shape[1:] == prediction.shape[1:]
        slip = "cut both to the shorter" if same_trailing else "do both have the same layout?"
        raise InputError(
            f"ground truth {ground_truth.shape} and prediction {prediction.shape} differ in shape; {slip}"
        )


def finite(array: FloatArray, axes: tuple[str, ...], name: str) -> FloatArray:
    """`array` as float64, if it has the named axes, is not empty, and all its values are finite."""
    _check_axes(array, axes, name)
    converted = array.astype(np.float64)
    if not np.isfinite(converted).all():
        raise InputError(f"{name} holds a NaN or infinite value; wanted finite numbers; did the model diverge?")
    return converted


def _check_axes(array: FloatArray, axes: tuple[str, ...], name: str) -> None:
    if array.ndim != len(axes) or not array.size:
        slip = "was a batch axis left on?" if array.ndim > len(axes) else "was an axis dropped, or all cut away?"
        raise InputError(f"{name} has shape {array.shape}; wanted ({', '.join(axes)}), none empty; {slip}")


def frame_mask(mask: Bool[np.ndarray, "..."] | None, frames: int, name: str) -> Bool[np.ndarray, "frame"]:
    """`mask`, or every frame if it is None, after a check that it has one value for each of `frames`."""
    if mask is None:
        return np.ones(frames, bool)
    if mask.shape != (frames,):
        raise InputError(f"{name} has shape {mask.shape}; wanted ({frames},): is it at 25 frames a second?")
    return mask
