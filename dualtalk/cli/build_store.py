"""What `prepare` and `synthesize` share: build a store, validate it, and summarize it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pandas as pd

from dualtalk.audio.turn_statistics import turn_statistics
from dualtalk.cli.progress import Stages
from dualtalk.cli.validate import LISTED_ERRORS
from dualtalk.errors import Interrupted
from dualtalk.progress import Progress, TimedStages
from dualtalk.store import BuildReport, Store, open_store, validate_store
from dualtalk.store.schema import REJECTED, SPLITS


def build(what: str, out: str, make: Callable[[Progress], BuildReport]) -> list[str]:
    """Run `make`, validate the store `out` that it wrote, and return lines that summarize it.

    Raises
    ------
    DualTalkError
        Whatever `make` raises; `Interrupted` after Ctrl-C, which keeps the clips that are complete.
    """
    with _resumable(out), Stages() as bars:
        stages = TimedStages(bars.stage)
        with stages(what) as progress:
            built = make(progress)
        with stages("validating") as progress:
            errors = validate_store(out, progress)
    lines = [
        f"{out}: {built.made} clips made, {built.kept} kept in {sum(stages.timings_s.values()):.1f} s",
        *_contents(open_store(out)),
    ]
    if built.rejected:
        first = built.rejected[0]
        lines.append(f"{len(built.rejected)} left out, listed in {out}/{REJECTED}; the first:")
        lines.append(f"  {first.clip}: {first.reason}")
    count = f"{len(errors)} error{'s' if len(errors) > 1 else ''}" if errors else "validated: no errors"
    return [*lines, *(f"error: {error}" for error in errors[:LISTED_ERRORS]), count]


@contextmanager
def _resumable(out: str) -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt as error:
        raise Interrupted(f"interrupted; the same command resumes {out}") from error


def _contents(store: Store) -> list[str]:
    """One line per split, then audio/video offset, crosstalk and turn statistics."""
    rows = store.manifest
    lines = []
    for split in SPLITS:
        clips = rows[rows["split"] == split]
        if len(clips):
            people = set(clips["person_a"]) | set(clips["person_b"])
            hours = clips["seconds"].sum() / 3600
            lines.append(f"  {split:<10} {len(clips):>6} clips  {hours:8.2f} h  {len(people)} people")
    offset_ms = pd.concat([rows["av_offset_a_ms"], rows["av_offset_b_ms"]]).dropna()
    if len(offset_ms):
        lines.append(
            f"  motion longer than audio by {offset_ms.min():+.0f} to {offset_ms.max():+.0f} ms before trimming"
        )
    crosstalk_db = pd.concat([rows["crosstalk_a_db"], rows["crosstalk_b_db"]]).dropna()
    if len(crosstalk_db):
        lines.append(
            f"  crosstalk of the partner: median {crosstalk_db.median():.0f} dB, maximum {crosstalk_db.max():.0f}"
        )
    turns = turn_statistics(store.turns, float(rows["seconds"].sum()))
    lines.append(
        f"  {turns.turns_per_minute:.1f} turns and {turns.backchannels_per_minute:.1f} backchannels a minute, "
        f"{100 * turns.overlap_share:.1f} % of speech overlaps"
    )
    return lines
