"""Dialogue text: turns of sentences about a topic, from our own templates.

The content is small talk. What matters is that vocabulary, sentence length and turn types resemble a
conversation, and that no topic, and thus no sentence about one, is in two splits.

The templates have a small vocabulary, which a model may memorize. An optional word list adds nonsense sentences,
so that a model must rely on the sounds.
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
# Probabilities that determine the length of a turn. The resulting stretches of speech between pauses have a mean
# and a median near those of Switchboard (1.68 and 1.23 s, Levinson & Torreira 2015, section 5).
REACTION_PROB, STARTER_PROB, SHORT_PROB, NEXT_SENTENCE_PROB, COMMA_PAUSE_PROB = 0.3, 0.3, 0.38, 0.6, 0.6
MAX_SENTENCES = 6
NEW_TOPIC_PROB, QUESTION_PROB = 0.12, 0.35

# At a sentence end inside a turn, the listener may give a backchannel or laugh; and a turn may start with a laugh.
# Tuned for about five backchannels a minute (Switchboard: 38,298 in 1,155 calls of six and a half minutes, Stolcke
# et al. 2000) and one laugh a minute (Switchboard, after Maraev et al. 2021).
BACKCHANNEL_PROB, LAUGH_PROB, LAUGH_FIRST_PROB = 0.33, 0.03, 0.04

# Share of nonsense sentences if there is a vocabulary, and the range of their numbers of words.
NONSENSE_SHARE, NONSENSE_WORDS = 0.6, (3, 10)
# Long words are rare in speech. Share of function words in nonsense sentences.
MAX_WORD_LENGTH, FUNCTION_WORD_SHARE = 9, 0.45

LineKind = Literal["sentence", "backchannel", "laugh"]


@dataclass(frozen=True)
class Line:
    """A text that one person (0 or 1) speaks without a pause."""

    person: int
    kind: LineKind
    text: str


@dataclass(frozen=True)
class ScriptedTurn:
    """The text of one turn.

    Attributes
    ----------
    lines : tuple of Line
        The speaker's lines, separated by pauses.
    responses : tuple of (Line or None)
        The listener's response at each pause.
    """

    lines: tuple[Line, ...]
    responses: tuple[Line | None, ...]

    @property
    def all_lines(self) -> tuple[Line, ...]:
        return (*self.lines, *(response for response in self.responses if response))


@cache
def _templates() -> dict:
    return json.loads(files("dualtalk.synthesis").joinpath("dialogue.json").read_text(encoding="utf-8"))


@cache
def read_vocabulary(path: str) -> tuple[str, ...]:
    """Read a word list, one word a line, without its names, abbreviations and long words.

    Raises
    ------
    InputError
        The file cannot be read or has no usable word.
    """
    try:
        lines = Path(path).read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read as a word list: {error}") from error
    words = tuple(word for word in lines if len(word) <= MAX_WORD_LENGTH and word.isalpha() and word.islower())
    if not words:
        raise InputError(
            f"{path} has no word of up to {MAX_WORD_LENGTH} lowercase letters; wanted one word a line"
        )
    return words


class DialogueWriter:
    """Writes the turns of one dialogue without end.

    Parameters
    ----------
    rng : Generator
    split : str
        Decides which topics are used.
    vocabulary : sequence of str
        Words of additional nonsense sentences; none if empty.
    """

    def __init__(self, rng: np.random.Generator, split: str, vocabulary: Sequence[str] = ()) -> None:
        self._rng = rng
        self._vocabulary = vocabulary
        self._topics = TOPICS[split]
        self._person = int(rng.integers(2))
        self._used_sentences: set[str] = set()
        self._question_asked = False
        self._open_topic()

    def turn(self) -> ScriptedTurn:
        """Write the next turn; the speaker alternates."""
        sentences = self._openers()
        while True:
            sentences.append(self._sentence(self._draw_kind()))
            if len(sentences) >= MAX_SENTENCES or self._rng.random() > NEXT_SENTENCE_PROB:
                break
        self._question_asked = self._rng.random() < QUESTION_PROB
        if self._question_asked:
            sentences.append(self._sentence("questions"))
        phrases = [phrase for sentence in sentences for phrase in self._split_at_comma(sentence)]
        lines = [Line(self._person, "sentence", phrase) for phrase in phrases]
        if self._rng.random() < LAUGH_FIRST_PROB:
            lines.insert(0, self._laugh(self._person))
        responses = [self._response(1 - self._person) for _ in lines[1:]]
        self._person = 1 - self._person
        return ScriptedTurn(tuple(lines), tuple(responses))

    def _draw_kind(self) -> str:
        if self._rng.random() < SHORT_PROB:
            return "shorts"
        return "statements" if self._rng.random() < 0.7 else "opinions"

    def _split_at_comma(self, sentence: str) -> list[str]:
        """The sentence, or its two parts if the speaker pauses at its comma."""
        before, comma, after = sentence.partition(", ")
        if comma and len(before) > 8 and len(after) > 8 and self._rng.random() < COMMA_PAUSE_PROB:
            return [before + ",", after]
        return [sentence]

    def _response(self, person: int) -> Line | None:
        chance = self._rng.random()
        if chance < LAUGH_PROB:
            return self._laugh(person)
        if chance > LAUGH_PROB + BACKCHANNEL_PROB:
            return None
        words = _templates()["backchannels"]
        weights = np.array(list(words.values()), float)
        return Line(person, "backchannel", str(self._rng.choice(list(words), p=weights / weights.sum())))

    def _laugh(self, person: int) -> Line:
        return Line(person, "laugh", str(self._rng.choice(_templates()["laughs"])))

    def _openers(self) -> list[str]:
        if self._rng.random() < NEW_TOPIC_PROB:
            self._open_topic()
            return [self._sentence("openings")]
        if self._question_asked:
            return [self._sentence("answers")]
        return [self._sentence("reactions")] if self._rng.random() < REACTION_PROB else []

    def _open_topic(self) -> None:
        self._topic = _templates()["topics"][str(self._rng.choice(self._topics))]

    def _sentence(self, kind: str) -> str:
        """A sentence that this dialogue has not used yet, if a few attempts find one."""
        if self._vocabulary and self._rng.random() < NONSENSE_SHARE:
            return self._nonsense(kind)
        for _ in range(5):
            sentence = self._fill(str(self._rng.choice(_templates()[kind])))
            if sentence not in self._used_sentences:
                break
        self._used_sentences.add(sentence)
        if kind in ("statements", "opinions") and self._rng.random() < STARTER_PROB:
            starter = str(self._rng.choice(_templates()["starters"]))
            return f"{starter} {sentence if sentence.startswith('I ') else sentence[0].lower() + sentence[1:]}"
        return sentence

    def _nonsense(self, kind: str) -> str:
        """A sentence of words that make no sense together."""
        function_words = _templates()["function_words"]
        words = [
            str(self._rng.choice(function_words)) if self._rng.random() < FUNCTION_WORD_SHARE else self._any_word()
            for _ in range(self._rng.integers(*NONSENSE_WORDS))
        ]
        sentence = " ".join([*words, self._any_word()])
        return sentence.capitalize() + ("?" if kind == "questions" else ".")

    def _any_word(self) -> str:
        return self._vocabulary[int(self._rng.integers(len(self._vocabulary)))]

    def _fill(self, template: str) -> str:
        pick = {slot: str(self._rng.choice(self._topic[f"{slot}s"])) for slot in ("thing", "doing", "place")}
        first, second = self._rng.choice(self._topic["happenings"], size=2, replace=False)
        sentence = template.format(**pick, happening=first, happening2=second)
        return sentence[0].upper() + sentence[1:]
