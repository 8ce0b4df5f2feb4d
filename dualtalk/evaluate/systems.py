"""All figures of several systems over many dialogues, with controls, clip by clip.

Two passes: one looks every file over and finds the mean pose, one measures. A clip leaves behind two sums a
measure, the sums of its curves around transitions, and its worst transitions, so memory does not grow with
clips, but for those two sums a dialogue. Systems are compared on the same people.
"""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache

import numpy as np
from jaxtyping import Float

from dualtalk.audio.prosody import loudness_db
from dualtalk.conversation import DUALTALK56, Space
from dualtalk.errors import InputError
from dualtalk.evaluate.controls import CONTROLS, REFERENCE, as_long, control_motions, strangers
from dualtalk.evaluate.folders import (
    SHOWN_NAMES,
    ClipFiles,
    ReferencePerson,
    Regime,
    System,
    cut,
    matched,
    read_clip,
    read_prediction,
)
from dualtalk.evaluate.measures import MEASURES, NAMES, PARTS, POSITION
from dualtalk.evaluate.roles import Roles
from dualtalk.evaluate.sides import Act, Side, Skin
from dualtalk.evaluate.tally import Estimate, over_dialogues_together
from dualtalk.evaluate.transition_curves import Curve, CurveSums, Moment, curve_sums, worst_windows
from dualtalk.evaluate.workers import Workers
from dualtalk.head import load_head

Report = Callable[[int, int], None]
FEWEST_FRAMES = 2
WORST_SHOWN = 3


@dataclass(frozen=True)
class Row:
    """One system, or one control, over all dialogues.

    Attributes
    ----------
    name : str
    regime : "partner_given", "closed_loop" or None
        None of a control.
    figures : measure -> Estimate
        Unscaled; NaN where nothing was measured.
    curves : kind of transition -> quantity -> Curve
    worst : tuple of Moment
        Transitions furthest from the reference, no two of one clip, the worst first.
    """

    name: str
    regime: Regime | None
    figures: dict[str, Estimate]
    curves: dict[str, dict[str, Curve]]
    worst: tuple[Moment, ...]


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
    jobs: tuple["Job", ...]
    space: Space
    people: int
    frames: int
    dialogues: int


@dataclass(frozen=True)
class Job:
    """One clip to measure.

    Attributes
    ----------
    files : ClipFiles
    people : tuple of int
        Who is measured: 0, 1 or both.
    systems : tuple of System
        With the files of this clip alone.
    strangers : two ClipFiles of other dialogues, or none
    space : "flame" or "open" or None
    first, end : int
        The frames that are measured.
    mean_pose : (56,) or None
    spread : part -> float
        Variance of all reference frames: errors of different parts are compared in its unit.
    head : str
    """

    files: ClipFiles
    people: tuple[int, ...]
    systems: tuple[System, ...]
    strangers: tuple[ClipFiles, ...]
    head: str
    space: Space | None = None
    first: int = 0
    end: int = 0
    mean_pose: Float[np.ndarray, "56"] | None = None
    spread: dict[str, float] = field(default_factory=dict)


