"""An evaluation as a table for spreadsheets and as JSON for programs; and which system is best at what."""

import csv
from pathlib import Path

import numpy as np

from dualtalk.evaluation.baselines import CONTROLS, REFERENCE
from dualtalk.evaluation.registry import MEASURES, Measure
from dualtalk.evaluation.runner import Evaluation, Row
from dualtalk.io.atomic import written_whole

COLUMNS = (
    "system",
    "protocol",
    "family",
    "measure",
    "unit",
    "wanted",
    "value",
    "low",
    "high",
    "dialogues",
    "best",
)
CONTROL = "control"


def best_of(evaluation: Evaluation) -> set[tuple[str, str]]:
    """(system, measure) of the best in each protocol in which several have that measure; all of equals."""
    reference = next(row for row in evaluation.rows if row.name == REFERENCE)
    found = set()
    for protocol in {row.protocol for row in evaluation.rows if row.protocol}:
        rows = [row for row in evaluation.rows if row.protocol == protocol]
        for measure in MEASURES:
            target = reference.figures[measure.name].value
            apart = {row.name: measure.distance(row.figures[measure.name].value, target) for row in rows}
            known = [value for value in apart.values() if np.isfinite(value)]
            if len(known) > 1:
                found |= {(name, measure.name) for name, value in apart.items() if value == min(known)}
    return found


def write_csv(evaluation: Evaluation, path: Path) -> None:
    """A row for each system and measure, in printed units; empty where nothing was measured."""
    best = best_of(evaluation)
    with written_whole(path) as partial, partial.open("w", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(COLUMNS)
        for row in evaluation.rows:
            for measure in MEASURES:
                value, low, high = ("" if one is None else f"{one:.6g}" for one in printed(row, measure))
                of_measure = (measure.family, measure.name, measure.unit, measure.wanted)
                found = (value, low, high, row.figures[measure.name].dialogues)
                marked = int((row.name, measure.name) in best)
                table.writerow([row.name, row.protocol or CONTROL, *of_measure, *found, marked])


def printed(row: Row, measure: Measure) -> list[float | None]:
    """Value and ends of the interval in printed units; None where there is none."""
    estimate = row.figures[measure.name]
    values = (estimate.value, estimate.low, estimate.high)
    return [measure.scale * value if np.isfinite(value) else None for value in values]


def as_json(evaluation: Evaluation) -> dict:
    """Everything that was found, in JSON's types and printed units."""
    return {
        "space": evaluation.space,
        "clips": len(evaluation.jobs),
        "people": evaluation.people,
        "dialogues": evaluation.dialogues,
        "person_frames": evaluation.frames,
        "notes": list(evaluation.notes),
        "controls": CONTROLS,
        "systems": [
            {
                "name": row.name,
                "protocol": row.protocol or CONTROL,
                "samples": row.samples,
                "figures": {
                    measure.name: dict(zip(("value", "low", "high"), printed(row, measure), strict=True))
                    | {"unit": measure.unit, "dialogues": row.figures[measure.name].dialogues}
                    for measure in MEASURES
                },
                "curves": {
                    kind: {
                        name: {
                            "mean": _numbers(curve.mean),
                            "low": _numbers(curve.low),
                            "high": _numbers(curve.high),
                            "transitions": curve.transitions,
                        }
                        for name, curve in quantities.items()
                    }
                    for kind, quantities in row.curves.items()
                },
                "worst_transitions": [
                    {
                        "clip": moment.clip,
                        "speaker": moment.person + 1,
                        "kind": moment.kind,
                        "frame": moment.frame,
                        "distance": moment.distance,
                    }
                    for moment in row.worst
                ],
            }
            for row in evaluation.rows
        ],
    }


def _numbers(values: np.ndarray) -> list[float | None]:
    return [round(float(value), 5) if np.isfinite(value) else None for value in values]
