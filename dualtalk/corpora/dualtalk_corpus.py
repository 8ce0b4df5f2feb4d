"""The corpus of DualTalk (Peng et al. 2025): clips of up to 30 s, one audio track a person, tracked FLAME motion.

Layout, as published: `{train,test,ood}/<clip>_speaker{1,2}.{wav,npz}`; wav 16 kHz mono float, npz 25 frames a
second with `exp` (T, 50), `pose` (T, 6) = head rotation, jaw rotation, `shape`, `tex`, `cam`, `light`. A folder
of such files without the three split folders is read too. If one person's npz is missing, the clip is kept and
that person has no motion.
"""

from pathlib import Path
from typing import ClassVar

from dualtalk.corpora.corpus import Clip, ClipData, Corpus, PersonTrack, require_folder
from dualtalk.errors import InputError
from dualtalk.io.audio_file import read_wave
from dualtalk.io.clip_files import published_session
from dualtalk.io.names import file_safe_name
from dualtalk.io.npz import read_npz
from dualtalk.timebase import MOTION_FPS

SPLITS = ("train", "test", "ood")


class DualTalkCorpus(Corpus):
    """The published corpus; see the module's description."""

    name = "dualtalk_corpus"
    title = "DualTalk (Peng et al. 2025)"
    licence = "Apache-2.0 according to copies of its card; derived from RealTalk, so read the card before use"
    citation = (
        "Peng, Fan, Wu, Wang, Liu, He, Fan: DualTalk: Dual-Speaker Interaction for 3D Talking Head Conversations. "
        "CVPR 2025, pp. 21055-21064, arXiv:2505.18096"
    )
    download = "dataset ZiqiaoPeng/DualTalk_Dataset on the Hugging Face hub; unpack to {train,test,ood}/"
    space = "flame"
    published_clip_counts: ClassVar = {"train": 4853, "test": 533, "ood": 377}

    def index(self, root: Path) -> list[Clip]:
        root = require_folder(root)
        folders = [(split, root / split) for split in SPLITS if (root / split).is_dir()] or [("", root)]
        clips = []
        for split, folder in folders:
            stems = {path.name.rpartition("_speaker")[0] for path in folder.glob("*_speaker[12].*")}
            clips += [self._entry(folder, stem, split) for stem in sorted(stems)]
        if not clips:
            raise InputError(f"{root} has no <clip>_speaker1.wav, nor train/, test/ or ood/ with such files")
        return sorted(clips, key=lambda clip: clip.name)

    def _entry(self, folder: Path, stem: str, split: str) -> Clip:
        waves = [folder / f"{stem}_speaker{number}.wav" for number in (1, 2)]
        motions = [folder / f"{stem}_speaker{number}.npz" for number in (1, 2)]
        errors = [f"{path.name} is missing" for path in waves if not path.is_file()]
        if not any(path.is_file() for path in motions):
            errors.append("neither person has a motion file (.npz)")
        name = file_safe_name(stem)
        session = published_session(name)
        return Clip(
            name=name,
            session=session,
            person_ids=(f"{session}_speaker1", f"{session}_speaker2"),
            split=split,
            files=(*waves, *(path for path in motions if path.is_file())),
            errors=tuple(errors),
        )

    def read(self, root: Path, clip: Clip) -> ClipData:
        waves, motions = clip.files[:2], {path.stem: path for path in clip.files[2:]}
        tracks, notes = [], []
        for wave in waves:
            channels = read_wave(wave)
            if len(channels) != 1:
                raise InputError(f"{wave.name} has {len(channels)} channels; wanted one person's voice")
            motion = read_npz(motions[wave.stem]) if wave.stem in motions else None
            if motion is None:
                notes.append(f"{wave.stem} has no motion")
            declared = MOTION_FPS if motion is None else motion.get("fps", MOTION_FPS)
            tracks.append(PersonTrack(channels[0], motion, float(declared)))
        return ClipData((tracks[0], tracks[1]), notes=tuple(notes))
