"""Measures one clip: every system and every baseline against the ground truth. Runs in worker processes."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from jaxtyping import Float

from dualtalk.audio.prosody import loudness_db
from dualtalk.core import PARTY, Space
from dualtalk.evaluation.baselines import BASELINES, GROUND_TRUTH, baseline_motions, fit_length
from dualtalk.evaluation.clip_metrics import ReferenceTrack
from dualtalk.evaluation.curves import CurveSums, WorstTransition, curve_sums, worst_transitions
from dualtalk.evaluation.features import MeshRegions, MetricInputs, Motion, MotionFeatures
from dualtalk.evaluation.loading import ReferencePerson, System, cut_person, read_clip, read_prediction
from dualtalk.evaluation.preflight import Job
from dualtalk.evaluation.registry import METRIC_NAMES, METRICS, Metric
from dualtalk.head import load_head
from dualtalk.metrics.bootstrap import WeightedMean
from dualtalk.metrics.stochastic import sample_metrics
from dualtalk.metrics.turn_transitions import Roles

COLUMN = {name: index for index, name in enumerate(METRIC_NAMES)}


@dataclass(frozen=True, eq=False)
class ClipResult:
    """Results of one clip; rows are the systems, then the baselines.

    Attributes
    ----------
    sums : (row, party, metric, 2) float
        Totals and weights, means over samples; the package's metrics, then the job's plug-ins. 0 where nothing was
        measured.
    curves : for each row
    worst : for each system
    failures : plug-in metric -> first exception
    """

    sums: Float[np.ndarray, "row party metric 2"]
    curves: tuple[CurveSums, ...]
    worst: tuple[tuple[WorstTransition, ...], ...]
    failures: dict[str, str]


class _ClipSums:
    """Collects the results of one clip."""

    def __init__(self, job: Job) -> None:
        self._plugins = job.plugins
        self._columns = {**COLUMN, **{one.name: len(METRICS) + i for i, one in enumerate(job.plugins)}}
        self.names = [*(system.name for system in job.systems), *BASELINES]
        self.sums = np.zeros((len(self.names), len(PARTY), len(self._columns), 2))
        self.curves = [CurveSums.empty() for _ in self.names]
        self.worst: list[list[WorstTransition]] = [[] for _ in job.systems]
        self.failures: dict[str, str] = {}

    def add(self, row: int, person: int, values: dict[str, WeightedMean], share: float = 1.0) -> None:
        """Add weighted means; `share` is 1 over the number of samples. Unknown names are ignored."""
        for name, value in values.items():
            if name in self._columns:
                self.sums[row, person, self._columns[name]] += share * value.total, share * value.weight

    def add_plugins(self, row: int, person: int, inputs: MetricInputs, share: float = 1.0) -> None:
        """Add the metrics of plug-ins; one that raises an exception has no value, and is noted."""
        for metric in self._plugins:
            if (value := self._measured(metric, inputs)) is not None:
                self.add(row, person, {metric.name: value}, share)

    def _measured(self, metric: Metric, inputs: MetricInputs) -> WeightedMean | None:
        try:
            return metric.measure(inputs)
        except Exception as error:  # another package's function may raise any exception
            self.failures.setdefault(metric.name, f"{type(error).__name__}: {error}")
            return None

    def result(self) -> ClipResult:
        worst = tuple(tuple(sorted(found)[:1]) for found in self.worst)
        return ClipResult(self.sums, tuple(self.curves), worst, self.failures)


def measure_clip(job: Job) -> ClipResult:
    """Measure all systems and baselines on one clip."""
    found = _ClipSums(job)
    for track, person in reference_tracks(job):
        for row, system in enumerate(job.systems):
            _measure_system(found, job, row, system, track, person)
        assert job.mean_pose is not None
        for name, coefficients, partner in baseline_motions(track, job.mean_pose):
            row = found.names.index(name)
            features = track.ground_truth if name == GROUND_TRUTH else track.features(coefficients)
            found.add(row, person, track.metrics(features, partner, slow=name == GROUND_TRUTH))
            found.add_plugins(row, person, track.inputs(features, partner))
            if track.roles is not None:
                found.curves[row] += curve_sums(track.roles, features)
    return found.result()


def _measure_system(
    found: _ClipSums, job: Job, row: int, system: System, track: ReferenceTrack, person: int
) -> None:
    samples = [prediction_of(job, system, person, sample) for sample in range(system.samples)]
    curves = []
    for coefficients, partner in samples:
        features = track.features(coefficients)
        found.add(row, person, track.metrics(features, partner), 1 / len(samples))
        found.add_plugins(row, person, track.inputs(features, partner), 1 / len(samples))
        if track.roles is not None:
            curves.append(curve_sums(track.roles, features))
    if len(samples) > 1:
        stacked = np.stack([coefficients for coefficients, _ in samples])
        found.add(row, person, sample_metrics(track.ground_truth.coefficients, stacked, job.best_of))
    if curves:
        found.curves[row] += CurveSums.mean_of(curves)
        first = track.features(samples[0][0])
        found.worst[row] += worst_transitions(job.files.clip, person, track, first, job.variances, job.first)


def prediction_of(job: Job, system: System, person: int, sample: int = 0) -> tuple[Motion, Motion | None]:
    """A system's motion of one person over the measured frames, and of the partner if it predicted both."""
    assert job.space is not None
    needed = [person, 1 - person] if system.protocol == "closed-loop" else [person]
    found = [
        read_prediction(system.files[job.files.clip, who][sample], job.space).coefficients[job.first : job.end]
        for who in needed
    ]
    return found[0], found[1] if len(found) > 1 else None


