"""The first pass over all files: checks that clips can be compared, and chooses the frames to measure.

A clip is cut to its shortest motion, as in the published evaluation, and to the longest span in which everybody
was tracked. The pass also computes the mean pose and the variances of the ground truth.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from jaxtyping import Bool, Float

from dualtalk.core import DUALTALK56, Space
from dualtalk.errors import InputError
from dualtalk.evaluation.builtin_metrics import PARTS
from dualtalk.evaluation.loading import (
    MAX_LISTED_NAMES,
    System,
    merged_warnings,
    read_clip,
    read_prediction,
)
from dualtalk.evaluation.registry import Metric
from dualtalk.geometry.masks import runs
from dualtalk.io.clip_files import ClipFiles

MIN_FRAMES = 2


@dataclass(frozen=True)
class Job:
    """One clip to measure.

    Attributes
    ----------
    files : ClipFiles
    people : tuple of int
        Who is measured: 0, 1 or both.
    systems : tuple of System
        With the files of this clip only.
    surrogates : two ClipFiles of other dialogues, or none
    head : str
        "open", or the path of a FLAME file.
    best_of : int
        N of "best of N": the smallest number of samples of the systems with samples.
    plugins : tuple of Metric
        Metrics of other packages.
    space : "flame" or "open" or None
    first, end : int
        The measured frames.
    mean_pose : (56,) or None
    variances : part -> float
        Variance of all ground-truth frames, the unit in which errors of different parts are compared.
    """

    files: ClipFiles
    people: tuple[int, ...]
    systems: tuple[System, ...]
    surrogates: tuple[ClipFiles, ...]
    head: str
    best_of: int = 1
    plugins: tuple[Metric, ...] = ()
    space: Space | None = None
    first: int = 0
    end: int = 0
    mean_pose: Float[np.ndarray, "56"] | None = None
    variances: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class ClipCheck:
    """What the first pass finds in a clip.

    Attributes
    ----------
    space : "flame" or "open"
    first, end : int
        The frames that can be measured.
    untracked : int
        Frames left out because somebody was not tracked.
    length_differences : system -> for each person and sample, frames of the prediction minus ground-truth frames
    sums : (3, 56)
        Count, sum and sum of squares of the coefficients of the measured people.
    no_partner : bool
        One of the two has no motion.
    no_roles : bool
        The clip has neither turns nor audio of both.
    """

    space: Space
    first: int
    end: int
    untracked: int
    length_differences: dict[str, tuple[int, ...]]
    sums: Float[np.ndarray, "3 56"]
    no_partner: bool
    no_roles: bool


def check_clip(job: Job) -> ClipCheck:
    """Read all motion of a clip.

    Raises
    ------
    InputError
        A file is invalid, or a prediction is missing.
    """
    people = read_clip(job.files, audio=False)
    motions = [person.motion for person in people if person.motion]
    space, shortest = motions[0].space, min(motion.frames for motion in motions)
    differences: dict[str, tuple[int, ...]] = {}
    for system in job.systems:
        frames = _frames_of(job, system, space)
        differences[system.name] = tuple(
            count - motion.frames for who, count in frames if (motion := people[who].motion) is not None
        )
        shortest = min(shortest, *(count for _, count in frames))
    tracked = np.all([motion.valid[:shortest] for motion in motions], axis=0)
    first, end = _longest_run(tracked)
    measured = [motion for who in job.people if (motion := people[who].motion) is not None]
    frames56 = np.concatenate([motion.coefficients[first:end] for motion in measured]).astype(np.float64)
    sums = np.stack([np.full(frames56.shape[1], len(frames56)), frames56.sum(axis=0), (frames56**2).sum(axis=0)])
    no_roles = not job.files.turns and not all(job.files.waves)
    return ClipCheck(space, first, end, shortest - end + first, differences, sums, len(motions) < 2, no_roles)


def _frames_of(job: Job, system: System, space: Space) -> list[tuple[int, int]]:
    """(person, frames) of each prediction of a clip."""
    needed = (0, 1) if system.protocol == "closed-loop" else job.people
    if absent := [who for who in needed if (job.files.clip, who) not in system.files]:
        raise InputError(
            f"{system.name} has no {job.files.clip}_speaker{absent[0] + 1}; closed-loop predictions have both "
            "people of a clip: was partner-given meant?"
        )
    return [
        (who, read_prediction(path, space).frames) for who in needed for path in system.files[job.files.clip, who]
    ]


def _longest_run(mask: Bool[np.ndarray, "frame"]) -> tuple[int, int]:
    return max(runs(mask), key=lambda run: run[1] - run[0], default=(0, 0))


def measurable(jobs: Sequence[Job], checks: Sequence[ClipCheck]) -> tuple[list[Job], list[str]]:
    """Jobs of the clips that are long enough, with their frames and the mean pose; and warnings.

    Raises
    ------
    InputError
        The ground truth mixes expression spaces, or no clip is long enough.
    """
    spaces = sorted({check.space for check in checks})
    if len(spaces) > 1:
        odd = next(job for job, check in zip(jobs, checks, strict=True) if check.space != checks[0].space)
        raise InputError(
            f"the ground truth mixes spaces {' and '.join(spaces)} (first at {odd.files.clip}); wanted one"
        )
    pairs = list(zip(jobs, checks, strict=True))
    short = [job.files.clip for job, check in pairs if check.end - check.first < MIN_FRAMES]
    kept = [(job, check) for job, check in pairs if check.end - check.first >= MIN_FRAMES]
    if not kept:
        raise InputError(f"no clip has {MIN_FRAMES} frames to measure; {short[0]} is the first of {len(short)}")
    count, total, square = np.sum([check.sums for _, check in kept], axis=0)
    mean = total / count
    variance = square / count - mean**2
    variances = {part: float(variance[DUALTALK56.slice_of(part)].mean()) or 1.0 for part in PARTS}
    measured = [
        replace(job, space=check.space, first=check.first, end=check.end, mean_pose=mean, variances=variances)
        for job, check in kept
    ]
    warnings = [*_length_warnings(kept), *_gap_warnings(kept)]
    if short:
        warnings.append(f"left out {len(short)} clips with fewer than {MIN_FRAMES} frames: {_listed(short)}")
    return measured, warnings


def _listed(clips: Sequence[str]) -> str:
    more = f" and {len(clips) - MAX_LISTED_NAMES} more" if len(clips) > MAX_LISTED_NAMES else ""
    return ", ".join(clips[:MAX_LISTED_NAMES]) + more


def _length_warnings(kept: Sequence[tuple[Job, ClipCheck]]) -> list[str]:
    found = []
    systems = kept[0][0].systems
    for system in systems:
        unequal = [frames for _, check in kept for frames in check.length_differences[system.name] if frames]
        if unequal:
            by = " to ".join(f"{frames:+d}" for frames in sorted({min(unequal), max(unequal)}))
            text = f"{len(unequal)} predictions differ in length from the ground truth, by {by} frames"
            found.append((system.name, f"{text}; both were cut to the shorter"))
    return merged_warnings(found, len(systems))


def _gap_warnings(kept: Sequence[tuple[Job, ClipCheck]]) -> list[str]:
    lost = [check.untracked for _, check in kept if check.untracked]
    warnings = []
    if lost:
        warnings.append(
            f"{len(lost)} clips have frames in which somebody was not tracked; the longest span without such "
            f"frames is measured, {sum(lost)} frames are left out"
        )
    alone = [job.files.clip for job, check in kept if check.no_partner]
    if alone:
        names = _listed(alone)
        warnings.append(f"{len(alone)} clips have no motion of the partner, so no metrics of the pair: {names}")
    without = [job.files.clip for job, check in kept if check.no_roles]
    if without:
        names = _listed(without)
        warnings.append(f"{len(without)} clips have neither turns nor audio, so no metrics of roles: {names}")
    return warnings
