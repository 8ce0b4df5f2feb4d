"""The first pass over all files: can they be compared, over which frames, and what is to be said about the rest.

A clip is cut to its shortest motion, as published, and to the longest stretch in which everybody was observed. The
mean pose and the spread of the reference come of this pass too.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from jaxtyping import Bool, Float

from dualtalk.core import DUALTALK56, Space
from dualtalk.errors import InputError
from dualtalk.evaluation.loading import SHOWN_NAMES, ClipFiles, System, read_clip, read_prediction, said_once
from dualtalk.evaluation.registry import PARTS
from dualtalk.geometry.masks import runs

FEWEST_FRAMES = 2


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
    draws : int
        Of how many samples the best counts: the fewest that any system with samples has.
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
    draws: int = 1
    space: Space | None = None
    first: int = 0
    end: int = 0
    mean_pose: Float[np.ndarray, "56"] | None = None
    spread: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Looked:
    """What the first pass keeps of a clip.

    Attributes
    ----------
    first, end : int
        The frames that can be measured.
    unobserved : int
        Frames left out since somebody was not observed.
    longer : system -> for each person and sample, frames of the prediction less those of the reference
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
        measured = (0, 1) if system.protocol == "closed-loop" else job.people
        if absent := [who for who in measured if (job.files.clip, who) not in system.files]:
            raise InputError(
                f"{system.name} has no {job.files.clip}_speaker{absent[0] + 1}; in closed-loop both people of a "
                "clip are predicted: was partner-given meant?"
            )
        counts = [
            (who, read_prediction(path, space).frames)
            for who in measured
            for path in system.files[job.files.clip, who]
        ]
        longer[system.name] = tuple(
            count - people[who].motion.frames for who, count in counts if people[who].motion
        )
        shortest = min(shortest, *(count for _, count in counts))
    observed = np.all([motion.valid[:shortest] for motion in motions], axis=0)
    first, end = _longest_run(observed)
    seen = np.concatenate([people[who].motion.coefficients[first:end] for who in job.people]).astype(np.float64)
    sums = np.stack([np.full(seen.shape[1], len(seen)), seen.sum(axis=0), (seen**2).sum(axis=0)])
    silent = not job.files.turns and not all(job.files.waves)
    return Looked(space, first, end, shortest - end + first, longer, sums, len(motions) < 2, silent)


def _longest_run(mask: Bool[np.ndarray, "frame"]) -> tuple[int, int]:
    return max(runs(mask), key=lambda run: run[1] - run[0], default=(0, 0))


def measurable(jobs: Sequence[Job], looked: Sequence[Looked]) -> tuple[list[Job], list[str]]:
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
    said = []
    systems = kept[0][0].systems
    for system in systems:
        apart = [frames for _, one in kept for frames in one.longer[system.name] if frames]
        if apart:
            by = " to ".join(f"{frames:+d}" for frames in sorted({min(apart), max(apart)}))
            told = f"{len(apart)} predictions differ in length from the reference, by {by} frames"
            said.append((system.name, f"{told}; both were cut to the shorter"))
    return said_once(said, len(systems))


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
