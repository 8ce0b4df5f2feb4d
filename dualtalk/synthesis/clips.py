"""One clip of the synthetic corpus: its people, text, speech, timing, room acoustics and motion."""

import hashlib
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import Float32
from pyannote.core import Segment, Timeline

from dualtalk.animator import Animation, Transcript, animate
from dualtalk.audio.phonemes import Phoneme
from dualtalk.core import FULL62, PARTY, Conversation, HeadMotion, Participant
from dualtalk.head.identity import draw_identity
from dualtalk.store import ClipDraft, Task
from dualtalk.synthesis.dialogue import DialogueWriter, Line, ScriptedTurn, read_vocabulary
from dualtalk.synthesis.room_acoustics import draw_recording_setup, simulate_recording
from dualtalk.synthesis.turn_scheduler import ScheduledLine, TurnScheduler
from dualtalk.synthesis.voices import LEVEL_RMS, SpeakerVoice, SpokenLine, draw_voice, synthesize_speech
from dualtalk.timebase import MOTION_FPS, SAMPLES_PER_FRAME, sample_at

CORPUS = "synthetic"
# Of ten consecutive clips, eight are for training. The first three clips cover all three splits.
SPLIT_OF_TEN = {1: "validation", 2: "test"}
# Number of people in each split. Each person has one voice and one face in all clips.
PEOPLE = {"train": 240, "validation": 30, "test": 30}
# Text is written in batches of this many times the remaining duration, at an average number of letters per second.
TEXT_SURPLUS, LETTERS_PER_SECOND = 1.3, 12
# Pauses this short belong to a stretch of speech: the closure of a stop, a comma (Heldner & Edlund 2010, section
# 3).
PAUSE_S = 0.18


@dataclass(frozen=True)
class SynthesisConfig:
    """The settings that, together with a clip's number, determine the clip; see `synthesize`."""

    seed: int
    clip_seconds: int
    piper_voices: tuple[str, ...] = ()
    kokoro_dir: str = ""
    vocabulary: str = ""
    speech_rate: float = 1.0


@dataclass(frozen=True, eq=False)
class SyntheticPerson:
    """A person of the corpus.

    Attributes
    ----------
    name : str
    voice : SpeakerVoice
    identity : (300,) float32
        Shape coefficients of the head.
    """

    name: str
    voice: SpeakerVoice
    identity: Float32[np.ndarray, "300"]


def split_of(number: int) -> str:
    """The split of clip `number`."""
    return SPLIT_OF_TEN.get(number % 10, "train")


def clip_name(config: SynthesisConfig, number: int) -> str:
    """The name of clip `number`."""
    return f"synthetic{config.seed}_{number:06d}"


def draw_person(config: SynthesisConfig, split: str, number: int) -> SyntheticPerson:
    """Draw person `number` of a split. The result is the same in every clip."""
    rng = random_stream(config.seed, "person", split, number)
    voice = draw_voice(rng, split, config.piper_voices, config.kokoro_dir)
    voice = replace(voice, speech_rate=round(voice.speech_rate * config.speech_rate, 3))
    return SyntheticPerson(f"synthetic{config.seed}_{split}_{number:03d}", voice, draw_identity(rng))


def random_stream(*names: int | str) -> np.random.Generator:
    """An independent random stream for every tuple of names."""
    digest = hashlib.blake2b(repr(names).encode(), digest_size=16).digest()
    return np.random.default_rng(int.from_bytes(digest, "big"))


def make_clip(config: SynthesisConfig, task: Task) -> ClipDraft:
    """Generate the clip of a task."""
    rng = random_stream(config.seed, "clip", int(task.clip.rpartition("_")[2]))
    people = _draw_two_people(config, task.split, rng)
    scheduled = _schedule_dialogue(config, task.split, people, rng)
    transcripts = (_transcript(scheduled, 0, config.clip_seconds), _transcript(scheduled, 1, config.clip_seconds))
    anechoic = _mix_tracks(scheduled, config.clip_seconds)
    a, b = (
        Participant(audio, _speech_segments(transcript), _still_motion(config.clip_seconds, person))
        for audio, transcript, person in zip(anechoic, transcripts, people, strict=True)
    )
    animation = animate(Conversation(a, b, name=task.clip), config.seed, transcripts)
    setup = draw_recording_setup(rng)
    recorded = simulate_recording(anechoic, LEVEL_RMS, setup, rng)
    animated = animation.conversation
    return ClipDraft(
        conversation=replace(
            animated, a=replace(animated.a, audio=recorded[0]), b=replace(animated.b, audio=recorded[1])
        ),
        corpus=CORPUS,
        split=task.split,
        session=task.clip,
        people=(people[0].name, people[1].name),
        segmentation_source="synthesis",
        events=event_rows(animation),
        phonemes=(transcripts[0].phonemes, transcripts[1].phonemes),
        provenance={
            "voices": [_voice_record(person.voice) for person in people],
            "recording": asdict(setup),
            "lines": [
                [PARTY[one.line.person], round(one.start_s, 3), one.line.kind, one.line.text] for one in scheduled
            ],
        },
    )


