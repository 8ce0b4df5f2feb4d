"""Speaker diarization as RTTM files: one line per speech segment, in seconds.

pyannote.database parses the lines. It drops incomplete lines silently and fails on comments, so lines are checked
here first.
"""

import os
from io import StringIO
from pathlib import Path

from pyannote.core import Annotation
from pyannote.database.util import load_rttm

from dualtalk.errors import InputError
from dualtalk.io.atomic import written_whole

# type, recording, channel, start, duration, orthography, speaker type, speaker, ...
START, DURATION, FEWEST_FIELDS = 3, 4, 8
# pyannote.core ignores shorter segments.
SHORTEST_S = 1e-6


def write_rttm(path: str | os.PathLike, annotation: Annotation) -> None:
    """Write `annotation` with a resolution of a millisecond."""
    with written_whole(path) as partial:
        partial.write_text(annotation.to_rttm())


def read_rttm(path: str | os.PathLike) -> Annotation:
    """Read the RTTM file of one recording; the recording's name becomes the annotation's uri.

    Raises
    ------
    InputError
        No such file, or a malformed line.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"no RTTM file at {path}")
    return parse_rttm(path.read_text(), path)


def parse_rttm(text: str, source: str | os.PathLike) -> Annotation:
    """Parse the text of an RTTM file, as `read_rttm` does; `source` is its name in errors.

    Only SPEAKER lines count. A text without any gives an empty annotation.
    """
    lines = []
    segments = 0
    for number, line in enumerate(text.splitlines(), start=1):
        fields = line.split()
        if not fields or fields[0] != "SPEAKER":
            continue
        try:
            float(fields[START])
            segments += float(fields[DURATION]) > SHORTEST_S
            fields[FEWEST_FIELDS - 1]
        except (IndexError, ValueError) as error:
            raise InputError(f"{source}, line {number}: not an RTTM line: {line!r}") from error
        lines.append(" ".join(fields))
    merged = Annotation()
    for recording in load_rttm(StringIO("\n".join(lines))).values() if lines else ():
        merged.uri = recording.uri
        merged.update(recording)
    parsed = sum(isinstance(label, str) for _, _, label in merged.itertracks(yield_label=True))
    if parsed < segments:
        raise InputError(
            f"{source}: {parsed} of {segments} segments could be parsed; is a recording or a speaker named NA, "
            "null or None, which stand for missing values?"
        )
    return merged
