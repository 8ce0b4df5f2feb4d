"""DualTalk: clips of up to 30 s from video calls and interviews, each person on a track, tracked FLAME motion.

Layout, as published: `{train,test,ood}/<clip>_speaker{1,2}.{wav,npz}`; wav 16 kHz mono float, npz 25 frames a
second with `exp` (T, 50), `pose` (T, 6) = head rotation, jaw, `shape`, `tex`, `cam`, `light`. A folder of such
files without splits is read too. A person's npz may be absent: the clip is kept and that motion marked absent.
"""

import re
from pathlib import Path
from typing import ClassVar

from dualtalk.corpora.corpus import Clip, Corpus, Side, Source, folder_of
from dualtalk.errors import InputError
from dualtalk.io.audio_file import read_wave
from dualtalk.io.npz import read_npz

SPLITS = ("train", "test", "ood")
# Clips of one video are named VIDEO_sub_video_N_M.
PART_OF_VIDEO = re.compile(r"_sub_video_.*$")


class DualTalk(Corpus):
    name = "dualtalk"
    title = "DualTalk"
    licence = "Apache-2.0 by copies of its card, derived from RealTalk; see the card before you use it"
    citation = (
        "Peng, Fan, Wu, Wang, Liu, He, Fan: DualTalk: Dual-Speaker Interaction for 3D Talking Head Conversations. "
        "CVPR 2025, pp. 21055-21064, arXiv:2505.18096"
    )
    how_to_get = "dataset ZiqiaoPeng/DualTalk_Dataset on the Hugging Face hub; unpack to {train,test,ood}/"
    space = "flame"
    published: ClassVar = {"train": 4853, "test": 533, "ood": 377}

    def index(self, root: Path) -> list[Clip]:
        root = folder_of(root)
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
        faults = [f"{path.name} is missing" for path in waves if not path.is_file()]
        if not any(path.is_file() for path in motions):
            faults.append("neither person has a motion file (.npz)")
        session = PART_OF_VIDEO.sub("", stem)
        return Clip(
            name=stem,
            session=session,
            people=(f"{session}_speaker1", f"{session}_speaker2"),
            split=split,
            files=(*waves, *(path for path in motions if path.is_file())),
            faults=tuple(faults),
        )

    def read(self, root: Path, clip: Clip) -> Source:
        waves, motions = clip.files[:2], {path.stem: path for path in clip.files[2:]}
        sides, notes = [], []
        for wave in waves:
            channels = read_wave(wave)
            if len(channels) != 1:
                raise InputError(f"{wave.name} has {len(channels)} channels; wanted one person's voice")
            motion = read_npz(motions[wave.stem]) if wave.stem in motions else None
            if motion is None:
                notes.append(f"{wave.stem} has no motion")
            sides.append(Side(channels[0], motion))
        return Source((sides[0], sides[1]), notes=tuple(notes))
