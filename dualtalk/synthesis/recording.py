"""From scheduled lines to a recorded and animated conversation."""

import hashlib
from dataclasses import asdict, dataclass, replace

import numpy as np
from jaxtyping import Float32
from pyannote.core import Segment, Timeline

from dualtalk.animator import Animation, GestureEvent, Transcript, animate
from dualtalk.audio.phonemes import Phoneme
from dualtalk.core import FULL62, PARTY, Conversation, HeadMotion, Participant
from dualtalk.synthesis.room_acoustics import RecordingSetup, draw_recording_setup, simulate_recording
from dualtalk.synthesis.turn_scheduler import ScheduledLine
from dualtalk.synthesis.voices import LEVEL_RMS
from dualtalk.timebase import MOTION_FPS, SAMPLES_PER_FRAME, sample_at

# Pauses this short belong to a stretch of speech: the closure of a stop, a comma (Heldner & Edlund 2010, section
# 3).
PAUSE_S = 0.18


@dataclass(frozen=True, eq=False)
class RecordedDialogue:
    """A dialogue as two microphones record it, with the animator's motion.

    Attributes
    ----------
    conversation : Conversation
        Audio of both microphones, speech segments and motion.
    events : (list of GestureEvent, list of GestureEvent)
        The injected ground-truth events of each person.
    phonemes : (tuple of Phoneme, tuple of Phoneme)
    lines : list of [person, start in seconds, kind, text]
    setup : RecordingSetup
    """

    conversation: Conversation
    events: tuple[list[GestureEvent], list[GestureEvent]]
    phonemes: tuple[tuple[Phoneme, ...], tuple[Phoneme, ...]]
    lines: list[list]
    setup: RecordingSetup


def random_stream(*names: int | str) -> np.random.Generator:
    """An independent random stream for every tuple of names."""
    digest = hashlib.blake2b(repr(names).encode(), digest_size=16).digest()
    return np.random.default_rng(int.from_bytes(digest, "big"))


def record_dialogue(
    name: str,
    scheduled: list[ScheduledLine],
    identities: tuple[Float32[np.ndarray, "300"], Float32[np.ndarray, "300"]],
    frames: int,
    seed: int,
    rng: np.random.Generator,
) -> RecordedDialogue:
    """Mix the lines of both people, animate both, and simulate the recording.

    The animator gets the anechoic voices and the lines' own phonemes.

    Parameters
    ----------
    name : str
        Name of the conversation.
    scheduled : list of ScheduledLine
        Sorted by start. What lies beyond the last frame is cut off.
    identities : (300,) float32 each
        Shape coefficients of each person's head.
    frames : int
        Duration in motion frames.
    seed : int
        Seed of the animator.
    rng : Generator
        Draws the recording conditions.
    """
    transcripts = (_transcript(scheduled, 0, frames), _transcript(scheduled, 1, frames))
    anechoic = _mix_tracks(scheduled, frames)
    a, b = (
        Participant(audio, _speech_segments(transcript), _still_motion(frames, identity))
        for audio, transcript, identity in zip(anechoic, transcripts, identities, strict=True)
    )
    animation = animate(Conversation(a, b, name=name), seed, transcripts)
    setup = draw_recording_setup(rng)
    recorded = simulate_recording(anechoic, LEVEL_RMS, setup, rng)
    animated = animation.conversation
    return RecordedDialogue(
        conversation=replace(
            animated, a=replace(animated.a, audio=recorded[0]), b=replace(animated.b, audio=recorded[1])
        ),
        events=animation.events,
        phonemes=(transcripts[0].phonemes, transcripts[1].phonemes),
        lines=[[PARTY[one.line.person], round(one.start_s, 3), one.line.kind, one.line.text] for one in scheduled],
        setup=setup,
    )


def event_rows(animation: Animation | RecordedDialogue) -> list[dict]:
    """The injected ground-truth events of both people, as rows of the store's event table."""
    return [
        {"person": label, **asdict(event)}
        for label, events in zip(PARTY, animation.events, strict=True)
        for event in events
    ]


def _mix_tracks(scheduled: list[ScheduledLine], frames: int) -> Float32[np.ndarray, "2 sample"]:
    """Mix each person's lines into an anechoic track."""
    tracks = np.zeros((2, frames * SAMPLES_PER_FRAME), np.float32)
    for one in scheduled:
        first = sample_at(one.start_s)
        audio = one.speech.audio[: tracks.shape[1] - first]
        tracks[one.line.person, first : first + len(audio)] += audio
    return tracks


def _transcript(scheduled: list[ScheduledLine], person: int, frames: int) -> Transcript:
    own, seconds = [one for one in scheduled if one.line.person == person], frames / MOTION_FPS
    phonemes = [
        Phoneme(phoneme.ipa, phoneme.start_s + one.start_s, min(phoneme.end_s + one.start_s, seconds))
        for one in own
        for phoneme in one.speech.phonemes
    ]
    laughs = [Segment(one.start_s, min(one.speech_end_s, seconds)) for one in own if one.line.kind == "laugh"]
    inside = (phoneme for phoneme in phonemes if phoneme.end_s > phoneme.start_s)
    return Transcript(tuple(inside), Timeline(laughs))


def _speech_segments(transcript: Transcript) -> Timeline:
    segments = [Segment(phoneme.start_s, phoneme.end_s) for phoneme in transcript.phonemes]
    return Timeline(segments).support(collar=PAUSE_S)


def _still_motion(frames: int, identity: np.ndarray) -> HeadMotion:
    """Zero motion that carries the person's identity for the animator."""
    return HeadMotion(np.zeros((frames, FULL62.width), np.float32), "open", identity=identity)
