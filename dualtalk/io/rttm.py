"""Speaker diarization as RTTM files: one line per speech segment, in seconds.

The parser is ours. That of pyannote.database drops incomplete lines silently, fails on comments, takes names such
as NA or null for missing values, and its time grows with the square of the number of lines.
"""

import os
import re
from pathlib import Path

from pyannote.core import Annotation, Segment

from dualtalk.errors import InputError
from dualtalk.io.atomic import write_text
from dualtalk.io.names import file_safe_name
from dualtalk.timebase import DAY_S

# type, recording, channel, start, duration, orthography, speaker type, speaker, ...
RECORDING, START, DURATION, SPEAKER = 1, 3, 4, 7
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?", re.ASCII)
# A year: some tools count from the beginning of a day or of a month.
LONGEST_RECORDING_S = 366 * DAY_S
LONGEST_QUOTE = 80
# The recording of an annotation without a uri.
NO_NAME = "<NA>"


def write_rttm(path: str | os.PathLike, annotation: Annotation) -> None:
    """Write `annotation` with a resolution of a millisecond; white space in its uri becomes underscores."""
    named = annotation.copy()
    named.uri = None if annotation.uri is None else file_safe_name(annotation.uri)
    write_text(path, named.to_rttm())


def read_rttm(path: str | os.PathLike) -> Annotation:
    """Read the RTTM file of one recording; the recording's name becomes the annotation's uri.

    The name `<NA>` gives no uri. Speakers may have any name.

    Raises
    ------
    InputError
        No such file, or a malformed line.
    """
    return parse_rttm(read_rttm_text(path), path)


def read_rttm_text(path: str | os.PathLike) -> str:
    """The text of an RTTM file.

    Raises
    ------
    InputError
        No such file, or not UTF-8.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"no RTTM file at {path}")
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read as an RTTM file ({error})") from error


def parse_rttm(text: str, source: str | os.PathLike) -> Annotation:
    """Parse the text of an RTTM file, as `read_rttm` does; `source` is its name in errors.

    Only SPEAKER lines count. A text without any gives an empty annotation.
    """
    records: list[tuple[Segment, int, str]] = []
    recordings: set[str] = set()
    for number, line in enumerate(text.splitlines(), start=1):
        fields = line.split()
        if not fields or fields[0] != "SPEAKER":
            continue
        span = _span(fields)
        if span is None:
            raise InputError(f"{source}, line {number}: not an RTTM line: {line[:LONGEST_QUOTE]!r}")
        recordings.add(fields[RECORDING])
        # A segment without a length is not speech.
        if span:
            records.append((span, len(records), fields[SPEAKER]))
    if len(recordings) > 1:
        one, two, *_ = sorted(recordings)
        raise InputError(f"{source} holds the recordings {one} and {two}; wanted one recording a file")
    uri = next((name for name in recordings if name != NO_NAME), None)
    return Annotation.from_records(iter(records), uri=uri)


def _span(fields: list[str]) -> Segment | None:
    """The segment of a SPEAKER line; None if the line is incomplete, or its times are not those of a recording."""
    if len(fields) <= SPEAKER or not all(NUMBER.fullmatch(fields[field]) for field in (START, DURATION)):
        return None
    start_s, duration_s = float(fields[START]), float(fields[DURATION])
    if not 0 <= start_s <= LONGEST_RECORDING_S or not 0 <= duration_s <= LONGEST_RECORDING_S:
        return None
    return Segment(start_s, start_s + duration_s)