def reference_tracks(job: Job) -> Iterator[tuple[ReferenceTrack, int]]:
    """The ground truth of each measured person of a clip, and which person it is."""
    people = [cut_person(person, job.first, job.end) for person in read_clip(job.files)]
    surrogates = [read_clip(files, audio=False) for files in job.surrogates]
    regions, frames = mesh_regions(job.head, job.space), job.end - job.first
    features = [MotionFeatures(person.motion, regions) if person.motion else None for person in people]
    for who in job.people:
        own, other, ground_truth = people[who], people[1 - who], features[who]
        assert ground_truth is not None
        surrogate, random_clip = [_motion_of(pair, who, frames) for pair in surrogates] or (None, None)
        roles = None
        if own.speech is not None and other.speech is not None:
            roles = Roles(own.speech, other.speech, frames)
        yield (
            ReferenceTrack(
                ground_truth=ground_truth,
                partner=features[1 - who],
                surrogate=surrogate,
                random_clip=random_clip,
                roles=roles,
                loudness_db=_loudness(own, frames),
                phonemes=own.phonemes,
            ),
            who,
        )


@lru_cache(maxsize=2)
def mesh_regions(head: str, space: Space | None) -> MeshRegions | None:
    """The head's vertices to measure; None if the head is of another expression space than the motion."""
    loaded = load_head(head)
    return MeshRegions.of(loaded) if loaded.space == space else None


def _motion_of(pair: Sequence[ReferencePerson], who: int, frames: int) -> Motion:
    """Motion, as long as `frames`, of person `who` of the pair, or of the partner if that person has none."""
    motion = pair[who].motion or pair[1 - who].motion
    assert motion is not None
    return fit_length(motion.coefficients, frames)


def _loudness(person: ReferencePerson, frames: int) -> Float[np.ndarray, "frame"] | None:
    """None if the audio ends more than a frame before the motion."""
    if person.audio is None:
        return None
    loudness = loudness_db(person.audio)[:frames].astype(np.float64)
    if len(loudness) < frames - 1 or not len(loudness):
        return None
    return np.pad(loudness, (0, frames - len(loudness)), mode="edge")
