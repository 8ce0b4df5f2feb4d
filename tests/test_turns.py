"""The turn table of random timelines and of a conversation whose table is known."""

import sys

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from pyannote.core import Segment, Timeline

from dualtalk.audio.turns import COLUMNS, turn_table

SPANS = st.lists(st.tuples(st.floats(0.0, 50.0), st.floats(0.05, 8.0)), max_size=12)


def timeline(spans) -> Timeline:
    return Timeline([Segment(start, start + length) for start, length in spans])


def rows(table, kind: str) -> list[tuple]:
    chosen = table[table["kind"] == kind]
    starts_s, ends_s = chosen["start_s"].round(3), chosen["end_s"].round(3)
    return list(zip(chosen["person"], starts_s, ends_s, strict=True))


def backchannels(own: Timeline, other: Timeline) -> list[tuple[float, float]]:
    """Backchannels by their definition, comparing each segment with all others.

    A backchannel is short, its speaker says nothing else for a second before and after it, and the other person
    speaks within a second before and after it.
    """
    found = []
    for span in own.support():
        rest = [one for one in own.support() if one != span]
        alone = all(span.start - one.end >= 1 or one.start - span.end >= 1 for one in rest)
        before = any(one.start <= span.start and span.start - one.end <= 1 for one in other.support())
        after = any(one.end >= span.end and one.start - span.end <= 1 for one in other.support())
        if span.duration < 1 and alone and before and after:
            found.append((span.start, span.end))
    return found


@given(SPANS, SPANS)
def test_backchannels_and_overlaps_match_their_definition(a, b):
    a, b = timeline(a), timeline(b)
    table = turn_table(a, b, 100.0)
    for person, own, other in (("a", a, b), ("b", b, a)):
        listed = table[(table["kind"] == "backchannel") & (table["person"] == person)]
        assert list(zip(listed["start_s"], listed["end_s"], strict=True)) == backchannels(own, other)
    overlaps = table[table["kind"] == "overlap"]
    expected = sorted((both.start, both.end) for one in a.support() for two in b.support() if (both := one & two))
    assert list(zip(overlaps["start_s"], overlaps["end_s"], strict=True)) == expected


@given(SPANS, SPANS)
def test_turns_are_runs_of_utterances_that_hold_the_floor(a, b):
    """By definition, backchannels and utterances within one of the other person's utterances take no turn."""
    a, b = timeline(a), timeline(b)
    utterances = []
    for person, own, other in (("a", a, b), ("b", b, a)):
        for span in own.support():
            within = any(one.start <= span.start and span.end <= one.end for one in other.support())
            if not within and (span.start, span.end) not in backchannels(own, other):
                utterances.append((span.start, span.end, person))
    turns: list[list] = []
    for start_s, end_s, person in sorted(utterances):
        if turns and turns[-1][0] == person:
            turns[-1][2] = max(end_s, turns[-1][2])
        else:
            turns.append([person, start_s, end_s])
    table = turn_table(a, b, 100.0)
    listed = table[table["kind"] == "turn"][["person", "start_s", "end_s"]].to_numpy().tolist()
    assert sorted(listed) == sorted(turns)


def test_running_time_is_proportional_to_the_length():
    def lines_run(minutes: int) -> int:
        starts = np.arange(0, 60 * minutes, 3.0)
        a, b = (Timeline([Segment(at, at + 2) for at in (starts + offset).tolist()]) for offset in (0, 1.5))
        lines = 0

        def count(frame, event, argument):
            nonlocal lines
            lines += event == "line"
            return count

        previous = sys.gettrace()
        sys.settrace(count)
        try:
            turn_table(a, b, 60.0 * minutes)
        finally:
            sys.settrace(previous)
        return lines

    assert lines_run(24) < 5 * lines_run(6)


def test_the_table_of_a_known_conversation():
    a = timeline([(0.0, 2.0), (2.5, 2.5), (9.0, 2.0)])
    b = timeline([(3.0, 0.4), (5.2, 4.0)])
    table = turn_table(a, b, 12.0)
    assert rows(table, "backchannel") == [("b", 3.0, 3.4)]
    assert rows(table, "turn") == [("a", 0.0, 5.0), ("b", 5.2, 9.2), ("a", 9.0, 11.0)]
    assert rows(table, "pause") == [("a", 2.0, 2.5)]
    assert rows(table, "gap") == [("", 5.0, 5.2)]
    assert rows(table, "overlap") == [("b", 3.0, 3.4), ("a", 9.0, 9.2)]
    offsets = table[table["kind"] == "turn"]["offset_s"].to_numpy()
    assert np.isnan(offsets[0])
    assert offsets[1:] == pytest.approx([0.2, -0.2])


def test_gaps_contain_no_speech():
    rng = np.random.default_rng(0)
    for _ in range(50):
        a, b = (
            timeline(zip(rng.uniform(0, 60, 8).tolist(), rng.uniform(0.2, 8, 8).tolist(), strict=True))
            for _ in "ab"
        )
        table = turn_table(a, b, 100.0)
        spoken = a.union(b).support()
        for _, start_s, end_s in rows(table, "gap"):
            assert spoken.crop(Segment(start_s + 0.002, end_s - 0.002)).duration() == pytest.approx(0, abs=1e-6)


def test_a_silent_recording_has_no_rows():
    table = turn_table(Timeline(), Timeline(), 10.0)
    assert len(table) == 0
    assert tuple(table.columns) == COLUMNS


@given(SPANS, SPANS)
def test_swapping_the_people_swaps_the_labels(a, b):
    # If both start at the same instant, the order decides who takes the turn.
    assume(not {start for start, _ in a} & {start for start, _ in b})
    one, two = (turn_table(timeline(x), timeline(y), 60.0) for x, y in ((a, b), (b, a)))
    swap = {"a": "b", "b": "a", "": ""}
    for kind in ("utterance", "backchannel", "gap"):
        assert sorted((swap[p], s, e) for p, s, e in rows(one, kind)) == sorted(rows(two, kind))


@given(SPANS, SPANS)
def test_rows_lie_within_the_recording_and_have_a_duration(a, b):
    table = turn_table(timeline(a), timeline(b), 30.0)
    assert (table["start_s"] >= 0).all()
    assert (table["end_s"] <= 30).all()
    # Utterances of one turn may overlap those of the other person, never each other.
    assert (table["duration_s"] > 0).all()


@given(SPANS, SPANS)
def test_all_speech_belongs_to_an_utterance_or_a_backchannel(a, b):
    table = turn_table(timeline(a), timeline(b), 100.0)
    spoken = table[table["kind"].isin(["utterance", "backchannel"])]
    for label, spans in (("a", a), ("b", b)):
        total_s = spoken[spoken["person"] == label]["duration_s"].sum()
        assert total_s == pytest.approx(timeline(spans).support().duration(), abs=1e-6)
