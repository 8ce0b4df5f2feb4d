"""A user's recordings as a `Conversation`: one mixed file, one stereo file, or one file per person.

Notes report what was found and how it was handled, so that a surprising result can be traced.
"""

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float32

from dualtalk.audio.crosstalk import without_crosstalk
from dualtalk.audio.diarization import Diarizer, load_diarizer
from dualtalk.audio.speaker_masking import separate
from dualtalk.audio.voice_activity import detect_speech
from dualtalk.core import PARTY, Conversation, Participant
from dualtalk.errors import InputError
from dualtalk.io.audio_file import read_wave
from dualtalk.io.names import file_safe_name
from dualtalk.timebase import AUDIO_RATE_HZ, MOTION_FPS, SAMPLES_PER_FRAME, frames_for_samples

# Largest ratio of the difference of two channels to their sum at which both carry the same mix.
SAME_AUDIO_RATIO = 1e-3


def conversation_from_recording(
    paths: Sequence[str | os.PathLike], diarizer: Diarizer | None = None
) -> tuple[Conversation, tuple[str, ...]]:
    """Read one or two audio files of any rate as a conversation without motion.

    Parameters
    ----------
    paths : one or two paths
        One mono file is diarized, assuming two speakers. One stereo file has one person per channel. Two files
        have one person each.
    diarizer : Diarizer, optional
        `load_diarizer("default")` if not given.

    Returns
    -------
    conversation, notes
        Notes are sentences for the user: only one speaker was found, the lengths differ, and so on.

    Raises
    ------
    InputError
        A file is not audio, is too short, or has more channels than people.
    """
    if len(paths) not in (1, 2):
        raise InputError(f"{len(paths)} audio files; wanted one recording, or one file per person")
    files = [Path(path) for path in paths]
    name = file_safe_name(files[0].stem)
    if len(files) == 2:
        tracks = [_mono(path) for path in files]
        conversation, notes = _from_tracks(tracks, [path.name for path in files], name)
    else:
        channels = _long_enough(read_wave(files[0]), files[0])
        if len(channels) > 2:
            raise InputError(f"{files[0]} has {len(channels)} channels; wanted one, or two with one person each")
        if len(channels) == 2 and not _same_audio(*channels):
            conversation, notes = _from_tracks(list(channels), ["left channel", "right channel"], name)
        else:
            conversation, notes = _from_mix(channels[0], diarizer or load_diarizer("default"), name)
            if len(channels) == 2:
                notes = ("both channels carry the same audio, which was treated as one mixed recording", *notes)
    return conversation, (*notes, *_silent_people(conversation))


def _mono(path: Path) -> Float32[np.ndarray, "sample"]:
    channels = _long_enough(read_wave(path), path)
    if len(channels) == 2 and _same_audio(*channels):
        return channels[0]
    if len(channels) > 1:
        raise InputError(
            f"{path} has {len(channels)} channels; each of two files must be mono, with one person's voice"
        )
    return channels[0]


def _long_enough(channels: np.ndarray, path: Path) -> np.ndarray:
    if channels.shape[1] < SAMPLES_PER_FRAME:
        length_ms = 1000 * channels.shape[1] / AUDIO_RATE_HZ
        raise InputError(
            f"{path} is {length_ms:.0f} ms long; wanted at least one frame, {1000 / MOTION_FPS:.0f} ms"
        )
    return channels


def _same_audio(one: np.ndarray, two: np.ndarray) -> bool:
    return float(np.abs(one - two).sum()) <= SAME_AUDIO_RATIO * float(np.abs(one).sum() + np.abs(two).sum())


def _whole_frames(audio: np.ndarray, samples: int) -> Float32[np.ndarray, "sample"]:
    """Padded with silence to the whole frames that cover `samples`."""
    return np.pad(audio, (0, frames_for_samples(samples) * SAMPLES_PER_FRAME - len(audio))).astype(np.float32)


def _from_tracks(tracks: list[np.ndarray], names: list[str], name: str) -> tuple[Conversation, tuple[str, ...]]:
    lengths = [len(track) for track in tracks]
    notes: tuple[str, ...] = ()
    if lengths[0] != lengths[1]:
        shorter = int(np.argmin(lengths))
        missing_s = abs(lengths[0] - lengths[1]) / AUDIO_RATE_HZ
        notes = (f"{names[shorter]} is {missing_s:.2f} s shorter than {names[1 - shorter]}; silence was added",)
    audio = [_whole_frames(track, max(lengths)) for track in tracks]
    a, b = (
        Participant(own, without_crosstalk(detect_speech(own), own, other)) for own, other in (audio, audio[::-1])
    )
    return Conversation(a, b, name=name), notes


def _from_mix(mixed: np.ndarray, diarizer: Diarizer, name: str) -> tuple[Conversation, tuple[str, ...]]:
    mixed = _whole_frames(mixed, len(mixed))
    annotation = diarizer(mixed)
    tracks = separate(mixed, annotation)
    a, b = (
        Participant(track, annotation.label_timeline(label)) for label, track in zip(PARTY, tracks, strict=True)
    )
    return Conversation(a, b, name=name), ()


def _silent_people(conversation: Conversation) -> tuple[str, ...]:
    silent = [
        label.upper() for label, person in zip(PARTY, conversation.participants, strict=True) if not person.speech
    ]
    if len(silent) == 2:
        return ("no speech was found; both people listen",)
    if silent:
        return (f"only one person speaks; {silent[0]} listens throughout",)
    return ()
