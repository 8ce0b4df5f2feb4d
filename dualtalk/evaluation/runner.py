"""All figures of several systems over many dialogues, with controls, clip by clip.

Two passes: one looks every file over and finds the mean pose, one measures. A clip leaves behind two sums a
measure, the sums of its curves around transitions, and its worst transitions, so memory does not grow with
clips, but for those two sums a dialogue. Systems are compared on the same people.
"""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from jaxtyping import Float

from dualtalk.audio.prosody import loudness_db
from dualtalk.core import PARTY, Space
from dualtalk.errors import InputError
from dualtalk.evaluation.baselines import CONTROLS, REFERENCE, as_long, control_motions, strangers
from dualtalk.evaluation.clip_metrics import Act, Side, Skin
from dualtalk.evaluation.curves import Curve, CurveSums, Moment, curve_sums, worst_windows
from dualtalk.evaluation.loading import (
    ClipFiles,
    Protocol,
    ReferencePerson,
    System,
    cut,
    matched,
    read_clip,
    read_prediction,
)
from dualtalk.evaluation.preflight import Job, look_over, measurable
from dualtalk.evaluation.registry import MEASURES, NAMES, POSITION
from dualtalk.head import load_head
from dualtalk.metrics.bootstrap import Estimate, Tally, over_dialogues_together
from dualtalk.metrics.roles import Roles
from dualtalk.metrics.stochastic import sample_figures
from dualtalk.parallel import WorkerPool

Report = Callable[[int, int], None]
Each = Callable[[Job, "Measured"], None]
WORST_SHOWN = 3


@dataclass(frozen=True)
class Row:
    """One system, or one control, over all dialogues.

    Attributes
    ----------
    name : str
    protocol : "partner-given", "closed-loop" or None
        None of a control.
    figures : measure -> Estimate
        Unscaled; NaN where nothing was measured.
    curves : kind of transition -> quantity -> Curve
    worst : tuple of Moment
        Transitions furthest from the reference, no two of one clip, the worst first; of the first sample.
    samples : int
        Of how many all but the family "Samples" is the mean.
    """

    name: str
    protocol: Protocol | None
    figures: dict[str, Estimate]
    curves: dict[str, dict[str, Curve]]
    worst: tuple[Moment, ...]
    samples: int = 1


@dataclass(frozen=True)
class Evaluation:
    """What was found.

    Attributes
    ----------
    rows : tuple of Row
        Systems in the order given, then the controls.
    notes : tuple of str
        What was left out, cut or could not be measured.
    jobs : tuple of Job
        The clips that were measured, for who wants to look at some again.
    """

    rows: tuple[Row, ...]
    notes: tuple[str, ...]
    jobs: tuple[Job, ...]
    space: Space
    people: int
    frames: int
    dialogues: int


def evaluate(
    clips: Sequence[ClipFiles],
    systems: Sequence[System],
    *,
    head: str | os.PathLike = "open",
    workers: int = 0,
    seed: int = 0,
    report: Report = lambda done, total: None,
    each: Each = lambda job, measured: None,
) -> Evaluation:
    """Measure all systems, and all controls, against a reference.

    Parameters
    ----------
    clips, systems
        From `find_reference` and `find_system`.
    head : str
        "open", or the path of a FLAME file; one of another space than the motion is not used.
    workers : int
        Processes; the figures are the same for any number.
    each : callable
        Is given every clip's figures, in order, as they come: they are not kept.

    Raises
    ------
    InputError
        A file is not as it should be, spaces are mixed, or nothing can be measured.
    """
    names = [system.name for system in systems]
    if not systems or len(set(names)) < len(names) or set(names) & set(CONTROLS):
        raise InputError(
            f"systems are named {', '.join(names)}; wanted different names, none of a control: --system-name"
        )
    pairs, notes = matched(clips, systems)
    others = strangers([files for files, _ in pairs], seed)
    draws = min((system.samples for system in systems if system.samples > 1), default=1)
    jobs = [
        Job(files, people, _of_clip(systems, files.clip), foreign, str(head), draws)
        for (files, people), foreign in zip(pairs, others, strict=True)
    ]
    steps = 2 * len(jobs)
    with WorkerPool(workers if workers > 1 else 0) as pool:
        looked = []
        for done, one in enumerate(pool.map(look_over, jobs), start=1):
            looked.append(one)
            report(done, steps)
        jobs, said = measurable(jobs, looked)
        sums = _Sums(names, [job.files.dialogue for job in jobs])
        for index, one in enumerate(pool.map(measure, jobs)):
            sums.add(jobs[index], one)
            each(jobs[index], one)
            report(steps - len(jobs) + index + 1, steps)
    rows = sums.rows({system.name: system for system in systems}, seed)
    return Evaluation(
        rows=rows,
        notes=(*notes, *_said_of_samples(systems, draws), *said, *_said_of_skin(jobs[0]), *sums.notes()),
        jobs=tuple(jobs),
        space=jobs[0].space,
        people=sum(len(job.people) for job in jobs),
        frames=sum((job.end - job.first) * len(job.people) for job in jobs),
        dialogues=len({job.files.dialogue for job in jobs}),
    )


