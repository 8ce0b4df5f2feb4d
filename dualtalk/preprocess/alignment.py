"""Both people's audio and motion of one clip on one clock."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from pyannote.core import Segment, Timeline

from dualtalk.audio.crosstalk import crosstalk_db
from dualtalk.audio.recording import without_leaks
from dualtalk.audio.voice_activity import detect_speech
from dualtalk.core import Conversation, HeadMotion, Participant, Space
from dualtalk.corpora import Side
from dualtalk.errors import InputError
from dualtalk.preprocess.checks import checked_motion
from dualtalk.timebase import AUDIO_RATE_HZ, MOTION_FPS, SAMPLES_PER_FRAME

# Published clips differ by a frame or two between audio and motion; more means that they are not of one clip.
LARGEST_DRIFT_FRAMES = 2.0
LEAK_NOTED_DB = -15.0


@dataclass(frozen=True, eq=False)
class Aligned:
    """A clip on one clock, and what was found on the way; fields as in `dualtalk.store.Draft`."""

    conversation: Conversation
    notes: tuple[str, ...]
    turns_from: str
    further_arrays: tuple[Mapping[str, np.ndarray], Mapping[str, np.ndarray]] = ({}, {})
    drift_ms: tuple[float, float] = (np.nan, np.nan)


def aligned_sides(sides: tuple[Side, Side], name: str, space: Space) -> Aligned:
    """Trim both people to the frames that all of their audio and motion cover.

    Raises
    ------
    InputError
        Audio and motion, or the two audios, differ by more than two frames; a motion that is none.
    """
    notes: list[str] = []
    motions, further = [], []
    for number, side in enumerate(sides, start=1):
        motion, kept, said = None, {}, []
        if side.motion is not None:
            motion, kept, said = checked_motion(side.motion, side.fps, space)
        motions.append(motion)
        further.append(kept)
        notes += [f"speaker{number}: {one}" for one in said]
    lengths_s = {}
    for number, (side, motion) in enumerate(zip(sides, motions, strict=True), start=1):
        if side.audio is not None:
            lengths_s[f"speaker{number}'s audio"] = len(side.audio) / AUDIO_RATE_HZ
        if motion is not None:
            lengths_s[f"speaker{number}'s motion"] = motion.duration_s
    frames = _common_frames(lengths_s)
    further = [{key: array[:frames] for key, array in kept.items()} for kept in further]
    people = [_cut(side, motion, frames) for side, motion in zip(sides, motions, strict=True)]
    drift_ms = tuple(_drift_ms(side, motion) for side, motion in zip(sides, motions, strict=True))
    trimmed = max(lengths_s.values()) * MOTION_FPS - frames
    if trimmed >= 1:
        notes.append(f"trimmed by up to {trimmed:.1f} frames")
    given = [side.speech is not None for side in sides]
    if not all(given):
        people = _with_speech(people, given)
    talk = Conversation(*people, name=name)
    notes += [
        f"speaker{number} is never heard" for number, person in enumerate(people, start=1) if not person.speech
    ]
    notes += [
        f"speaker{number}'s channel holds the other's voice at {leak:.0f} dB"
        for number, leak in enumerate(crosstalk_db(talk), start=1)
        if leak > LEAK_NOTED_DB
    ]
    return Aligned(talk, tuple(notes), "corpus" if all(given) else "voice activity", tuple(further), drift_ms)


def _common_frames(lengths_s: Mapping[str, float]) -> int:
    if not lengths_s:
        raise InputError("neither person has audio or motion")
    shortest, longest = min(lengths_s, key=lengths_s.get), max(lengths_s, key=lengths_s.get)
    apart_s = lengths_s[longest] - lengths_s[shortest]
    if apart_s * MOTION_FPS > LARGEST_DRIFT_FRAMES + 1e-6:
        raise InputError(
            f"{longest} lasts {lengths_s[longest]:.2f} s and {shortest} {lengths_s[shortest]:.2f} s, "
            f"{1000 * apart_s:.0f} ms apart; wanted at most {1000 * LARGEST_DRIFT_FRAMES / MOTION_FPS:.0f}: are "
            "they of the same clip?"
        )
    frames = int(lengths_s[shortest] * MOTION_FPS + 1e-6)
    if not frames:
        raise InputError(f"{shortest} lasts {1000 * lengths_s[shortest]:.0f} ms; wanted at least one frame, 40 ms")
    return frames


def _cut(side: Side, motion: HeadMotion | None, frames: int) -> Participant:
    samples = frames * SAMPLES_PER_FRAME
    audio = np.zeros(samples, np.float32) if side.audio is None else side.audio[:samples]
    spoken = Segment(0, frames / MOTION_FPS)
    speech = Timeline([span & spoken for span in side.speech or () if span & spoken])
    return Participant(audio, speech, None if motion is None else motion[:frames])


def _drift_ms(side: Side, motion: HeadMotion | None) -> float:
    if side.audio is None or motion is None:
        return float("nan")
    return 1000 * (motion.duration_s - len(side.audio) / AUDIO_RATE_HZ)


def _with_speech(people: list[Participant], given: list[bool]) -> list[Participant]:
    """Speech found from the sound for those whose speech the corpus does not tell."""
    found = []
    for own, other, told in zip(people, people[::-1], given, strict=True):
        speech = own.speech if told else without_leaks(detect_speech(own.audio), own.audio, other.audio)
        found.append(replace(own, speech=speech))
    return found
