"""Motion as arrays and tables: the published npz layout, and one row a frame with a column a coefficient."""

import os
from collections.abc import Mapping

import numpy as np
import pandas as pd

from dualtalk.core import HeadMotion, Participant
from dualtalk.head.blendshapes import EXPRESSION_UNITS
from dualtalk.io.atomic import written_whole
from dualtalk.timebase import MOTION_FPS

PUBLISHED_IDENTITIES = 100


def write_published(path: str | os.PathLike, motion: HeadMotion) -> None:
    """Write npz as the published DualTalk files have it: `exp` (T, 50), `pose` (T, 6) = head then jaw, `shape`
    (T, 100), the same in every frame; and what those lack, `eyes` (T, 6), and `valid` (T,) if some frames are not.

    Camera, light and texture are not written, nor identity beyond 100 coefficients.
    """
    arrays = {
        "exp": motion.expression,
        "pose": np.concatenate([motion.head_rotvec_rad, motion.jaw_rotvec_rad], axis=1),
        "shape": np.tile(motion.identity[:PUBLISHED_IDENTITIES], (motion.frames, 1)),
    }
    if "eyes" in motion.layout.widths:
        arrays["eyes"] = motion.eyes_rotvec_rad
    if not motion.valid.all():
        arrays["valid"] = motion.valid
    with written_whole(path) as partial:
        np.savez(partial, **arrays)


def motion_table(people: Mapping[str, Participant]) -> pd.DataFrame:
    """One row for each person and frame.

    Columns: `person`, `frame`, `time_s`, `speaking`, `valid` (whether the motion was observed); the expression
    coefficients by name, ARKit's units on the open head and `expression1` to `expression50` on FLAME; the rotation
    vectors of head, jaw and eyes in radians.
    """
    tables = [_person_table(name, person) for name, person in people.items()]
    return pd.concat(tables, ignore_index=True)


def _person_table(name: str, person: Participant) -> pd.DataFrame:
    motion = person.motion
    frames = np.arange(motion.frames)
    columns = {
        "person": np.full(motion.frames, name),
        "frame": frames,
        "time_s": frames / MOTION_FPS,
        "speaking": person.speaking(motion.frames),
        "valid": motion.valid,
    }
    names = EXPRESSION_UNITS if motion.space == "open" else [f"expression{number}" for number in range(1, 51)]
    columns |= {unit: motion.expression[:, slot] for slot, unit in enumerate(names)}
    left_eye, right_eye = np.split(motion.eyes_rotvec_rad, 2, axis=1)
    joints = {"head": motion.head_rotvec_rad, "jaw": motion.jaw_rotvec_rad}
    if "eyes" in motion.layout.widths:
        joints |= {"left_eye": left_eye, "right_eye": right_eye}
    for joint, rotvec_rad in joints.items():
        columns |= {f"{joint}_{axis}_rad": rotvec_rad[:, number] for number, axis in enumerate("xyz")}
    return pd.DataFrame(columns)


def write_table(path: str | os.PathLike, table: pd.DataFrame) -> None:
    """Write as .parquet (through pyarrow) or .csv; nine digits, so that single precision comes back whole."""
    with written_whole(path) as partial:
        if partial.suffix == ".parquet":
            table.to_parquet(partial, engine="pyarrow", index=False)
        else:
            table.to_csv(partial, index=False, float_format="%.9g")