def _of_clip(systems: Sequence[System], clip: str) -> tuple[System, ...]:
    return tuple(
        replace(one, files={who: one.files[who] for who in ((clip, 0), (clip, 1)) if who in one.files})
        for one in systems
    )


def _said_of_samples(systems: Sequence[System], draws: int) -> list[str]:
    drawn = [f"{system.name} has {system.samples} samples" for system in systems if system.samples > 1]
    if not drawn:
        return []
    return [
        f"{', '.join(drawn)}: best of N is of {draws}; what is not under Samples is the mean over samples; worst "
        "transitions and rasters are of the first"
    ]


def _said_of_skin(job: Job) -> list[str]:
    if _skin(job.head, job.space) is not None:
        return []
    return [
        f"motion is in space {job.space!r} and no such head was given (--head): nothing is measured on the skin, "
        "and mouth opening is taken from the jaw"
    ]


@lru_cache(maxsize=2)
def _skin(head: str, space: Space) -> Skin | None:
    loaded = load_head(head)
    return Skin.of(loaded) if loaded.space == space else None


@dataclass(frozen=True, eq=False)
class Measured:
    """What a clip leaves behind; rows are the systems, then the controls.

    Attributes
    ----------
    tallies : (row, party, measure, 2) float
        Numerators and denominators, means over samples; 0 of whom nothing was measured.
    curves : for each row
    worst : for each system
    """

    tallies: Float[np.ndarray, "row party measure 2"]
    curves: tuple[CurveSums, ...]
    worst: tuple[tuple[Moment, ...], ...]


def measure(job: Job) -> Measured:
    """Measure all systems and controls on one clip."""
    names = [*(system.name for system in job.systems), *CONTROLS]
    tallies = np.zeros((len(names), len(PARTY), len(MEASURES), 2))
    curves = [CurveSums.empty() for _ in names]
    worst: list[list[Moment]] = [[] for _ in job.systems]

    def add(row: int, person: int, figures: dict[str, Tally], share: float = 1.0) -> None:
        for name, tally in figures.items():
            if name in POSITION:
                tallies[row, person, POSITION[name]] += share * tally.total, share * tally.weight

    for side, person in sides(job):
        for row, system in enumerate(job.systems):
            made = [predicted(job, system, person, sample) for sample in range(system.samples)]
            drawn = []
            for own, heard in made:
                act = side.act(own)
                add(row, person, side.figures(act, heard), 1 / len(made))
                if side.roles is not None:
                    drawn.append(curve_sums(side.roles, act))
            if len(made) > 1:
                samples = np.stack([own for own, _ in made])
                add(row, person, sample_figures(side.own.coefficients, samples, job.draws))
            if drawn:
                curves[row] += CurveSums.mean_of(drawn)
                shown = side.act(made[0][0])
                worst[row] += worst_windows(job.files.clip, person, side, shown, job.spread, job.first)
        for name, coefficients, heard in control_motions(side, job.mean_pose):
            act = side.own if name == REFERENCE else side.act(coefficients)
            add(names.index(name), person, side.figures(act, heard, slow=name == REFERENCE))
            if side.roles is not None:
                curves[names.index(name)] += curve_sums(side.roles, act)
    return Measured(tallies, tuple(curves), tuple(tuple(sorted(some)[:1]) for some in worst))


