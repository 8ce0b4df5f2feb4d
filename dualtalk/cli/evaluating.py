"""The verb `evaluate`: systems against a reference, to a page, a table and JSON."""

import json
import os
import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path

import dualtalk
from dualtalk.cli.progress import Stages
from dualtalk.errors import InputError, SetupError
from dualtalk.evaluation.clip_table import clip_table
from dualtalk.evaluation.loading import find_reference, find_system
from dualtalk.evaluation.runner import Evaluation, evaluate
from dualtalk.evaluation.tables import as_json, write_csv
from dualtalk.head import load_head
from dualtalk.webpages.comparison_report import write_comparison
from dualtalk.webpages.comparison_stills import worst_strips
from dualtalk.webpages.comparison_timelines import timelines

RECORD = "evaluation.json"
# What decides the numbers that come out.
RECORDED_PACKAGES = ("numpy", "scipy", "scikit-learn", "torch", "smplx")
HEADLINE = ("FD expression", "FD jaw", "FD head", "P-FD expression", "MSE expression")


@dataclass(frozen=True)
class Request:
    """What was asked for, as evaluation.json keeps it."""

    predicted: tuple[Path, ...]
    reference: Path
    names: tuple[str, ...]
    protocols: tuple[str, ...]
    split: str
    head: str
    seed: int
    frames: bool


def run(request: Request, folder: Path, *, workers: int | None) -> list[str]:
    """Evaluate and write every result into `folder`; gives the lines that sum it up.

    Raises
    ------
    DualTalkError
        A file is not as it should be.
    """
    clips = find_reference(request.reference, request.split)
    systems = [
        find_system(root, name, protocol, request.split)
        for root, name, protocol in zip(
            request.predicted, _names(request), _protocols(request.protocols, len(request.predicted)), strict=True
        )
    ]
    count = workers if workers is not None else max(len(os.sched_getaffinity(0)), 1)
    with Stages() as stages:
        with stages.stage("Measuring") as report, clip_table(folder / "clips.csv") as each:
            found = evaluate(
                clips, systems, head=request.head, workers=count, seed=request.seed, report=report, each=each
            )
        with stages.stage("Drawing"):
            strips, further = _strips(found, request)
        found = _noted(found, further)
        record = _record(request)
        with stages.stage("Writing"):
            write_csv(found, folder / "figures.csv")
            content = {**as_json(found), "run": record}
            (folder / RECORD).write_text(
                json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False, default=str) + "\n"
            )
            shown = timelines(found)
            write_comparison(found, folder / "report.html", timelines=shown, strips=strips, run=record)
    return [*_summary(found), *(f"note: {note}" for note in found.notes)]


def _names(request: Request) -> Sequence[str]:
    if not request.names:
        return [path.resolve().name for path in request.predicted]
    if len(request.names) != len(request.predicted):
        raise InputError(
            f"{len(request.names)} names for {len(request.predicted)} folders; wanted a --name for each, in order"
        )
    return request.names


def _protocols(protocols: Sequence[str], systems: int) -> Sequence[str]:
    if len(protocols) not in (1, systems):
        raise InputError(
            f"{len(protocols)} protocols for {systems} folders; wanted one --protocol, or one for each"
        )
    return protocols if len(protocols) == systems else [*protocols] * systems


def _strips(found: Evaluation, request: Request) -> tuple[list, list[str]]:
    """Pictures where they are wanted and can be drawn; else why not."""
    if not request.frames:
        return [], []
    head = load_head(request.head)
    if head.space != found.space:
        return [], [f"no frames are drawn: no head of space {found.space!r} was given"]
    try:
        return worst_strips(found, head), []
    except SetupError as error:
        return [], [f"no frames are drawn: {error}"]


def _noted(found: Evaluation, further: Sequence[str]) -> Evaluation:
    return Evaluation(**{**vars(found), "notes": (*found.notes, *further)})


def _record(request: Request) -> dict:
    """How it was made, without what does not change the figures."""
    options = {name: value for name, value in asdict(request).items() if name not in ("predicted", "reference")}
    return {
        "predicted": [str(path) for path in request.predicted],
        "reference": str(request.reference),
        "options": options,
        "versions": {
            "dualtalk": dualtalk.__version__,
            "python": platform.python_version(),
            **{package: version(package) for package in RECORDED_PACKAGES},
        },
    }


def _summary(found: Evaluation) -> list[str]:
    """Systems and controls with the figures one looks at first."""
    from dualtalk.evaluation.registry import MEASURES, POSITION
    from dualtalk.evaluation.tables import printed

    chosen = [MEASURES[POSITION[name]] for name in HEADLINE]
    width = 2 + max(len(row.name) for row in found.rows)
    lines = [
        f"{found.people} people in {len(found.jobs)} clips of {found.dialogues} dialogues",
        f"{'':<{width}}{'':<15}"
        + "".join(f"{measure.name.replace('expression', 'exp'):>12}" for measure in chosen),
    ]
    for row in found.rows:
        values = [printed(row, measure)[0] for measure in chosen]
        cells = "".join(f"{'–':>12}" if value is None else f"{value:>12.4g}" for value in values)
        lines.append(f"{row.name:<{width}}{row.protocol or 'control':<15}{cells}")
    return lines
