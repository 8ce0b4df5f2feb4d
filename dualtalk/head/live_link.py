"""Face recordings of the Live Link Face app: its CSV files, read as motion of the open head and written from it.

A file has a row a frame: a timecode, the number of values that follow, ARKit's 52 units with a capital first
letter, and the rotations of head and eyes as yaw, pitch and roll. What follows was read off files the app wrote:

- Timecodes are HH:MM:SS:FF.fff, time of day. FF counts frames, 60 to a second unless the phone was set
  otherwise, whether or not each has a row; fff is thousandths of a frame.
- JawRight stands before JawLeft, MouthRight before MouthLeft. Columns are found by name here.
- Angles are radians, and eyes that look at one point fit only one composition: Rx(pitch) Ry(yaw) Rz(-roll), in
  this project's axes. So pitch is positive downward, yaw to the person's left, roll with the crown to their left.
  The head's are taken to be composed as the eyes' are, which no file can show.
- A row in which no face was seen has the count 0 and no values.
"""

import csv
import difflib
import os
import re
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Float64
from scipy.spatial.transform import Rotation

from dualtalk.core import HeadMotion
from dualtalk.errors import InputError
from dualtalk.geometry.resampling import curves_at, rotations_at
from dualtalk.head.blendshapes import ARKIT_UNITS, arkit_from_motion, motion_from_arkit
from dualtalk.io.atomic import written_whole
from dualtalk.timebase import MOTION_FPS

TIMECODE_FPS = 60
KNOWN_TIMECODE_FPS = (24, 25, 30, 48, 50, 60, 100, 120)
DAY_S = 24 * 3600
# Between rows further apart than this the face is guessed, not seen.
LONGEST_GAP_S = 0.1
# A jump beyond this is another take, or a clock that was set.
LONGEST_JUMP_S = 600.0
# ARKit's units end at 1 and the app's a little above; far beyond lies another scale.
LARGEST_UNIT = 5.0

ANGLES = tuple(
    f"{joint}{angle}" for joint in ("Head", "LeftEye", "RightEye") for angle in ("Yaw", "Pitch", "Roll")
)
_SWAPPED = {"jawLeft": "jawRight", "jawRight": "jawLeft", "mouthLeft": "mouthRight", "mouthRight": "mouthLeft"}
COLUMNS = tuple(unit[0].upper() + unit[1:] for unit in (_SWAPPED.get(unit, unit) for unit in ARKIT_UNITS))
HEADER = ("Timecode", "BlendshapeCount", *COLUMNS, *ANGLES)
_TIMECODE = re.compile(r"(\d{1,2}):(\d{1,2}):(\d{1,2})[:;](\d{1,3}(?:\.\d+)?)")


class LiveLinkTake(NamedTuple):
    """A recording as motion, 25 frames a second.

    Attributes
    ----------
    times_s : (frame,) seconds since the take began
    motion : HeadMotion of the open head, mean identity
    start_s : time of day of the first frame
    valid : (frame,) whether the face was seen then, the motion's own; elsewhere the motion bridges the gap
    """

    times_s: Float64[np.ndarray, "frame"]
    motion: HeadMotion
    start_s: float
    valid: Bool[np.ndarray, "frame"]


def read_live_link(path: str | os.PathLike) -> LiveLinkTake:
    """Read a CSV file of the app, or of another tool that keeps to its layout.

    Eyes turn as the file's eye rotations say, and by its eyeLook units where those rotations are absent or all 0.
    Rows with the time of the one before are passed over, and days may end within a take.

    Raises
    ------
    InputError
        Names are missing or unknown, a row has the wrong number of values or something that is no number, time
        goes back or jumps by minutes, no row holds a face, or values are degrees or percent.
    """
    path = Path(path)
    names, lines, codes, values = _table(path)
    moments_s = _moments(path, lines, codes)
    kept = np.flatnonzero(np.diff(moments_s, prepend=-np.inf) > 0)
    moments_s, values = moments_s[kept], values[kept]
    column = {name: values[:, names.index(name)] for name in names}
    _refuse_other_scales(path, column)

    times_s = np.arange(int((moments_s[-1] - moments_s[0]) * MOTION_FPS + 1e-6) + 1) / MOTION_FPS
    seen_s = moments_s - moments_s[0]
    units = np.stack([column[unit[0].upper() + unit[1:]] for unit in ARKIT_UNITS], axis=1)
    turned = [
        rotations_at(seen_s, _rotvec_rad(column, joint), times_s) for joint in ("Head", "LeftEye", "RightEye")
    ]
    after = np.searchsorted(seen_s, times_s - 1e-6).clip(max=len(seen_s) - 1)
    before = np.searchsorted(seen_s, times_s + 1e-6, side="right") - 1
    valid = seen_s[after] - seen_s[before] <= LONGEST_GAP_S + 1e-6
    motion = motion_from_arkit(curves_at(seen_s, units, times_s), turned[0])
    coefficients, eyes_rotvec_rad = motion.coefficients.copy(), np.concatenate(turned[1:], axis=1)
    if eyes_rotvec_rad.any():
        coefficients[:, motion.layout.slice_of("eyes")] = eyes_rotvec_rad
    motion = replace(motion, coefficients=coefficients, valid=valid)
    return LiveLinkTake(times_s, motion, float(moments_s[0] % DAY_S), valid)


