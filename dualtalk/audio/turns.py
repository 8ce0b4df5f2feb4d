"""Who holds the floor: utterances, turns, pauses, gaps, overlaps and backchannels of two people.


Terms are those of Heldner & Edlund 2010 ("Pauses, gaps and overlaps in conversations"): a pause is silence
inside one person's turn, a gap silence between two people's turns, an overlap speech of both. The
floor-transfer offset of a turn is its start less the end of the other's turn before it: a gap when positive, an
overlap when negative.
"""

from dataclasses import dataclass
from itertools import pairwise

import pandas as pd
from pyannote.core import Segment, Timeline

from dualtalk.core import PARTY

# A backchannel ("mhm", "yeah") is short, and the other goes on as if nothing was said (Yngve 1970; Ward &
# Tsukahara 2000 take most to be under a second).
LONGEST_BACKCHANNEL_S = 1.0
GOES_ON_WITHIN_S = 1.0
COLUMNS = ("kind", "person", "start_s", "end_s", "duration_s", "offset_s")


@dataclass(frozen=True)
class Utterance:
    """One stretch of one person's speech."""

    person: str
    start_s: float
    end_s: float
    backchannel: bool = False


def turn_table(speech_a: Timeline, speech_b: Timeline, duration_s: float) -> pd.DataFrame:
    """All utterances, turns, pauses, gaps, overlaps and backchannels, by start.

    Returns
    -------
    pandas.DataFrame
        `kind` (utterance, turn, pause, gap, overlap or backchannel), `person` ("a", "b"; of an overlap who came
        in; "" of a gap), `start_s`, `end_s`, `duration_s`, and `offset_s`, the floor-transfer offset of a turn
        that follows the other's (NaN elsewhere). A backchannel is no utterance; neither it
        nor an utterance wholly inside one of the other's takes a turn.
    """
    extent = Segment(0, duration_s)
    speech = {
        label: [span & extent for span in timeline.support() if span & extent]
        for label, timeline in zip(PARTY, (speech_a, speech_b), strict=True)
    }
    utterances = _utterances(speech)
    turns = _turns([one for one in utterances if not one.backchannel and not _inside(one, speech)])
    rows = [
        ("backchannel" if one.backchannel else "utterance", one.person, one.start_s, one.end_s, None)
        for one in utterances
    ]
    rows += _overlaps(speech)
    before: list[Utterance] | None = None
    for turn in turns:
        start_s, end_s = turn[0].start_s, max(utterance.end_s for utterance in turn)
        offset_s = start_s - max(utterance.end_s for utterance in before) if before else None
        rows.append(("turn", turn[0].person, start_s, end_s, offset_s))
        if offset_s is not None and offset_s > 0:
            rows.append(("gap", "", start_s - offset_s, start_s, None))
        rows += [("pause", one.person, one.end_s, two.start_s, None) for one, two in pairwise(turn)]
        before = turn
    return _table(rows)


def _utterances(speech: dict[str, list[Segment]]) -> list[Utterance]:
    """Everybody's stretches of speech, by start, with backchannels marked."""
    found = []
    for own, other in (PARTY, PARTY[::-1]):
        for index, span in enumerate(speech[own]):
            alone = all(
                abs(span.start - neighbour.end) >= GOES_ON_WITHIN_S
                and abs(neighbour.start - span.end) >= GOES_ON_WITHIN_S
                for neighbour in speech[own][max(index - 1, 0) : index] + speech[own][index + 1 : index + 2]
            )
            found.append(
                Utterance(
                    own,
                    span.start,
                    span.end,
                    backchannel=span.duration < LONGEST_BACKCHANNEL_S and alone and _goes_on(speech[other], span),
                )
            )
    return sorted(found, key=lambda utterance: (utterance.start_s, utterance.end_s, utterance.person))


def _goes_on(other: list[Segment], span: Segment) -> bool:
    """Whether the other spoke up to `span` and speaks on from its end, each with at most a second between."""
    before = any(span.start - s.start >= 0 and span.start - s.end <= GOES_ON_WITHIN_S for s in other)
    after = any(s.end - span.end >= 0 and s.start - span.end <= GOES_ON_WITHIN_S for s in other)
    return before and after


def _inside(utterance: Utterance, speech: dict[str, list[Segment]]) -> bool:
    """Whether the other spoke before it, through it and after it: the floor stayed with them."""
    other = speech[PARTY[1] if utterance.person == PARTY[0] else PARTY[0]]
    return any(span.start <= utterance.start_s and utterance.end_s <= span.end for span in other)


def _turns(utterances: list[Utterance]) -> list[list[Utterance]]:
    """Runs of one person's utterances."""
    turns: list[list[Utterance]] = []
    for utterance in utterances:
        if turns and turns[-1][0].person == utterance.person:
            turns[-1].append(utterance)
        else:
            turns.append([utterance])
    return turns


def _overlaps(speech: dict[str, list[Segment]]) -> list[tuple]:
    rows = []
    for one in speech[PARTY[0]]:
        for two in speech[PARTY[1]]:
            if both := one & two:
                came_in = PARTY[1] if two.start >= one.start else PARTY[0]
                rows.append(("overlap", came_in, both.start, both.end, None))
    return rows


def _table(rows: list[tuple]) -> pd.DataFrame:
    table = pd.DataFrame(rows, columns=["kind", "person", "start_s", "end_s", "offset_s"])
    table = table.astype({"kind": str, "person": str, "start_s": float, "end_s": float, "offset_s": float})
    table["duration_s"] = table["end_s"] - table["start_s"]
    return table.sort_values(["start_s", "end_s", "kind"], ignore_index=True)[list(COLUMNS)]
