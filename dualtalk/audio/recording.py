"""A user's recordings as a `Conversation`: one mixed file, one stereo file, or one file per person.

Notes report what was found and how it was handled, so that a surprising result can be traced. Recordings are
decoded, compared and separated block by block, so that their length does not matter.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from jaxtyping import Float32
from pyannote.core import Annotation, Timeline

from dualtalk.audio.channels import compare_channels
from dualtalk.audio.crosstalk import leakage_db, without_crosstalk
from dualtalk.audio.diarization import THIRD_VOICE, Diarizer, load_diarizer
from dualtalk.audio.speaker_masking import mute, separate
from dualtalk.audio.voice_activity import detect_speech
from dualtalk.core import PARTY, Conversation, Participant, speaking_frames
from dualtalk.errors import InputError
from dualtalk.io.audio_file import require_finite
from dualtalk.io.audio_map import map_audio
from dualtalk.io.audio_stream import open_audio
from dualtalk.io.names import file_safe_name
from dualtalk.timebase import AUDIO_RATE_HZ, MOTION_FPS, SAMPLES_PER_FRAME, frames_for_samples, sample_at

# Crosstalk in both channels above this level: both microphones record both people, as one does.
ONE_MICROPHONE_LEAK_DB = -3.0
# Crosstalk that voice activity detection took for this much speech is muted in the track.
MUTED_CROSSTALK_S = 1.0
# Below this rate, the sounds that tell s and f apart are missing.
FULL_SPEECH_RATE_HZ = 16_000
# Longest list of times in a note.
LISTED_SPANS = 5


@dataclass(frozen=True, eq=False)
class _Track:
    """One channel of one file, and its name in notes."""

    audio: Float32[np.ndarray, "sample"]
    name: str
    is_file: bool = False


@dataclass
class _Notes:
    """Sentences for the user, in the order in which they arise."""

    lines: list[str] = field(default_factory=list)

    def add(self, line: str) -> None:
        if line and line not in self.lines:
            self.lines.append(line)


def conversation_from_recording(
    paths: Sequence[str | os.PathLike],
    diarizer: Diarizer | None = None,
    *,
    channels: tuple[int, ...] | None = None,
    start_s: float = 0.0,
    end_s: float | None = None,
) -> tuple[Conversation, tuple[str, ...]]:
    """Read one or two sound or video files of any format and rate as a conversation without motion.

    Parameters
    ----------
    paths : one or two paths
        One mono file is diarized, assuming two speakers. One stereo file has one person per channel; if one
        channel is silent or both carry the same microphone, it is diarized too. Two files have one person each.
    diarizer : Diarizer, optional
        `load_diarizer("default")` if not given.
    channels : one or two ints, optional
        The channels of one file to read, from 1: two with one person each, or one with both. Needed if there are
        more than two.
    start_s, end_s : float, float or None
        The part of the recording to read; None for its end.

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
    if channels and len(paths) == 2:
        raise InputError("channels of one file can be chosen, not of two; wanted one recording")
    files, notes = [Path(path) for path in paths], _Notes()
    name = file_safe_name(files[0].stem)
    tracks = [track for path in files for track in _read(path, channels, len(files), (start_s, end_s), notes)]

    def diarized(track: _Track) -> Conversation:
        return _from_mix(track, diarizer or load_diarizer("default"), name, notes)

    conversation = diarized(tracks[0]) if len(tracks) == 1 else _from_pair(tracks, diarized, name, notes)
    _note_silent_people(conversation, notes)
    return conversation, tuple(notes.lines)


def _read(
    path: Path, channels: tuple[int, ...] | None, files: int, span_s: tuple[float, float | None], notes: _Notes
) -> list[_Track]:
    """The chosen channels of a file: one or two of a single file, one of two files."""
    with open_audio(path) as stream:
        chosen = _chosen_channels(path, stream.channels, channels)
        audio = map_audio(
            (require_finite(stream, block[:, chosen]) for block in _within(stream.resampled(), *span_s)),
            len(chosen),
        )
        notes.add(stream.damage)
        if stream.sound_tracks > 1:
            notes.add(f"{path.name} has {stream.sound_tracks} sound tracks; the first one was taken")
        if stream.rate_hz < FULL_SPEECH_RATE_HZ:
            notes.add(
                f"{path.name} has a sampling rate of {stream.rate_hz / 1000:g} kHz, as a telephone has; sounds "
                f"above {stream.rate_hz / 2000:g} kHz are missing, which tell s, f and th apart"
            )
    _require_length(audio[0], path, span_s)
    if len(audio) == 1:
        return [_Track(audio[0], path.name, is_file=True)]
    names = ("left channel", "right channel") if channels is None else tuple(f"channel {n}" for n in channels)
    if files == 1:
        return [_Track(samples, name) for samples, name in zip(audio, names, strict=True)]
    return [_only_track(path, audio, notes)]


