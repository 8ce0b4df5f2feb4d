"""`prepare`: a whole corpus into a store, clip by clip, each aligned, checked, measured and given a split."""

import hashlib
import os
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from functools import cache, partial
from pathlib import Path

import numpy as np
from pyannote.core import Annotation

from dualtalk import __version__
from dualtalk.audio.diarization import Diarizer, load_diarizer
from dualtalk.audio.recording import conversation_from_recording
from dualtalk.corpora import Clip, corpus_named
from dualtalk.corpora.corpus import folder_of
from dualtalk.errors import InputError
from dualtalk.preprocess.alignment import Aligned, aligned_sides
from dualtalk.preprocess.splits import split_clips
from dualtalk.store import Built, Draft, Task, build_store
from dualtalk.store.writer import Quarantined, Report


def prepare(
    source: str | os.PathLike,
    corpus: str,
    out: str | os.PathLike,
    *,
    own_splits: bool = True,
    diarizer: str = "default",
    token: str | None = None,
    workers: int = 1,
    overwrite: bool = False,
    report: Report = lambda done, total: None,
) -> Built:
    """Make a store of a corpus.

    Parameters
    ----------
    source : path
        Folder of the corpus, as it was published.
    corpus : str
        A name of `dualtalk.corpora.CORPORA`.
    out : path
        Folder of the store. A run that was killed is gone on with.
    own_splits : bool
        Keep the corpus's own splits; otherwise people and sessions decide.
    diarizer : str
        Who tells the people of a mixed recording apart; see `dualtalk.audio.diarization.load_diarizer`.

    Raises
    ------
    InputError
        Unknown corpus, nothing of it in `source`, `out` unusable, or not one clip that can be used.
    """
    known = corpus_named(corpus)
    root = folder_of(source).resolve()
    if Path(out).resolve() == root or root in Path(out).resolve().parents:
        raise InputError(f"{out} is inside {source}; give a folder elsewhere, so that the corpus stays as it is")
    clips = known.index(root)
    splits = split_clips(clips, own_splits=own_splits)
    counts = Counter(clip.name for clip in clips)
    refused = [
        Quarantined(name, f"{count} clips of this name are in the corpus")
        for name, count in counts.items()
        if count > 1
    ]
    refused += [Quarantined(clip.name, clip.faults[0]) for clip in clips if clip.faults and counts[clip.name] == 1]
    usable = [clip for clip in clips if counts[clip.name] == 1 and not clip.faults]
    tasks = [Task(clip.name, splits[clip.name], _fingerprint(clip), entry=clip) for clip in usable]
    about = {
        "corpus": corpus,
        "licence": known.licence,
        "citation": known.citation,
        "made_by": {"own_splits": own_splits, "diarizer": diarizer},
        "version": __version__,
    }
    make = partial(_drafted, corpus, str(root), diarizer, token)
    return build_store(
        out, about, tasks, make, refused=refused, workers=workers, overwrite=overwrite, report=report
    )


def _fingerprint(clip: Clip) -> str:
    """Changes with the names, sizes and times of a clip's files."""
    told = [(path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in clip.files if path.exists()]
    return hashlib.sha256(repr((told, clip.key)).encode()).hexdigest()[:16]


@cache
def _diarizer(name: str, token: str | None) -> Diarizer:
    return load_diarizer(name, token)


def _drafted(corpus: str, root: str, diarizer: str, token: str | None, task: Task) -> Draft:
    known, clip = corpus_named(corpus), task.entry
    source = known.read(Path(root), clip)
    aligned = (
        aligned_sides(source.sides, clip.name, known.space)
        if source.sides
        else _recorded(source.recording, clip.name, partial(_diarizer, diarizer, token))
    )
    return Draft(
        conversation=aligned.conversation,
        corpus=corpus,
        split=task.split,
        session=clip.session,
        people=clip.people,
        turns_from=aligned.turns_from,
        further_arrays=aligned.further_arrays,
        drift_ms=aligned.drift_ms,
        notes=(*source.notes, *aligned.notes),
        made_of={"files": [path.name for path in clip.files], **source.kept},
    )


def _recorded(files: tuple[Path, ...], name: str, load: Callable[[], Diarizer]) -> Aligned:
    """A recording whose people are told apart, by the diarizer only where they share a channel."""
    turns_from = "voice activity"

    def diarizer(audio: np.ndarray) -> Annotation:
        nonlocal turns_from
        turns_from = "diarization"
        return load()(audio)

    talk, notes = conversation_from_recording(files, diarizer)
    return Aligned(replace(talk, name=name), notes, turns_from)