def event_rows(animation: Animation) -> list[dict]:
    """The injected ground-truth events of both people, as rows of the store's event table."""
    return [
        {"person": label, **asdict(event)}
        for label, events in zip(PARTY, animation.events, strict=True)
        for event in events
    ]


def _voice_record(voice: SpeakerVoice) -> dict:
    """A voice for the clip's JSON, with file names but without folders."""
    name = Path(voice.name).name if voice.engine == "piper" else voice.name
    return {key: value for key, value in asdict(voice).items() if key != "folder"} | {"name": name}


def _draw_two_people(
    config: SynthesisConfig, split: str, rng: np.random.Generator
) -> tuple[SyntheticPerson, SyntheticPerson]:
    """Draw two people whose voices come from different speakers."""
    first = draw_person(config, split, int(rng.integers(PEOPLE[split])))
    while True:
        second = draw_person(config, split, int(rng.integers(PEOPLE[split])))
        if _speaker(second.voice) != _speaker(first.voice):
            return first, second


def _speaker(voice: SpeakerVoice) -> str:
    return voice.name.rpartition("+")[2]


def _schedule_dialogue(
    config: SynthesisConfig, split: str, people: tuple[SyntheticPerson, SyntheticPerson], rng: np.random.Generator
) -> list[ScheduledLine]:
    """Write, synthesize and schedule lines until the clip is full. The lines are sorted by start."""
    vocabulary = read_vocabulary(config.vocabulary) if config.vocabulary and split == "train" else ()
    writer, scheduler = DialogueWriter(rng, split, vocabulary), TurnScheduler(rng)
    while scheduler.end_s < config.clip_seconds:
        turns = _write_turns(writer, TEXT_SURPLUS * (config.clip_seconds - scheduler.end_s))
        speech = _synthesize_turns(turns, people)
        for turn in turns:
            if scheduler.end_s < config.clip_seconds:
                scheduler.schedule(turn, speech)
    started = [one for one in scheduler.scheduled if one.start_s < config.clip_seconds]
    return sorted(started, key=lambda one: one.start_s)


def _write_turns(writer: DialogueWriter, seconds: float) -> list[ScriptedTurn]:
    turns: list[ScriptedTurn] = []
    letters = 0
    while letters < seconds * LETTERS_PER_SECOND:
        turns.append(writer.turn())
        letters += sum(len(line.text) for line in turns[-1].lines)
    return turns


def _synthesize_turns(
    turns: list[ScriptedTurn], people: tuple[SyntheticPerson, SyntheticPerson]
) -> dict[Line, SpokenLine]:
    lines = list(dict.fromkeys(line for turn in turns for line in turn.all_lines))
    speech = synthesize_speech([(people[line.person].voice, line.text) for line in lines])
    return dict(zip(lines, speech, strict=True))


def _mix_tracks(scheduled: list[ScheduledLine], seconds: int) -> Float32[np.ndarray, "2 sample"]:
    """Mix each person's lines into an anechoic track."""
    tracks = np.zeros((2, seconds * MOTION_FPS * SAMPLES_PER_FRAME), np.float32)
    for one in scheduled:
        first = sample_at(one.start_s)
        audio = one.speech.audio[: tracks.shape[1] - first]
        tracks[one.line.person, first : first + len(audio)] += audio
    return tracks


def _transcript(scheduled: list[ScheduledLine], person: int, seconds: int) -> Transcript:
    own = [one for one in scheduled if one.line.person == person]
    phonemes = [
        Phoneme(phoneme.ipa, phoneme.start_s + one.start_s, min(phoneme.end_s + one.start_s, float(seconds)))
        for one in own
        for phoneme in one.speech.phonemes
    ]
    laughs = [Segment(one.start_s, min(one.speech_end_s, seconds)) for one in own if one.line.kind == "laugh"]
    inside = (phoneme for phoneme in phonemes if phoneme.end_s > phoneme.start_s)
    return Transcript(tuple(inside), Timeline(laughs))


def _speech_segments(transcript: Transcript) -> Timeline:
    segments = [Segment(phoneme.start_s, phoneme.end_s) for phoneme in transcript.phonemes]
    return Timeline(segments).support(collar=PAUSE_S)


def _still_motion(seconds: int, person: SyntheticPerson) -> HeadMotion:
    """Zero motion that carries the person's identity for the animator."""
    still = np.zeros((seconds * MOTION_FPS, FULL62.width), np.float32)
    return HeadMotion(still, "open", identity=person.identity)
