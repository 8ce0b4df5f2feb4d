"""UniLS-Talk: pairs of Seamless Interaction with tracked FLAME motion, in LMDB.

Layout, as its loaders read it: a folder with `data_lmdb/` and an index `seamless_interaction_pairs.json` =
{train, val, test: {name: [path, path, frames]}}; the LMDB key of a party is the path's last part; the value is an
npz of `audio` (16 kHz), `motioncode` (T, 112) = FLAME expression 100, head 3, jaw 3, eyes 6, and for validation
and test `speech_mask` (T,); 25 frames a second. Needs the package lmdb (`pip install 'dualtalk[unils]'`).
"""

import io
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from pyannote.core import Segment, Timeline

from dualtalk.corpora.corpus import Clip, Corpus, Side, Source, folder_of, plain_name
from dualtalk.corpora.seamless import FILE_NAME
from dualtalk.errors import InputError, missing_extra
from dualtalk.geometry.masks import runs
from dualtalk.timebase import MOTION_FPS, SAMPLES_PER_FRAME

INDEX, DATABASE = "seamless_interaction_pairs.json", "data_lmdb"
SPLIT_OF_KEY = {"train": "train", "val": "validation", "test": "test"}
EXPRESSION, HEAD, JAW, EYES = slice(0, 100), slice(100, 103), slice(103, 106), slice(106, 112)


class UniLSTalk(Corpus):
    name = "unils"
    title = "UniLS-Talk"
    licence = "CC-BY-NC-4.0, as Seamless Interaction, which it is made of"
    citation = (
        "Chu, Liu, Huang, Liu, Peng, Zheng: UniLS: End-to-End Audio-Driven Avatars for Unified Listening and "
        "Speaking. CVPR 2026, arXiv:2512.09327"
    )
    how_to_get = "dataset xg-chu/UniLSTalkDataset on the Hugging Face hub, folder SeamlessInteractionTalk"
    space = "flame"

    def index(self, root: Path) -> list[Clip]:
        root = folder_of(root)
        if not (root / INDEX).is_file():
            raise InputError(f"{root} has no {INDEX}; wanted the folder SeamlessInteractionTalk")
        try:
            pairs = json.loads((root / INDEX).read_text())
            entries = [
                self._entry(root, split, name, Path(first).name, Path(second).name)
                for split, named in pairs.items()
                for name, (first, second, *_) in named.items()
            ]
        except (ValueError, TypeError, AttributeError) as error:
            raise InputError(f"{root / INDEX} is not an index of pairs ({error})") from error
        with _records(root) as database:
            present = {key for clip in entries for key in clip.key.split("\n") if database.get(key.encode())}
        return sorted((_faulted(clip, present) for clip in entries), key=lambda clip: clip.name)

    def _entry(self, root: Path, split: str, name: str, first: str, second: str) -> Clip:
        parsed = [FILE_NAME.fullmatch(Path(key).stem + ".wav") for key in (first, second)]
        if all(parsed):
            vendor, session, _, _ = parsed[0].groups()
            session, people = f"{vendor}_{session}", tuple(f"{match[1]}_{match[4]}" for match in parsed)
        else:
            session, people = plain_name(name), (plain_name(first), plain_name(second))
        files = (root / INDEX, root / DATABASE / "data.mdb")
        split = SPLIT_OF_KEY.get(split, split)
        return Clip(plain_name(name), session, people, split, files, key=f"{first}\n{second}")

    def read(self, root: Path, clip: Clip) -> Source:
        with _records(folder_of(root)) as database:
            sides = [_side(database.get(key.encode()), key) for key in clip.key.split("\n")]
        return Source((sides[0], sides[1]))


def _faulted(clip: Clip, present: set[str]) -> Clip:
    missing = [key for key in clip.key.split("\n") if key not in present]
    faults = tuple(f"{key} is not in the database" for key in missing)
    return Clip(clip.name, clip.session, clip.people, clip.split, clip.files, clip.key, faults)


@contextmanager
def _records(root: Path) -> Iterator:
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


def _side(value: bytes | None, key: str) -> Side:
    if value is None:
        raise InputError(f"{key} is not in the database")
    try:
        with np.load(io.BytesIO(value), allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
    except Exception as error:
        raise InputError(f"{key} is not an npz of plain arrays: {error}") from error
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
    return Side(audio, motion, speech=speech)
