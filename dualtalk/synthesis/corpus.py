"""`synthesize`: write a synthetic corpus from a seed, or add the animator's motion to the audio of a store."""

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache, partial
from pathlib import Path

from pyannote.core import Segment, Timeline

from dualtalk import __version__
from dualtalk.animator import Transcript
from dualtalk.animator import animate as animate_conversation
from dualtalk.audio.phonemes import Phoneme
from dualtalk.choices import Workers
from dualtalk.core import PARTY, HeadMotion
from dualtalk.errors import InputError, SetupError
from dualtalk.head.identity import draw_identity
from dualtalk.progress import Progress
from dualtalk.store import BuildReport, ClipDraft, Store, Task, build_store, open_store
from dualtalk.store.schema import stored_phonemes
from dualtalk.synthesis.clips import CORPUS, SynthesisConfig, clip_name, make_clip, split_of
from dualtalk.synthesis.dialogue import read_vocabulary
from dualtalk.synthesis.kokoro import load_kokoro
from dualtalk.synthesis.recording import event_rows, random_stream
from dualtalk.synthesis.voices import missing_synthesisers

CLIP_SECONDS = 60
MIN_SPEECH_RATE, MAX_SPEECH_RATE = 0.5, 2.0
LICENCE = "Apache-2.0 (texts, motion); the voices are free to use: flite (BSD-like), espeak-ng's output, Kokoro's"


def synthesize(
    out: str | os.PathLike,
    hours: float | None = None,
    seed: int = 0,
    *,
    animate: str | os.PathLike | None = None,
    clip_seconds: int = CLIP_SECONDS,
    piper_voices: Sequence[str | os.PathLike] = (),
    kokoro_dir: str | os.PathLike | None = None,
    vocabulary: str | os.PathLike | None = None,
    speech_rate: float = 1.0,
    workers: Workers = 1,
    overwrite: bool = False,
    progress: Progress = lambda done, total: None,
) -> BuildReport:
    """Write a store of synthetic conversations, or of real audio with the motion of the rule-based animator.

    Give either `hours` or `animate`.

    Parameters
    ----------
    out : path or URL
        Folder of the store. If it holds fewer hours of the same corpus, the missing clips are added.
    hours : float, optional
        Duration of all conversations, rounded up to whole clips.
    seed : int
        The same seed gives the same files, for any number of workers.
    animate : path or URL, optional
        A store whose audio is kept and whose motion is generated, from the store's phonemes where it has them.
        The options from `clip_seconds` to `speech_rate` concern generated speech and cannot be combined with it.
    clip_seconds : int
        Duration of each conversation.
    piper_voices : paths
        Voice files of Piper (`.onnx`) for the training split.
    kokoro_dir : path, optional
        Folder of Kokoro's network and speakers, which then speak most of the training split.
    vocabulary : path, optional
        Word list, one word a line. Most sentences of the training split then consist of its words and make no
        sense.
    speech_rate : float
        Factor on the speech rate of all voices, 0.5 to 2. People speak faster than synthesisers.
    workers : int or RayCluster
        Processes; 0 works in this one.
    overwrite : bool
        Replace a store at `out` that was made with other settings.
    progress : callable
        Called with the number of finished clips and the number of all clips.

    Raises
    ------
    InputError
        Not exactly one of `hours` and `animate`, or a file, a value or `out` is unusable.
    SetupError
        flite, espeak-ng or the packages for Kokoro are missing.
    """
    if (hours is None) == (animate is None):
        raise InputError(
            "wanted either hours of conversation to generate, or animate with a store whose audio to animate"
        )
    config = SynthesisConfig(
        seed,
        clip_seconds,
        tuple(map(str, piper_voices)),
        "" if kokoro_dir is None else str(kokoro_dir),
        "" if vocabulary is None else str(vocabulary),
        speech_rate,
    )
    build = partial(build_store, out, workers=workers, overwrite=overwrite, progress=progress)
    if animate is not None:
        _refuse_speech_options(config)
        return _animate_store(animate, out, seed, build)
    assert hours is not None
    _check_speech_options(hours, config)
    numbers = range(math.ceil(hours * 3600 / clip_seconds - 1e-9))
    tasks = [Task(clip_name(config, number), split_of(number), "") for number in numbers]
    about = {"corpus": CORPUS, "licence": LICENCE, "generator": _generator_record(config), "version": __version__}
    return build(about, tasks, partial(make_clip, config))


def _refuse_speech_options(config: SynthesisConfig) -> None:
    default = SynthesisConfig(config.seed, CLIP_SECONDS)
    names = ("clip_seconds", "piper_voices", "kokoro_dir", "vocabulary", "speech_rate")
    if given := [name for name in names if getattr(config, name) != getattr(default, name)]:
        raise InputError(f"{given[0]} applies to generated speech; animate keeps the audio of the store")


