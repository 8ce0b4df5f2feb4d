"""UniLS-Talk: pairs of Seamless Interaction with tracked FLAME motion, stored in LMDB.

Layout, as the loaders of the authors read it: a folder with `data_lmdb/` and an index
`seamless_interaction_pairs.json` = {train, val, test: {name: [path, path, frames]}}. The LMDB key of a person is
the last component of the path. The value is an npz of `audio` (16 kHz), `motioncode` (T, 112) = FLAME expression
100, head 3, jaw 3, eyes 6, and for validation and test `speech_mask` (T,); 25 frames a second. Needs the package
lmdb (`pip install 'dualtalk[unils]'`).
"""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
from pyannote.core import Segment, Timeline

from dualtalk.corpora.corpus import Clip, ClipData, Corpus, PersonTrack, require_folder
from dualtalk.corpora.seamless import FILE_NAME
from dualtalk.errors import InputError, missing_extra
from dualtalk.geometry.masks import runs
from dualtalk.io.json_file import read_json
from dualtalk.io.names import file_safe_name
from dualtalk.io.npz import parse_npz
from dualtalk.timebase import MOTION_FPS, SAMPLES_PER_FRAME

INDEX, DATABASE = "seamless_interaction_pairs.json", "data_lmdb"
SPLIT_OF_KEY = {"train": "train", "val": "validation", "test": "test"}
EXPRESSION, HEAD, JAW, EYES = slice(0, 100), slice(100, 103), slice(103, 106), slice(106, 112)


class UniLSTalk(Corpus):
    """The published corpus; see the module's description."""

    name = "unils"
    title = "UniLS-Talk"
    licence = "CC-BY-NC-4.0, as Seamless Interaction, from which it is derived"
    citation = (
        "Chu, Liu, Huang, Liu, Peng, Zheng: UniLS: End-to-End Audio-Driven Avatars for Unified Listening and "
        "Speaking. CVPR 2026, arXiv:2512.09327"
    )
    download = "dataset xg-chu/UniLSTalkDataset on the Hugging Face hub, folder SeamlessInteractionTalk"
    space = "flame"

    def index(self, root: Path) -> list[Clip]:
        root = require_folder(root)
        if not (root / INDEX).is_file():
            raise InputError(f"{root} has no {INDEX}; wanted the folder SeamlessInteractionTalk")
        pairs = read_json(root / INDEX)
        try:
            entries = [
                self._entry(root, split, name, Path(first).name, Path(second).name)
                for split, named in pairs.items()
                for name, (first, second, *_) in named.items()
            ]
        except (ValueError, TypeError, AttributeError) as error:
            raise InputError(f"{root / INDEX} is not an index of pairs ({error})") from error
        with _open_database(root) as database:
            present = {key for clip in entries for key in clip.key.split("\n") if database.get(key.encode())}
        return sorted((_with_errors(clip, present) for clip in entries), key=lambda clip: clip.name)

    def _entry(self, root: Path, split: str, name: str, first: str, second: str) -> Clip:
        a, b = (FILE_NAME.fullmatch(Path(key).stem + ".wav") for key in (first, second))
        if a and b:
            session, person_ids = f"{a[1]}_{a[2]}", (f"{a[1]}_{a[4]}", f"{b[1]}_{b[4]}")
        else:
            session, person_ids = file_safe_name(name), (file_safe_name(first), file_safe_name(second))
        files = (root / INDEX, root / DATABASE / "data.mdb")
        split = SPLIT_OF_KEY.get(split, split)
        return Clip(file_safe_name(name), session, person_ids, split, files, key=f"{first}\n{second}")

    def read(self, root: Path, clip: Clip) -> ClipData:
        with _open_database(require_folder(root)) as database:
            tracks = [_read_track(database.get(key.encode()), key) for key in clip.key.split("\n")]
        return ClipData((tracks[0], tracks[1]))


def _with_errors(clip: Clip, present: set[str]) -> Clip:
    missing = [key for key in clip.key.split("\n") if key not in present]
    return replace(clip, errors=tuple(f"{key} is not in the database" for key in missing))


@contextmanager
def _open_database(root: Path) -> Iterator:
    try:
        import lmdb
    except ImportError as error:
        raise missing_extra("UniLS-Talk, which is stored in LMDB,", "unils", error) from error
    if not (root / DATABASE).is_dir():
        raise InputError(f"{root} has no {DATABASE}/")
    try:
        environment = lmdb.open(str(root / DATABASE), readonly=True, lock=False, readahead=False)
        with environment, environment.begin() as transaction:
            yield transaction
    except lmdb.Error as error:
        raise InputError(f"{root / DATABASE} is not an LMDB environment ({error})") from error


def _read_track(value: bytes | None, key: str) -> PersonTrack:
    if value is None:
        raise InputError(f"{key} is not in the database")
    arrays = parse_npz(io.BytesIO(value), key)
    for name in ("audio", "motioncode"):
        if name not in arrays:
            raise InputError(f"{key} has no {name}; its arrays are {sorted(arrays)}")
    code = arrays["motioncode"]
    if code.ndim != 2 or code.shape[1] < EYES.stop:
        raise InputError(f"{key}: motioncode {code.shape}; wanted (T, {EYES.stop})")
    motion = {
        "exp": code[:, EXPRESSION],
        "pose": np.concatenate([code[:, HEAD], code[:, JAW]], axis=1),
        "eyes": code[:, EYES],
    }
    audio = np.asarray(arrays["audio"], np.float32).reshape(-1)[: len(code) * SAMPLES_PER_FRAME]
    speech = None
    if "speech_mask" in arrays:
        spoken = runs(arrays["speech_mask"].reshape(-1) > 0.5)
        speech = Timeline([Segment(first / MOTION_FPS, end / MOTION_FPS) for first, end in spoken])
    return PersonTrack(audio, motion, speech=speech)
