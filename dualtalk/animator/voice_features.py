"""Voice features of one person for each motion frame: loudness, pitch, speech activity, phrases, phonemes."""

from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Bool, Float
from pyannote.core import Timeline

from dualtalk.audio.phonemes import Phoneme, recognise_phonemes
from dualtalk.audio.prosody import loudness_db, pitch_hz
from dualtalk.audio.turns import PHRASE_GAP_S
from dualtalk.core import Participant
from dualtalk.timebase import MOTION_FPS, frame_at


@dataclass(frozen=True, eq=False)
class Transcript:
    """Known content of a person's speech, which replaces recognition.

    Attributes
    ----------
    phonemes : tuple of Phoneme
        With start and end in seconds.
    laughs : pyannote.core.Timeline
        When this person laughs, in seconds.
    """

    phonemes: tuple[Phoneme, ...]
    laughs: Timeline = field(default_factory=Timeline)


@dataclass(frozen=True, eq=False)
class VoiceFeatures:
    """Voice features of one person.

    Attributes
    ----------
    loudness_db : (frame,) float
        Level relative to this person's median level while speaking; 0 everywhere if the person never speaks.
    pitch_semitones : (frame,) float
        Pitch relative to this person's median, NaN where unvoiced.
    speaking : (frame,) bool
    phrases : (phrase, 2) int
        First frame and end (exclusive) of each stretch of speech without a pause.
    phonemes : tuple of Phoneme
    laughs : tuple of int
        First frame of each laugh of the transcript.
    """

    loudness_db: Float[np.ndarray, "frame"]
    pitch_semitones: Float[np.ndarray, "frame"]
    speaking: Bool[np.ndarray, "frame"]
    phrases: np.ndarray
    phonemes: tuple[Phoneme, ...]
    laughs: tuple[int, ...] = ()

    @property
    def frames(self) -> int:
        return len(self.speaking)


def extract_voice_features(
    person: Participant, frames: int, transcript: Transcript | None = None
) -> VoiceFeatures:
    """Compute voice features for `frames` motion frames; without a transcript, phonemes are recognised."""
    speaking = person.speaking(frames)
    level = loudness_db(person.audio)[:frames]
    level = level - np.median(level[speaking]) if speaking.any() else np.zeros(frames)
    pitch = np.where(speaking, pitch_hz(person.audio)[:frames], np.nan)
    if np.isfinite(pitch).any():
        pitch = 12 * np.log2(pitch / np.nanmedian(pitch))
    return VoiceFeatures(
        loudness_db=level.astype(float),
        pitch_semitones=pitch.astype(float),
        speaking=speaking,
        phrases=phrases_of(person.speech, frames),
        phonemes=transcript.phonemes if transcript else recognise_phonemes(person.audio, person.speech),
        laughs=tuple(frame_at(laugh.start) for laugh in transcript.laughs) if transcript else (),
    )


def phrases_of(speech: Timeline, frames: int) -> np.ndarray:
    """(phrase, 2) first frame and end (exclusive) of each stretch of speech, with short silences bridged."""
    spans = [
        (frame_at(span.start), min(frame_at(span.end), frames))
        for span in speech.support(collar=PHRASE_GAP_S)
        if span.duration >= 1 / MOTION_FPS
    ]
    return np.array([span for span in spans if span[0] < span[1]], int).reshape(-1, 2)