def _chosen_channels(path: Path, present: int, channels: tuple[int, ...] | None) -> list[int]:
    """Indices of the channels to read."""
    if channels is None:
        if present > len(PARTY):
            raise InputError(
                f"{path} has {present} channels; choose those of the two people, such as --channels 1,2 (in "
                "Python channels=(1, 2)), or one with both, --channels 1"
            )
        return list(range(present))
    if len(channels) not in (1, 2) or len(set(channels)) < len(channels):
        raise InputError(f"channels are {','.join(map(str, channels))}; wanted one, or two different ones, from 1")
    if bad := [number for number in channels if not 1 <= number <= present]:
        raise InputError(f"{path} has no channel {bad[0]}; it has {present}, counted from 1")
    return [number - 1 for number in channels]


def _only_track(path: Path, audio: list[np.ndarray], notes: _Notes) -> _Track:
    """The voice of a stereo file that holds one person."""
    kind = compare_channels(*audio).kind
    if kind == "separate":
        raise InputError(
            f"{path} has {len(audio)} channels; each of two files must be mono, with one person's voice"
        )
    if kind != "same":
        notes.add(f"one channel of {path.name} is silent; the other one was taken")
    return _Track(audio[1 if kind == "first dead" else 0], path.name, is_file=True)


def _within(blocks: Iterator[np.ndarray], start_s: float, end_s: float | None) -> Iterator[np.ndarray]:
    """The part of consecutive 16 kHz blocks from `start_s` to `end_s`; decoding stops there."""
    first, end = sample_at(start_s), None if end_s is None else sample_at(end_s)
    done = 0
    for block in blocks:
        yield block[max(first - done, 0) : None if end is None else max(end - done, 0)]
        done += len(block)
        if end is not None and done >= end:
            return


def _require_length(audio: np.ndarray, path: Path, span_s: tuple[float, float | None]) -> None:
    if len(audio) >= SAMPLES_PER_FRAME:
        return
    if span_s != (0.0, None):
        start_s, end_s = span_s
        raise InputError(
            f"{path} has no sound from {start_s:g} s to {'its end' if end_s is None else f'{end_s:g} s'}; is it "
            "shorter, or are the two exchanged?"
        )
    if not len(audio):
        raise InputError(f"{path} has a header but no samples; was its recording cut off?")
    length_ms = 1000 * len(audio) / AUDIO_RATE_HZ
    raise InputError(f"{path} is {length_ms:.0f} ms long; wanted at least one frame, {1000 / MOTION_FPS:.0f} ms")


