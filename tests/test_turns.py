"""Laws of the turn table, on timelines drawn at random and on a talk whose table is known."""

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


def test_a_known_talk():
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


def test_nobody_speaks_in_a_gap():
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


def test_no_speech_no_rows():
    table = turn_table(Timeline(), Timeline(), 10.0)
    assert len(table) == 0
    assert tuple(table.columns) == COLUMNS


@given(SPANS, SPANS)
def test_swapping_people_swaps_labels(a, b):
    # Who of two that start at the same instant holds the floor is anybody's guess.
    assume(not {start for start, _ in a} & {start for start, _ in b})
    one, two = (turn_table(timeline(x), timeline(y), 60.0) for x, y in ((a, b), (b, a)))
    swap = {"a": "b", "b": "a", "": ""}
    for kind in ("utterance", "backchannel", "gap"):
        assert sorted((swap[p], s, e) for p, s, e in rows(one, kind)) == sorted(rows(two, kind))


@given(SPANS, SPANS)
def test_rows_lie_in_the_recording_and_last(a, b):
    table = turn_table(timeline(a), timeline(b), 30.0)
    assert (table["start_s"] >= 0).all()
    assert (table["end_s"] <= 30).all()
    # Two utterances of one turn may overlap in time with the other's, never with each other.
    assert (table["duration_s"] > 0).all()


@given(SPANS, SPANS)
def test_all_speech_is_an_utterance_or_a_backchannel(a, b):
    table = turn_table(timeline(a), timeline(b), 100.0)
    spoken = table[table["kind"].isin(["utterance", "backchannel"])]
    for label, spans in (("a", a), ("b", b)):
        total_s = spoken[spoken["person"] == label]["duration_s"].sum()
        assert total_s == pytest.approx(timeline(spans).support().duration(), abs=1e-6)
