"""The verb `evaluate`: predicted motion against ground truth, as a page, tables and JSON."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dualtalk.cli.options import (
    EngineOption,
    HeadOption,
    OverwriteOption,
    RayAddressOption,
    ResultFolder,
    WorkersOption,
)
from dualtalk.cli.workers import chosen_workers

if TYPE_CHECKING:
    from dualtalk.evaluation.runner import Evaluation

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
    # Typer takes no list of Literal; `evaluate_to_folder` checks the values.
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
    engine: EngineOption = "local",
    ray_address: RayAddressOption = None,
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
    from dualtalk.cli.progress import Stages
    from dualtalk.comparison import EvaluationOptions, evaluate_to_folder

    options = EvaluationOptions(
        names=tuple(system_name or ()),
        protocols=tuple(protocol or ("partner-given",)),
        split=split,
        head=head,
        seed=seed,
        stills=not no_stills,
    )
    chosen = chosen_workers(workers, engine, ray_address)
    with Stages() as stages:
        evaluation = evaluate_to_folder(
            predicted, reference, out, options, workers=chosen, overwrite=overwrite, stage=stages.stage
        )
    print(
        *_summary(evaluation),
        *(f"warning: {warning}" for warning in evaluation.warnings),
        *(f"  {out / path.name}" for path in sorted(out.iterdir())),
        sep="\n",
    )


def _summary(evaluation: "Evaluation") -> list[str]:
    """Lines with every system and baseline and the headline metrics."""
    from dualtalk.evaluation.tables import BASELINE, displayed

    chosen = [metric for metric in evaluation.metrics if metric.name in HEADLINE]
    width = 2 + max(len(row.name) for row in evaluation.rows)
    lines = [
        f"{evaluation.people} people in {len(evaluation.jobs)} clips of {evaluation.dialogues} dialogues",
        f"{'':<{width}}{'':<15}" + "".join(f"{metric.name.replace('expression', 'exp'):>12}" for metric in chosen),
    ]
    for row in evaluation.rows:
        values = [displayed(row, metric)[0] for metric in chosen]
        cells = "".join(f"{'–':>12}" if value is None else f"{value:>12.4g}" for value in values)
        lines.append(f"{row.name:<{width}}{row.protocol or BASELINE:<15}{cells}")
    return lines
