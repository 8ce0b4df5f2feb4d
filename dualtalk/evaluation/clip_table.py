"""A table of every metric of every clip and person, for statistics of one's own; written clip by clip.

A row is one person of one clip, for one system or baseline. A metric has two columns: its value in base units,
empty where it was not measured, and its weight. The weighted mean of the values over all rows of a system is the
value in `figures.csv`; weights are 1 where that is a plain mean.
"""

import csv
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from jaxtyping import Float

from dualtalk.evaluation.baselines import BASELINES
from dualtalk.evaluation.preflight import Job
from dualtalk.evaluation.registry import Metric
from dualtalk.evaluation.runner import ClipResult
from dualtalk.evaluation.tables import BASELINE
from dualtalk.io.atomic import written_whole

COLUMNS = ("system", "protocol", "dialogue", "clip", "speaker")


@contextmanager
def clip_table(path: Path, metrics: Sequence[Metric]) -> Iterator[Callable[[Job, ClipResult], None]]:
    """Yields a function that adds a clip to the table; the file appears at `path` when all is written."""
    names = [metric.name for metric in metrics]
    with written_whole(path) as partial, partial.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow([*COLUMNS, *names, *(f"weight of {name}" for name in names)])
        yield lambda job, result: table.writerows(_rows(job, result))


def _rows(job: Job, result: ClipResult) -> Iterator[list]:
    names = [(system.name, system.protocol) for system in job.systems] + [(name, BASELINE) for name in BASELINES]
    for columns, people in zip(names, result.sums, strict=True):
        for person in job.people:
            if people[person].any():
                yield [*columns, job.files.dialogue, job.files.clip, person + 1, *_cells(people[person])]


def _cells(sums: Float[np.ndarray, "metric 2"]) -> list[str]:
    values = [f"{total / weight:.9g}" if weight else "" for total, weight in sums.tolist()]
    return values + [f"{weight:.9g}" for _, weight in sums.tolist()]