def evaluate(
    clips: Sequence[ClipFiles],
    systems: Sequence[System],
    *,
    head: str | os.PathLike = "open",
    workers: int = 0,
    seed: int = 0,
    report: Report = lambda done, total: None,
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

    Raises
    ------
    InputError
        A file is not as it should be, spaces are mixed, or nothing can be measured.
    """
    names = [system.name for system in systems]
    if not systems or len(set(names)) < len(names) or set(names) & set(CONTROLS):
        raise InputError(
            f"systems are named {', '.join(names)}; wanted different names, none of a control: --name"
        )
    pairs, notes = matched(clips, systems)
    others = strangers([files for files, _ in pairs], seed)
    jobs = [
        Job(files, people, _of_clip(systems, files.clip), foreign, str(head))
        for (files, people), foreign in zip(pairs, others, strict=True)
    ]
    steps = 2 * len(jobs)
    with Workers(workers) as pool:
        looked = []
        for done, one in enumerate(pool.map(look_over, jobs), start=1):
            looked.append(one)
            report(done, steps)
        jobs, said = _measurable(jobs, looked)
        sums = _Sums(names, [job.files.dialogue for job in jobs])
        for index, one in enumerate(pool.map(measure, jobs)):
            sums.add(jobs[index], one)
            report(steps - len(jobs) + index + 1, steps)
    rows = sums.rows({system.name: system.regime for system in systems}, seed)
    return Evaluation(
        rows=rows,
        notes=(*notes, *said, *_said_of_skin(jobs[0]), *sums.notes()),
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


@dataclass(frozen=True, eq=False)
class Looked:
    """What the first pass keeps of a clip.

    Attributes
    ----------
    first, end : int
        The frames that can be measured.
    unobserved : int
        Frames left out since somebody was not observed.
    longer : system -> for each person, frames of the prediction less those of the reference
    sums : (3, 56)
        Count, sum and sum of squares of the coefficients of those who are measured.
    """

    space: Space
    first: int
    end: int
    unobserved: int
    longer: dict[str, tuple[int, ...]]
    sums: Float[np.ndarray, "3 56"]
    partner_missing: bool
    silent: bool


def look_over(job: Job) -> Looked:
    """Read all of a clip's motion, and see that it can be compared."""
    people = read_clip(job.files, listen=False)
    motions = [person.motion for person in people if person.motion]
    space, shortest = motions[0].space, min(motion.frames for motion in motions)
    longer: dict[str, tuple[int, ...]] = {}
    for system in job.systems:
        measured = (0, 1) if system.regime == "closed_loop" else job.people
        if absent := [who for who in measured if (job.files.clip, who) not in system.files]:
            raise InputError(
                f"{system.name} has no {job.files.clip}_speaker{absent[0] + 1}; in closed_loop both people of a "
                "clip are predicted: was partner_given meant?"
            )
        counts = [read_prediction(system.files[job.files.clip, who], space).frames for who in measured]
        longer[system.name] = tuple(
            count - people[who].motion.frames
            for count, who in zip(counts, measured, strict=True)
            if people[who].motion
        )
        shortest = min(shortest, *counts)
    observed = np.all([motion.valid[:shortest] for motion in motions], axis=0)
    first, end = _longest_run(observed)
    seen = np.concatenate([people[who].motion.coefficients[first:end] for who in job.people]).astype(np.float64)
    sums = np.stack([np.full(seen.shape[1], len(seen)), seen.sum(axis=0), (seen**2).sum(axis=0)])
    silent = not job.files.turns and not all(job.files.waves)
    return Looked(space, first, end, shortest - end + first, longer, sums, len(motions) < 2, silent)


def _longest_run(mask: np.ndarray) -> tuple[int, int]:
    edges = np.flatnonzero(np.diff(np.concatenate([[0], mask.astype(np.int8), [0]])))
    runs = edges.reshape(-1, 2)
    if not len(runs):
        return 0, 0
    first, end = runs[np.diff(runs)[:, 0].argmax()].tolist()
    return first, end


def _measurable(jobs: Sequence[Job], looked: Sequence[Looked]) -> tuple[list[Job], list[str]]:
    """Jobs of clips long enough, with their frames and the mean pose; and what is to be said."""
    spaces = sorted({one.space for one in looked})
    if len(spaces) > 1:
        odd = next(job.files.clip for job, one in zip(jobs, looked, strict=True) if one.space != looked[0].space)
        raise InputError(f"the reference mixes spaces {' and '.join(spaces)} (first at {odd}); wanted one")
    short = [job.files.clip for job, one in zip(jobs, looked, strict=True) if one.end - one.first < FEWEST_FRAMES]
    kept = [(job, one) for job, one in zip(jobs, looked, strict=True) if one.end - one.first >= FEWEST_FRAMES]
    if not kept:
        raise InputError(f"no clip has {FEWEST_FRAMES} frames to measure; {short[0]} is the first of {len(short)}")
    count, total, square = np.sum([one.sums for _, one in kept], axis=0)
    mean = total / count
    variance = square / count - mean**2
    spread = {part: float(variance[DUALTALK56.slice_of(part)].mean()) or 1.0 for part in PARTS}
    made = [
        replace(job, space=one.space, first=one.first, end=one.end, mean_pose=mean, spread=spread)
        for job, one in kept
    ]
    notes = [*_said_of_lengths(kept), *_said_of_gaps(kept)]
    if short:
        notes.append(f"{len(short)} clips have fewer than {FEWEST_FRAMES} frames, left out: {_some(short)}")
    return made, notes


def _some(clips: Sequence[str]) -> str:
    more = f" and {len(clips) - SHOWN_NAMES} more" if len(clips) > SHOWN_NAMES else ""
    return ", ".join(clips[:SHOWN_NAMES]) + more


def _said_of_lengths(kept: Sequence[tuple[Job, Looked]]) -> list[str]:
    notes = []
    for system in kept[0][0].systems:
        apart = [frames for _, one in kept for frames in one.longer[system.name] if frames]
        if apart:
            notes.append(
                f"{system.name}: {len(apart)} predictions differ in length from the reference, by "
                f"{min(apart):+d} to {max(apart):+d} frames; both were cut to the shorter"
            )
    return notes


def _said_of_gaps(kept: Sequence[tuple[Job, Looked]]) -> list[str]:
    lost = [one.unobserved for _, one in kept if one.unobserved]
    notes = []
    if lost:
        notes.append(
            f"{len(lost)} clips have frames in which somebody was not observed; of each the longest stretch "
            f"without is measured, {sum(lost)} frames are left out"
        )
    alone = [job.files.clip for job, one in kept if one.partner_missing]
    if alone:
        notes.append(f"{len(alone)} clips have no motion of the partner, so nothing of the two: {_some(alone)}")
    silent = [job.files.clip for job, one in kept if one.silent]
    if silent:
        notes.append(f"{len(silent)} clips lack turns and sound, so nothing about roles: {_some(silent)}")
    return notes


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
    tallies : (row, measure, 2) float
        Numerators and denominators, both people added.
    curves : for each row
    worst : for each system
    """

    tallies: Float[np.ndarray, "row measure 2"]
    curves: tuple[CurveSums, ...]
    worst: tuple[tuple[Moment, ...], ...]


def measure(job: Job) -> Measured:
    """Measure all systems and controls on one clip."""
    names = [*(system.name for system in job.systems), *CONTROLS]
    tallies = np.zeros((len(names), len(MEASURES), 2))
    curves = [CurveSums.empty() for _ in names]
    worst: list[list[Moment]] = [[] for _ in job.systems]
    for side, person in sides(job):
        made = [(system.name, *predicted(job, system, person)) for system in job.systems]
        for name, coefficients, heard in [*made, *control_motions(side, job.mean_pose)]:
            row = names.index(name)
            system = row < len(job.systems)
            act = side.own if name == REFERENCE else side.act(coefficients)
            for measured, tally in side.figures(act, heard, slow=system or name == REFERENCE).items():
                if measured in POSITION:
                    tallies[row, POSITION[measured]] += tally.total, tally.weight
            if side.roles is None:
                continue
            curves[row] += curve_sums(side.roles, act)
            if system:
                worst[row] += worst_windows(job.files.clip, person, side, act, job.spread, job.first)
    return Measured(tallies, tuple(curves), tuple(tuple(sorted(some)[:1]) for some in worst))


def predicted(job: Job, system: System, person: int) -> tuple[np.ndarray, np.ndarray | None]:
    """A system's motion of one person, and of the partner where it made both, over the measured frames."""
    wanted = [person, 1 - person] if system.regime == "closed_loop" else [person]
    found = [
        read_prediction(system.files[job.files.clip, who], job.space).coefficients[job.first : job.end]
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
        self._tallies[:, self._place[job.files.dialogue]] += one.tallies
        for row, curves in enumerate(one.curves):
            # A clip counts as a dialogue in the bands of curves, lest every dialogue's curve be kept.
            self._curves[row] += curves.closed()
        for name, moments in zip(self._worst, one.worst, strict=True):
            self._worst[name] = sorted((*self._worst[name], *moments))[:WORST_SHOWN]

    def rows(self, regimes: dict[str, Regime], seed: int) -> tuple[Row, ...]:
        return tuple(
            Row(
                name,
                regimes.get(name),
                dict(zip(NAMES, over_dialogues_together(self._tallies[row], seed), strict=True)),
                self._curves[row].means(),
                tuple(self._worst.get(name, ())),
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
