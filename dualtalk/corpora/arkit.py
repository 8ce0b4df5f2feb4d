"""Face recordings from phones: two CSV files of the Live Link Face app and two sound files make a conversation.

Layout: `<clip>_speaker{1,2}.{csv,wav}` under any folders; files of one folder are one session. The two sound files
begin together and last equally long, as the two tracks of one recorder do. Each face is laid over its own sound:

* by the mouth, where it follows the loudness clearly;
* else by the timecodes, where the other face was laid by the mouth: both phones keep the time of day;
* else both are taken to begin with the sound.

The offset and how it was found are in the clip's notes.
"""

from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from dualtalk.audio.av_sync import offset_by_mouth, offset_by_timecode
from dualtalk.core import HeadMotion
from dualtalk.corpora.corpus import Clip, Corpus, Side, Source, folder_of, plain_name
from dualtalk.errors import InputError
from dualtalk.geometry.resampling import interpolate_curves, interpolate_rotations
from dualtalk.head.live_link import LiveLinkTake, read_live_link
from dualtalk.io.audio_file import read_wave
from dualtalk.timebase import MOTION_FPS, frames_for_samples

# Below this correlation of mouth and loudness an offset is a guess.
CLEAR_CORRELATION = 0.3
# Mouths open before they are heard, so a face in sync comes out this early; see `dualtalk.audio.av_sync`.
MOUTH_LEADS_S = 0.1
SPEAKERS = (1, 2)


class Laid(NamedTuple):
    """How late a face runs against its sound, and by what that was found."""

    offset_s: float
    by: str


class ArkitRecordings(Corpus):
    name = "arkit"
    title = "Live Link Face recordings"
    licence = "yours; ask the people whose faces they are"
    citation = "none"
    how_to_get = "record each person with the Live Link Face app, and their voices on two tracks of one recorder"
    space = "open"

    def index(self, root: Path) -> list[Clip]:
        root = folder_of(root)
        stems = {path.with_name(path.name.rpartition("_speaker")[0]) for path in root.rglob("*_speaker[12].csv")}
        if not stems:
            raise InputError(f"{root} has no <clip>_speaker1.csv with <clip>_speaker1.wav beside it")
        return sorted((self._entry(root, stem) for stem in stems), key=lambda clip: clip.name)

    def _entry(self, root: Path, stem: Path) -> Clip:
        files = [
            stem.with_name(f"{stem.name}_speaker{number}.{end}") for end in ("csv", "wav") for number in SPEAKERS
        ]
        name = plain_name(str(stem.relative_to(root)))
        session = name if stem.parent == root else plain_name(str(stem.parent.relative_to(root)))
        return Clip(
            name=name,
            session=session,
            people=(f"{session}_speaker1", f"{session}_speaker2"),
            files=tuple(path for path in files if path.is_file()),
            faults=tuple(f"{path.name} is missing" for path in files if not path.is_file()),
        )

    def read(self, root: Path, clip: Clip) -> Source:
        if clip.faults:
            raise InputError(f"{clip.name}: {', '.join(clip.faults)}")
        takes = [read_live_link(path) for path in clip.files[:2]]
        voices = [_voice(path) for path in clip.files[2:]]
        sides, notes = [], []
        for number, take, voice, laid in zip(SPEAKERS, takes, voices, _laid(takes, voices), strict=True):
            motion = _over(take, laid.offset_s, frames_for_samples(len(voice)))
            sides.append(Side(voice, motion.to_numpy()))
            notes.append(f"speaker{number}: face {laid.offset_s:+.2f} s against its sound, {laid.by}")
        return Source((sides[0], sides[1]), notes=tuple(notes))


def _voice(path: Path) -> np.ndarray:
    channels = read_wave(path)
    if len(channels) != 1:
        raise InputError(f"{path.name} has {len(channels)} channels; wanted one person's voice")
    return channels[0]


def _laid(takes: list[LiveLinkTake], voices: list[np.ndarray]) -> tuple[Laid, Laid]:
    a, b = (_by_mouth(take, voice) for take, voice in zip(takes, voices, strict=True))
    if a is None and b is not None:
        a = _by_clock(takes[0], takes[1], b)
    if b is None and a is not None:
        b = _by_clock(takes[1], takes[0], a)
    together = Laid(0.0, "taken to begin together, since no mouth follows its voice clearly")
    return a or together, b or together


def _by_mouth(take: LiveLinkTake, voice: np.ndarray) -> Laid | None:
    """None where mouth and loudness do not say."""
    try:
        found = offset_by_mouth(_jaw_rad(take.motion), voice)
    except InputError:
        return None
    if found.correlation < CLEAR_CORRELATION:
        return None
    return Laid(found.offset_s + MOUTH_LEADS_S, f"by mouth and loudness (correlation {found.correlation:.2f})")


def _by_clock(take: LiveLinkTake, other: LiveLinkTake, laid: Laid) -> Laid:
    """As late as the other face, by both phones' time of day."""
    return Laid(
        offset_by_timecode(take.start_s, other.start_s + laid.offset_s), "by timecode, from the other face"
    )


def _jaw_rad(motion: HeadMotion) -> np.ndarray:
    """(frame,) how far the mouth is opened by the jaw: what mouths do at the rate of syllables, without a head."""
    return motion.jaw_rotvec_rad[:, 0].astype(np.float64)


def _over(take: LiveLinkTake, offset_s: float, frames: int) -> HeadMotion:
    """The face in each frame of the sound; where it was not recorded the nearest holds, and is not valid."""
    at_s = np.arange(frames) / MOTION_FPS + offset_s
    motion, layout = take.motion, take.motion.layout
    coefficients = interpolate_curves(take.times_s, motion.coefficients, at_s)
    for part in ("head", "jaw", "eyes"):
        columns = layout.slice_of(part)
        for first in range(columns.start, columns.stop, 3):
            turn = slice(first, first + 3)
            coefficients[:, turn] = interpolate_rotations(take.times_s, motion.coefficients[:, turn], at_s)
    nearest = np.rint(at_s * MOTION_FPS).astype(int)
    recorded = (nearest >= 0) & (nearest < motion.frames)
    valid = recorded & take.valid[nearest.clip(0, motion.frames - 1)]
    return replace(motion, coefficients=coefficients.astype(np.float32), valid=valid)
