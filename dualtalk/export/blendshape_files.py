"""Formats of ARKit blendshape weights over time: one file for each participant, named `<label>.<suffix>`.

All come from the same weights, which are exact for motion of the open head. The formats differ in the order of the
blendshapes, the frame rate and the container. The table `FORMATS` names the program whose reader defines each.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Float
from scipy.spatial.transform import Rotation

from dualtalk.export.contents import Export
from dualtalk.geometry.resampling import resample_curves
from dualtalk.head.blendshapes import arkit_from_motion
from dualtalk.io.arkit import ALPHABETICAL_UNITS, ARKIT_UNITS, BLENDVOCA_UNITS
from dualtalk.io.atomic import written_whole
from dualtalk.timebase import MOTION_FPS

DECIMALS = 6
FRAME_MS = 1000 // MOTION_FPS
NO_ROTATIONS = "rotations of the head are not in this format; the eyes are in eyeLook blendshapes"


class Track(NamedTuple):
    """What a format writes: a participant's label, weights at the format's rate, head rotations at 25 fps."""

    label: str
    weights: Float[np.ndarray, "frame unit"]
    head_rotvec_rad: Float[np.ndarray, "motion_frame 3"]


@dataclass(frozen=True)
class WeightFormat:
    """A file format of blendshape weights.

    Attributes
    ----------
    suffix : str
    units : sequence of str
        The blendshapes, in the order of the file.
    write : callable (path, track, format)
    fps : int
        The rate that the program plays.
    losses : str
        What the format does not represent; "" if nothing.
    voices : bool
        Whether the program plays the voice with the file.
    """

    suffix: str
    units: Sequence[str]
    write: "Callable[[Path, Track, WeightFormat], None]"
    fps: int = MOTION_FPS
    losses: str = NO_ROTATIONS
    voices: bool = False


def _write_json(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content, separators=(",", ":")), encoding="utf-8")


def _rounded(weights: Float[np.ndarray, "..."]) -> list:
    return np.round(weights.astype(float), DECIMALS).tolist()


def _audio2face(path: Path, track: Track, form: WeightFormat) -> None:
    content = {"exportFps": float(form.fps), "trackPath": f"{track.label}.wav"}
    content |= {"numPoses": len(form.units), "numFrames": len(track.weights), "facsNames": list(form.units)}
    _write_json(path, {**content, "weightMat": _rounded(track.weights)})


def _lam(path: Path, track: Track, form: WeightFormat) -> None:
    names = list(form.units)
    frames = [
        {"weights": row, "time": round(frame / form.fps, DECIMALS), "rotation": []}
        for frame, row in enumerate(_rounded(track.weights))
    ]
    metadata = {"fps": form.fps, "frame_count": len(frames), "blendshape_names": names}
    _write_json(path, {"names": names, "metadata": metadata, "frames": frames})


def _talkinghead(path: Path, track: Track, form: WeightFormat) -> None:
    # A value is reached at the end of its duration: the middle of frame 0 is half a frame after the start.
    durations_ms = ([FRAME_MS // 2] + [FRAME_MS] * (len(track.weights) - 1))[: len(track.weights)]
    angles_rad = Rotation.from_rotvec(track.head_rotvec_rad).as_euler("XYZ")
    values = dict(zip(form.units, _rounded(track.weights.T), strict=True))
    values |= {f"headRotate{axis}": _rounded(angles_rad[:, column]) for column, axis in enumerate("XYZ")}
    _write_json(path, {"name": "blendshapes", "dt": durations_ms, "vs": values})


def _emotalk(path: Path, track: Track, _form: WeightFormat) -> None:
    np.save(path, track.weights.astype(np.float32))


def _blendvoca(path: Path, track: Track, form: WeightFormat) -> None:
    pd.DataFrame(track.weights, columns=list(form.units)).to_csv(path, index=False, float_format=f"%.{DECIMALS}f")


FORMATS = {
    # NVIDIA Audio2Face, "export as json"; read by its importers for Maya, Blender and Babylon.js.
    "a2f-json": WeightFormat(".json", ARKIT_UNITS, _audio2face, voices=True),
    # LAM_Audio2Expression, models/utils.py; LAM's web renderer plays 30 frames a second.
    "lam-json": WeightFormat(".json", ALPHABETICAL_UNITS, _lam, fps=30),
    # TalkingHead, README, appendix F: the argument `anim` of speakAudio.
    "talkinghead": WeightFormat(".json", ARKIT_UNITS, _talkinghead, losses="", voices=True),
    # EmoTalk, render.py.
    "emotalk": WeightFormat(".npy", ALPHABETICAL_UNITS, _emotalk, fps=30),
    # SAiD, data/ARKit_blendshapes.txt, said/util/blendshape.py and script/inference.py.
    "blendvoca": WeightFormat(
        ".csv",
        BLENDVOCA_UNITS,
        _blendvoca,
        fps=60,
        losses="only the 32 blendshapes of the jaw, mouth, cheeks and nose are in this format",
    ),
}


def write(export: Export, folder: Path, name: str) -> list[str]:
    """Write each participant in one of `FORMATS`, and return the notes."""
    form = FORMATS[name]
    motions, notes = export.open_motions()
    for label, motion in motions.items():
        columns = [ARKIT_UNITS.index(unit) for unit in form.units]
        weights = resample_curves(arkit_from_motion(motion)[:, columns], float(MOTION_FPS), float(form.fps))
        with written_whole(folder / f"{label}{form.suffix}") as partial:
            form.write(partial, Track(label, weights, motion.head_rotvec_rad), form)
    if form.voices:
        export.write_voices(folder)
    if form.fps != MOTION_FPS:
        notes.append(f"the {form.fps} frames a second are interpolated from {MOTION_FPS}")
    return [*notes, form.losses] if form.losses else notes
