"""One page that compares systems: a table of every measure, plots, curves around transitions, rasters, pictures.

The page is a single file that asks the network for nothing; its own policy forbids it to. Data go in as JSON and
are laid out by the scripts under `report_page/`; the charts are uPlot's (MIT), which comes with `dualtalk.render`.
"""

import os
from collections.abc import Sequence
from importlib.resources import files

import numpy as np

from dualtalk.evaluation.baselines import CONTROLS, REFERENCE
from dualtalk.evaluation.curves import QUANTITIES, REACH_FRAMES, Curve
from dualtalk.evaluation.registry import FAMILIES, MEASURES, WANTED_TEXT
from dualtalk.evaluation.runner import Evaluation
from dualtalk.evaluation.tables import CONTROL, best_of, printed
from dualtalk.io.atomic import written_whole
from dualtalk.timebase import MOTION_FPS
from dualtalk.webpages.comparison_stills import Strip
from dualtalk.webpages.template import filled, jpeg_uri, json_text, markup_text, plain

ASSETS = files("dualtalk.webpages") / "assets"
PAGE = ASSETS / "comparison_report"
CHARTS = ASSETS / "conversation_report"
STYLES = (CHARTS / "uplot.min.css", PAGE / "page.css")
OWN_SCRIPTS = ("table.js", "systems.js", "rows.js", "plots.js", "raster.js", "page.js")
SCRIPTS = (CHARTS / "uplot.min.js", *(PAGE / name for name in OWN_SCRIPTS))
STRIP_PX = 900
SIGNIFICANT = 4
# More systems than this are counted in title and heading; the table names them.
NAMED_IN_HEADING = 3


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
    timelines
        From `dualtalk.webpages.comparison_timelines`.
    strips
        From `dualtalk.webpages.worst_strips`; empty where nothing was drawn.
    run : dict
        How it was made, for the foot of the page.
    """
    heading = _heading([row.name for row in evaluation.rows if row.protocol])
    data = {
        "heading": heading,
        "clips": len(evaluation.jobs),
        "people": evaluation.people,
        "dialogues": evaluation.dialogues,
        "minutes": round(evaluation.frames / MOTION_FPS / 60, 1),
        "space": evaluation.space,
        "notes": list(evaluation.notes),
        "families": list(FAMILIES),
        "measures": [
            {
                "name": one.name,
                "family": one.family,
                "unit": one.unit,
                "wanted": one.wanted,
                "wantedText": WANTED_TEXT[one.wanted],
                "formula": one.formula,
                "source": one.source,
            }
            for one in MEASURES
        ],
        "rows": _rows(evaluation),
        "reference": REFERENCE,
        "quantities": QUANTITIES,
        "curveTimes": [round(frame / MOTION_FPS, 2) for frame in range(-REACH_FRAMES, REACH_FRAMES + 1)],
        "timelines": list(timelines),
        "strips": [_strip(strip) for strip in strips],
        "run": plain(run),
    }
    parts = {
        "title": markup_text(f"{heading} – evaluation"),
        "styles": "\n".join(style.read_text() for style in STYLES),
        "scripts": "\n".join(script.read_text() for script in SCRIPTS),
        "data": json_text(data),
    }
    with written_whole(path) as partial:
        partial.write_text(filled((PAGE / "page.html").read_text(), parts))


def _heading(names: Sequence[str]) -> str:
    return ", ".join(names) if len(names) <= NAMED_IN_HEADING else f"{len(names)} systems compared"


def _rows(evaluation: Evaluation) -> list[dict]:
    best = best_of(evaluation)
    return [
        {
            "name": row.name,
            "protocol": row.protocol or CONTROL,
            "samples": row.samples,
            "about": CONTROLS.get(row.name, ""),
            "figures": [[_short(value) for value in printed(row, measure)] for measure in MEASURES],
            "best": [index for index, measure in enumerate(MEASURES) if (row.name, measure.name) in best],
            "curves": {
                kind: {name: _curve(curve) for name, curve in quantities.items()}
                for kind, quantities in row.curves.items()
            }
            if row.protocol or row.name == REFERENCE
            else {},
        }
        for row in evaluation.rows
    ]


def _short(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.{SIGNIFICANT}g}")


def _curve(curve: Curve) -> dict:
    ends = {name: plain(getattr(curve, name).tolist(), 3) for name in ("mean", "low", "high")}
    return {**ends, "transitions": curve.transitions, "clips": curve.clips}


def _strip(strip: Strip) -> dict:
    moment = strip.moment
    return {
        "system": strip.system,
        "clip": moment.clip,
        "speaker": moment.person + 1,
        "kind": moment.kind,
        "timeS": moment.frame / MOTION_FPS,
        "distance": float(np.round(moment.distance, 2)),
        "timesS": list(strip.times_s),
        "image": jpeg_uri(strip.image, STRIP_PX),
    }