def _from_pair(
    tracks: list[_Track], diarized: Callable[[_Track], Conversation], name: str, notes: _Notes
) -> Conversation:
    """A conversation of two tracks, which may turn out to carry one microphone."""
    both = "files" if tracks[0].is_file else "channels"
    audio = _of_one_length(tracks, notes)
    pair = compare_channels(*audio)
    if pair.kind == "same":
        notes.add(f"both {both} carry the same audio, which was treated as one mixed recording")
        return diarized(replace(tracks[0], audio=audio[0]))
    if pair.kind != "separate":
        dead, living = (0, 1) if pair.kind == "first dead" else (1, 0)
        if both == "files":
            notes.add(f"{tracks[dead].name} is silent throughout; is it the right file?")
        else:
            notes.add(
                f"the {tracks[dead].name} is silent; the {tracks[living].name} was treated as a recording of both "
                "people"
            )
            found = diarized(replace(tracks[living], audio=audio[living]))
            # A single voice stays with the channel that it is in.
            return found.swap_roles() if living == 1 and not found.b.speech else found
    speech = [detect_speech(track) for track in audio]
    masks = [speaking_frames(spans, len(audio[0]) // SAMPLES_PER_FRAME) for spans in speech]
    leaks_db = [leakage_db(audio[own], audio[1 - own], masks[own], masks[1 - own]) for own in (0, 1)]
    # Not where a level is NaN: then one person hardly speaks.
    if all(level_db > ONE_MICROPHONE_LEAK_DB for level_db in leaks_db):
        notes.add(
            f"both {both} carry both voices at about the same level; one was treated as a recording of both people"
        )
        louder = int(np.argmax(pair.levels_db))
        return diarized(replace(tracks[louder], audio=audio[louder]))
    a, b = (_participant(own, audio, speech, leaks_db[own], tracks, notes) for own in (0, 1))
    return Conversation(a, b, name=name)


def _participant(
    own: int, audio: list[np.ndarray], speech: list[Timeline], leak_db: float, tracks: list[_Track], notes: _Notes
) -> Participant:
    """The person of one of two tracks. What leaks into it from the other one is muted."""
    kept = without_crosstalk(speech[own], audio[own], audio[1 - own], speech[1 - own])
    leaked = speech[own].extrude(kept) if kept else speech[own]
    if leaked.duration() < MUTED_CROSSTALK_S:
        return Participant(audio[own], kept)
    level = f" at {leak_db:.0f} dB" if np.isfinite(leak_db) else ""
    notes.add(
        f"{tracks[own].name}: the other person's voice leaks into it{level} and was muted, "
        f"{leaked.duration():.1f} s"
    )
    return Participant(mute(audio[own], leaked, kept), kept)


def _of_one_length(tracks: list[_Track], notes: _Notes) -> list[np.ndarray]:
    """Whole frames; the shorter track is padded with silence."""
    lengths = [len(track.audio) for track in tracks]
    if lengths[0] != lengths[1]:
        shorter = int(np.argmin(lengths))
        missing_s = abs(lengths[0] - lengths[1]) / AUDIO_RATE_HZ
        notes.add(
            f"{tracks[shorter].name} is {missing_s:.2f} s shorter than {tracks[1 - shorter].name}; silence was "
            "added"
        )
    return [_whole_frames(track.audio, max(lengths)) for track in tracks]


def _whole_frames(audio: np.ndarray, samples: int) -> Float32[np.ndarray, "sample"]:
    """Padded with silence to the whole frames that cover `samples`."""
    missing = frames_for_samples(samples) * SAMPLES_PER_FRAME - len(audio)
    if not missing:
        return audio
    silence = np.zeros((missing, 1), np.float32)
    return map_audio(iter([audio[:, None], silence]), 1)[0]


def _from_mix(track: _Track, diarizer: Diarizer, name: str, notes: _Notes) -> Conversation:
    mixed = _whole_frames(track.audio, len(track.audio))
    annotation = diarizer(mixed)
    notes.add(_third_voice_note(annotation))
    tracks = separate(mixed, annotation)
    a, b = (
        Participant(samples, annotation.label_timeline(label))
        for label, samples in zip(PARTY, tracks, strict=True)
    )
    return Conversation(a, b, name=name)


def _third_voice_note(annotation: Annotation) -> str:
    third = annotation.label_timeline(THIRD_VOICE).support(1.0)
    if not third:
        return ""
    spoken_s = sum(annotation.label_timeline(label).duration() for label in PARTY)
    longest = sorted(sorted(third, key=lambda span: -span.duration)[:LISTED_SPANS])
    times = ", ".join(f"{span.start:.0f} to {span.end:.0f} s" for span in longest)
    more = f" and {len(third) - LISTED_SPANS} more spans" if len(third) > LISTED_SPANS else ""
    share = annotation.label_timeline(THIRD_VOICE).duration() / max(spoken_s, 1e-9)
    return (
        f"a third voice is likely, with {share:.0%} of the speech ({times}{more}); it was given to the one of the "
        "two people whose voice is nearest"
    )


def _note_silent_people(conversation: Conversation, notes: _Notes) -> None:
    silent = [
        label.upper() for label, person in zip(PARTY, conversation.participants, strict=True) if not person.speech
    ]
    if len(silent) == 2:
        notes.add("no speech was found; both people listen")
    elif silent:
        notes.add(f"only one person speaks; {silent[0]} listens throughout")
