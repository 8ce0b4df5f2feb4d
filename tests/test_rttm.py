"""RTTM files: what is written is read back, other tools' files are read, and malformed lines are named."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyannote.core import Annotation, Segment

from dualtalk.errors import InputError
from dualtalk.io.rttm import parse_rttm, read_rttm, write_rttm

MILLISECONDS = st.integers(0, 10**7)


@given(st.lists(st.tuples(MILLISECONDS, st.integers(1, 10**5), st.sampled_from("ab")), max_size=20, unique=True))
def test_segments_and_labels_survive_a_round_trip(tmp_path_factory, spans):
    annotation = Annotation(uri="call")
    for track, (start_ms, length_ms, label) in enumerate(spans):
        annotation[Segment(start_ms / 1000, (start_ms + length_ms) / 1000), track] = label
    path = tmp_path_factory.getbasetemp() / "call.rttm"
    write_rttm(path, annotation)
    parsed = read_rttm(path)
    assert parsed.labels() == annotation.labels()
    for label in annotation.labels():
        for one, two in zip(parsed.label_timeline(label), annotation.label_timeline(label), strict=True):
            assert (one.start, one.end) == pytest.approx((two.start, two.end), abs=1e-9)
    assert parsed.uri == ("call" if spans else None)


@pytest.mark.parametrize("name", ["<NA>", "NA", "null", "None", "nan", "12", "1.50", "speaker0", '"quoted'])
def test_any_name_of_a_recording_or_speaker_survives_a_round_trip(name, tmp_path):
    annotation = Annotation(uri=name)
    annotation[Segment(0.5, 1.75), 0] = name
    annotation[Segment(1, 2), 1] = "b"
    annotation[Segment(3, 4), 2] = "speaker1"
    write_rttm(tmp_path / "call.rttm", annotation)
    parsed = read_rttm(tmp_path / "call.rttm")
    assert list(parsed.itertracks(yield_label=True)) == list(annotation.itertracks(yield_label=True))
    assert parsed.uri == (None if name == "<NA>" else name)


def test_an_annotation_without_a_name_survives_a_round_trip(tmp_path):
    annotation = Annotation()
    annotation[Segment(0.5, 1.75), 0] = "a"
    write_rttm(tmp_path / "call.rttm", annotation)
    parsed = read_rttm(tmp_path / "call.rttm")
    assert parsed.uri is None
    assert parsed == annotation


def test_comments_and_other_types_of_line_are_ignored():
    text = (
        ";; made by another tool, in a comment of more words than a line has fields\n"
        "SPKR-INFO call 1 <NA> <NA> <NA> unknown a <NA> <NA>\n\n"
        "SPEAKER call 1 0.50 1.25 <NA> <NA> a <NA> <NA>\n"
        "SPEAKER   call 1  2   1  <NA> <NA>  b\n"
    )
    tracks = list(parse_rttm(text, "call.rttm").itertracks(yield_label=True))
    assert [(span.start, span.end, label) for span, _, label in tracks] == [(0.5, 1.75, "a"), (2, 3, "b")]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("SPEAKER call 1 0.0 1.0", "line 2: not an RTTM line: 'SPEAKER call 1 0.0 1.0'"),
        ("SPEAKER call 1 zero 1.0 <NA> <NA> a <NA> <NA>", "line 2: not an RTTM line"),
        ("SPEAKER call 1 0.0 one <NA> <NA> a <NA> <NA>", "line 2: not an RTTM line"),
        ("SPEAKER call 1 nan 1.0 <NA> <NA> a <NA> <NA>", "line 2: not an RTTM line"),
    ],
)
def test_a_malformed_line_is_named(line, message):
    good = "SPEAKER call 1 0.50 1.25 <NA> <NA> a <NA> <NA>\n"
    with pytest.raises(InputError) as raised:
        parse_rttm(good + line + "\n", "call.rttm")
    assert message in str(raised.value)
    assert str(raised.value).startswith("call.rttm")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match="no RTTM file at"):
        read_rttm(tmp_path / "absent.rttm")
