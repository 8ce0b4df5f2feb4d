"""Face recordings from phones: two CSV files of the Live Link Face app and two sound files form a conversation.

Layout: `<clip>_speaker{1,2}.{csv,wav}` in any folders; files of one folder are one session. The two sound files
start together and have the same length, as two tracks of one recorder do. The offset between each face and its
sound comes from one of these, in this order:

* the correlation of mouth opening and loudness, where it is clear;
* the timecodes, where the other face was aligned by its mouth: both phones record the time of day;
* otherwise zero: face and sound are assumed to start together.

An offset that changes over the recording, as that of two clocks does, is measured in windows and compensated. The
clip's notes give each offset, its source and its drift.
"""

from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from dualtalk.audio.av_sync import drift_by_mouth, offset_by_mouth, offset_by_timecode
from dualtalk.core import HeadMotion
from dualtalk.corpora.corpus import Clip, ClipData, Corpus, PersonTrack, require_folder
from dualtalk.errors import InputError
from dualtalk.geometry.resampling import interpolate_curves, interpolate_rotations
from dualtalk.head.live_link import LiveLinkTake, read_live_link
from dualtalk.io.audio_file import read_wave
from dualtalk.io.names import file_safe_name
from dualtalk.timebase import AUDIO_RATE_HZ, MOTION_FPS, frames_for_samples

# Below this correlation of mouth opening and loudness, an offset is a guess.
MIN_CORRELATION = 0.3
# Mouths open before the sound starts, so a face in sync leads by this much; see `dualtalk.audio.av_sync`.
MOUTH_LEAD_S = 0.1
# A lag that changes by less than this over the recording, a frame and a half, is not compensated: it may be an
# error.
LEAST_DRIFT_S = 0.06
SPEAKERS = (1, 2)


class FaceAlignment(NamedTuple):
    """How far a face lags behind its sound at the beginning, by how much more each second, and how this was
    found."""

    offset_s: float
    method: str
    drift: float = 0.0


class ArkitRecordings(Corpus):
    """Recordings of the Live Link Face app; see the module's description."""

    name = "arkit"
    title = "Live Link Face recordings"
    licence = "yours; ask the recorded people for permission"
    citation = "none"
    download = "record each person with the Live Link Face app, and both voices on two tracks of one recorder"
    space = "open"

    def index(self, root: Path) -> list[Clip]:
        root = require_folder(root)
        stems = {path.with_name(path.name.rpartition("_speaker")[0]) for path in root.rglob("*_speaker[12].csv")}
        if not stems:
            raise InputError(f"{root} has no <clip>_speaker1.csv with <clip>_speaker1.wav beside it")
        return sorted((self._entry(root, stem) for stem in stems), key=lambda clip: clip.name)

    def _entry(self, root: Path, stem: Path) -> Clip:
        files = [
            stem.with_name(f"{stem.name}_speaker{number}.{suffix}")
            for suffix in ("csv", "wav")
            for number in SPEAKERS
        ]
        name = file_safe_name(str(stem.relative_to(root)))
        session = name if stem.parent == root else file_safe_name(str(stem.parent.relative_to(root)))
        return Clip(
            name=name,
            session=session,
            person_ids=(f"{session}_speaker1", f"{session}_speaker2"),
            files=tuple(path for path in files if path.is_file()),
            errors=tuple(f"{path.name} is missing" for path in files if not path.is_file()),
        )

    def read(self, root: Path, clip: Clip) -> ClipData:
        if clip.errors:
            raise InputError(f"{clip.name}: {', '.join(clip.errors)}")
        takes = [read_live_link(path) for path in clip.files[:2]]
        voices = [_read_mono(path) for path in clip.files[2:]]
        tracks, notes = [], []
        for number, take, voice, face in zip(SPEAKERS, takes, voices, _align_faces(takes, voices), strict=True):
            motion = _resample_face(take, face, frames_for_samples(len(voice)))
            tracks.append(PersonTrack(voice, motion.to_numpy()))
            notes.append(f"speaker{number}: face {face.offset_s:+.2f} s against its sound, {face.method}")
            if face.drift:
                drift_ms = 1000 * face.drift * len(voice) / AUDIO_RATE_HZ
                notes.append(
                    f"speaker{number}: the face drifts by {drift_ms:+.0f} ms against its sound; compensated"
                )
        return ClipData((tracks[0], tracks[1]), notes=tuple(notes))


def _read_mono(path: Path) -> np.ndarray:
    channels = read_wave(path)
    if len(channels) != 1:
        raise InputError(f"{path.name} has {len(channels)} channels; wanted one person's voice")
    return channels[0]


def _align_faces(takes: list[LiveLinkTake], voices: list[np.ndarray]) -> tuple[FaceAlignment, FaceAlignment]:
    a, b = (_align_by_mouth(take, voice) for take, voice in zip(takes, voices, strict=True))
    if a is None and b is not None:
        a = _align_by_timecode(takes[0], takes[1], b)
    if b is None and a is not None:
        b = _align_by_timecode(takes[1], takes[0], a)
    default = FaceAlignment(0.0, "assumed to start together: no mouth follows its voice clearly")
    return a or default, b or default


def _align_by_mouth(take: LiveLinkTake, voice: np.ndarray) -> FaceAlignment | None:
    """Align by mouth opening and loudness; None if their correlation is too low."""
    jaw_opening_rad = take.motion.jaw_rotvec_rad[:, 0].astype(np.float64)
    try:
        found = offset_by_mouth(jaw_opening_rad, voice)
    except InputError:
        return None
    if found.correlation < MIN_CORRELATION:
        return None
    method = f"by mouth and loudness (correlation {found.correlation:.2f})"
    drift = drift_by_mouth(jaw_opening_rad, voice, found.offset_s)
    if drift is None or abs(drift.rate) * len(voice) / AUDIO_RATE_HZ < LEAST_DRIFT_S:
        return FaceAlignment(found.offset_s + MOUTH_LEAD_S, method)
    return FaceAlignment(drift.offset_s + MOUTH_LEAD_S, method, drift.rate)


def _align_by_timecode(take: LiveLinkTake, other: LiveLinkTake, aligned: FaceAlignment) -> FaceAlignment:
    """Align by the times of day of both phones, given the alignment of the other face."""
    offset_s = offset_by_timecode(take.start_s, other.start_s + aligned.offset_s)
    return FaceAlignment(offset_s, "by timecode, from the other face")


def _resample_face(take: LiveLinkTake, face: FaceAlignment, frames: int) -> HeadMotion:
    """The face at each motion frame of the sound. Outside the take the nearest frame repeats and is invalid."""
    at_s = np.arange(frames) / MOTION_FPS * (1 + face.drift) + face.offset_s
    motion, layout = take.motion, take.motion.layout
    coefficients = interpolate_curves(take.times_s, motion.coefficients, at_s)
    for part in ("head", "jaw", "eyes"):
        columns = layout.slice_of(part)
        for first in range(columns.start, columns.stop, 3):
            joint = slice(first, first + 3)
            coefficients[:, joint] = interpolate_rotations(take.times_s, motion.coefficients[:, joint], at_s)
    nearest = np.rint(at_s * MOTION_FPS).astype(int)
    recorded = (nearest >= 0) & (nearest < motion.frames)
    valid = recorded & take.valid[nearest.clip(0, motion.frames - 1)]
    return replace(motion, coefficients=coefficients.astype(np.float32), valid=valid)
