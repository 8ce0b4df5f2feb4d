"""A participant, and a conversation of two: audio, speech segments and motion over one span of time."""

import hashlib
import math
import os
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float32
from pyannote.core import Annotation, Segment, Timeline

from dualtalk.choices import PARTY
from dualtalk.core.motion import HeadMotion
from dualtalk.core.validation import as_float32, require_audio
from dualtalk.errors import InputError
from dualtalk.io.audio_file import write_wave
from dualtalk.io.audio_map import audio_blocks
from dualtalk.io.clip_files import ClipFiles, speech_of
from dualtalk.io.rttm import write_rttm
from dualtalk.timebase import MOTION_FPS, SAMPLES_PER_FRAME, frame_at


@dataclass(frozen=True, eq=False)
class Participant:
    """One of the two people.

    Attributes
    ----------
    audio : (sample,) float32
        This person's voice alone, 16 kHz, in [-1, 1].
    speech : pyannote.core.Timeline
        When this person speaks, in seconds.
    motion : HeadMotion or None
        None if it was not observed, or not generated yet.

    Raises
    ------
    InputError
        Audio of another type or scale, a sample that is not finite, or speech or motion of another type.
    """

    audio: Float32[np.ndarray, "sample"]
    speech: Timeline
    motion: HeadMotion | None = None

    def __post_init__(self) -> None:
        # A memory map is not read here; its reader has checked it.
        if not isinstance(self.audio, np.memmap):
            audio = as_float32("audio", self.audio, (None,))
            require_audio("audio", audio)
            object.__setattr__(self, "audio", audio)
        if not isinstance(self.speech, Timeline):
            raise InputError(f"speech is a {type(self.speech).__name__}; wanted a pyannote.core.Timeline")
        if self.motion is not None and not isinstance(self.motion, HeadMotion):
            raise InputError(f"motion is a {type(self.motion).__name__}; wanted a HeadMotion")

    @property
    def speech_segments(self) -> list[list[float]]:
        """Start and end of each speech segment, in seconds, rounded to milliseconds."""
        return [[round(span.start, 3), round(span.end, 3)] for span in self.speech]

    def speaking(self, frames: int) -> np.ndarray:
        """(frame,) bool: whether this person speaks at the middle of each frame."""
        return speaking_frames(self.speech, frames)

    @property
    def required_motion(self) -> HeadMotion:
        """`motion`, where it must not be None.

        Raises
        ------
        InputError
            There is no motion.
        """
        if self.motion is None:
            raise InputError("a participant has no motion; simulate the conversation first")
        return self.motion


def speaking_frames(
    speech: Iterable[Segment], frames: int, first: int = 0, *, widened_s: float = 0.0
) -> Bool[np.ndarray, "frame"]:
    """Convert speech segments to a mask over motion frames.

    Parameters
    ----------
    speech : iterable of Segment
        In seconds.
    frames : int
        Length of the mask.
    first : int
        Index of the frame that the mask begins with.
    widened_s : float
        Seconds by which each segment is extended at both ends.

    Returns
    -------
    (frame,) bool
        Whether the middle of each frame lies in a segment: at its start or later, and before its end.
    """
    mask = np.zeros(frames, bool)
    for span in speech:
        edges_s = (span.start - widened_s, span.end + widened_s)
        start, end = (math.ceil(edge_s * MOTION_FPS - 0.5 - 1e-9) - first for edge_s in edges_s)
        mask[max(start, 0) : max(end, 0)] = True
    return mask


