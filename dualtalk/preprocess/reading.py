"""A motion file of any known tool as a `HeadMotion`: its layout, its frame rate, and frames that its tracker
lost."""

import os
from typing import cast

from dualtalk.core import Space
from dualtalk.errors import InputError
from dualtalk.io.flame_layouts import read_flame_arrays
from dualtalk.preprocess.checks import CheckedMotion, check_motion
from dualtalk.timebase import MOTION_FPS

# Frame rates of cameras and tools, for the hint when a length does not fit.
USUAL_FPS = (24.0, 24_000 / 1001, 25.0, 30.0, 30_000 / 1001, 50.0, 60.0, 60_000 / 1001)
# Encoders pad or cut the last frame, and trackers lose it.
LENGTH_TOLERANCE_FRAMES = 2.0


def read_motion(path: str | os.PathLike, layout: str | None = None, fps: float | None = None) -> CheckedMotion:
    """Read a motion file and convert it to 25 frames a second.

    Parameters
    ----------
    path : path
        A file that `HeadMotion.save` wrote, or FLAME motion of another tool; see `dualtalk.io.flame_layouts`.
    layout : str, optional
        Layout of the rows of a file that does not name its arrays.
    fps : float, optional
        Frame rate of the file; if not given, the one that it declares, or 25.

    Raises
    ------
    InputError
        No such file, no motion in it, an undecided layout, an impossible frame rate, or motion that no head makes.
    """
    arrays = read_flame_arrays(path, layout)
    declared = float(arrays.pop("fps", MOTION_FPS))
    rate = declared if fps is None else fps
    if not 1.0 <= rate <= 1000.0:
        raise InputError(f"{path}: {rate:g} frames a second; wanted 1 to 1000")
    space = str(arrays.pop("space", "flame"))
    if space not in ("flame", "open"):
        raise InputError(f"{path}: motion space is {space!r}; wanted flame or open")
    try:
        checked = check_motion(arrays, rate, cast(Space, space))
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    if checked.motion is None:
        raise InputError(f"{path}: no frame of the motion is valid")
    return checked


def fitting_fps(frames: int, duration_s: float) -> list[float]:
    """Usual frame rates at which `frames` frames last `duration_s`."""
    return [rate for rate in USUAL_FPS if abs(frames / rate - duration_s) * MOTION_FPS <= LENGTH_TOLERANCE_FRAMES]
