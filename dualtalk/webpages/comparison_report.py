"""The comparison report: one page with a table of all metrics, plots, curves, event rasters and still images.

The page is one file that makes no network requests. Its data are embedded as JSON and laid out by the scripts in
`assets/comparison_report/`; the charts use uPlot (MIT). Values are scaled for display, as their units say.
"""

import os
from collections.abc import Sequence

import numpy as np

from dualtalk.evaluation.baselines import BASELINES, GROUND_TRUTH
from dualtalk.evaluation.curves import QUANTITIES, REACH_FRAMES, TransitionCurve
from dualtalk.evaluation.registry import DIRECTION_TEXT, groups_of
from dualtalk.evaluation.runner import Evaluation
from dualtalk.evaluation.tables import BASELINE, best_of, displayed
from dualtalk.timebase import MOTION_FPS
from dualtalk.webpages.comparison_stills import Strip
from dualtalk.webpages.template import jpeg_data_uri, json_types, write_page

STRIP_WIDTH_PX = 900
SIGNIFICANT_DIGITS = 4
# The heading names up to this many systems; of more, it gives the number.
MAX_NAMES_IN_HEADING = 3


def write_comparison(
    evaluation: Evaluation,
    path: str | os.PathLike,
    *,
    timelines: Sequence[dict],
    strips: Sequence[Strip],
    run: dict,
) -> None:
    """Write the page.

    Parameters
    ----------
    evaluation : Evaluation
    path : path
        Appears only when complete.
    timelines : sequence of dict
        From `dualtalk.webpages.comparison_timelines.timelines`.
    strips : sequence of Strip
        From `dualtalk.webpages.comparison_stills.worst_strips`; empty without still images.
    run : dict
        How the evaluation was made, for the end of the page.
    """
    heading = _heading([row.name for row in evaluation.rows if row.protocol])
    data = {
        "heading": heading,
        "clips": len(evaluation.jobs),
        "people": evaluation.people,
        "dialogues": evaluation.dialogues,
        "minutes": round(evaluation.frames / MOTION_FPS / 60, 1),
        "space": evaluation.space,
        "notes": list(evaluation.warnings),
        "groups": list(groups_of(evaluation.metrics)),
        "metrics": [
            {
                "name": one.name,
                "group": one.group,
                "unit": one.displayed_unit,
                "direction": one.direction,
                "directionText": DIRECTION_TEXT[one.direction],
                "formula": one.formula,
                "source": one.source,
            }
            for one in evaluation.metrics
        ],
        "rows": _rows(evaluation),
        "groundTruth": GROUND_TRUTH,
        "quantities": {name: quantity.display_unit for name, quantity in QUANTITIES.items()},
        "curveTimes": [round(frame / MOTION_FPS, 2) for frame in range(-REACH_FRAMES, REACH_FRAMES + 1)],
        "timelines": list(timelines),
        "strips": [_strip(strip) for strip in strips],
        "run": json_types(run),
    }
    write_page(path, "comparison_report/page.html", title=f"{heading} – evaluation", data=data)


def _heading(names: Sequence[str]) -> str:
    return ", ".join(names) if len(names) <= MAX_NAMES_IN_HEADING else f"{len(names)} systems compared"


def _rows(evaluation: Evaluation) -> list[dict]:
    best = best_of(evaluation)
    return [
        {
            "name": row.name,
            "protocol": row.protocol or BASELINE,
            "samples": row.samples,
            "about": BASELINES.get(row.name, ""),
            "values": [[_rounded(value) for value in displayed(row, metric)] for metric in evaluation.metrics],
            "best": [index for index, metric in enumerate(evaluation.metrics) if (row.name, metric.name) in best],
            "curves": {
                kind: {name: _curve(name, curve) for name, curve in quantities.items()}
                for kind, quantities in row.curves.items()
            }
            if row.protocol or row.name == GROUND_TRUTH
            else {},
        }
        for row in evaluation.rows
    ]


def _rounded(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.{SIGNIFICANT_DIGITS}g}")


def _curve(quantity: str, curve: TransitionCurve) -> dict:
    """The curve in display units."""
    scale = QUANTITIES[quantity].display_scale
    ends = {name: json_types((scale * getattr(curve, name)).tolist(), 3) for name in ("mean", "low", "high")}
    return {**ends, "transitions": curve.transitions, "clips": curve.clips}


def _strip(strip: Strip) -> dict:
    transition = strip.transition
    return {
        "system": strip.system,
        "clip": transition.clip,
        "speaker": transition.person + 1,
        "kind": transition.kind,
        "timeS": transition.frame / MOTION_FPS,
        "distance": float(np.round(transition.distance, 2)),
        "timesS": list(strip.times_s),
        "image": jpeg_data_uri(strip.image, STRIP_WIDTH_PX),
    }
