"""CSV files of the Live Link Face app, to and from plain arrays.

A file has one row per frame: a timecode, the number of values that follow, ARKit's 52 blendshape weights (names
with a capital first letter), and yaw, pitch and roll of the head and both eyes. The format was inferred from files
that the app wrote:

- Timecodes are HH:MM:SS:FF.fff, time of day. FF counts frames, 60 per second unless the phone was configured
  otherwise, whether or not every frame has a row; fff is thousandths of a frame.
- JawRight precedes JawLeft and MouthRight precedes MouthLeft. The reader finds columns by name.
- Angles are in radians.
- A row without a detected face has a count of 0 and no values.

The app spells the second column `BlendShapeCount`; some tools write `BlendshapeCount`. The reader ignores case,
the writer spells it as the app does.
"""

import csv
import difflib
import os
import re
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Float64

from dualtalk.errors import InputError
from dualtalk.io.arkit import ARKIT_UNITS
from dualtalk.io.atomic import write_text
from dualtalk.timebase import DAY_S

TIMECODE_FPS = 60
POSSIBLE_TIMECODE_FPS = (24, 25, 30, 48, 50, 60, 100, 120)
# A longer jump between two rows is another take, or a clock that was set.
LONGEST_JUMP_S = 600.0
# Gaps are filled, so that a small file of long jumps would need any amount of memory.
LONGEST_TAKE_S = 4 * 3600.0
# The app's weights end a little above 1. Values far above are on another scale.
LARGEST_UNIT = 5.0

_SWAPPED = {"jawLeft": "jawRight", "jawRight": "jawLeft", "mouthLeft": "mouthRight", "mouthRight": "mouthLeft"}
_APP_ORDER = tuple(_SWAPPED.get(unit, unit) for unit in ARKIT_UNITS)
COLUMNS = tuple(unit[0].upper() + unit[1:] for unit in _APP_ORDER)
ANGLES = tuple(
    f"{joint}{angle}" for joint in ("Head", "LeftEye", "RightEye") for angle in ("Yaw", "Pitch", "Roll")
)
HEADER = ("Timecode", "BlendShapeCount", *COLUMNS, *ANGLES)
_TIMECODE = re.compile(r"(\d{1,2}):(\d{1,2}):(\d{1,2})[:;](\d{1,3}(?:\.\d+)?)")


class LiveLinkTable(NamedTuple):
    """The rows of a file that hold a face.

    Attributes
    ----------
    times_s : (sample,)
        Seconds since the midnight before the first row, strictly ascending; a take may pass midnight.
    units : (sample, 52)
        ARKit's weights, in the order of `ARKIT_UNITS`.
    angles_rad : (sample, 9)
        Yaw, pitch and roll of the head, the left eye and the right eye; zeros where the file has no angles.
    """

    times_s: Float64[np.ndarray, "sample"]
    units: Float64[np.ndarray, "sample 52"]
    angles_rad: Float64[np.ndarray, "sample 9"]


def read_live_link_csv(path: str | os.PathLike) -> LiveLinkTable:
    """Read a CSV file of the app, or of another tool that follows its format.

    Rows that repeat the time of the row before are dropped.

    Raises
    ------
    InputError
        A column is missing or unknown, a row has the wrong number of values or a value that is not a number, time
        goes back or jumps by minutes, no row holds a face, or values are degrees or percent.
    """
    path = Path(path)
    names, lines, codes, values = _face_rows(path)
    times_s = _times_s(path, lines, codes)
    kept = np.flatnonzero(np.diff(times_s, prepend=-np.inf) > 0)
    times_s, values = times_s[kept], values[kept]
    column = {name: values[:, names.index(name)] for name in names}
    _require_scale(path, column)
    units = np.stack([column[unit[0].upper() + unit[1:]] for unit in ARKIT_UNITS], axis=1)
    return LiveLinkTable(times_s, units, np.stack([column[name] for name in ANGLES], axis=1))


def write_live_link_csv(path: str | os.PathLike, table: LiveLinkTable) -> None:
    """Write rows as the app does, with 10 decimals."""
    order = [ARKIT_UNITS.index(unit) for unit in _APP_ORDER]
    values = np.concatenate([table.units[:, order], table.angles_rad], axis=1)
    count = values.shape[1]
    row = "%s,%d" + ",%.10f" * count
    rows = [
        row % (timecode(time_s), count, *numbers)
        for time_s, numbers in zip(table.times_s, values.tolist(), strict=True)
    ]
    write_text(path, "\n".join([",".join(HEADER), *rows, ""]))


def timecode(time_of_day_s: float) -> str:
    """HH:MM:SS:FF.fff, 60 frames to a second.

    >>> timecode(3600 + 2.45)
    '01:00:02:27.000'
    """
    thousandths = round(time_of_day_s % DAY_S * TIMECODE_FPS * 1000) % (DAY_S * TIMECODE_FPS * 1000)
    whole_s, thousandths = divmod(thousandths, TIMECODE_FPS * 1000)
    frame, thousandths = divmod(thousandths, 1000)
    return f"{whole_s // 3600:02d}:{whole_s // 60 % 60:02d}:{whole_s % 60:02d}:{frame:02d}.{thousandths:03d}"


