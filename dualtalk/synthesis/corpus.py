"""`synthesize`: any number of hours of two people talking and moving, from a seed; or teacher motion for real
audio."""

import math
import os
from collections.abc import Sequence
from dataclasses import replace
from functools import cache, partial
from pathlib import Path

from dualtalk import __version__
from dualtalk.animator import animate
from dualtalk.errors import InputError, SetupError
from dualtalk.head.identity import draw_identity
from dualtalk.parallel import Progress
from dualtalk.store import BuildReport, ClipDraft, Store, Task, build_store, open_store
from dualtalk.synthesis.clips import CORPUS, Settings, clip_name, event_rows, make_clip, random_stream, split_of
from dualtalk.synthesis.dialogue import said_words
from dualtalk.synthesis.kokoro import load_kokoro
from dualtalk.synthesis.voices import missing_synthesisers

CLIP_SECONDS = 60
SLOWEST, FASTEST = 0.5, 2.0
LICENCE = "Apache-2.0 (texts, motion); the voices are free to use: flite (BSD-like), espeak-ng's output, Kokoro's"


def synthesize(
    out: str | os.PathLike,
    hours: float,
    seed: int = 0,
    *,
    clip_seconds: int = CLIP_SECONDS,
    piper: Sequence[str | os.PathLike] = (),
    kokoro: str | os.PathLike | None = None,
    words: str | os.PathLike | None = None,
    pace: float = 1.0,
    workers: int = 1,
    overwrite: bool = False,
    report: Progress = lambda done, total: None,
) -> BuildReport:
    """Make a synthetic corpus as a store.

    Parameters
    ----------
    hours : float
        Of conversation, rounded up to whole clips. A store that is there with fewer hours is gone on with.
    seed : int
        The same seed gives the same files, however many workers make them.
    piper : paths
        Voice files of piper (`.onnx`), for the training split.
    kokoro : path or None
        Folder of Kokoro's network and speakers, which then speak most of the training split.
    words : path or None
        A list of words, one a line: most sentences of the training split are then made of them and make no sense.
    pace : float
        How many times as fast everybody speaks, 0.5 to 2; people talk faster than synthesisers read.

    Raises
    ------
    InputError
        No hours, or voices, words, a pace or `out` that cannot be used.
    SetupError
        flite, espeak-ng or what Kokoro runs on is missing.
    """
    if not 0 < hours < math.inf:
        raise InputError(f"{hours:g} hours came; wanted more than none")
    if missing := missing_synthesisers():
        raise SetupError(f"{' and '.join(missing)} not found; sudo apt-get install {' '.join(missing)}")
    for path in piper:
        if not Path(path).is_file():
            raise InputError(f"no piper voice at {path}; wanted an .onnx file, with its .onnx.json beside it")
    if kokoro is not None:
        load_kokoro(str(kokoro))
    if not SLOWEST <= pace <= FASTEST:
        raise InputError(f"a pace of {pace:g}; wanted {SLOWEST:g} to {FASTEST:g} times as fast")
    if words is not None:
        said_words(str(words))
    kokoro_folder, list_of_words = ("" if path is None else str(path) for path in (kokoro, words))
    settings = Settings(seed, clip_seconds, tuple(map(str, piper)), kokoro_folder, list_of_words, pace)
    numbers = range(math.ceil(hours * 3600 / clip_seconds - 1e-9))
    tasks = [Task(clip_name(settings, number), split_of(number), "") for number in numbers]
    generator = {"seed": seed, "clip_seconds": clip_seconds, "piper": [Path(path).name for path in piper]}
    if kokoro is not None:
        generator["kokoro"] = True
    if words is not None:
        generator["words"] = Path(words).name
    if pace != 1:
        generator["pace"] = pace
    about = {"corpus": CORPUS, "licence": LICENCE, "generator": generator, "version": __version__}
    make = partial(make_clip, settings)
    return build_store(out, about, tasks, make, workers=workers, overwrite=overwrite, report=report)


def add_teacher_motion(
    source: str | os.PathLike,
    out: str | os.PathLike,
    seed: int = 0,
    *,
    workers: int = 1,
    overwrite: bool = False,
    report: Progress = lambda done, total: None,
) -> BuildReport:
    """Make a store of the clips of `source` with the animator's motion in place of what they have."""
    store = open_store(source)
    if Path(out).resolve() == Path(source).resolve():
        raise InputError(f"{out} is the store that the audio is read from; give another folder")
    rows = store.manifest
    tasks = [
        Task(row.clip, row.split, f"{row.sha256_audio_a}{row.sha256_audio_b}{row.sha256_turns}")
        for row in rows.itertuples()
    ]
    generator = {"seed": seed, "audio_of": store.metadata.get("corpus")}
    about = {
        **store.metadata,
        "corpus": f"{store.metadata.get('corpus')} with teacher motion",
        "generator": generator,
    }
    make = partial(_taught, str(source), seed)
    return build_store(out, about, tasks, make, workers=workers, overwrite=overwrite, report=report)


@cache
def _opened(root: str) -> Store:
    return open_store(root)


def _taught(source: str, seed: int, task: Task) -> ClipDraft:
    store = _opened(source)
    talk = store.conversation(task.clip)
    row = store.manifest.set_index("clip").loc[task.clip]
    animation = animate(talk, seed)
    faces = [draw_identity(random_stream(seed, "face", name)) for name in (row["person_a"], row["person_b"])]
    people = animation.conversation.participants
    motions = [replace(person.motion, identity=face) for person, face in zip(people, faces, strict=True)]
    return ClipDraft(
        conversation=animation.conversation.with_motion(*motions),
        corpus=store.metadata["corpus"],
        split=task.split,
        session=row["session"],
        people=(row["person_a"], row["person_b"]),
        segmentation_source=row["segmentation_source"],
        notes=("motion is the animator's",),
        events=event_rows(animation),
    )
