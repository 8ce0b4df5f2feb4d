"""`prepare`: align, validate, measure and split every clip of a corpus, and write a store."""

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
from dualtalk.audio.phonemes import Phoneme
from dualtalk.audio.recording import conversation_from_recording
from dualtalk.choices import Workers
from dualtalk.corpora import get_corpus
from dualtalk.corpora.corpus import Clip, PersonTrack, require_folder
from dualtalk.errors import InputError
from dualtalk.io.remote import is_url
from dualtalk.preprocess.alignment import AlignedClip, align_tracks
from dualtalk.preprocess.splits import SplitScheme, split_clips
from dualtalk.progress import Progress
from dualtalk.store import BuildReport, ClipDraft, Task, build_store
from dualtalk.store.writer import Rejected


def prepare(
    source: str | os.PathLike,
    corpus: str,
    out: str | os.PathLike,
    *,
    splits: SplitScheme = "official",
    diarizer: str = "default",
    token: str | None = None,
    workers: Workers = 1,
    overwrite: bool = False,
    progress: Progress = lambda done, total: None,
) -> BuildReport:
    """Write a store from a corpus.

    Parameters
    ----------
    source : path
        Folder of the corpus, as published.
    corpus : str
        Name or alias of a corpus; see `dualtalk.corpora`.
    out : path or URL
        Folder of the store. An interrupted run resumes.
    splits : "official" or "speaker-disjoint"
        Keep the corpus's official splits, or make new ones in which no person and no session is in two splits;
        see `split_clips`.
    diarizer : str
        Speaker-diarization pipeline for mixed recordings; see `dualtalk.audio.diarization.load_diarizer`.
    token : str, optional
        Access token for a pipeline from the Hugging Face hub.
    workers : int or RayCluster
        Processes; 0 works in this one. The result does not depend on it.
    overwrite : bool
        Replace a store at `out` that was made with other settings.
    progress : callable
        Called with the number of finished clips and the number of all clips.

    Raises
    ------
    InputError
        The corpus is unknown, `source` does not contain it, `out` is unusable, or no clip is usable.
    """
    reader = get_corpus(corpus)
    root = require_folder(source).resolve()
    if not is_url(out) and root in (Path(out).resolve(), *Path(out).resolve().parents):
        raise InputError(f"{out} is inside {source}; choose another folder, so that the corpus stays unchanged")
    clips = reader.index(root)
    split_of = split_clips(clips, splits=splits)
    counts = Counter(clip.name for clip in clips)
    refused = [
        Rejected(name, f"the corpus has {count} clips of this name") for name, count in counts.items() if count > 1
    ]
    refused += [Rejected(clip.name, clip.errors[0]) for clip in clips if clip.errors and counts[clip.name] == 1]
    usable = [clip for clip in clips if counts[clip.name] == 1 and not clip.errors]
    tasks = [Task(clip.name, split_of[clip.name], _fingerprint(clip), entry=clip) for clip in usable]
    about = {
        "corpus": reader.name,
        "licence": reader.licence,
        "citation": reader.citation,
        "generator": {"splits": splits, "diarizer": diarizer},
        "version": __version__,
    }
    make = partial(_make_draft, corpus, str(root), diarizer, token)
    return build_store(
        out, about, tasks, make, rejected=refused, workers=workers, overwrite=overwrite, progress=progress
    )


def _fingerprint(clip: Clip) -> str:
    """A digest of the names, sizes and modification times of a clip's files."""
    files = [(path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in clip.files if path.exists()]
    return hashlib.sha256(repr((files, clip.key)).encode()).hexdigest()[:16]


@cache
def _cached_diarizer(name: str, token: str | None) -> Diarizer:
    return load_diarizer(name, token)


def _make_draft(corpus: str, root: str, diarizer: str, token: str | None, task: Task) -> ClipDraft:
    reader, clip = get_corpus(corpus), task.entry
    assert isinstance(clip, Clip)
    data = reader.read(Path(root), clip)
    aligned = (
        align_tracks(data.tracks, clip.name, reader.space)
        if data.tracks
        else _separate_recording(data.recording, clip.name, partial(_cached_diarizer, diarizer, token))
    )
    return ClipDraft(
        conversation=aligned.conversation,
        corpus=reader.name,
        split=task.split,
        session=clip.session,
        people=clip.person_ids,
        segmentation_source=aligned.segmentation_source,
        further_arrays=aligned.further_arrays,
        av_offset_ms=aligned.av_offset_ms,
        notes=(*data.notes, *aligned.notes),
        events=data.events,
        phonemes=_phonemes_within(data.tracks, aligned.conversation.duration_s),
        provenance={"files": [path.name for path in clip.files], **data.metadata},
    )


def _phonemes_within(
    tracks: tuple[PersonTrack, PersonTrack] | None, duration_s: float
) -> tuple[tuple[Phoneme, ...], tuple[Phoneme, ...]]:
    """Each person's phonemes up to the end of the clip."""
    if tracks is None:
        return (), ()
    a, b = (
        tuple(replace(one, end_s=min(one.end_s, duration_s)) for one in track.phonemes if one.start_s < duration_s)
        for track in tracks
    )
    return a, b


def _separate_recording(files: tuple[Path, ...], name: str, load: Callable[[], Diarizer]) -> AlignedClip:
    """Read a recording as a conversation; the diarizer is loaded only if both people share a channel."""
    segmentation_source = "voice activity"

    def diarizer(audio: np.ndarray) -> Annotation:
        nonlocal segmentation_source
        segmentation_source = "diarization"
        return load()(audio)

    conversation, notes = conversation_from_recording(files, diarizer)
    return AlignedClip(replace(conversation, name=name), notes, segmentation_source)
