"""Scheduling of lines in time: turns, pauses, backchannels and laughs with the timing of measured conversations.

Sources of the numbers:

* Floor-transfer offsets. Levinson & Torreira 2015 (Front Psychol 6:731, section 5.2, 348 telephone calls): mode
  at 100 to 200 ms, 30 % negative. Heldner & Edlund 2010 (J Phonetics 38:555, three corpora): 40 % negative, half
  below 200 ms, 70 to 82 % with an absolute value below 500 ms. The distribution has a sharp peak and long tails,
  so this module uses a mixture of two normal distributions with a mean of about 0.18 s: 33 % negative, 52 % below
  200 ms, 70 % with an absolute value below 500 ms. Each dyad has an offset of its own. The resulting statistics
  are measured in experiments/synthetic_turns.
* Backchannels start about 0.2 s after the end of a phrase; laughs after a whole phrase (Vettin & Todt 2004), and a
  laugh that joins another one starts half a second after it (Truong & Trouvain 2012).
* Pauses inside a turn: log-normal (Campione & Véronis 2002), "a quarter to half a second" (Lundholm Fors 2015).
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from dualtalk.synthesis.dialogue import Line, ScriptedTurn
from dualtalk.synthesis.voices import SpokenLine

OFFSET_MEAN_S, DYAD_SHIFT_SD_S = 0.18, 0.04
OFFSET_SDS_S, OFFSET_WEIGHTS = (0.32, 0.7), (0.6, 0.4)
# An early turn overlaps at most this share of the other person's last sentence and of its own first one; otherwise
# it would lie inside the other person's turn.
MAX_OVERLAP = 0.85
PAUSE_MEDIAN_S, PAUSE_SIGMA, MIN_PAUSE_S = 0.42, 0.45, 0.2
BACKCHANNEL_LAG_MEAN_S, BACKCHANNEL_LAG_SD_S = 0.15, 0.18
LAUGH_LAG_S = (0.2, 0.5)
# Minimum silence of a person after their own last word.
CLEARANCE_S = 0.3


@dataclass(frozen=True, eq=False)
class ScheduledLine:
    """A line with its start time.

    Attributes
    ----------
    line : Line
    speech : SpokenLine
    start_s : float
        Start of the audio, slightly before its first phoneme.
    """

    line: Line
    speech: SpokenLine
    start_s: float

    @property
    def speech_end_s(self) -> float:
        """End of the last phoneme."""
        return self.start_s + self.speech.ends_s


class TurnScheduler:
    """Schedules one turn after another by the start and end of speech; `scheduled` holds the result."""

    def __init__(self, rng: np.random.Generator) -> None:
        self._rng = rng
        self._mean_offset_s = OFFSET_MEAN_S + DYAD_SHIFT_SD_S * rng.standard_normal()
        self._speech_end_s = [0.0, 0.0]
        self._last: ScheduledLine | None = None
        self.scheduled: list[ScheduledLine] = []

    @property
    def end_s(self) -> float:
        """End of the last speech of both people."""
        return max(self._speech_end_s)

    def schedule(self, turn: ScriptedTurn, speech: Mapping[Line, SpokenLine]) -> None:
        """Schedule a turn's lines and, at its pauses, the other person's responses."""
        begins_s = self._turn_start_s(turn.lines[0].person, speech[turn.lines[0]])
        for line, response in zip(turn.lines, (*turn.responses, None), strict=True):
            self._last = self._append(line, speech[line], begins_s)
            if response is not None:
                self._schedule_response(response, speech[response], self._last.speech_end_s)
            pause_s = PAUSE_MEDIAN_S * np.exp(PAUSE_SIGMA * self._rng.standard_normal())
            begins_s = self._last.speech_end_s + max(float(pause_s), MIN_PAUSE_S)

    def _turn_start_s(self, person: int, first: SpokenLine) -> float:
        if self._last is None:
            return float(self._rng.uniform(0.3, 1.2))
        previous = self._last.speech
        earliest_s = -MAX_OVERLAP * min(previous.ends_s - previous.begins_s, first.ends_s - first.begins_s)
        offset_s = earliest_s - 1
        while offset_s < earliest_s:
            sd_s = self._rng.choice(OFFSET_SDS_S, p=OFFSET_WEIGHTS)
            offset_s = self._mean_offset_s + sd_s * self._rng.standard_normal()
        return float(max(self._last.speech_end_s + offset_s, self._speech_end_s[person] + CLEARANCE_S))

    def _schedule_response(self, response: Line, speech: SpokenLine, phrase_end_s: float) -> None:
        if response.kind == "laugh":
            lag_s = self._rng.uniform(*LAUGH_LAG_S)
        else:
            lag_s = BACKCHANNEL_LAG_MEAN_S + BACKCHANNEL_LAG_SD_S * self._rng.standard_normal()
        if phrase_end_s + lag_s > self._speech_end_s[response.person] + CLEARANCE_S:
            self._append(response, speech, float(phrase_end_s + lag_s))

    def _append(self, line: Line, speech: SpokenLine, begins_s: float) -> ScheduledLine:
        scheduled = ScheduledLine(line, speech, begins_s - speech.begins_s)
        self.scheduled.append(scheduled)
        self._speech_end_s[line.person] = max(self._speech_end_s[line.person], scheduled.speech_end_s)
        return scheduled