@dataclass(frozen=True, eq=False)
class Conversation:
    """Two people over one span of time, frame for frame.

    Both audios have the same number of samples, a multiple of 640; both motions, where present, have one
    frame for each 640 samples.
    """

    a: Participant
    b: Participant
    name: str = "conversation"

    def __post_init__(self) -> None:
        samples = {len(person.audio) for person in self.participants}
        if len(samples) != 1 or samples.pop() % SAMPLES_PER_FRAME:
            raise InputError(
                f"audio of {len(self.a.audio)} and {len(self.b.audio)} samples; wanted two of the same length, "
                f"a multiple of {SAMPLES_PER_FRAME}"
            )
        for label, motion in zip(PARTY, (self.a.motion, self.b.motion), strict=True):
            if motion is not None and motion.frames != self.frames:
                raise InputError(f"motion of person {label} has {motion.frames} frames, the audio {self.frames}")

    @property
    def participants(self) -> tuple[Participant, Participant]:
        return self.a, self.b

    @property
    def frames(self) -> int:
        return len(self.a.audio) // SAMPLES_PER_FRAME

    @property
    def duration_s(self) -> float:
        return self.frames / MOTION_FPS

    def swap_roles(self) -> "Conversation":
        """The same conversation with the participants exchanged."""
        return replace(self, a=self.b, b=self.a)

    def participant_seeds(self, seed: int) -> tuple[list[int], list[int]]:
        """Derive one numpy seed per participant from `seed` and a hash of the participant's audio.

        Exchanging the participants therefore exchanges their random numbers. The position only matters if both
        audios are equal.
        """
        digests = [int.from_bytes(_digest(person.audio), "big") for person in self.participants]
        places = (0, 1) if digests[0] == digests[1] else (0, 0)
        return [seed, digests[0], places[0]], [seed, digests[1], places[1]]

    @property
    def annotation(self) -> Annotation:
        """Speech of both participants, labelled "a" and "b"."""
        annotation = Annotation(uri=self.name)
        for label, person in zip(PARTY, self.participants, strict=True):
            for track, segment in enumerate(person.speech):
                annotation[segment, f"{label}{track}"] = label
        return annotation

    def with_motion(self, a: HeadMotion | None, b: HeadMotion | None) -> "Conversation":
        """The same conversation with other motion."""
        return replace(self, a=replace(self.a, motion=a), b=replace(self.b, motion=b))

    def excerpt(self, start_s: float = 0.0, end_s: float | None = None) -> "Conversation":
        """The part from `start_s` to `end_s`, in whole frames; times begin at 0 again.

        Raises
        ------
        InputError
            The part is empty, or begins past the end.
        """
        first = frame_at(start_s)
        end = self.frames if end_s is None else min(math.ceil(end_s * MOTION_FPS - 1e-6), self.frames)
        if first >= end:
            to = "the end" if end_s is None else f"{end_s:g} s"
            raise InputError(
                f"{self.name} has nothing from {start_s:g} s to {to}; it lasts {self.duration_s:.1f} s"
            )
        a, b = (_part(person, first, end) for person in self.participants)
        return replace(self, a=a, b=b)

    def save(self, folder: str | os.PathLike) -> None:
        """Write `a.wav b.wav turns.rttm`, and `a.npz b.npz` where there is motion."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        for label, person in zip(PARTY, self.participants, strict=True):
            write_wave(folder / f"{label}.wav", person.audio)
            if person.motion is not None:
                person.motion.save(folder / f"{label}.npz")
        write_rttm(folder / "turns.rttm", self.annotation)

    @classmethod
    def load(cls, folder: str | os.PathLike) -> "Conversation":
        """Read what `save` wrote.

        Raises
        ------
        InputError
            There is no such folder, or a file is missing or malformed.
        """
        return cls.from_files(ClipFiles.in_folder(folder))

    @classmethod
    def from_files(cls, files: ClipFiles, *, fill_missing: bool = False) -> "Conversation":
        """Read the files of a clip.

        Parameters
        ----------
        files : ClipFiles
        fill_missing : bool
            Replace missing audio with silence as long as the motion, and missing turns with no speech.

        Raises
        ------
        InputError
            A file is malformed, or missing and cannot be replaced.
        """
        motions = [None if path is None else HeadMotion.load(path) for path in files.motions]
        annotation, audio = files.read_annotation(), files.read_audio()
        if annotation is None and not fill_missing:
            raise InputError(f"{files.clip} has no RTTM file with the speech turns")
        participants = []
        for label, motion, samples in zip(PARTY, motions, audio, strict=True):
            if samples is None and motion is not None and fill_missing:
                samples = np.zeros(motion.frames * SAMPLES_PER_FRAME, np.float32)
            if samples is None:
                raise InputError(f"{files.clip} has no wav file of person {label}")
            participants.append(Participant(samples, speech_of(annotation, label), motion))
        a, b = participants
        uri = None if annotation is None else annotation.uri
        return cls(a, b, name=uri or files.clip)


def _digest(audio: Float32[np.ndarray, "sample"]) -> bytes:
    digest = hashlib.blake2b(digest_size=8)
    for _, (block,) in audio_blocks(audio):
        digest.update(np.ascontiguousarray(block).data)
    return digest.digest()


def _part(person: Participant, first: int, end: int) -> Participant:
    """One person from frame `first` to frame `end`."""
    span = Segment(first / MOTION_FPS, end / MOTION_FPS)
    spoken = [segment & span for segment in person.speech if segment & span]
    return Participant(
        person.audio[first * SAMPLES_PER_FRAME : end * SAMPLES_PER_FRAME],
        Timeline([Segment(part.start - span.start, part.end - span.start) for part in spoken]),
        None if person.motion is None else person.motion[first:end],
    )
