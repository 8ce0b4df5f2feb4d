"""All metrics of several systems over many dialogues, beside baselines.

There are two passes: the first checks every file and computes the mean pose, the second measures. A clip leaves
two sums per metric, the sums of its curves around transitions, and its worst transitions, so memory grows only
with the number of dialogues. All systems are measured on the same people.
"""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from dualtalk.choices import Protocol, Workers
from dualtalk.core import Space
from dualtalk.errors import InputError
from dualtalk.evaluation.baselines import BASELINES, surrogate_partners
from dualtalk.evaluation.clip_runner import ClipResult, measure_clip, mesh_regions
from dualtalk.evaluation.curves import CurveSums, TransitionCurve, WorstTransition
from dualtalk.evaluation.loading import System, match_predictions
from dualtalk.evaluation.preflight import Job, check_clip, measurable
from dualtalk.evaluation.registry import METRICS, Metric, available_metrics
from dualtalk.io.clip_files import ClipFiles
from dualtalk.metrics.bootstrap import Estimate, pooled_estimates
from dualtalk.parallel import worker_pool
from dualtalk.progress import Progress

WORST_TRANSITIONS = 3


@dataclass(frozen=True)
class SystemResult:
    """One system, or one baseline, over all dialogues.

    Attributes
    ----------
    name : str
    protocol : "partner-given", "closed-loop" or None
        None for a baseline.
    estimates : metric -> Estimate
        In base units; NaN where nothing was measured.
    curves : kind of transition -> quantity -> TransitionCurve
    worst : tuple of WorstTransition
        Transitions with the largest error, at most one a clip and person, the worst first; of the first sample.
    samples : int
        Metrics other than those of the group "Samples" are means over this many samples.
    """

    name: str
    protocol: Protocol | None
    estimates: dict[str, Estimate]
    curves: dict[str, dict[str, TransitionCurve]]
    worst: tuple[WorstTransition, ...]
    samples: int = 1


@dataclass(frozen=True)
class Evaluation:
    """Results of `evaluate`.

    Attributes
    ----------
    rows : tuple of SystemResult
        Systems in the order given, then the baselines.
    warnings : tuple of str
        What was left out, cut or could not be measured.
    jobs : tuple of Job
        The clips that were measured.
    space : "flame" or "open"
    people, frames, dialogues : int
        `frames` are summed over people.
    metrics : tuple of Metric
    """

    rows: tuple[SystemResult, ...]
    warnings: tuple[str, ...]
    jobs: tuple[Job, ...]
    space: Space
    people: int
    frames: int
    dialogues: int
    metrics: tuple[Metric, ...] = METRICS


def evaluate(
    clips: Sequence[ClipFiles],
    systems: Sequence[System],
    *,
    head: str | os.PathLike = "open",
    workers: Workers = 0,
    seed: int = 0,
    metrics: Sequence[Metric] | None = None,
    progress: Progress = lambda done, total: None,
    each: Callable[[Job, ClipResult], None] = lambda job, result: None,
) -> Evaluation:
    """Measure all systems and all baselines against a ground truth.

    Parameters
    ----------
    clips, systems
        From `find_reference` and `find_system`.
    head : str
        "open", or the path of a FLAME file; not used if it is of another expression space than the motion.
    workers : int or RayCluster
        Processes; the results are the same for any number.
    seed : int
        Of bootstrap intervals and of surrogate partners.
    metrics : sequence of Metric, optional
        From `available_metrics`, which is the default.
    progress : callable
        Progress: called with steps done and steps in all.
    each : callable
        Called with every clip's results, in order; they are not kept.

    Raises
    ------
    InputError
        A file is invalid, expression spaces are mixed, or nothing can be measured.
    """
    names = [system.name for system in systems]
    if not systems or len(set(names)) < len(names) or set(names) & set(BASELINES):
        raise InputError(
            f"systems are named {', '.join(names)}; wanted different names, none of a baseline: --system-name"
        )
    chosen = tuple(available_metrics() if metrics is None else metrics)
    pairs, warnings = match_predictions(clips, systems)
    surrogates = surrogate_partners([files for files, _ in pairs], seed)
    best_of = min((system.samples for system in systems if system.samples > 1), default=1)
    jobs = [
        Job(files, people, _of_clip(systems, files.clip), others, str(head), best_of, chosen[len(METRICS) :])
        for (files, people), others in zip(pairs, surrogates, strict=True)
    ]
    steps = 2 * len(jobs)
    with worker_pool(0 if workers == 1 else workers) as pool:
        checks = []
        for done, check in enumerate(pool.map(check_clip, jobs), start=1):
            checks.append(check)
            progress(done, steps)
        jobs, check_warnings = measurable(jobs, checks)
        sums = _Sums(names, [job.files.dialogue for job in jobs], chosen)
        for index, result in enumerate(pool.map(measure_clip, jobs)):
            sums.add(jobs[index], result)
            each(jobs[index], result)
            progress(steps - len(jobs) + index + 1, steps)
    return Evaluation(
        rows=sums.rows({system.name: system for system in systems}, seed),
        warnings=(
            *warnings,
            *_sample_warnings(systems, best_of),
            *check_warnings,
            *_mesh_warnings(jobs[0]),
            *sums.warnings(),
        ),
        jobs=tuple(jobs),
        space=checks[0].space,
        people=sum(len(job.people) for job in jobs),
        frames=sum((job.end - job.first) * len(job.people) for job in jobs),
        dialogues=len({job.files.dialogue for job in jobs}),
        metrics=chosen,
    )


