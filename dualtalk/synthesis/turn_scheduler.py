"""When it is said: turns, pauses, backchannels and laughs placed in time as measured conversations have them.

Sources of the numbers:

* Floor-transfer offsets. Levinson & Torreira 2015 (Front Psychol 6:731, section 5.2, 348 telephone calls): mode
  at 100 to 200 ms, 30 % negative. Heldner & Edlund 2010 (J Phonetics 38:555, three corpora): 40 % negative, half
  below 200 ms, 70 to 82 % shorter than 500 ms either way. They have a sharp peak and long tails, so two normal
  laws are mixed here, both about 0.18 s: 33 % negative, 52 % below 200 ms, 70 % shorter than 500 ms. Each dyad has
  a shift of its own. What comes of it is measured in experiments/synthetic_turns.
* Backchannels come about 0.2 s after the end of a phrase; laughs after a whole phrase (Vettin & Todt 2004), and a
  laugh that joins another one half a second after it (Truong & Trouvain 2012).
* Pauses inside a turn: log-normal (Campione & Véronis 2002), "a quarter to half a second" (Lundholm Fors 2015).
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from dualtalk.synthesis.dialogue import Line, Turn
from dualtalk.synthesis.voices import Utterance

OFFSET_MEAN_S, DYAD_SHIFT_SD_S = 0.18, 0.04
OFFSET_SDS_S, OFFSET_SHARES = (0.32, 0.7), (0.6, 0.4)
# A turn that comes in early overlaps at most this share of the sentence before it and of its own first one: else
# it would lie inside the other's.
LARGEST_OVERLAP = 0.85
PAUSE_MEDIAN_S, PAUSE_SIGMA, SHORTEST_PAUSE_S = 0.42, 0.45, 0.2
BACKCHANNEL_LAG_S = (0.15, 0.18)
LAUGH_LAG_S = (0.2, 0.5)
# Nobody begins to speak sooner than this after their own last word.
CLEARANCE_S = 0.3


@dataclass(frozen=True, eq=False)
class Placed:
    """A line in time.

    Attributes
    ----------
    start_s : float
        Where its sound begins, a little before its first phoneme.
    """

    line: Line
    said: Utterance
    start_s: float

    @property
    def speech_end_s(self) -> float:
        return self.start_s + self.said.ends_s


class Clock:
    """Places turns one after another, by where speech begins and ends; what has been placed is in `placed`."""

    def __init__(self, rng: np.random.Generator) -> None:
        self._rng = rng
        self._shift_s = OFFSET_MEAN_S + DYAD_SHIFT_SD_S * rng.standard_normal()
        self._free_s = [0.0, 0.0]
        self._last: Placed | None = None
        self.placed: list[Placed] = []

    @property
    def end_s(self) -> float:
        return max(self._free_s)

    def place(self, turn: Turn, said: Mapping[Line, Utterance]) -> None:
        """Place a turn's lines and, at its pauses, the other's answers."""
        begins_s = self._first_begins_s(turn.lines[0].person, said[turn.lines[0]])
        for line, answer in zip(turn.lines, (*turn.answers, None), strict=True):
            self._last = self._put(line, said[line], begins_s)
            if answer is not None:
                self._answer(answer, said[answer], self._last.speech_end_s)
            pause_s = PAUSE_MEDIAN_S * np.exp(PAUSE_SIGMA * self._rng.standard_normal())
            begins_s = self._last.speech_end_s + max(float(pause_s), SHORTEST_PAUSE_S)

    def _first_begins_s(self, person: int, first: Utterance) -> float:
        if self._last is None:
            return float(self._rng.uniform(0.3, 1.2))
        before = self._last.said
        earliest_s = -LARGEST_OVERLAP * min(before.ends_s - before.begins_s, first.ends_s - first.begins_s)
        offset_s = earliest_s - 1
        while offset_s < earliest_s:
            sd_s = self._rng.choice(OFFSET_SDS_S, p=OFFSET_SHARES)
            offset_s = self._shift_s + sd_s * self._rng.standard_normal()
        return float(max(self._last.speech_end_s + offset_s, self._free_s[person] + CLEARANCE_S))

    def _answer(self, answer: Line, said: Utterance, phrase_end_s: float) -> None:
        if answer.what == "laugh":
            lag_s = self._rng.uniform(*LAUGH_LAG_S)
        else:
            mean_s, sd_s = BACKCHANNEL_LAG_S
            lag_s = mean_s + sd_s * self._rng.standard_normal()
        if phrase_end_s + lag_s > self._free_s[answer.person] + CLEARANCE_S:
            self._put(answer, said, float(phrase_end_s + lag_s))

    def _put(self, line: Line, said: Utterance, begins_s: float) -> Placed:
        placed = Placed(line, said, begins_s - said.begins_s)
        self.placed.append(placed)
        self._free_s[line.person] = max(self._free_s[line.person], placed.speech_end_s)
        return placed
