"""Speaker diarization as RTTM files: one line per speech segment, in seconds.

pyannote.database parses the lines. It drops incomplete lines silently, fails on comments, and takes names such as
NA, null or `<NA>` for missing values. So lines are checked here first, and pyannote gets a number for each name.
"""

import math
import os
from io import StringIO
from pathlib import Path

from pyannote.core import Annotation

from dualtalk.errors import InputError
from dualtalk.io.atomic import write_text
from dualtalk.io.names import file_safe_name

# type, recording, channel, start, duration, orthography, speaker type, speaker, ...
RECORDING, START, DURATION, SPEAKER = 1, 3, 4, 7
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
    lines: list[str] = []
    recordings: list[str] = []
    numbers: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        fields = line.split()
        if not fields or fields[0] != "SPEAKER":
            continue
        if not _is_complete(fields):
            raise InputError(f"{source}, line {number}: not an RTTM line: {line!r}")
        recordings.append(fields[RECORDING])
        fields[RECORDING] = "recording"
        fields[SPEAKER] = numbers.setdefault(fields[SPEAKER], f"speaker{len(numbers)}")
        lines.append(" ".join(fields))
    if not lines:
        return Annotation()
    # Deferred: it takes a second to import, and only reading needs it.
    from pyannote.database.util import load_rttm

    (parsed,) = load_rttm(StringIO("\n".join(lines))).values()
    parsed.uri = None if recordings[0] == NO_NAME else recordings[0]
    return parsed.rename_labels({number: name for name, number in numbers.items()}, copy=False)


def _is_complete(fields: list[str]) -> bool:
    try:
        fields[SPEAKER]
        return all(math.isfinite(float(fields[field])) for field in (START, DURATION))
    except (IndexError, ValueError):
        return False