def write_live_link(
    path: str | os.PathLike, motion: HeadMotion, *, fps: int = MOTION_FPS, start_s: float = 0.0
) -> None:
    """Write motion as the app would have recorded it, `fps` rows a second, from the time of day `start_s` on.

    Motion of the open head at 25 rows a second comes back whole, but for a jaw that shuts beyond rest, pushes or
    rolls. Another head's expressions have no units: those columns are 0, while what joints turn (head, jaw, eyes)
    is as it was.
    """
    times_s = np.arange(motion.frames) / MOTION_FPS
    at_s = np.arange(int(np.ceil(motion.frames * fps / MOTION_FPS))) / fps
    eyes = motion.eyes_rotvec_rad
    rotvecs_rad = (motion.head_rotvec_rad, eyes[:, :3], eyes[:, 3:])
    values = np.zeros((len(at_s), len(COLUMNS) + len(ANGLES)))
    if motion.frames:
        units = curves_at(times_s, arkit_from_motion(as_open(motion)), at_s)
        turned = [_angles_rad(rotations_at(times_s, rotvec_rad, at_s)) for rotvec_rad in rotvecs_rad]
        order = [ARKIT_UNITS.index(name[0].lower() + name[1:]) for name in COLUMNS]
        values = np.concatenate([units[:, order], *turned], axis=1)
    count = values.shape[1]
    row = "%s,%d" + ",%.10f" * count
    rows = [
        row % (timecode(start_s + at), count, *numbers) for at, numbers in zip(at_s, values.tolist(), strict=True)
    ]
    with written_whole(path) as partial:
        partial.write_text("\n".join([",".join(HEADER), *rows, ""]), encoding="ascii")


def as_open(motion: HeadMotion) -> HeadMotion:
    """Motion of any head as far as the open head turns the same way: joints, and no expression but its own."""
    if motion.space == "open":
        return motion
    return HeadMotion.from_parts(
        expression=np.zeros_like(motion.expression),
        jaw_rotvec_rad=motion.jaw_rotvec_rad,
        head_rotvec_rad=motion.head_rotvec_rad,
        eyes_rotvec_rad=motion.eyes_rotvec_rad,
        space="open",
        valid=motion.valid,
    )


def timecode(time_of_day_s: float) -> str:
    """HH:MM:SS:FF.fff, 60 frames to a second.

    >>> timecode(3600 + 2.45)
    '01:00:02:27.000'
    """
    thousandths = round(time_of_day_s % DAY_S * TIMECODE_FPS * 1000) % (DAY_S * TIMECODE_FPS * 1000)
    whole_s, thousandths = divmod(thousandths, TIMECODE_FPS * 1000)
    frame, thousandths = divmod(thousandths, 1000)
    return f"{whole_s // 3600:02d}:{whole_s // 60 % 60:02d}:{whole_s % 60:02d}:{frame:02d}.{thousandths:03d}"


def _rotvec_rad(column: dict[str, np.ndarray], joint: str) -> Float[np.ndarray, "sample 3"]:
    angles = np.stack([column[f"{joint}Pitch"], column[f"{joint}Yaw"], -column[f"{joint}Roll"]], axis=1)
    return Rotation.from_euler("XYZ", angles).as_rotvec()


def _angles_rad(rotvec_rad: Float[np.ndarray, "frame 3"]) -> Float[np.ndarray, "frame 3"]:
    """Yaw, pitch, roll."""
    pitch, yaw, roll = Rotation.from_rotvec(rotvec_rad).as_euler("XYZ").T
    return np.stack([yaw, pitch, -roll], axis=1)


