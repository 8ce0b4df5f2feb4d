"""The user's own recordings: a folder of sound files, of which each is one conversation, or one person of one.

* A mono file is a conversation of two, mixed; who speaks is found by diarization.
* A stereo file is a conversation with a person a channel.
* Two files whose names differ only in their last part, `_a`/`_b`, `_1`/`_2`, `_left`/`_right` or
  `_speaker1`/`_speaker2`, are a conversation with a person a file.

Files in one subfolder are one session. `recordings.csv` (columns file, session, person_a, person_b; any of the
last three may be empty) says more: it keeps the same people out of two splits.
"""

import csv
import re
from collections.abc import Iterator
from pathlib import Path

from dualtalk.corpora.corpus import Clip, Corpus, Source, folder_of, plain_name
from dualtalk.errors import InputError

SUFFIXES = (".wav", ".flac", ".mp3", ".ogg", ".opus", ".aiff", ".aif", ".m4a")
TABLE = "recordings.csv"
ONE_OF_TWO = re.compile(r"^(?P<talk>.+)[_\-. ](?P<side>a|b|1|2|left|right|speaker1|speaker2)$", re.IGNORECASE)
SIDES = (("a", "b"), ("1", "2"), ("left", "right"), ("speaker1", "speaker2"))


class Recordings(Corpus):
    name = "recordings"
    title = "Your recordings"
    licence = "yours; ask the people who talk in them"
    citation = "none"
    how_to_get = "put sound files into a folder: mono mixed, stereo with a person a channel, or a file a person"
    space = "flame"

    def index(self, root: Path) -> list[Clip]:
        root = folder_of(root)
        table = _table(root)
        paths = sorted(path for path in root.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file())
        if not paths:
            raise InputError(f"{root} has no sound files ({', '.join(SUFFIXES)})")
        clips = [self._entry(root, name, files, table) for name, files in _talks(paths)]
        return sorted(clips, key=lambda clip: clip.name)

    def _entry(self, root: Path, talk: str, files: tuple[Path, ...], table: dict[str, dict]) -> Clip:
        folder = files[0].parent.relative_to(root)
        name = plain_name("_".join((*folder.parts, talk)))
        said = next((table[key] for path in files if (key := path.relative_to(root).as_posix()) in table), {})
        return Clip(
            name=name,
            session=said.get("session") or plain_name("_".join(folder.parts)) or name,
            people=tuple(said.get(f"person_{label}") or f"{name}_{label}" for label in ("a", "b")),
            files=files,
        )

    def read(self, root: Path, clip: Clip) -> Source:
        return Source(recording=clip.files)


def _talks(paths: list[Path]) -> Iterator[tuple[str, tuple[Path, ...]]]:
    """Names of conversations and their files: pairs of sides, and files on their own."""
    sided = {}
    for path in paths:
        if match := ONE_OF_TWO.match(path.stem):
            sided[path.parent, match["talk"], match["side"].lower()] = path
    paired = set()
    for (folder, talk, side), path in sided.items():
        for first, second in SIDES:
            if side == first and (other := sided.get((folder, talk, second))):
                paired |= {path, other}
                yield talk, (path, other)
    yield from ((path.stem, (path,)) for path in paths if path not in paired)


def _table(root: Path) -> dict[str, dict]:
    path = root / TABLE
    if not path.is_file():
        return {}
    with path.open(newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        if "file" not in (reader.fieldnames or ()):
            raise InputError(f"{path} has columns {reader.fieldnames}; wanted file, session, person_a, person_b")
        rows = {row["file"]: row for row in reader}
    if absent := sorted(name for name in rows if not (root / name).is_file()):
        raise InputError(f"{path} names {absent[0]}, which is not there")
    return rows