def _of_clip(systems: Sequence[System], clip: str) -> tuple[System, ...]:
    return tuple(
        replace(one, files={who: one.files[who] for who in ((clip, 0), (clip, 1)) if who in one.files})
        for one in systems
    )


def _sample_warnings(systems: Sequence[System], best_of: int) -> list[str]:
    stochastic = [f"{system.name} has {system.samples} samples" for system in systems if system.samples > 1]
    if not stochastic:
        return []
    return [
        f"{', '.join(stochastic)}: N of best of N is {best_of}; metrics outside the group Samples are means over "
        "samples; worst transitions and timelines show the first sample"
    ]


def _mesh_warnings(job: Job) -> list[str]:
    if mesh_regions(job.head, job.space) is not None:
        return []
    return [
        f"motion is in space {job.space!r} and no head of that space was given (--head): no mesh metrics, and lip "
        "aperture is estimated from the jaw"
    ]


class _Sums:
    """Sums over all clips, by dialogue; rows as in `ClipResult`."""

    def __init__(self, systems: Sequence[str], dialogues: Sequence[str], metrics: Sequence[Metric]) -> None:
        self._names = [*systems, *BASELINES]
        self._metrics = metrics
        self._dialogue = {name: index for index, name in enumerate(dict.fromkeys(dialogues))}
        self._sums = np.zeros((len(self._names), len(self._dialogue), len(metrics), 2))
        self._curves = [CurveSums.empty() for _ in self._names]
        self._worst: dict[str, list[WorstTransition]] = {name: [] for name in systems}
        self._failures: dict[str, list[str]] = {}

    def add(self, job: Job, result: ClipResult) -> None:
        self._sums[:, self._dialogue[job.files.dialogue]] += result.sums.sum(axis=1)
        for row, curves in enumerate(result.curves):
            # Intervals of curves are over clips, not dialogues, so that no dialogue's curves are kept.
            self._curves[row] += curves.finished()
        for name, worst in zip(self._worst, result.worst, strict=True):
            self._worst[name] = sorted((*self._worst[name], *worst))[:WORST_TRANSITIONS]
        for name, message in result.failures.items():
            self._failures.setdefault(name, []).append(message)

    def rows(self, systems: dict[str, System], seed: int) -> tuple[SystemResult, ...]:
        names = [metric.name for metric in self._metrics]
        return tuple(
            SystemResult(
                name,
                systems[name].protocol if name in systems else None,
                dict(zip(names, pooled_estimates(self._sums[row], seed), strict=True)),
                self._curves[row].means(),
                tuple(self._worst.get(name, ())),
                systems[name].samples if name in systems else 1,
            )
            for row, name in enumerate(self._names)
        )

    def warnings(self) -> list[str]:
        found = [
            f"metric {name!r} failed in {len(messages)} clips and has no value there: {messages[0]}"
            for name, messages in self._failures.items()
        ]
        if len(self._dialogue) == 1:
            found.append("all clips are of one dialogue: no intervals, and no baselines from another dialogue")
        return found