def _check_speech_options(hours: float, config: SynthesisConfig) -> None:
    if not 0 < hours < math.inf:
        raise InputError(f"hours is {hours:g}; wanted a positive number")
    if missing := missing_synthesisers():
        raise SetupError(f"{' and '.join(missing)} not found; sudo apt-get install {' '.join(missing)}")
    for path in config.piper_voices:
        if not Path(path).is_file():
            raise InputError(f"no Piper voice at {path}; wanted an .onnx file, with its .onnx.json beside it")
    if config.kokoro_dir:
        load_kokoro(config.kokoro_dir)
    if not MIN_SPEECH_RATE <= config.speech_rate <= MAX_SPEECH_RATE:
        raise InputError(
            f"speech_rate is {config.speech_rate:g}; wanted {MIN_SPEECH_RATE:g} to {MAX_SPEECH_RATE:g}"
        )
    if config.vocabulary:
        read_vocabulary(config.vocabulary)


def _generator_record(config: SynthesisConfig) -> dict:
    """The settings for the store's metadata, with file names but without folders."""
    record: dict = {
        "seed": config.seed,
        "clip_seconds": config.clip_seconds,
        "piper_voices": [Path(path).name for path in config.piper_voices],
    }
    if config.kokoro_dir:
        record["kokoro"] = True
    if config.vocabulary:
        record["vocabulary"] = Path(config.vocabulary).name
    if config.speech_rate != 1:
        record["speech_rate"] = config.speech_rate
    return record


def _animate_store(
    source: str | os.PathLike, out: str | os.PathLike, seed: int, build: "partial[BuildReport]"
) -> BuildReport:
    """Write the clips of `source` with the animator's motion in place of their own."""
    store = open_store(source)
    if str(out) == str(source) or Path(out).resolve() == Path(source).resolve():
        raise InputError(f"{out} is the store whose audio is animated; wanted another folder")
    tasks = [
        Task(row.clip, row.split, f"{row.sha256_audio_a}{row.sha256_audio_b}{row.sha256_turns}")
        for row in store.manifest.itertuples()
    ]
    corpus = store.metadata.get("corpus")
    generator = {"seed": seed, "animated_corpus": corpus}
    about = {**store.metadata, "corpus": f"{corpus} with rule-based motion", "generator": generator}
    return build(about, tasks, partial(_animate_clip, str(source), seed))


@cache
def _cached_store(root: str) -> Store:
    return open_store(root)


def _animate_clip(source: str, seed: int, task: Task) -> ClipDraft:
    store = _cached_store(source)
    row = store.manifest.set_index("clip").loc[task.clip]
    conversation, details = store.conversation(task.clip), store.details(task.clip)
    animation = animate_conversation(conversation, seed, _stored_transcripts(details, conversation.duration_s))
    names = (row["person_a"], row["person_b"])
    a, b = (
        _with_identity(after.required_motion, before.motion, seed, name)
        for after, before, name in zip(
            animation.conversation.participants, conversation.participants, names, strict=True
        )
    )
    return ClipDraft(
        conversation=animation.conversation.with_motion(a, b),
        corpus=store.metadata["corpus"],
        split=task.split,
        session=row["session"],
        people=names,
        segmentation_source=row["segmentation_source"],
        notes=("the motion is the rule-based animator's",),
        events=event_rows(animation),
        phonemes=stored_phonemes(details),
        provenance=details["provenance"],
    )


def _stored_transcripts(details: Mapping, duration_s: float) -> tuple[Transcript, Transcript] | None:
    """Phonemes and laughs of a clip whose store has them; None where a recogniser must find the phonemes."""
    phonemes = stored_phonemes(details)
    if not any(phonemes):
        return None
    a, b = (
        Transcript(own, _laughs(details["provenance"].get("lines", ()), label, own, duration_s))
        for label, own in zip(PARTY, phonemes, strict=True)
    )
    return a, b


def _laughs(lines: Sequence, label: str, phonemes: Sequence[Phoneme], duration_s: float) -> Timeline:
    """The person's laughs: from the start of such a line to its last phoneme before the person's next line."""
    own = [(start_s, kind) for person, start_s, kind, _ in lines if person == label]
    ends_s = [*(start_s for start_s, _ in own[1:]), duration_s]
    laughs = []
    for (start_s, kind), next_s in zip(own, ends_s, strict=True):
        ends = [one.end_s for one in phonemes if start_s <= one.start_s < next_s]
        if kind == "laugh" and ends:
            laughs.append(Segment(start_s, ends[-1]))
    return Timeline(laughs)


def _with_identity(motion: HeadMotion, before: HeadMotion | None, seed: int, person: str) -> HeadMotion:
    """The motion on the person's own head, or, if that is not in the open space, on one drawn from their name."""
    if before is not None and before.space == "open":
        return motion
    return replace(motion, identity=draw_identity(random_stream(seed, "face", person)))
