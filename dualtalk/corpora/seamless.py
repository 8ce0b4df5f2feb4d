"""Seamless Interaction: thousands of hours of dyadic talk, one file a person, voice activity and transcripts.

Layout, as published: `<label>/<split>/<batch>/<archive>/V*_S*_I*_P*.{wav,npz,json,mp4}`. The two participants
(P) of one vendor, session and interaction (V, S, I) form a conversation; they are often in different archives.
Audio is 48 kHz mono, one voice a file. The JSON has `metadata:vad`, a list of {start, end} in seconds, and
`metadata:transcript`. Some files have an empty voice activity list although somebody speaks: speech is then
detected from the audio. The motion is not FLAME (SMPL-H bodies and a 128-dimensional face code), so the clips
have no motion.
"""

import re
from collections import defaultdict
from pathlib import Path

from pyannote.core import Segment, Timeline

from dualtalk.corpora.corpus import Clip, ClipData, Corpus, PersonTrack, require_folder
from dualtalk.errors import InputError
from dualtalk.io.audio_file import read_wave
from dualtalk.io.json_file import read_json_object
from dualtalk.timebase import DAY_S

FILE_NAME = re.compile(r"(V\d+)_(S\d+)_(I\d+)_(P\d+[A-Z]?)\.wav$")
SPLIT_OF_FOLDER = {"train": "train", "dev": "validation", "test": "test"}


class SeamlessInteraction(Corpus):
    """The published corpus; see the module's description."""

    name = "seamless"
    title = "Seamless Interaction"
    licence = "CC-BY-NC-4.0"
    citation = (
        "Agrawal, Akinyemi, Alvero et al.: Seamless Interaction: Dyadic Audiovisual Motion Modeling and "
        "Large-Scale Dataset. 2025, arXiv:2506.22554"
    )
    download = "dataset facebook/seamless-interaction on the Hugging Face hub, or the client on GitHub"
    space = "flame"

    def index(self, root: Path) -> list[Clip]:
        root = require_folder(root)
        interactions: dict[tuple[str, str, str], dict[str, Path]] = defaultdict(dict)
        for path in sorted(root.rglob("V*_P*.wav")):
            if match := FILE_NAME.fullmatch(path.name):
                interactions[match[1], match[2], match[3]][match[4]] = path
        if not interactions:
            raise InputError(f"{root} has no V*_S*_I*_P*.wav")
        return [self._entry(root, interaction, waves) for interaction, waves in sorted(interactions.items())]

    def _entry(self, root: Path, interaction: tuple[str, str, str], waves: dict[str, Path]) -> Clip:
        vendor, session, _ = interaction
        participants = sorted(waves)
        errors = []
        if len(participants) != 2:
            errors.append(f"has {len(participants)} participants ({', '.join(participants)}); wanted two")
        paths = [waves[participant] for participant in participants[:2]]
        errors += [f"{path.name} is empty" for path in paths if path.stat().st_size == 0]
        splits = {
            SPLIT_OF_FOLDER.get(part, "") for path in paths for part in path.relative_to(root).parts[:-1]
        } - {""}
        if len(splits) > 1:
            errors.append(f"its participants are in {' and '.join(sorted(splits))}")
        metadata = [path.with_suffix(".json") for path in paths]
        first, second = (*participants, "?")[:2]
        return Clip(
            name="_".join(interaction),
            session=f"{vendor}_{session}",
            person_ids=(f"{vendor}_{first}", f"{vendor}_{second}"),
            split=splits.pop() if len(splits) == 1 else "",
            files=(*paths, *(path for path in metadata if path.is_file())),
            errors=tuple(errors),
        )

    def read(self, root: Path, clip: Clip) -> ClipData:
        notes, tracks, transcripts = [], [], {}
        metadata_files = {path.stem: path for path in clip.files[2:]}
        for wave in clip.files[:2]:
            metadata = _read_metadata(metadata_files[wave.stem]) if wave.stem in metadata_files else {}
            spans = metadata.get("metadata:vad") or []
            if not spans:
                notes.append(f"{wave.stem} has no voice activity; speech was detected from the audio")
            speech = _speech(spans, wave.stem)
            tracks.append(PersonTrack(read_wave(wave)[0], speech=speech if spans else None))
            transcripts[wave.stem] = [
                [line.get("start"), line.get("end"), line.get("transcript", "")]
                for line in metadata.get("metadata:transcript") or []
            ]
        kept = {"transcript": transcripts} if any(transcripts.values()) else {}
        return ClipData((tracks[0], tracks[1]), notes=tuple(notes), metadata=kept)


def _speech(spans: list[dict], name: str) -> Timeline:
    try:
        times_s = [(float(span["start"]), float(span["end"])) for span in spans]
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{name}: metadata:vad is not a list of start and end ({error})") from error
    for start_s, end_s in times_s:
        if not 0 <= start_s <= end_s <= DAY_S:
            raise InputError(f"{name}: metadata:vad has a segment from {start_s} to {end_s} s")
    return Timeline([Segment(*one) for one in times_s]).support()


def _read_metadata(path: Path) -> dict:
    return read_json_object(path)
