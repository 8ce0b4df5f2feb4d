"""Checks that a corpus class keeps the contract of `dualtalk.corpora.corpus`, for the tests of a new corpus.

Write a few tiny files in the corpus's published layout into a folder, then::

    from dualtalk.corpora.contract import contract_errors

    def test_my_corpus_keeps_the_contract(tmp_path):
        write_two_clips(tmp_path)
        assert contract_errors(MyCorpus(), tmp_path) == []

The package's own corpora pass the same checks in `tests/test_corpora.py`.
"""

import json
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import numpy as np

from dualtalk.audio.phonemes import INVENTORY
from dualtalk.core import Space
from dualtalk.corpora.corpus import Clip, ClipData, Corpus, PersonTrack
from dualtalk.errors import InputError
from dualtalk.store.schema import SPLITS as STORE_SPLITS

SPLITS = ("", *STORE_SPLITS)
DESCRIPTION = ("name", "title", "licence", "citation", "download")


def contract_errors(corpus: Corpus, root: Path) -> list[str]:
    """Check a corpus's description, its index of `root` and its reader.

    Parameters
    ----------
    corpus : Corpus
    root : Path
        Folder with at least one usable clip in the corpus's layout. Every clip in it is read.

    Returns
    -------
    list of str
        One sentence for each violation; empty if the class keeps the contract.
    """
    errors = list(_description_errors(corpus))
    errors += _refusal_errors(corpus)
    clips = corpus.index(root)
    errors += _index_errors(clips)
    for clip in clips:
        if not clip.errors:
            errors += [f"{clip.name}: {error}" for error in _data_errors(corpus.read(root, clip))]
    return errors


def _description_errors(corpus: Corpus) -> Iterator[str]:
    for attribute in DESCRIPTION:
        text = getattr(corpus, attribute, None)
        if not isinstance(text, str) or not text.strip():
            yield f"{attribute} is {text!r}; wanted a text"
    if corpus.space not in get_args(Space):
        yield f"space is {corpus.space!r}; wanted one of {', '.join(get_args(Space))}"


def _refusal_errors(corpus: Corpus) -> Iterator[str]:
    """A folder without the corpus must raise an InputError that names the folder."""
    with tempfile.TemporaryDirectory(prefix="dualtalk-") as empty:
        for folder, kind in ((Path(empty), "an empty folder"), (Path(empty, "missing"), "a missing folder")):
            try:
                corpus.index(folder)
                yield f"index accepts {kind}; wanted an InputError"
            except InputError as error:
                if str(folder) not in str(error):
                    yield f"the error for {kind} does not name the folder: {error}"


def _index_errors(clips: list[Clip]) -> Iterator[str]:
    names = [clip.name for clip in clips]
    if not any(not clip.errors for clip in clips):
        yield "no clip of the index is usable"
    if names != sorted(names):
        yield "the index is not sorted by name"
    if len(names) != len(set(names)):
        yield "two clips of the index have the same name"
    for clip in clips:
        if not re.fullmatch(r"[^\s/\\]+", clip.name):
            yield f"{clip.name!r} is not usable as a file name: it has white space or a slash"
        if clip.split not in SPLITS:
            yield f"{clip.name}: split is {clip.split!r}; wanted one of {', '.join(map(repr, SPLITS))}"
        if len(set(clip.person_ids)) != 2:
            yield f"{clip.name}: person_ids is {clip.person_ids}; wanted two different people"
        if not clip.session:
            yield f"{clip.name}: session is empty"
        if not clip.errors and not clip.files:
            yield f"{clip.name}: files is empty"
        yield from (f"{clip.name}: {path} does not exist" for path in clip.files if not path.is_file())


def _data_errors(data: ClipData) -> Iterator[str]:
    if (data.tracks is None) == (not data.recording):
        yield "wanted either tracks or recording"
    for number, track in enumerate(data.tracks or (), start=1):
        yield from (f"track {number}: {error}" for error in _track_errors(track))
    try:
        json.dumps(dict(data.metadata))
    except (TypeError, ValueError) as error:
        yield f"metadata cannot be written as JSON: {error}"


def _track_errors(track: PersonTrack) -> Iterator[str]:
    if track.audio is not None and (track.audio.dtype != np.float32 or track.audio.ndim != 1):
        yield f"audio is {track.audio.dtype} {track.audio.shape}; wanted float32 (sample,)"
    times = [time_s for phoneme in track.phonemes for time_s in (phoneme.start_s, phoneme.end_s)]
    if times != sorted(times):
        yield "phonemes overlap or are not in order"
    if unknown := sorted({phoneme.ipa for phoneme in track.phonemes} - INVENTORY):
        yield f"phonemes have {', '.join(unknown)}; wanted symbols of dualtalk.audio.phonemes.INVENTORY"
    if track.motion is None:
        return
    if missing := [key for key in ("exp", "pose") if key not in track.motion]:
        yield f"motion has no array {missing[0]}; its arrays are {', '.join(sorted(track.motion))}"
        return
    exp, pose = track.motion["exp"], track.motion["pose"]
    if exp.ndim != 2 or exp.shape[1] < 50:
        yield f"exp has shape {exp.shape}; wanted (T, 50 or more)"
    if pose.shape != (len(exp), 6):
        yield f"pose has shape {pose.shape}; wanted ({len(exp)}, 6)"
