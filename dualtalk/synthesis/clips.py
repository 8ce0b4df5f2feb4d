"""One clip of the synthetic corpus: its people, text, speech and timing."""

from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import Float32

from dualtalk.head.identity import draw_identity
from dualtalk.store import ClipDraft, Task
from dualtalk.synthesis.dialogue import DialogueWriter, Line, ScriptedTurn, read_vocabulary
from dualtalk.synthesis.recording import event_rows, random_stream, record_dialogue
from dualtalk.synthesis.turn_scheduler import ScheduledLine, TurnScheduler
from dualtalk.synthesis.voices import SpeakerVoice, SpokenLine, draw_voice, synthesize_speech
from dualtalk.timebase import MOTION_FPS

CORPUS = "synthetic"
# Of ten consecutive clips, eight are for training. The first three clips cover all three splits.
SPLIT_OF_TEN = {1: "validation", 2: "test"}
# Number of people in each split. Each person has one voice and one face in all clips.
PEOPLE = {"train": 240, "validation": 30, "test": 30}
# Text is written in batches of this many times the remaining duration, at an average number of letters per second.
TEXT_SURPLUS, LETTERS_PER_SECOND = 1.3, 12


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


def make_clip(config: SynthesisConfig, task: Task) -> ClipDraft:
    """Generate the clip of a task."""
    rng = random_stream(config.seed, "clip", int(task.clip.rpartition("_")[2]))
    people = _draw_two_people(config, task.split, rng)
    scheduled = _schedule_dialogue(config, task.split, people, rng)
    identities = (people[0].identity, people[1].identity)
    frames = config.clip_seconds * MOTION_FPS
    dialogue = record_dialogue(task.clip, scheduled, identities, frames, config.seed, rng)
    return ClipDraft(
        conversation=dialogue.conversation,
        corpus=CORPUS,
        split=task.split,
        session=task.clip,
        people=(people[0].name, people[1].name),
        segmentation_source="synthesis",
        events=event_rows(dialogue),
        phonemes=dialogue.phonemes,
        provenance={
            "voices": [_voice_record(person.voice) for person in people],
            "recording": asdict(dialogue.setup),
            "lines": dialogue.lines,
        },
    )


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
