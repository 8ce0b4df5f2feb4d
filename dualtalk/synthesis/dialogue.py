"""What is said: turns of sentences about a topic, from templates of our own.

The text makes no more sense than small talk needs to. What matters is that it has the words, the lengths and
the kinds of turn of a conversation, and that no topic, and so no sentence about one, is in two splits.

These are few words, and a model may come to know them by heart. From a list of words sentences without sense are
strewn among the others, so that it has to go by sounds.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Literal

import numpy as np

from dualtalk.errors import InputError

TOPICS = {
    "train": (
        *("cooking", "travel", "work", "music", "pets", "weather", "films", "family", "sport", "house", "school"),
        *("cars", "gardens", "health"),
    ),
    "validation": ("shopping", "sea"),
    "test": ("computers", "museums"),
}
# Chances by which a turn is begun and gone on with. They give stretches of speech between pauses whose mean and
# median are near those of Switchboard (1.68 and 1.23 s, Levinson & Torreira 2015, section 5).
REACTION, STARTER, SHORT, ANOTHER_SENTENCE, BREATH_AT_COMMA = 0.3, 0.3, 0.38, 0.6, 0.6
LONGEST_TURN = 6
NEW_TOPIC, QUESTION = 0.12, 0.35

# At an end of a sentence after which the speaker goes on, the other may say something, or laugh; and a turn may
# begin with a laugh. Tuned so that a minute has about five backchannels (Switchboard: 38,298 in 1,155 calls of six
# and a half minutes, Stolcke et al. 2000) and one laugh (Switchboard, after Maraev et al. 2021).
BACKCHANNEL, LAUGH, LAUGH_FIRST = 0.33, 0.03, 0.04

# Share of sentences that are strewn, where there are words, and how many words those have.
STREWN, STREWN_WORDS = 0.6, (3, 10)
# Long words are seldom said; the share of words between them that say how they belong together.
LONGEST_WORD, JOINING = 9, 0.45

What = Literal["sentence", "backchannel", "laugh"]


@dataclass(frozen=True)
class Line:
    """A text that one person (0 or 1) says in one breath."""

    person: int
    what: What
    text: str


@dataclass(frozen=True)
class Turn:
    """What one person says before the other does.

    Attributes
    ----------
    lines : tuple of Line
        Said with a pause between them.
    answers : tuple of (Line or None)
        What the other says at each pause.
    """

    lines: tuple[Line, ...]
    answers: tuple[Line | None, ...]

    @property
    def all_lines(self) -> tuple[Line, ...]:
        return (*self.lines, *(answer for answer in self.answers if answer))


@cache
def _text() -> dict:
    return json.loads(files("dualtalk.synthesis").joinpath("dialogue.json").read_text())


@cache
def said_words(path: str) -> tuple[str, ...]:
    """What of a list of words, one a line, may be strewn: names, abbreviations and long words are left out.

    Raises
    ------
    InputError
        No list that can be read, or none of its words.
    """
    try:
        lines = Path(path).read_text().split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read as a list of words: {error}") from error
    words = tuple(word for word in lines if len(word) <= LONGEST_WORD and word.isalpha() and word.islower())
    if not words:
        raise InputError(f"{path} has no word of up to {LONGEST_WORD} small letters; wanted one a line")
    return words


class Writer:
    """Writes one dialogue, turn by turn, without end; with sentences of `words` strewn in, if there are any."""

    def __init__(self, rng: np.random.Generator, split: str, words: Sequence[str] = ()) -> None:
        self._rng = rng
        self._words = words
        self._topics = TOPICS[split]
        self._person = int(rng.integers(2))
        self._said: set[str] = set()
        self._asked = False
        self._open_topic()

    def turn(self) -> Turn:
        """The next turn; people take turns."""
        sentences = self._openers()
        while True:
            sentences.append(self._sentence(self._kind()))
            if len(sentences) >= LONGEST_TURN or self._rng.random() > ANOTHER_SENTENCE:
                break
        self._asked = self._rng.random() < QUESTION
        if self._asked:
            sentences.append(self._sentence("questions"))
        breaths = [breath for sentence in sentences for breath in self._breaths(sentence)]
        lines = [Line(self._person, "sentence", breath) for breath in breaths]
        if self._rng.random() < LAUGH_FIRST:
            lines.insert(0, self._laugh(self._person))
        answers = [self._answer(1 - self._person) for _ in lines[1:]]
        self._person = 1 - self._person
        return Turn(tuple(lines), tuple(answers))

    def _kind(self) -> str:
        if self._rng.random() < SHORT:
            return "shorts"
        return "statements" if self._rng.random() < 0.7 else "opinions"

    def _breaths(self, sentence: str) -> list[str]:
        """The sentence, in two where its speaker takes a breath at the comma."""
        before, comma, after = sentence.partition(", ")
        if comma and len(before) > 8 and len(after) > 8 and self._rng.random() < BREATH_AT_COMMA:
            return [before + ",", after]
        return [sentence]

    def _answer(self, person: int) -> Line | None:
        chance = self._rng.random()
        if chance < LAUGH:
            return self._laugh(person)
        if chance > LAUGH + BACKCHANNEL:
            return None
        words = _text()["backchannels"]
        weights = np.array(list(words.values()), float)
        return Line(person, "backchannel", str(self._rng.choice(list(words), p=weights / weights.sum())))

    def _laugh(self, person: int) -> Line:
        return Line(person, "laugh", str(self._rng.choice(_text()["laughs"])))

    def _openers(self) -> list[str]:
        if self._rng.random() < NEW_TOPIC:
            self._open_topic()
            return [self._sentence("openings")]
        if self._asked:
            return [self._sentence("answers")]
        return [self._sentence("reactions")] if self._rng.random() < REACTION else []

    def _open_topic(self) -> None:
        self._topic = _text()["topics"][str(self._rng.choice(self._topics))]

    def _sentence(self, kind: str) -> str:
        """One that was not said in this dialogue, if a few tries find one."""
        if self._words and self._rng.random() < STREWN:
            return self._strewn(kind)
        for _ in range(5):
            sentence = self._filled(str(self._rng.choice(_text()[kind])))
            if sentence not in self._said:
                break
        self._said.add(sentence)
        if kind in ("statements", "opinions") and self._rng.random() < STARTER:
            starter = str(self._rng.choice(_text()["starters"]))
            return f"{starter} {sentence if sentence.startswith('I ') else sentence[0].lower() + sentence[1:]}"
        return sentence

    def _strewn(self, kind: str) -> str:
        """Words that make no sense together."""
        joining = _text()["joining"]
        words = [
            str(self._rng.choice(joining)) if self._rng.random() < JOINING else self._any_word()
            for _ in range(self._rng.integers(*STREWN_WORDS))
        ]
        sentence = " ".join([*words, self._any_word()])
        return sentence.capitalize() + ("?" if kind == "questions" else ".")

    def _any_word(self) -> str:
        return self._words[self._rng.integers(len(self._words))]

    def _filled(self, template: str) -> str:
        pick = {slot: str(self._rng.choice(self._topic[f"{slot}s"])) for slot in ("thing", "doing", "place")}
        first, second = self._rng.choice(self._topic["happenings"], size=2, replace=False)
        sentence = template.format(**pick, happening=first, happening2=second)
        return sentence[0].upper() + sentence[1:]
