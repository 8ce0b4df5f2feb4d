"""Who speaks when, as RTTM files: one line a speech segment, in seconds."""

import os
from pathlib import Path

from pyannote.core import Annotation, Segment

from dualtalk.errors import InputError
from dualtalk.files import written_whole

# Labels of the two people, wherever they are told apart by name.
PARTY = ("a", "b")


def write_rttm(path: str | os.PathLike, annotation: Annotation) -> None:
    """Write `annotation` with a resolution of a millisecond."""
    with written_whole(path) as partial:
        partial.write_text(annotation.to_rttm())


def read_rttm(path: str | os.PathLike) -> Annotation:
    """Read one recording's RTTM; the recording's name becomes the annotation's uri."""
    path = Path(path)
    if not path.is_file():
        raise InputError(f"no RTTM file at {path}")
    annotation = Annotation(uri=None)
    for number, line in enumerate(path.read_text().splitlines(), start=1):
        words = line.split()
        if not words or words[0] != "SPEAKER":
            continue
        try:
            uri, start_s, duration_s, label = words[1], float(words[3]), float(words[4]), words[7]
        except (IndexError, ValueError) as error:
            raise InputError(f"{path}, line {number}: not an RTTM line: {line!r}") from error
        annotation.uri = uri
        annotation[Segment(start_s, start_s + duration_s), number] = label
    return annotation
