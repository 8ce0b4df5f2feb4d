"""What every metric asks of the arrays it is given, and the one line it answers with when they are not that.

Axes are those of the project: frame, coef, vertex; sample here is one of several predictions of the same motion.
Reference comes first, prediction second.
"""

import numpy as np
from jaxtyping import Bool, Float

from dualtalk.errors import InputError


def same_shape(
    reference: Float[np.ndarray, "..."], prediction: Float[np.ndarray, "..."], axes: tuple[str, ...]
) -> tuple[Float[np.ndarray, "..."], Float[np.ndarray, "..."]]:
    """Both as float64, once they have the named axes, at least one frame, and the same shape.

    Raises
    ------
    InputError
        Another number of axes, nothing in them, shapes that differ, or a value that is not finite.
    """
    check_shapes(reference, prediction, axes)
    return finite(reference, axes, "reference"), finite(prediction, axes, "prediction")


def check_shapes(
    reference: Float[np.ndarray, "..."], prediction: Float[np.ndarray, "..."], axes: tuple[str, ...]
) -> None:
    """Refuse what `same_shape` refuses, but for values, which are not looked at: for arrays too large to copy."""
    _check_axes(reference, axes, "reference")
    _check_axes(prediction, axes, "prediction")
    if reference.shape != prediction.shape:
        slip = "cut both to the shorter" if reference.shape[1:] == prediction.shape[1:] else "are both one layout?"
        raise InputError(f"reference {reference.shape} and prediction {prediction.shape} differ in shape; {slip}")


def finite(array: Float[np.ndarray, "..."], axes: tuple[str, ...], what: str) -> Float[np.ndarray, "..."]:
    """`array` as float64, once it has the named axes, none of them empty, and is finite throughout."""
    _check_axes(array, axes, what)
    wide = array.astype(np.float64)
    if not np.isfinite(wide).all():
        raise InputError(f"{what} holds a NaN or infinite value; wanted finite numbers; did the model diverge?")
    return wide


def _check_axes(array: Float[np.ndarray, "..."], axes: tuple[str, ...], what: str) -> None:
    if array.ndim != len(axes) or not array.size:
        slip = "was a batch axis left on?" if array.ndim > len(axes) else "was an axis dropped, or all cut away?"
        raise InputError(f"{what} has shape {array.shape}; wanted ({', '.join(axes)}), none empty; {slip}")


def frames_chosen(mask: Bool[np.ndarray, "..."] | None, frames: int, what: str) -> Bool[np.ndarray, "frame"]:
    """`mask`, or every frame where it is None, once it has one value for each of `frames`."""
    if mask is None:
        return np.ones(frames, bool)
    if mask.shape != (frames,):
        raise InputError(f"{what} has shape {mask.shape}; wanted ({frames},): is it at 25 frames a second?")
    return mask