def _face_rows(path: Path) -> tuple[list[str], np.ndarray, list[str], Float64[np.ndarray, "sample coef"]]:
    """Column names, and for each row that holds a face: its line in the file, its timecode and its values."""
    if not path.is_file():
        raise InputError(f"no Live Link Face file at {path}")
    try:
        rows = csv.reader(path.read_text(encoding="utf-8-sig").splitlines())
        names = _column_names(path, next(rows, []))
        faces = [(line, row) for line, row in enumerate(rows, 2) if len(row) < 2 or row[1].strip() != "0"]
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path} is not a text file of comma-separated values ({error})") from error
    faces = [(line, row) for line, row in faces if row]
    if not faces:
        raise InputError(f"{path} has no row that holds a face")
    values = np.stack([_row_values(path, names, line, row) for line, row in faces])
    lines, codes = np.array([line for line, _ in faces]), [row[0] for _, row in faces]
    if len(names) == len(COLUMNS):
        names = [*names, *ANGLES]
        values = np.pad(values, ((0, 0), (0, len(ANGLES))))
    return names, lines, codes, values


def _row_values(path: Path, names: list[str], line: int, row: list[str]) -> Float64[np.ndarray, "coef"]:
    if len(row) != len(names) + 2 or row[1].strip() != str(len(names)):
        count = row[1] if len(row) > 1 else "missing"
        raise InputError(
            f"{path}, line {line}: {max(len(row) - 2, 0)} values, the count is {count}, the header has "
            f"{len(names)}; was the file cut off, or are commas used for decimals?"
        )
    values = np.empty(len(names))
    for place, cell in enumerate(row[2:]):
        try:
            values[place] = float(cell)
        except ValueError:
            values[place] = np.nan
    if not np.isfinite(values).all():
        place = int(np.flatnonzero(~np.isfinite(values))[0])
        raise InputError(f"{path}, line {line}: {names[place]} is {row[place + 2]!r}; wanted a number")
    return values


def _column_names(path: Path, header: list[str]) -> list[str]:
    """Check the header and return its names in the app's spelling; case is ignored, angles are optional."""
    spelling = {name.lower(): name for name in HEADER}
    if [name.strip().lower() for name in header[:2]] != ["timecode", "blendshapecount"]:
        raise InputError(
            f"{path} begins with {','.join(header[:2])[:40]!r}; wanted Timecode,BlendShapeCount, as files of the "
            "Live Link Face app do"
        )
    names = []
    for name in (name.strip() for name in header[2:]):
        if name.lower() not in spelling:
            near = difflib.get_close_matches(name, HEADER, 1)
            raise InputError(f"{path} has an unknown column {name!r}" + (f"; is it {near[0]}?" if near else ""))
        names.append(spelling[name.lower()])
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise InputError(f"{path} has the column {repeated[0]} twice")
    required = HEADER[2:] if set(names) & set(ANGLES) else COLUMNS
    missing = [name for name in required if name not in names]
    if missing:
        more = f" and {len(missing) - 3} more" if len(missing) > 3 else ""
        raise InputError(f"{path} has no column {', '.join(missing[:3])}{more}; wanted ARKit's 52 blendshapes")
    return names


def _times_s(path: Path, lines: np.ndarray, codes: list[str]) -> Float64[np.ndarray, "sample"]:
    """Seconds since the midnight before the first row; they never decrease."""
    whole_s, frames = np.zeros(len(codes)), np.zeros(len(codes))
    for row, code in enumerate(codes):
        match = _TIMECODE.fullmatch(code.strip())
        if not match:
            raise InputError(f"{path}, line {lines[row]}: timecode is {code!r}; wanted HH:MM:SS:FF.fff")
        hours, minutes, seconds = (int(match[group]) for group in (1, 2, 3))
        if hours > 23 or minutes > 59 or seconds > 59:
            raise InputError(f"{path}, line {lines[row]}: timecode is {code!r}; wanted a time of day")
        whole_s[row], frames[row] = 3600 * hours + 60 * minutes + seconds, float(match[4])
    times_s = whole_s + frames / _timecode_fps(whole_s, frames)
    steps_s = np.diff(times_s, prepend=times_s[0])
    times_s += DAY_S * np.cumsum(steps_s < -DAY_S / 2)
    steps_s = np.diff(times_s, prepend=times_s[0])
    for wrong, what in ((steps_s < 0, "goes back"), (steps_s > LONGEST_JUMP_S, "jumps forward")):
        if wrong.any():
            row = int(np.flatnonzero(wrong)[0])
            raise InputError(
                f"{path}, line {lines[row]}: time {what} by {abs(steps_s[row]):g} s to {codes[row]}; "
                "are these two takes in one file?"
            )
    if times_s[-1] - times_s[0] > LONGEST_TAKE_S:
        hours = (times_s[-1] - times_s[0]) / 3600
        raise InputError(f"{path} lasts {hours:.1f} h; wanted at most {LONGEST_TAKE_S / 3600:g} h")
    return times_s


def _timecode_fps(whole_s: Float64[np.ndarray, "sample"], frames: Float64[np.ndarray, "sample"]) -> int:
    """Frames per second of the timecode, estimated where a second ends; 60 for a file within one second."""
    within = np.diff(whole_s) == 0
    step = np.median(np.diff(frames)[within]) if within.any() else 0.0
    ends = np.flatnonzero(np.diff(whole_s) == 1)
    estimate = np.median(frames[ends] + step - frames[ends + 1]) if len(ends) else TIMECODE_FPS
    possible = [fps for fps in POSSIBLE_TIMECODE_FPS if fps > frames.max()] or [int(frames.max()) + 1]
    return min(possible, key=lambda fps: abs(fps - estimate))


def _require_scale(path: Path, column: dict[str, Float[np.ndarray, "sample"]]) -> None:
    for names, limit, scale, slip in (
        (ANGLES, np.pi, "radians", "degrees"),
        (COLUMNS, LARGEST_UNIT, "0 to 1", "percent"),
    ):
        for name in names:
            largest = float(np.abs(column[name]).max())
            if largest > limit:
                raise InputError(f"{path}: {name} reaches {largest:g}; wanted {scale}; is it in {slip}?")
