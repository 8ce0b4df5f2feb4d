"""One clip of the synthetic corpus, from its number: who talks, what, when, where, and how their heads move."""

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
from dualtalk.synthesis.dialogue import Line, Turn, Writer, said_words
from dualtalk.synthesis.room_acoustics import draw_scene, recorded
from dualtalk.synthesis.turn_scheduler import Clock, Placed
from dualtalk.synthesis.voices import LEVEL_RMS, Utterance, Voice, draw_voice, say
from dualtalk.timebase import MOTION_FPS, SAMPLES_PER_FRAME, sample_at

CORPUS = "synthetic"
# Of ten clips in a row eight are for training; the first three already have one of each split.
SPLIT_OF_TEN = {1: "validation", 2: "test"}
# How many people there are; each has one voice and one face in all their clips.
PEOPLE = {"train": 240, "validation": 30, "test": 30}
# Texts are written and spoken ahead for about this many seconds of talk for each that is wanted.
WRITTEN_AHEAD, LETTERS_A_SECOND = 1.3, 12
# Pauses this short lie inside a stretch of speech: a stop's closure, a comma (Heldner & Edlund 2010, section 3).
PAUSE_S = 0.18


@dataclass(frozen=True)
class Settings:
    """What, with its number, decides a clip."""

    seed: int
    clip_seconds: int
    piper: tuple[str, ...] = ()
    kokoro: str = ""
    words: str = ""
    pace: float = 1.0


@dataclass(frozen=True, eq=False)
class Person:
    """Somebody of the corpus."""

    name: str
    voice: Voice
    identity: Float32[np.ndarray, "300"]


def split_of(number: int) -> str:
    return SPLIT_OF_TEN.get(number % 10, "train")


def clip_name(settings: Settings, number: int) -> str:
    return f"synthetic{settings.seed}_{number:06d}"


def draw_person(settings: Settings, split: str, number: int) -> Person:
    """Person `number` of a split: the same in every clip."""
    rng = random_stream(settings.seed, "person", split, number)
    voice = draw_voice(rng, split, settings.piper, settings.kokoro)
    voice = replace(voice, pace=round(voice.pace * settings.pace, 3))
    return Person(f"synthetic{settings.seed}_{split}_{number:03d}", voice, draw_identity(rng))


def random_stream(*names: int | str) -> np.random.Generator:
    """A stream of random numbers of its own for every tuple of names."""
    digest = hashlib.blake2b(repr(names).encode(), digest_size=16).digest()
    return np.random.default_rng(int.from_bytes(digest, "big"))


def make_clip(settings: Settings, task: Task) -> ClipDraft:
    """The clip that `task` names."""
    rng = random_stream(settings.seed, "clip", int(task.clip.rpartition("_")[2]))
    people = _two_people(settings, task.split, rng)
    placed = _talk(settings, task.split, people, rng)
    transcripts = (_transcript(placed, 0, settings.clip_seconds), _transcript(placed, 1, settings.clip_seconds))
    dry = _dry(placed, settings.clip_seconds)
    talk = Conversation(
        *(
            Participant(audio, _speech(transcript), _still(settings.clip_seconds, person))
            for audio, transcript, person in zip(dry, transcripts, people, strict=True)
        ),
        name=task.clip,
    )
    animation = animate(talk, settings.seed, transcripts)
    scene = draw_scene(rng)
    heard = recorded(dry, LEVEL_RMS, scene, rng)
    moving = animation.conversation
    return ClipDraft(
        conversation=replace(moving, a=replace(moving.a, audio=heard[0]), b=replace(moving.b, audio=heard[1])),
        corpus=CORPUS,
        split=task.split,
        session=task.clip,
        people=(people[0].name, people[1].name),
        segmentation_source="synthesis",
        events=event_rows(animation),
        phonemes=(transcripts[0].phonemes, transcripts[1].phonemes),
        provenance={
            "voices": [_voice_card(person.voice) for person in people],
            "recording": asdict(scene),
            "lines": [
                [PARTY[one.line.person], round(one.start_s, 3), one.line.what, one.line.text] for one in placed
            ],
        },
    )


