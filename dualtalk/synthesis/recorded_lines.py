"""Dialogues of recorded lines: sentences that people read alone, arranged as a conversation of two people.

A line whose words are aligned with its audio is a `SpokenLine` like a synthesized one, so that the same
scheduling, room acoustics and animation apply. Long pauses of slow readers are replaced by the scheduler's. Short
phrases between two such pauses serve as the listener's responses; their words make no sense as such, but their
sound is that of a person.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import soxr
from jaxtyping import Float32

from dualtalk.audio.forced_alignment import AlignedWord
from dualtalk.audio.phonemes import Phoneme
from dualtalk.synthesis.dialogue import Line, ScriptedTurn
from dualtalk.synthesis.turn_scheduler import ScheduledLine, TurnScheduler
from dualtalk.synthesis.voices import LEVEL_RMS, SpokenLine, speech_rms
from dualtalk.timebase import AUDIO_RATE_HZ, sample_at

# A longer pause divides a line.
LONGEST_PAUSE_S = 0.35
# Audio that is kept before and after a phrase, faded in and out, so that the reader's noise does not begin and end
# with the speech.
MARGIN_S, FADE_S = 0.25, 0.03
LINES_PER_TURN = 1.7
RESPONSE_PROB, RESPONSE_DURATION_S = 0.35, (0.2, 0.9)


@dataclass(frozen=True, eq=False)
class Phrase:
    """Words without a long pause.

    Attributes
    ----------
    text : str
    speech : SpokenLine
    """

    text: str
    speech: SpokenLine

    @property
    def is_response(self) -> bool:
        """Whether it is short enough for a listener's response."""
        shortest_s, longest_s = RESPONSE_DURATION_S
        return shortest_s <= self.speech.ends_s - self.speech.begins_s <= longest_s


def phrases_of_line(
    audio: Float32[np.ndarray, "sample"], words: Sequence[AlignedWord], frequency_scale: float = 1.0
) -> list[Phrase]:
    """Divide a recorded line at its long pauses and bring it to `LEVEL_RMS`.

    Parameters
    ----------
    audio : (sample,) float32
        16 kHz.
    words : sequence of AlignedWord
        All words of the line.
    frequency_scale : float
        Factor on all frequencies and on the speech rate, by resampling: like a shorter vocal tract, a higher voice
        and a faster speaker.
    """
    if frequency_scale != 1:
        audio = soxr.resample(audio, AUDIO_RATE_HZ * frequency_scale, AUDIO_RATE_HZ).astype(np.float32)
    scaled = [[_scaled(phoneme, frequency_scale) for phoneme in word.phonemes] for word in words]
    level = speech_rms(audio, [phoneme for word in scaled for phoneme in word])
    audio = (audio * (LEVEL_RMS / level)).astype(np.float32)
    cuts = [
        number
        for number, (before, after) in enumerate(pairwise(scaled), start=1)
        if after[0].start_s - before[-1].end_s > LONGEST_PAUSE_S
    ]
    phrases, silence_from_s = [], 0.0
    for first, end in pairwise([0, *cuts, len(words)]):
        phonemes = [phoneme for word in scaled[first:end] for phoneme in word]
        next_s = scaled[end][0].start_s if end < len(words) else len(audio) / AUDIO_RATE_HZ
        # The silence between two phrases is shared.
        silence_to_s = (phonemes[-1].end_s + next_s) / 2 if end < len(words) else next_s
        speech = _cut(audio, phonemes, silence_from_s, silence_to_s)
        phrases.append(Phrase(" ".join(word.text for word in words[first:end]), speech))
        silence_from_s = silence_to_s
    return phrases


def schedule_lines(
    lines: tuple[Sequence[Sequence[Phrase]], Sequence[Sequence[Phrase]]], rng: np.random.Generator
) -> list[ScheduledLine]:
    """Arrange both people's lines, each a sequence of phrases, as a dialogue that uses every line once.

    Returns
    -------
    list of ScheduledLine
        Sorted by start.
    """
    counts = [len(own) for own in lines]
    turns = max(1, min(round(min(counts) / LINES_PER_TURN), *counts))
    waiting = [
        [[phrase for number in part for phrase in own[number]] for part in _random_parts(len(own), turns, rng)]
        for own in lines
    ]
    scheduler, person = TurnScheduler(rng), int(rng.integers(2))
    for _ in range(2 * turns):
        phrases = waiting[person].pop(0)
        responses = [_take_response(waiting[1 - person], rng) for _ in phrases[1:]]
        turn, speech = _turn(person, phrases, responses)
        scheduler.schedule(turn, speech)
        person = 1 - person
    return sorted(scheduler.scheduled, key=lambda one: one.start_s)


def _scaled(phoneme: Phoneme, frequency_scale: float) -> Phoneme:
    return Phoneme(phoneme.ipa, phoneme.start_s / frequency_scale, phoneme.end_s / frequency_scale)


def _cut(audio: np.ndarray, phonemes: Sequence[Phoneme], from_s: float, to_s: float) -> SpokenLine:
    """The phonemes' audio with a margin before and after, within the given times, faded in and out."""
    first = max(sample_at(phonemes[0].start_s - MARGIN_S), sample_at(from_s), 0)
    end = min(sample_at(phonemes[-1].end_s + MARGIN_S), sample_at(to_s), len(audio))
    cut = audio[first:end].copy()
    fade = min(sample_at(FADE_S), len(cut) // 2)
    ramp = np.linspace(0, 1, fade, endpoint=False, dtype=np.float32)
    cut[:fade] *= ramp
    cut[len(cut) - fade :] *= ramp[::-1]
    shift_s = first / AUDIO_RATE_HZ
    return SpokenLine(cut, tuple(Phoneme(one.ipa, one.start_s - shift_s, one.end_s - shift_s) for one in phonemes))


def _random_parts(count: int, parts: int, rng: np.random.Generator) -> Iterator[range]:
    """Divide `count` lines, in order, into `parts` parts of at least one line."""
    cuts = sorted(rng.choice(np.arange(1, count), size=parts - 1, replace=False).tolist())
    yield from (range(first, end) for first, end in pairwise([0, *cuts, count]))


def _take_response(waiting: list[list[Phrase]], rng: np.random.Generator) -> Phrase | None:
    """Perhaps remove a short phrase from the listener's later turns. No turn loses its last phrase."""
    if rng.random() > RESPONSE_PROB:
        return None
    for phrases in waiting:
        for phrase in phrases:
            if phrase.is_response and len(phrases) > 1:
                phrases.remove(phrase)
                return phrase
    return None


def _turn(
    person: int, phrases: Sequence[Phrase], responses: Sequence[Phrase | None]
) -> tuple[ScriptedTurn, dict[Line, SpokenLine]]:
    own = {Line(person, "sentence", phrase.text): phrase.speech for phrase in phrases}
    answers = [Line(1 - person, "backchannel", one.text) if one else None for one in responses]
    speech = own | {line: one.speech for line, one in zip(answers, responses, strict=True) if line and one}
    return ScriptedTurn(tuple(Line(person, "sentence", phrase.text) for phrase in phrases), tuple(answers)), speech
