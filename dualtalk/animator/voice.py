"""What the animator hears of one person, frame by frame: loudness, pitch, speech spans, phonemes."""

from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Bool, Float
from pyannote.core import Timeline

from dualtalk.audio.phonemes import Phoneme, recognise_phonemes
from dualtalk.audio.prosody import loudness_db, pitch_hz
from dualtalk.core import Participant
from dualtalk.timebase import MOTION_FPS, frame_at

# Silences shorter than this lie inside one phrase: the usual cut between inter-pausal units, longer than the
# closure of a stop (Heldner & Edlund 2010, section 3, leave out silences below 180 ms for that reason).
PHRASE_GAP_S = 0.2


@dataclass(frozen=True, eq=False)
class Transcript:
    """What is known of a person's speech besides its sound.

    Attributes
    ----------
    phonemes : tuple of Phoneme
    laughs : pyannote.core.Timeline
        When this person laughs, in seconds.
    """

    phonemes: tuple[Phoneme, ...]
    laughs: Timeline = field(default_factory=Timeline)


@dataclass(frozen=True, eq=False)
class Voice:
    """One person's voice.

    Attributes
    ----------
    loudness_db : (frame,) float
        Level relative to this person's median level while speaking; 0 where the person never speaks.
    pitch_semitones : (frame,) float
        Pitch relative to this person's median, NaN where unvoiced.
    speaking : (frame,) bool
    phrases : (phrase, 2) int
        First frame and frame after the last of each stretch of speech without a pause.
    phonemes : tuple of Phoneme
    laughs : tuple of int
        First frame of each laugh that is known of.
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


def hear(person: Participant, frames: int, transcript: Transcript | None = None) -> Voice:
    """Measure one person's voice over `frames` motion frames; without a transcript, phonemes are recognised."""
    speaking = person.speaking(frames)
    level = loudness_db(person.audio)[:frames]
    level = level - np.median(level[speaking]) if speaking.any() else np.zeros(frames)
    hertz = np.where(speaking, pitch_hz(person.audio)[:frames], np.nan)
    if np.isfinite(hertz).any():
        hertz = 12 * np.log2(hertz / np.nanmedian(hertz))
    return Voice(
        loudness_db=level.astype(float),
        pitch_semitones=hertz.astype(float),
        speaking=speaking,
        phrases=phrases_of(person.speech, frames),
        phonemes=transcript.phonemes if transcript else recognise_phonemes(person.audio, person.speech),
        laughs=tuple(frame_at(laugh.start) for laugh in transcript.laughs) if transcript else (),
    )


def phrases_of(speech: Timeline, frames: int) -> np.ndarray:
    """(phrase, 2) first and past-the-last frame of the stretches of speech, with short silences bridged."""
    spans = [
        (frame_at(span.start), min(frame_at(span.end), frames))
        for span in speech.support(collar=PHRASE_GAP_S)
        if span.duration >= 1 / MOTION_FPS
    ]
    return np.array([span for span in spans if span[0] < span[1]], int).reshape(-1, 2)
