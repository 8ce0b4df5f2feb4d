"""An evaluation as CSV and as JSON, in base units, and which system is best at each metric.

Files are for programs: every value is in a base unit, which the file names. `display_scale` and `display_unit`
define how reports and published tables show the value; `displayed` applies them.
"""

import csv
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from dualtalk.evaluation.baselines import BASELINES, GROUND_TRUTH
from dualtalk.evaluation.curves import QUANTITIES, TransitionCurve
from dualtalk.evaluation.registry import Metric
from dualtalk.evaluation.runner import Evaluation, SystemResult
from dualtalk.io.atomic import written_whole

COLUMNS = (
    *("system", "protocol", "group", "metric", "unit", "direction"),
    *("value", "low", "high", "dialogues", "is_best", "display_scale", "display_unit"),
)
# In the column of protocols.
BASELINE = "baseline"
CURVE_DIGITS = 6


def best_of(evaluation: Evaluation) -> set[tuple[str, str]]:
    """(system, metric) of the best systems of each protocol in which several were measured; ties are all best."""
    ground_truth = next(row for row in evaluation.rows if row.name == GROUND_TRUTH)
    found = set()
    for protocol in {row.protocol for row in evaluation.rows if row.protocol}:
        rows = [row for row in evaluation.rows if row.protocol == protocol]
        for metric in evaluation.metrics:
            target = ground_truth.estimates[metric.name].value
            distances = {row.name: metric.distance(row.estimates[metric.name].value, target) for row in rows}
            finite = [value for value in distances.values() if np.isfinite(value)]
            if len(finite) > 1:
                found |= {(name, metric.name) for name, value in distances.items() if value == min(finite)}
    return found


def base_values(row: SystemResult, metric: Metric) -> list[float | None]:
    """Value and ends of the interval in the base unit; None where there is none."""
    estimate = row.estimates[metric.name]
    return [value if np.isfinite(value) else None for value in (estimate.value, estimate.low, estimate.high)]


def displayed(row: SystemResult, metric: Metric) -> list[float | None]:
    """Value and ends of the interval in the display unit, for pages and terminals."""
    return [None if value is None else metric.display_scale * value for value in base_values(row, metric)]


def write_csv(evaluation: Evaluation, path: Path) -> None:
    """A row for each system and metric, in base units; empty cells where nothing was measured."""
    best = best_of(evaluation)
    with written_whole(path) as partial, partial.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(COLUMNS)
        for row in evaluation.rows:
            for metric in evaluation.metrics:
                values = ["" if value is None else f"{value:.9g}" for value in base_values(row, metric)]
                table.writerow(
                    [
                        *(row.name, row.protocol or BASELINE),
                        *(metric.group, metric.name, metric.unit, metric.direction),
                        *(*values, row.estimates[metric.name].dialogues, int((row.name, metric.name) in best)),
                        *(metric.display_scale, metric.displayed_unit),
                    ]
                )


def as_json(evaluation: Evaluation) -> dict[str, Any]:
    """The whole evaluation in JSON types and base units."""
    best = best_of(evaluation)
    return {
        "space": evaluation.space,
        "clips": len(evaluation.jobs),
        "people": evaluation.people,
        "dialogues": evaluation.dialogues,
        "person_frames": evaluation.frames,
        "warnings": list(evaluation.warnings),
        "baselines": BASELINES,
        "systems": [
            {
                "name": row.name,
                "protocol": row.protocol or BASELINE,
                "samples": row.samples,
                "metrics": {
                    metric.name: _metric_json(row, metric, (row.name, metric.name) in best)
                    for metric in evaluation.metrics
                },
                "curves": {
                    kind: {name: _curve_json(name, curve) for name, curve in curves.items()}
                    for kind, curves in row.curves.items()
                },
                "worst_transitions": [
                    {
                        "clip": worst.clip,
                        "speaker": worst.person + 1,
                        "kind": worst.kind,
                        "frame": worst.frame,
                        "distance": worst.distance,
                    }
                    for worst in row.worst
                ],
            }
            for row in evaluation.rows
        ],
    }


def _metric_json(row: SystemResult, metric: Metric, is_best: bool) -> dict[str, Any]:
    value, low, high = base_values(row, metric)
    return {
        "value": value,
        "low": low,
        "high": high,
        "unit": metric.unit,
        "display_scale": metric.display_scale,
        "display_unit": metric.displayed_unit,
        "group": metric.group,
        "direction": metric.direction,
        "ideal": metric.ideal,
        "dialogues": row.estimates[metric.name].dialogues,
        "is_best": is_best,
    }


def _curve_json(name: str, curve: TransitionCurve) -> dict[str, Any]:
    return {
        "mean": _numbers(curve.mean),
        "low": _numbers(curve.low),
        "high": _numbers(curve.high),
        **QUANTITIES[name]._asdict(),
        "transitions": curve.transitions,
    }


def _numbers(values: Iterable[float]) -> list[float | None]:
    return [float(f"{value:.{CURVE_DIGITS}g}") if np.isfinite(value) else None for value in values]