def event_rows(animation: Animation) -> list[dict]:
    """Planted events of both people, as the store keeps them."""
    return [
        {"person": label, **asdict(event)}
        for label, events in zip(PARTY, animation.events, strict=True)
        for event in events
    ]


def _voice_card(voice: Voice) -> dict:
    """What is kept about a voice; of its files the names, not where they lay."""
    name = Path(voice.name).name if voice.engine == "piper" else voice.name
    return {key: value for key, value in asdict(voice).items() if key != "folder"} | {"name": name}


def _two_people(settings: Settings, split: str, rng: np.random.Generator) -> tuple[Person, Person]:
    """Two people whose voices are not of the same speaker."""
    first = draw_person(settings, split, int(rng.integers(PEOPLE[split])))
    while True:
        second = draw_person(settings, split, int(rng.integers(PEOPLE[split])))
        if _speaker(second.voice) != _speaker(first.voice):
            return first, second


def _speaker(voice: Voice) -> str:
    return voice.name.rpartition("+")[2]


def _talk(settings: Settings, split: str, people: tuple[Person, Person], rng: np.random.Generator) -> list[Placed]:
    """Lines placed until the clip is full, by start."""
    words = said_words(settings.words) if settings.words and split == "train" else ()
    writer, clock = Writer(rng, split, words), Clock(rng)
    while clock.end_s < settings.clip_seconds:
        turns = _written(writer, WRITTEN_AHEAD * (settings.clip_seconds - clock.end_s))
        said = _said(turns, people)
        for turn in turns:
            if clock.end_s < settings.clip_seconds:
                clock.place(turn, said)
    begun = [one for one in clock.placed if one.start_s < settings.clip_seconds]
    return sorted(begun, key=lambda one: one.start_s)


def _written(writer: Writer, seconds: float) -> list[Turn]:
    turns, letters = [], 0
    while letters < seconds * LETTERS_A_SECOND:
        turns.append(writer.turn())
        letters += sum(len(line.text) for line in turns[-1].lines)
    return turns


def _said(turns: list[Turn], people: tuple[Person, Person]) -> dict[Line, Utterance]:
    lines = list(dict.fromkeys(line for turn in turns for line in turn.all_lines))
    return dict(zip(lines, say([(people[line.person].voice, line.text) for line in lines]), strict=True))


def _dry(placed: list[Placed], seconds: int) -> Float32[np.ndarray, "2 sample"]:
    """Each person's lines in time, as they leave the mouth."""
    tracks = np.zeros((2, seconds * MOTION_FPS * SAMPLES_PER_FRAME), np.float32)
    for one in placed:
        first = sample_at(one.start_s)
        kept = one.said.audio[: tracks.shape[1] - first]
        tracks[one.line.person, first : first + len(kept)] += kept
    return tracks


def _transcript(placed: list[Placed], person: int, seconds: int) -> Transcript:
    own = [one for one in placed if one.line.person == person]
    moved = [
        Phoneme(sound.ipa, sound.start_s + one.start_s, min(sound.end_s + one.start_s, float(seconds)))
        for one in own
        for sound in one.said.phonemes
    ]
    laughs = [Segment(one.start_s, min(one.speech_end_s, seconds)) for one in own if one.line.what == "laugh"]
    return Transcript(tuple(sound for sound in moved if sound.end_s > sound.start_s), Timeline(laughs))


def _speech(transcript: Transcript) -> Timeline:
    spans = [Segment(sound.start_s, sound.end_s) for sound in transcript.phonemes]
    return Timeline(spans).support(collar=PAUSE_S)


def _still(seconds: int, person: Person) -> HeadMotion:
    """A motion that carries nothing but whose head it is, for the animator to fill."""
    still = np.zeros((seconds * MOTION_FPS, FULL62.width), np.float32)
    return HeadMotion(still, "open", identity=person.identity)
