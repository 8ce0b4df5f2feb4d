"""Who speaks when, as RTTM files: one line a speech segment, in seconds."""

import os
from collections.abc import Iterator
from pathlib import Path

from pyannote.core import Annotation, Segment

from dualtalk.errors import InputError
from dualtalk.io.atomic import written_whole


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
    for number, (uri, span, label) in enumerate(rttm_lines(path.read_text(), path), start=1):
        annotation.uri = uri
        annotation[span, number] = label
    return annotation


def rttm_lines(text: str, source: str | os.PathLike) -> Iterator[tuple[str, Segment, str]]:
    """Recording, span and label of each line; `source` is named in errors."""
    for number, line in enumerate(text.splitlines(), start=1):
        words = line.split()
        if not words or words[0] != "SPEAKER":
            continue
        try:
            start_s = float(words[3])
            yield words[1], Segment(start_s, start_s + float(words[4])), words[7]
        except (IndexError, ValueError) as error:
            raise InputError(f"{source}, line {number}: not an RTTM line: {line!r}") from error
