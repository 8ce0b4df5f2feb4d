"""Seamless Interaction: thousands of hours of two people, a file a person, voice activity and transcripts.

Layout, as published: `<label>/<split>/<batch>/<archive>/V*_S*_I*_P*.{wav,npz,json,mp4}`; two participants (P) of
one vendor, session and interaction (V, S, I) are the two parties, often in different archives. Audio is 48 kHz
mono, one voice a file. JSON keeps `metadata:vad`, a list of {start, end} in seconds, and `metadata:transcript`.
Some files have an empty voice activity while words are said: there it is found anew. The motion is not FLAME's
(SMPL-H bodies and a face code of 128), so it is marked absent.
"""

import json
import re
from collections import defaultdict
from pathlib import Path

from pyannote.core import Segment, Timeline

from dualtalk.corpora.corpus import Clip, Corpus, Side, Source, folder_of
from dualtalk.errors import InputError
from dualtalk.io.audio_file import read_wave

FILE_NAME = re.compile(r"(V\d+)_(S\d+)_(I\d+)_(P\d+[A-Z]?)\.wav$")
SPLIT_OF_FOLDER = {"train": "train", "dev": "validation", "test": "test"}


class SeamlessInteraction(Corpus):
    name = "seamless"
    title = "Seamless Interaction"
    licence = "CC-BY-NC-4.0"
    citation = (
        "Agrawal, Akinyemi, Alvero et al.: Seamless Interaction: Dyadic Audiovisual Motion Modeling and "
        "Large-Scale Dataset. 2025, arXiv:2506.22554"
    )
    how_to_get = "dataset facebook/seamless-interaction on the Hugging Face hub, or the client on GitHub"
    space = "flame"

    def index(self, root: Path) -> list[Clip]:
        root = folder_of(root)
        parties: dict[tuple[str, str, str], dict[str, Path]] = defaultdict(dict)
        for path in sorted(root.rglob("V*_P*.wav")):
            if match := FILE_NAME.fullmatch(path.name):
                *interaction, participant = match.groups()
                parties[tuple(interaction)][participant] = path
        if not parties:
            raise InputError(f"{root} has no V*_S*_I*_P*.wav")
        return [self._entry(root, interaction, waves) for interaction, waves in sorted(parties.items())]

    def _entry(self, root: Path, interaction: tuple[str, str, str], waves: dict[str, Path]) -> Clip:
        vendor, session, _ = interaction
        people = sorted(waves)
        faults = []
        if len(people) != 2:
            faults.append(f"has {len(people)} participants ({', '.join(people)}); wanted two")
        paths = [waves[person] for person in people[:2]]
        faults += [f"{path.name} is empty" for path in paths if path.stat().st_size == 0]
        splits = {
            SPLIT_OF_FOLDER.get(part, "") for path in paths for part in path.relative_to(root).parts[:-1]
        } - {""}
        if len(splits) > 1:
            faults.append(f"its participants are in {' and '.join(sorted(splits))}")
        notes = [path.with_suffix(".json") for path in paths]
        return Clip(
            name="_".join(interaction),
            session=f"{vendor}_{session}",
            people=tuple(f"{vendor}_{person}" for person in (*people, "?", "?")[:2]),
            split=splits.pop() if len(splits) == 1 else "",
            files=(*paths, *(path for path in notes if path.is_file())),
            faults=tuple(faults),
        )

    def read(self, root: Path, clip: Clip) -> Source:
        notes, sides, transcript = [], [], {}
        described = {path.stem: path for path in clip.files[2:]}
        for wave in clip.files[:2]:
            told = _told(described[wave.stem]) if wave.stem in described else {}
            spans = told.get("metadata:vad") or []
            if not spans:
                notes.append(f"{wave.stem} has no voice activity; it was found from the sound")
            speech = Timeline([Segment(float(span["start"]), float(span["end"])) for span in spans]).support()
            sides.append(Side(read_wave(wave)[0], speech=speech if spans else None))
            transcript[wave.stem] = [
                [line.get("start"), line.get("end"), line.get("transcript", "")]
                for line in told.get("metadata:transcript") or []
            ]
        kept = {"transcript": transcript} if any(transcript.values()) else {}
        return Source((sides[0], sides[1]), notes=tuple(notes), kept=kept)


def _told(path: Path) -> dict:
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path.name} is not JSON ({error})") from error
    if not isinstance(told, dict):
        raise InputError(f"{path.name} holds a {type(told).__name__}; wanted an object with metadata:vad")
    return told