def _table(path: Path) -> tuple[list[str], np.ndarray, list[str], Float64[np.ndarray, "sample coef"]]:
    """Column names, and of each row with a face its line in the file, its timecode and its values."""
    if not path.is_file():
        raise InputError(f"no Live Link Face file at {path}")
    try:
        rows = csv.reader(path.read_text(encoding="utf-8-sig").splitlines())
        names = _names(path, next(rows, []))
        faces = [(line, row) for line, row in enumerate(rows, 2) if len(row) < 2 or row[1].strip() != "0"]
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path} is not a text file of comma-separated values ({error})") from error
    faces = [(line, row) for line, row in faces if row]
    if not faces:
        raise InputError(f"{path} has no row that holds a face")
    values = np.stack([_values(path, names, line, row) for line, row in faces])
    lines, codes = np.array([line for line, _ in faces]), [row[0] for _, row in faces]
    if len(names) == len(COLUMNS):
        names = [*names, *ANGLES]
        values = np.pad(values, ((0, 0), (0, len(ANGLES))))
    return names, lines, codes, values


def _values(path: Path, names: list[str], line: int, row: list[str]) -> Float64[np.ndarray, "coef"]:
    if len(row) != len(names) + 2 or row[1].strip() != str(len(names)):
        said = row[1] if len(row) > 1 else "nothing"
        raise InputError(
            f"{path}, line {line}: {max(len(row) - 2, 0)} values, the count says {said}, the header has "
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


def _names(path: Path, header: list[str]) -> list[str]:
    """The header's names as the app writes them, whatever their case; the rotations may be absent altogether."""
    known = {name.lower(): name for name in HEADER}
    if [name.strip().lower() for name in header[:2]] != ["timecode", "blendshapecount"]:
        raise InputError(
            f"{path} begins with {','.join(header[:2])[:40]!r}; wanted Timecode,BlendshapeCount, as files of the "
            "Live Link Face app do"
        )
    names = []
    for name in (name.strip() for name in header[2:]):
        if name.lower() not in known:
            near = difflib.get_close_matches(name, HEADER, 1)
            raise InputError(f"{path} has an unknown column {name!r}" + (f"; is it {near[0]}?" if near else ""))
        names.append(known[name.lower()])
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InputError(f"{path} has the column {twice[0]} twice")
    wanted = HEADER[2:] if set(names) & set(ANGLES) else COLUMNS
    missing = [name for name in wanted if name not in names]
    if missing:
        more = f" and {len(missing) - 3} more" if len(missing) > 3 else ""
        raise InputError(f"{path} has no column {', '.join(missing[:3])}{more}; wanted ARKit's 52 units")
    return names


def _moments(path: Path, lines: np.ndarray, codes: list[str]) -> Float64[np.ndarray, "sample"]:
    """Seconds since the midnight before the first row; they never go back."""
    whole_s, frames = np.zeros(len(codes)), np.zeros(len(codes))
    for row, code in enumerate(codes):
        match = _TIMECODE.fullmatch(code.strip())
        if not match:
            raise InputError(f"{path}, line {lines[row]}: timecode is {code!r}; wanted HH:MM:SS:FF.fff")
        hours, minutes, seconds = (int(match[group]) for group in (1, 2, 3))
        whole_s[row], frames[row] = 3600 * hours + 60 * minutes + seconds, float(match[4])
    moments_s = whole_s + frames / _timecode_fps(whole_s, frames)
    steps_s = np.diff(moments_s, prepend=moments_s[0])
    moments_s += DAY_S * np.cumsum(steps_s < -DAY_S / 2)
    steps_s = np.diff(moments_s, prepend=moments_s[0])
    for wrong, what in ((steps_s < 0, "goes back"), (steps_s > LONGEST_JUMP_S, "jumps on")):
        if wrong.any():
            row = int(np.flatnonzero(wrong)[0])
            raise InputError(
                f"{path}, line {lines[row]}: time {what} by {abs(steps_s[row]):g} s to {codes[row]}; "
                "are these two takes in one file?"
            )
    return moments_s


def _timecode_fps(whole_s: Float64[np.ndarray, "sample"], frames: Float64[np.ndarray, "sample"]) -> int:
    """Frames to a second of timecode, seen where a second ends; 60 in a file that ends before one does."""
    within = np.diff(whole_s) == 0
    step = np.median(np.diff(frames)[within]) if within.any() else 0.0
    ends = np.flatnonzero(np.diff(whole_s) == 1)
    estimate = np.median(frames[ends] + step - frames[ends + 1]) if len(ends) else TIMECODE_FPS
    possible = [fps for fps in KNOWN_TIMECODE_FPS if fps > frames.max()] or [int(frames.max()) + 1]
    return min(possible, key=lambda fps: abs(fps - estimate))


def _refuse_other_scales(path: Path, column: dict[str, np.ndarray]) -> None:
    for names, limit, wanted, slip in (
        (ANGLES, np.pi, "radians", "degrees"),
        (COLUMNS, LARGEST_UNIT, "0 to 1", "percent"),
    ):
        for name in names:
            largest = float(np.abs(column[name]).max())
            if largest > limit:
                raise InputError(f"{path}: {name} reaches {largest:g}; wanted {wanted}; is it in {slip}?")
