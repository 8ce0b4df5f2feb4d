"""The verbs that make and look over stores: `prepare`, `synthesize`, `validate`, `shard`."""

import os
from collections.abc import Callable
from contextlib import contextmanager
from inspect import signature
from pathlib import Path

import pandas as pd

from dualtalk.audio.turn_statistics import turn_statistics
from dualtalk.cli.progress import Report, Stages
from dualtalk.corpora import get_corpus
from dualtalk.errors import InputError, Interrupted
from dualtalk.preprocess.prepare import prepare
from dualtalk.store import Built, Store, check_store, open_store
from dualtalk.store.schema import QUARANTINE, SPLITS
from dualtalk.synthesis import add_teacher_motion, synthesize

SHOWN_FAULTS = 20
# What of `synthesize` changes only how people speak.
SPOKEN = ("piper", "kokoro", "words", "pace")


def run_prepare(source: Path, out: Path, *, workers: int | None, **options) -> list[str]:
    """Prepare a corpus, look the store over, and say what is in it."""
    return _build(
        f"preparing {options['corpus']}",
        out,
        lambda report: prepare(source, out=out, workers=_processes(workers), report=report, **options),
    )


def run_synthesize(
    out: Path, hours: float | None, audio_of: Path | None, seed: int, *, workers: int | None, **options
) -> list[str]:
    """Make a synthetic corpus, or teacher motion for the audio of a store, and say what is in it."""
    if (hours is None) == (audio_of is None):
        raise InputError("wanted either --hours, or --audio-of with a store whose audio is to be animated")
    count = _processes(workers)
    if audio_of is not None:
        plain = signature(synthesize).parameters
        if spoken := [name for name in SPOKEN if options[name] != plain[name].default]:
            raise InputError(f"--{spoken[0]} is for what is spoken anew; --audio-of keeps the audio there is")
        overwrite = options["overwrite"]
        return _build(
            "animating",
            out,
            lambda report: add_teacher_motion(
                audio_of, out, seed, workers=count, overwrite=overwrite, report=report
            ),
        )
    return _build(
        "synthesizing", out, lambda report: synthesize(out, hours, seed, workers=count, report=report, **options)
    )


def run_validate(folder: Path, corpus: str | None) -> list[str]:
    """Look over a store, or a corpus as it was published."""
    with Stages() as stages, stages.stage("validating") as report:
        faults = check_store(folder, report) if corpus is None else get_corpus(corpus).validate(folder)
    what = f"{len(open_store(folder))} clips" if corpus is None else f"the {corpus} corpus"
    if not faults:
        return [f"{what} in {folder}: no fault"]
    more = [f"and {len(faults) - SHOWN_FAULTS} more"] if len(faults) > SHOWN_FAULTS else []
    print(*faults[:SHOWN_FAULTS], *more, sep="\n")
    raise InputError(f"{folder} has {len(faults)} fault{'s' if len(faults) > 1 else ''}; the first: {faults[0]}")


def run_shard(source: Path, out: Path, clips: int) -> list[str]:
    """Copy a store into tar shards."""
    from dualtalk.data import write_shards

    names = write_shards(open_store(source), out, clips)
    return [f"{len(names)} shards in {out}"]


def _processes(workers: int | None) -> int:
    return workers if workers is not None else max(len(os.sched_getaffinity(0)), 1)


@contextmanager
def _resumable(out: Path):
    """Ctrl-C keeps what is whole."""
    try:
        yield
    except KeyboardInterrupt as error:
        raise Interrupted(f"interrupted; the same command goes on with {out} from there") from error


def _build(what: str, out: Path, build: Callable[[Report], Built]) -> list[str]:
    with _resumable(out), Stages() as stages:
        with stages.stage(what) as report:
            built = build(report)
        with stages.stage("validating") as report:
            faults = check_store(out, report)
    lines = [
        f"{out}: {built.made} clips made, {built.kept} kept in {sum(stages.seconds.values()):.1f} s",
        *_contents(open_store(out)),
    ]
    if built.quarantined:
        first = built.quarantined[0]
        lines.append(f"{len(built.quarantined)} left out, listed in {out / QUARANTINE}; the first:")
        lines.append(f"  {first.clip}: {first.reason}")
    return [*lines, *(f"fault: {fault}" for fault in faults[:SHOWN_FAULTS]), *_verdict(faults)]


def _verdict(faults: list[str]) -> list[str]:
    return [f"{len(faults)} faults"] if faults else ["validated: no fault"]


def _contents(store: Store) -> list[str]:
    """A line a split, and what is worth knowing about clocks, channels and turns."""
    rows = store.manifest
    lines = []
    for split in SPLITS:
        some = rows[rows["split"] == split]
        if len(some):
            people = set(some["person_a"]) | set(some["person_b"])
            lines.append(
                f"  {split:<10} {len(some):>6} clips  {some['seconds'].sum() / 3600:8.2f} h  {len(people)} people"
            )
    drift_ms = pd.concat([rows["drift_a_ms"], rows["drift_b_ms"]]).dropna()
    if len(drift_ms):
        lines.append(
            f"  motion longer than audio by {drift_ms.min():+.0f} to {drift_ms.max():+.0f} ms before trimming"
        )
    leak_db = pd.concat([rows["leak_a_db"], rows["leak_b_db"]]).dropna()
    if len(leak_db):
        lines.append(
            f"  the other's voice in a channel: median {leak_db.median():.0f} dB, at most {leak_db.max():.0f}"
        )
    turns = turn_statistics(store.turns, float(rows["seconds"].sum()))
    lines.append(
        f"  {turns.turns_per_minute:.1f} turns and {turns.backchannels_per_minute:.1f} backchannels a minute, "
        f"{100 * turns.overlap_share:.1f} % of speech overlaps"
    )
    return lines
