"""Figures of every clip and person, for statistics of one's own: written clip by clip, so that none are kept.

A row is one person of one clip under one system or control. A measure has two columns: its value in printed
units, empty where nothing was measured, and its weight. The mean of the values over all rows of a system, so
weighted, is the table's figure; weights are 1 where a figure is a plain mean.
"""

import csv
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from jaxtyping import Float

from dualtalk.evaluation.baselines import CONTROLS
from dualtalk.evaluation.preflight import Job
from dualtalk.evaluation.registry import MEASURES, NAMES
from dualtalk.evaluation.runner import Measured
from dualtalk.evaluation.tables import CONTROL
from dualtalk.io.atomic import written_whole

COLUMNS = ("system", "protocol", "dialogue", "clip", "speaker", *NAMES, *(f"weight of {name}" for name in NAMES))


@contextmanager
def clip_table(path: Path) -> Iterator[Callable[[Job, Measured], None]]:
    """A function that adds a clip to the table at `path`, which is there once all is written."""
    with written_whole(path) as partial, partial.open("w", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(COLUMNS)
        yield lambda job, measured: table.writerows(_rows(job, measured))


def _rows(job: Job, measured: Measured) -> Iterator[list]:
    names = [(system.name, system.protocol) for system in job.systems] + [(name, CONTROL) for name in CONTROLS]
    for who, people in zip(names, measured.tallies, strict=True):
        for person in job.people:
            if people[person].any():
                yield [*who, job.files.dialogue, job.files.clip, person + 1, *_cells(people[person])]


def _cells(sums: Float[np.ndarray, "measure 2"]) -> list[str]:
    pairs = list(zip(MEASURES, sums.tolist(), strict=True))
    values = [f"{one.scale * total / weight:.6g}" if weight else "" for one, (total, weight) in pairs]
    return values + [f"{weight:.6g}" for _, (_, weight) in pairs]
