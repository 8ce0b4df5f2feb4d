"""Turn-taking of two people: utterances, turns, pauses, gaps, overlaps and backchannels.

Terms are those of Heldner & Edlund 2010 ("Pauses, gaps and overlaps in conversations"): a pause is silence within
one person's turn, a gap is silence between two people's turns, an overlap is speech of both. The floor-transfer
offset of a turn is its start minus the end of the other person's preceding turn: positive for a gap, negative for
an overlap.

Each person's segments are sorted and disjoint, so every question about the other person's speech is a binary
search: the time is O(n log n) in the number of segments.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice, pairwise

import pandas as pd
from pyannote.core import Segment, Timeline

from dualtalk.core import PARTY

# A backchannel ("mhm", "yeah") is short, and the other person continues as if nothing was said (Yngve 1970; Ward &
# Tsukahara 2000 find most of them under a second).
LONGEST_BACKCHANNEL_S = 1.0
# Speech that resumes within this time continues.
CONTINUES_WITHIN_S = 1.0
# Silences shorter than this are inside one phrase: the usual cut between inter-pausal units, longer than the
# closure of a stop consonant (Heldner & Edlund 2010, section 3, exclude silences below 180 ms for that reason).
PHRASE_GAP_S = 0.2
COLUMNS = ("kind", "person", "start_s", "end_s", "duration_s", "offset_s")


@dataclass(frozen=True)
class Utterance:
    """One continuous stretch of one person's speech."""

    person: str
    start_s: float
    end_s: float
    backchannel: bool = False


def turn_table(speech_a: Timeline, speech_b: Timeline, duration_s: float) -> pd.DataFrame:
    """Tabulate all utterances, turns, pauses, gaps, overlaps and backchannels, by start.

    Parameters
    ----------
    speech_a, speech_b : Timeline
        Speech of each person, in seconds.
    duration_s : float
        Length of the recording; speech outside it is cut off.

    Returns
    -------
    pandas.DataFrame
        `kind` (utterance, turn, pause, gap, overlap or backchannel), `person` ("a" or "b"; of an overlap the one
        who started later; "" for a gap), `start_s`, `end_s`, `duration_s`, and `offset_s`, the floor-transfer
        offset of a turn that follows the other person's (NaN elsewhere). A backchannel is not an utterance. A
        backchannel takes no turn, nor does an utterance that lies wholly within one of the other person's.
    """
    extent = Segment(0, duration_s)
    speech = {
        label: _Speech([span & extent for span in timeline.support() if span & extent])
        for label, timeline in zip(PARTY, (speech_a, speech_b), strict=True)
    }
    utterances = _utterances(speech)
    turns = _turns(
        [one for one in utterances if not one.backchannel and not speech[_other(one.person)].covers(one)]
    )
    rows: list[tuple] = [
        ("backchannel" if one.backchannel else "utterance", one.person, one.start_s, one.end_s, None)
        for one in utterances
    ]
    rows += _overlaps(speech[PARTY[0]], speech[PARTY[1]])
    rows += _turn_rows(turns)
    return _table(rows)


class _Speech:
    """One person's segments, sorted and disjoint, so that both their starts and their ends ascend."""

    def __init__(self, segments: list[Segment]) -> None:
        self.segments = segments
        self.starts_s = [segment.start for segment in segments]
        self.ends_s = [segment.end for segment in segments]

    def continues_through(self, span: Segment) -> bool:
        """Whether there is speech up to the start of `span` and again from its end, at most a second away."""
        before = bisect_right(self.starts_s, span.start) - 1
        after = bisect_left(self.ends_s, span.end)
        return (
            before >= 0
            and span.start - self.ends_s[before] <= CONTINUES_WITHIN_S
            and after < len(self.segments)
            and self.starts_s[after] - span.end <= CONTINUES_WITHIN_S
        )

    def covers(self, utterance: Utterance) -> bool:
        """Whether one segment holds the whole utterance: the floor stayed with this person."""
        before = bisect_right(self.starts_s, utterance.start_s) - 1
        return before >= 0 and utterance.end_s <= self.ends_s[before]

    def overlapping(self, span: Segment) -> Iterator[Segment]:
        """Segments that end after `span` starts and start before it ends."""
        for segment in islice(self.segments, bisect_right(self.ends_s, span.start), None):
            if segment.start >= span.end:
                return
            yield segment


def _other(person: str) -> str:
    return PARTY[1] if person == PARTY[0] else PARTY[0]


def _utterances(speech: dict[str, _Speech]) -> list[Utterance]:
    """Both people's segments, by start, with backchannels marked."""
    found = []
    for person in PARTY:
        segments, other = speech[person].segments, speech[_other(person)]
        for index, span in enumerate(segments):
            isolated = all(
                abs(span.start - neighbour.end) >= CONTINUES_WITHIN_S
                and abs(neighbour.start - span.end) >= CONTINUES_WITHIN_S
                for neighbour in segments[max(index - 1, 0) : index] + segments[index + 1 : index + 2]
            )
            backchannel = span.duration < LONGEST_BACKCHANNEL_S and isolated and other.continues_through(span)
            found.append(Utterance(person, span.start, span.end, backchannel))
    return sorted(found, key=lambda utterance: (utterance.start_s, utterance.end_s, utterance.person))


def _turns(utterances: list[Utterance]) -> list[list[Utterance]]:
    """Consecutive utterances of one person."""
    turns: list[list[Utterance]] = []
    for utterance in utterances:
        if turns and turns[-1][0].person == utterance.person:
            turns[-1].append(utterance)
        else:
            turns.append([utterance])
    return turns


def _turn_rows(turns: list[list[Utterance]]) -> Iterator[tuple]:
    """Rows of turns, of the gaps before them and of the pauses within them."""
    previous_end_s: float | None = None
    for turn in turns:
        start_s, end_s = turn[0].start_s, max(utterance.end_s for utterance in turn)
        offset_s = None if previous_end_s is None else start_s - previous_end_s
        yield "turn", turn[0].person, start_s, end_s, offset_s
        if offset_s is not None and offset_s > 0:
            yield "gap", "", start_s - offset_s, start_s, None
        yield from (("pause", one.person, one.end_s, two.start_s, None) for one, two in pairwise(turn))
        previous_end_s = end_s


def _overlaps(speech_a: _Speech, speech_b: _Speech) -> Iterator[tuple]:
    for one in speech_a.segments:
        for two in speech_b.overlapping(one):
            if both := one & two:
                later = PARTY[1] if two.start >= one.start else PARTY[0]
                yield "overlap", later, both.start, both.end, None


def _table(rows: list[tuple]) -> pd.DataFrame:
    table = pd.DataFrame(rows, columns=["kind", "person", "start_s", "end_s", "offset_s"])
    table = table.astype({"kind": str, "person": str, "start_s": float, "end_s": float, "offset_s": float})
    table["duration_s"] = table["end_s"] - table["start_s"]
    return table.sort_values(["start_s", "end_s", "kind"], ignore_index=True)[list(COLUMNS)]
