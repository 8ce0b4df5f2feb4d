"""Alignment of both people's audio and motion to one clock."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from pyannote.core import Segment, Timeline

from dualtalk.audio.crosstalk import crosstalk_db, without_crosstalk
from dualtalk.audio.voice_activity import detect_speech
from dualtalk.core import Conversation, HeadMotion, Participant, Space
from dualtalk.corpora.corpus import PersonTrack
from dualtalk.errors import InputError
from dualtalk.preprocess.checks import CheckedMotion, check_motion
from dualtalk.timebase import AUDIO_RATE_HZ, MOTION_FPS, SAMPLES_PER_FRAME

# In published clips, audio and motion differ by a frame or two; a larger difference means a wrong pairing.
MAX_LENGTH_DIFFERENCE_FRAMES = 2.0
# Crosstalk above this level is noted in the manifest.
NOTED_CROSSTALK_DB = -15.0


@dataclass(frozen=True, eq=False)
class AlignedClip:
    """A clip on one clock and the findings of the alignment; the fields are those of the store's clip draft."""

    conversation: Conversation
    notes: tuple[str, ...]
    segmentation_source: str
    further_arrays: tuple[Mapping[str, np.ndarray], Mapping[str, np.ndarray]] = ({}, {})
    av_offset_ms: tuple[float, float] = (np.nan, np.nan)


def align_tracks(tracks: tuple[PersonTrack, PersonTrack], name: str, space: Space) -> AlignedClip:
    """Trim both people to the frames that all of their audio and motion cover.

    Where a track has no speech segments, voice activity detection provides them.

    Raises
    ------
    InputError
        Audio and motion, or the two audio tracks, differ by more than two frames; or a motion is invalid.
    """
    motions = [_check_track(track, space) for track in tracks]
    notes = [f"speaker{number}: {note}" for number, motion in enumerate(motions, start=1) for note in motion.notes]
    durations_s = {}
    for number, (track, motion) in enumerate(zip(tracks, motions, strict=True), start=1):
        if track.audio is not None:
            durations_s[f"speaker{number}'s audio"] = len(track.audio) / AUDIO_RATE_HZ
        if motion.motion is not None:
            durations_s[f"speaker{number}'s motion"] = motion.motion.duration_s
    frames = _common_frames(durations_s)
    trimmed_frames = max(durations_s.values()) * MOTION_FPS - frames
    if trimmed_frames >= 1:
        notes.append(f"trimmed by up to {trimmed_frames:.1f} frames")
    a, b = (_trim(track, motion.motion, frames) for track, motion in zip(tracks, motions, strict=True))
    a, b = (
        person if track.speech is not None else replace(person, speech=detect_speech(person.audio))
        for track, person in zip(tracks, (a, b), strict=True)
    )
    a, b = (
        person
        if track.speech is not None
        else replace(person, speech=without_crosstalk(person.speech, person.audio, other.audio, other.speech))
        for track, person, other in zip(tracks, (a, b), (b, a), strict=True)
    )
    conversation = Conversation(a, b, name=name)
    notes += [f"speaker{number} never speaks" for number, person in enumerate((a, b), 1) if not person.speech]
    notes += [
        f"speaker{number}'s channel has crosstalk at {level_db:.0f} dB"
        for number, level_db in enumerate(crosstalk_db(conversation), start=1)
        if level_db > NOTED_CROSSTALK_DB
    ]
    return AlignedClip(
        conversation,
        tuple(notes),
        "corpus" if all(track.speech is not None for track in tracks) else "voice activity",
        (_first_frames(motions[0].further_arrays, frames), _first_frames(motions[1].further_arrays, frames)),
        (_length_difference_ms(tracks[0], motions[0].motion), _length_difference_ms(tracks[1], motions[1].motion)),
    )


def _check_track(track: PersonTrack, space: Space) -> CheckedMotion:
    return CheckedMotion(None) if track.motion is None else check_motion(track.motion, track.fps, space)


def _common_frames(durations_s: Mapping[str, float]) -> int:
    if not durations_s:
        raise InputError("neither person has audio or motion")
    shortest, longest = (
        min(durations_s, key=durations_s.__getitem__),
        max(durations_s, key=durations_s.__getitem__),
    )
    difference_s = durations_s[longest] - durations_s[shortest]
    if difference_s * MOTION_FPS > MAX_LENGTH_DIFFERENCE_FRAMES + 1e-6:
        raise InputError(
            f"{longest} lasts {durations_s[longest]:.2f} s and {shortest} {durations_s[shortest]:.2f} s, a "
            f"difference of {1000 * difference_s:.0f} ms; wanted at most "
            f"{1000 * MAX_LENGTH_DIFFERENCE_FRAMES / MOTION_FPS:.0f} ms: are they from the same clip?"
        )
    frames = int(durations_s[shortest] * MOTION_FPS + 1e-6)
    if not frames:
        raise InputError(
            f"{shortest} lasts {1000 * durations_s[shortest]:.0f} ms; wanted at least one frame, 40 ms"
        )
    return frames


def _trim(track: PersonTrack, motion: HeadMotion | None, frames: int) -> Participant:
    samples = frames * SAMPLES_PER_FRAME
    audio = np.zeros(samples, np.float32) if track.audio is None else track.audio[:samples]
    clip = Segment(0, frames / MOTION_FPS)
    speech = Timeline([segment & clip for segment in track.speech or () if segment & clip])
    return Participant(audio, speech, None if motion is None else motion[:frames])


def _first_frames(arrays: Mapping[str, np.ndarray], frames: int) -> dict[str, np.ndarray]:
    return {key: array[:frames] for key, array in arrays.items()}


def _length_difference_ms(track: PersonTrack, motion: HeadMotion | None) -> float:
    if track.audio is None or motion is None:
        return float("nan")
    return 1000 * (motion.duration_s - len(track.audio) / AUDIO_RATE_HZ)
