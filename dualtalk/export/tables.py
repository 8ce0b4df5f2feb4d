"""Motion as arrays in the npz layout of DualTalk (Peng et al. 2025), and as tables with one row per frame."""

import os
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from dualtalk.core import HeadMotion, Participant
from dualtalk.head.blendshapes import EXPRESSION_UNITS
from dualtalk.io.atomic import written_whole
from dualtalk.timebase import MOTION_FPS

PUBLISHED_IDENTITIES = 100


def write_published_npz(path: str | os.PathLike, motion: HeadMotion) -> None:
    """Write an npz file in the layout of the published DualTalk corpus (Peng et al. 2025).

    `exp` (T, 50); `pose` (T, 6), head then jaw, axis-angle in radians; `shape` (T, 100), the same in every frame.
    Two arrays that the corpus does not have: `eyes` (T, 6) if the layout has eyes, and `valid` (T,) if some frames
    are not valid. Camera, light, texture and identity coefficients beyond 100 are not written.
    """
    own = motion.to_numpy()
    kept = ("exp", "pose", "shape", "eyes", "valid")
    arrays: dict[str, Any] = {name: own[name] for name in kept if name in own}
    arrays["shape"] = np.tile(own["shape"][:PUBLISHED_IDENTITIES], (motion.frames, 1))
    with written_whole(path) as partial:
        np.savez(partial, **arrays)


def motion_table(participants: Mapping[str, Participant]) -> pd.DataFrame:
    """A table with one row per participant and frame.

    Columns: `person`, `frame`, `time_s`, `speaking`, `valid` (whether the motion was observed); the expression
    coefficients, named after ARKit's blendshapes on the open head and `expression1` to `expression50` on FLAME;
    the rotation vectors of head, jaw and eyes in radians.
    """
    tables = [_participant_table(label, person) for label, person in participants.items()]
    return pd.concat(tables, ignore_index=True)


def _participant_table(label: str, person: Participant) -> pd.DataFrame:
    motion = person.required_motion
    frames = np.arange(motion.frames)
    columns = {
        "person": np.full(motion.frames, label),
        "frame": frames,
        "time_s": frames / MOTION_FPS,
        "speaking": person.speaking(motion.frames),
        "valid": motion.valid,
    }
    names = EXPRESSION_UNITS if motion.space == "open" else [f"expression{number}" for number in range(1, 51)]
    columns |= {name: motion.expression[:, slot] for slot, name in enumerate(names)}
    joints = {"head": motion.head_rotvec_rad, "jaw": motion.jaw_rotvec_rad}
    if "eyes" in motion.layout.widths:
        left_eye, right_eye = np.split(motion.eyes_rotvec_rad, 2, axis=1)
        joints |= {"left_eye": left_eye, "right_eye": right_eye}
    for joint, rotvec_rad in joints.items():
        columns |= {f"{joint}_{axis}_rad": rotvec_rad[:, number] for number, axis in enumerate("xyz")}
    return pd.DataFrame(columns)


def write_table(path: str | os.PathLike, table: pd.DataFrame) -> None:
    """Write .parquet (through pyarrow) or .csv (nine significant digits, which is exact for single precision)."""
    with written_whole(path) as partial:
        if partial.suffix == ".parquet":
            table.to_parquet(partial, engine="pyarrow", index=False)
        else:
            table.to_csv(partial, index=False, float_format="%.9g")
