"""The verb `evaluate`: predicted motion against ground truth, as a page, tables and JSON."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast, get_args

import typer

from dualtalk.choices import Protocol
from dualtalk.cli.options import HeadOption, OverwriteOption, ResultFolder, WorkersOption
from dualtalk.io.result_folder import result_folder
from dualtalk.io.run_record import recorded_versions

if TYPE_CHECKING:
    from dualtalk.evaluation.runner import Evaluation

RECORD = "evaluation.json"
# The versions that decide the figures.
RECORDED_PACKAGES = ("numpy", "scipy", "scikit-learn", "torch", "smplx")
HEADLINE = ("FD expression", "FD jaw", "FD head", "P-FD expression", "MSE expression")


def evaluate(
    predicted: Annotated[
        list[Path],
        typer.Argument(
            metavar="PREDICTED...",
            show_default=False,
            help="One folder per system, of CLIP_speaker1.npy (frame, 56) or .npz, and so on. A system with "
            "several samples has such folders inside, named sample0, sample1.",
        ),
    ],
    reference: Annotated[
        Path,
        typer.Option(
            show_default=False,
            metavar="DIR",
            help="Ground truth: a store, or a folder of CLIP_speaker1.npz and .wav as published.",
        ),
    ],
    out: ResultFolder,
    system_name: Annotated[
        list[str] | None,
        typer.Option(show_default="its folder's", help="Name of a system; one per system, in order."),
    ] = None,
    # Typer takes no list of Literal; `_protocols` checks the values.
    protocol: Annotated[
        list[str] | None,
        typer.Option(
            metavar="partner-given|closed-loop",
            show_default="partner-given",
            help="Evaluation protocol of the systems: given the partner's true motion, or both voices alone. One "
            "for all, or one per system, in order. The two are never ranked together.",
        ),
    ] = None,
    split: Annotated[str, typer.Option(help="The split of the reference, if it has splits.")] = "test",
    head: HeadOption = "open",
    seed: Annotated[int, typer.Option(min=0, help="Random seed of confidence intervals and baselines.")] = 0,
    workers: WorkersOption = None,
    no_stills: Annotated[
        bool, typer.Option("--no-stills", help="Render no stills of the worst transitions.")
    ] = False,
    overwrite: OverwriteOption = False,
) -> None:
    """Compare predicted motion with ground truth: benchmark, lips, listening and turn transitions.

    Example: [bold]dualtalk evaluate ours theirs --reference stores/test --out comparison[/]

    Writes report.html, figures.csv, clips.csv (one row per clip and person)
    and evaluation.json. Baselines are always among the rows. docs/metrics.md
    defines every metric.
    """
    with result_folder(out, overwrite=overwrite, record=RECORD) as folder:
        options = EvaluationOptions(
            predicted=tuple(predicted),
            reference=reference,
            names=tuple(system_name or ()),
            protocols=tuple(protocol or ("partner-given",)),
            split=split,
            head=head,
            seed=seed,
            stills=not no_stills,
        )
        lines = evaluate_to_folder(options, folder, workers=workers)
    print(*lines, *(f"  {out / path.name}" for path in sorted(out.iterdir())), sep="\n")


@dataclass(frozen=True)
class EvaluationOptions:
    """The options of an evaluation, as evaluation.json records them."""

    predicted: tuple[Path, ...]
    reference: Path
    names: tuple[str, ...]
    protocols: tuple[str, ...]
    split: str
    head: str
    seed: int
    stills: bool


def evaluate_to_folder(options: EvaluationOptions, folder: Path, *, workers: int | None) -> list[str]:
    """Evaluate, write every result into `folder`, and return lines that summarize them.

    Raises
    ------
    DualTalkError
        A folder or file cannot be used, or names and protocols do not match the systems.
    """
    from dualtalk.cli.progress import Stages
    from dualtalk.evaluation.clip_table import clip_table
    from dualtalk.evaluation.loading import find_reference, find_system
    from dualtalk.evaluation.registry import available_metrics
    from dualtalk.evaluation.runner import evaluate as run_evaluation
    from dualtalk.evaluation.tables import as_json, write_csv
    from dualtalk.parallel import available_cores
    from dualtalk.webpages.comparison_report import write_comparison
    from dualtalk.webpages.comparison_timelines import timelines

    systems = [
        find_system(root, name, protocol, options.split)
        for root, name, protocol in zip(options.predicted, _names(options), _protocols(options), strict=True)
    ]
    clips = find_reference(options.reference, options.split)
    count = workers if workers is not None else available_cores()
    metrics = available_metrics()
    with Stages() as stages:
        with stages.stage("Measuring") as report, clip_table(folder / "clips.csv", metrics) as each:
            found = run_evaluation(
                clips,
                systems,
                head=options.head,
                workers=count,
                seed=options.seed,
                metrics=metrics,
                report=report,
                each=each,
            )
        with stages.stage("Rendering"):
            strips, warnings = _strips(found, options)
        found = replace(found, warnings=(*found.warnings, *warnings))
        record = _record(options)
        with stages.stage("Writing"):
            write_csv(found, folder / "figures.csv")
            content = {**as_json(found), "run": record}
            (folder / RECORD).write_text(
                json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False, default=str) + "\n"
            )
            charts = timelines(found)
            write_comparison(found, folder / "report.html", timelines=charts, strips=strips, run=record)
    return [*_summary(found), *(f"warning: {warning}" for warning in found.warnings)]


def _names(options: EvaluationOptions) -> Sequence[str]:
    from dualtalk.errors import InputError

    if not options.names:
        return [path.resolve().name for path in options.predicted]
    if len(options.names) != len(options.predicted):
        raise InputError(
            f"{len(options.names)} names for {len(options.predicted)} folders; wanted a --system-name for each, "
            "in order"
        )
    return options.names


def _protocols(options: EvaluationOptions) -> Sequence[Protocol]:
    from dualtalk.errors import InputError

    protocols, systems = options.protocols, len(options.predicted)
    if len(protocols) not in (1, systems):
        raise InputError(
            f"{len(protocols)} protocols for {systems} folders; wanted one --protocol, or one for each"
        )
    if unknown := set(protocols) - set(get_args(Protocol)):
        raise InputError(f"unknown protocol {min(unknown)!r}; wanted one of {', '.join(get_args(Protocol))}")
    return cast(Sequence[Protocol], protocols if len(protocols) == systems else [*protocols] * systems)


def _strips(found: "Evaluation", options: EvaluationOptions) -> tuple[list, list[str]]:
    """Stills of the worst transitions, and warnings on why there are none."""
    from dualtalk.errors import SetupError
    from dualtalk.head import load_head
    from dualtalk.webpages.comparison_stills import worst_strips

    if not options.stills:
        return [], []
    head = load_head(options.head)
    if head.space != found.space:
        return [], [f"no stills: no head of space {found.space!r} was given"]
    try:
        return worst_strips(found, head), []
    except SetupError as error:
        return [], [f"no stills: {error}"]


def _record(options: EvaluationOptions) -> dict:
    """The options and versions that decide the figures."""
    given = {name: value for name, value in asdict(options).items() if name not in ("predicted", "reference")}
    return {
        "predicted": [str(path) for path in options.predicted],
        "reference": str(options.reference),
        "options": given,
        "versions": recorded_versions(*RECORDED_PACKAGES),
    }


def _summary(found: "Evaluation") -> list[str]:
    """Lines with every system and baseline and the headline metrics."""
    from dualtalk.evaluation.tables import BASELINE, displayed

    chosen = [metric for metric in found.metrics if metric.name in HEADLINE]
    width = 2 + max(len(row.name) for row in found.rows)
    lines = [
        f"{found.people} people in {len(found.jobs)} clips of {found.dialogues} dialogues",
        f"{'':<{width}}{'':<15}" + "".join(f"{metric.name.replace('expression', 'exp'):>12}" for metric in chosen),
    ]
    for row in found.rows:
        values = [displayed(row, metric)[0] for metric in chosen]
        cells = "".join(f"{'–':>12}" if value is None else f"{value:>12.4g}" for value in values)
        lines.append(f"{row.name:<{width}}{row.protocol or BASELINE:<15}{cells}")
    return lines
