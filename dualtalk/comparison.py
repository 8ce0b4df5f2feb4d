"""From predictions to a folder of results: how systems compare with the ground truth and with baselines.

`dualtalk evaluate` calls `evaluate_to_folder`, and so can Python programs. It measures with `dualtalk.evaluation`
and writes pages with `dualtalk.webpages`, so this module is above both. It imports no heavy package before the
work starts, so that a bad path is answered at once.
"""

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, cast, get_args

from dualtalk.choices import Protocol, Workers
from dualtalk.errors import InputError, SetupError
from dualtalk.io.atomic import write_text
from dualtalk.io.result_folder import result_folder
from dualtalk.io.run_record import recorded_versions
from dualtalk.progress import StageContext, log_stage

if TYPE_CHECKING:
    from dualtalk.evaluation.runner import Evaluation
    from dualtalk.webpages.comparison_stills import Strip

REPORT, FIGURES, CLIPS, RECORD = "report.html", "figures.csv", "clips.csv", "evaluation.json"
RESULTS = (REPORT, FIGURES, CLIPS, RECORD)
# The packages whose versions decide the figures.
RECORDED_PACKAGES = ("numpy", "scipy", "scikit-learn", "torch", "smplx")


@dataclass(frozen=True)
class EvaluationOptions:
    """Options of `evaluate_to_folder`, as evaluation.json records them.

    Attributes
    ----------
    names : tuple of str
        One name per system, in order; empty to name each after its folder.
    protocols : tuple of "partner-given" or "closed-loop"
        The evaluation protocol: one for all systems, or one per system, in order.
    split : str
        The split of the reference, if it has splits.
    head : str
        "open", or the path of a FLAME file; needed for metrics of the mesh and for stills.
    seed : int
        Of confidence intervals and baselines.
    stills : bool
        Whether to render stills of the worst transitions.
    """

    names: tuple[str, ...] = ()
    protocols: tuple[str, ...] = ("partner-given",)
    split: str = "test"
    head: str = "open"
    seed: int = 0
    stills: bool = True


def evaluate_to_folder(
    predicted: Sequence[str | os.PathLike],
    reference: str | os.PathLike,
    out: str | os.PathLike,
    options: EvaluationOptions = EvaluationOptions(),
    *,
    workers: Workers | None = None,
    overwrite: bool = False,
    stage: StageContext = log_stage,
) -> "Evaluation":
    """Compare predicted motion with ground truth and write every result into a folder.

    The folder holds report.html, figures.csv, clips.csv (one row per clip and person) and evaluation.json. It
    appears as a whole or not at all.

    Parameters
    ----------
    predicted : sequence of path
        One folder per system, of CLIP_speaker1.npy (frame, 56) or .npz, and so on. A system with several samples
        has such folders inside, named sample0, sample1.
    reference : path
        Ground truth: a store, or a folder of CLIP_speaker1.npz and .wav as published.
    out : path
        Folder for the results.
    options : EvaluationOptions
    workers : int or RayCluster, optional
        Processes or a cluster, which do not change the results; by default as many as there are cores.
    overwrite : bool
        Replace the results of an earlier run.
    stage : callable
        Called with the name of each stage; returns a context manager that yields a progress callback. The default
        logs the names.

    Returns
    -------
    Evaluation
        Its warnings say what was left out, cut or not rendered.

    Raises
    ------
    InputError
        A folder or file cannot be used, or names and protocols do not match the systems.
    """
    inputs = [*predicted, reference]
    with result_folder(out, overwrite=overwrite, record=RECORD, results=RESULTS, inputs=inputs) as folder:
        return _write_results([Path(root) for root in predicted], Path(reference), folder, options, workers, stage)


def _write_results(
    predicted: list[Path],
    reference: Path,
    folder: Path,
    options: EvaluationOptions,
    workers: Workers | None,
    stage: StageContext,
) -> "Evaluation":
    # Deferred: they load scipy and torch.
    from dualtalk.evaluation.clip_table import clip_table
    from dualtalk.evaluation.loading import find_reference, find_system
    from dualtalk.evaluation.registry import available_metrics
    from dualtalk.evaluation.runner import evaluate
    from dualtalk.evaluation.tables import as_json, write_csv
    from dualtalk.parallel import available_cores
    from dualtalk.webpages.comparison_report import write_comparison
    from dualtalk.webpages.comparison_timelines import timelines

    names, protocols = _names(predicted, options), _protocols(predicted, options)
    systems = [
        find_system(root, name, protocol, options.split)
        for root, name, protocol in zip(predicted, names, protocols, strict=True)
    ]
    clips, metrics = find_reference(reference, options.split), available_metrics()
    with stage("Measuring") as progress, clip_table(folder / CLIPS, metrics) as each:
        evaluation = evaluate(
            clips,
            systems,
            head=options.head,
            workers=available_cores() if workers is None else workers,
            seed=options.seed,
            metrics=metrics,
            progress=progress,
            each=each,
        )
    with stage("Rendering"):
        strips, warnings = _strips(evaluation, options)
    evaluation = replace(evaluation, warnings=(*evaluation.warnings, *warnings))
    record = _record(predicted, reference, options)
    with stage("Writing"):
        write_csv(evaluation, folder / FIGURES)
        content = {**as_json(evaluation), "run": record}
        text = json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False, default=str)
        write_text(folder / RECORD, text + "\n")
        charts = timelines(evaluation)
        write_comparison(evaluation, folder / REPORT, timelines=charts, strips=strips, run=record)
    return evaluation


def _names(predicted: list[Path], options: EvaluationOptions) -> Sequence[str]:
    if not options.names:
        return [path.resolve().name for path in predicted]
    if len(options.names) != len(predicted):
        raise InputError(
            f"{len(options.names)} names for {len(predicted)} folders; wanted a --system-name for each, in order"
        )
    return options.names


def _protocols(predicted: list[Path], options: EvaluationOptions) -> Sequence[Protocol]:
    protocols, systems = options.protocols, len(predicted)
    if len(protocols) not in (1, systems):
        raise InputError(
            f"{len(protocols)} protocols for {systems} folders; wanted one --protocol, or one for each"
        )
    if unknown := set(protocols) - set(get_args(Protocol)):
        raise InputError(f"unknown protocol {min(unknown)!r}; wanted one of {', '.join(get_args(Protocol))}")
    return cast(Sequence[Protocol], protocols if len(protocols) == systems else [*protocols] * systems)


def _strips(evaluation: "Evaluation", options: EvaluationOptions) -> tuple[list["Strip"], list[str]]:
    """Stills of the worst transitions, and warnings on why there are none."""
    from dualtalk.head import load_head
    from dualtalk.webpages.comparison_stills import worst_strips

    if not options.stills:
        return [], []
    head = load_head(options.head)
    if head.space != evaluation.space:
        return [], [f"no stills: no head of space {evaluation.space!r} was given"]
    try:
        return worst_strips(evaluation, head), []
    except SetupError as error:
        return [], [f"no stills: {error}"]


def _record(predicted: list[Path], reference: Path, options: EvaluationOptions) -> dict:
    """The options and versions that decide the figures."""
    return {
        "predicted": [str(path) for path in predicted],
        "reference": str(reference),
        "options": asdict(options),
        "versions": recorded_versions(*RECORDED_PACKAGES),
    }
