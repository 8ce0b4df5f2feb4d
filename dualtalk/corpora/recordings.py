"""The user's own recordings: a folder of sound or video files, each a conversation or one person of a
conversation.

* A mono file is a conversation on one channel; diarization separates the speakers.
* A stereo file is a conversation with one person a channel.
* Two files whose names differ only in the ending `_a`/`_b`, `_1`/`_2`, `_left`/`_right` or
  `_speaker1`/`_speaker2` are a conversation with one person a file.

Files of one subfolder are one session. An optional `recordings.csv` (columns file, session, person_a, person_b;
the last three may be empty) names sessions and people, so that nobody is in two splits.
"""

import csv
import re
from collections.abc import Iterator
from pathlib import Path

from dualtalk.corpora.corpus import Clip, ClipData, Corpus, require_folder
from dualtalk.errors import InputError
from dualtalk.io.names import file_safe_name

SUFFIXES = (
    *(
        ".wav",
        ".flac",
        ".mp3",
        ".ogg",
        ".opus",
        ".aiff",
        ".aif",
        ".m4a",
        ".m4b",
        ".aac",
        ".wma",
        ".amr",
        ".caf",
        ".mka",
    ),
    *(".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".3gp", ".wmv", ".flv", ".mpg", ".ts"),
)
TABLE = "recordings.csv"
PERSON_SUFFIX = re.compile(
    r"^(?P<recording>.+)[_\-. ](?P<person>a|b|1|2|left|right|speaker1|speaker2)$", re.IGNORECASE
)
PERSON_SUFFIX_PAIRS = (("a", "b"), ("1", "2"), ("left", "right"), ("speaker1", "speaker2"))


class Recordings(Corpus):
    """A folder of the user's sound files; see the module's description."""

    name = "recordings"
    title = "Your recordings"
    licence = "yours; ask the recorded people for permission"
    citation = "none"
    download = "put sound files into a folder: mono mixes, stereo with one person a channel, or one file a person"
    space = "flame"

    def index(self, root: Path) -> list[Clip]:
        root = require_folder(root)
        table = _read_table(root)
        paths = sorted(path for path in root.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file())
        if not paths:
            raise InputError(f"{root} has no sound files ({', '.join(SUFFIXES)})")
        clips = [self._entry(root, name, files, table) for name, files in _group_files(paths)]
        return sorted(clips, key=lambda clip: clip.name)

    def _entry(self, root: Path, recording: str, files: tuple[Path, ...], table: dict[str, dict]) -> Clip:
        folder = files[0].parent.relative_to(root)
        name = file_safe_name("_".join((*folder.parts, recording)))
        row = next((table[key] for path in files if (key := path.relative_to(root).as_posix()) in table), {})
        return Clip(
            name=name,
            session=row.get("session") or file_safe_name("_".join(folder.parts)) or name,
            person_ids=(row.get("person_a") or f"{name}_a", row.get("person_b") or f"{name}_b"),
            files=files,
        )

    def read(self, root: Path, clip: Clip) -> ClipData:
        return ClipData(recording=clip.files)


def _group_files(paths: list[Path]) -> Iterator[tuple[str, tuple[Path, ...]]]:
    """Yield each recording's name and files: pairs of one file a person first, then single files."""
    by_person = {}
    for path in paths:
        if match := PERSON_SUFFIX.match(path.stem):
            by_person[path.parent, match["recording"], match["person"].lower()] = path
    paired = set()
    for (folder, recording, person), path in by_person.items():
        for first, second in PERSON_SUFFIX_PAIRS:
            if person == first and (other := by_person.get((folder, recording, second))):
                paired |= {path, other}
                yield recording, (path, other)
    yield from ((path.stem, (path,)) for path in paths if path not in paired)


def _read_table(root: Path) -> dict[str, dict]:
    path = root / TABLE
    if not path.is_file():
        return {}
    try:
        with path.open(newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file)
            if "file" not in (reader.fieldnames or ()):
                raise InputError(
                    f"{path} has columns {reader.fieldnames}; wanted file, session, person_a, person_b"
                )
            rows = {row["file"] or "": row for row in reader}
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path} is not a text file of comma-separated values ({error})") from error
    present = {one.relative_to(root).as_posix() for one in root.rglob("*")}
    if missing := sorted(name for name in rows if name not in present):
        raise InputError(f"{path} names {missing[0][:80]!r}, which does not exist")
    return rows