def predicted(
    job: Job, system: System, person: int, sample: int = 0
) -> tuple[Float[np.ndarray, "frame 56"], Float[np.ndarray, "frame 56"] | None]:
    """A system's motion of one person, and of the partner where it made both, over the measured frames."""
    wanted = [person, 1 - person] if system.protocol == "closed-loop" else [person]
    found = [
        read_prediction(system.files[job.files.clip, who][sample], job.space).coefficients[job.first : job.end]
        for who in wanted
    ]
    return found[0], found[1] if len(found) > 1 else None


def sides(job: Job) -> list[tuple[Side, int]]:
    """The reference for each person of a clip who is measured."""
    people = [cut(person, job.first, job.end) for person in read_clip(job.files)]
    strange = [read_clip(files, listen=False) for files in job.strangers]
    skin, frames = _skin(job.head, job.space), job.end - job.first
    acts = [Act(person.motion, skin) if person.motion else None for person in people]
    made = []
    for who in job.people:
        own, other = people[who], people[1 - who]
        speech = (own.speech, other.speech)
        stranger, foreign = [_motion_of(pair, who, frames) for pair in strange] or (None, None)
        side = Side(
            own=acts[who],
            partner=acts[1 - who],
            stranger=stranger,
            foreign=foreign,
            roles=Roles(*speech, frames) if all(one is not None for one in speech) else None,
            loudness_db=_loudness(own, frames),
            phonemes=own.phonemes,
        )
        made.append((side, who))
    return made


def _motion_of(pair: Sequence[ReferencePerson], who: int, frames: int) -> Float[np.ndarray, "frame 56"]:
    """That one of the pair, or the other where they have no motion."""
    there = pair[who].motion or pair[1 - who].motion
    return as_long(there.coefficients, frames)


def _loudness(person: ReferencePerson, frames: int) -> Float[np.ndarray, "frame"] | None:
    """None where the sound ends more than a frame before the motion does."""
    if person.audio is None:
        return None
    heard = loudness_db(person.audio)[:frames].astype(np.float64)
    return np.pad(heard, (0, frames - len(heard)), mode="edge") if len(heard) >= frames - 1 > 0 else None


class _Sums:
    """What all clips leave behind, a dialogue at a time; rows as in `Measured`."""

    def __init__(self, systems: Sequence[str], dialogues: Sequence[str]) -> None:
        self._names = [*systems, *CONTROLS]
        self._place = {name: index for index, name in enumerate(dict.fromkeys(dialogues))}
        self._tallies = np.zeros((len(self._names), len(self._place), len(MEASURES), 2))
        self._curves = [CurveSums.empty() for _ in self._names]
        self._worst: dict[str, list[Moment]] = {name: [] for name in systems}

    def add(self, job: Job, one: Measured) -> None:
        self._tallies[:, self._place[job.files.dialogue]] += one.tallies.sum(axis=1)
        for row, curves in enumerate(one.curves):
            # A clip counts as a dialogue in the bands of curves, lest every dialogue's curve be kept.
            self._curves[row] += curves.closed()
        for name, moments in zip(self._worst, one.worst, strict=True):
            self._worst[name] = sorted((*self._worst[name], *moments))[:WORST_SHOWN]

    def rows(self, systems: dict[str, System], seed: int) -> tuple[Row, ...]:
        return tuple(
            Row(
                name,
                systems[name].protocol if name in systems else None,
                dict(zip(NAMES, over_dialogues_together(self._tallies[row], seed), strict=True)),
                self._curves[row].means(),
                tuple(self._worst.get(name, ())),
                systems[name].samples if name in systems else 1,
            )
            for row, name in enumerate(self._names)
        )

    def notes(self) -> list[str]:
        found = []
        if len(self._place) == 1:
            found.append(
                "all clips are of one dialogue: there are no intervals, and no control of another dialogue"
            )
        return found
