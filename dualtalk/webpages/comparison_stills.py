"""Pictures of the transitions at which a system is furthest from the reference."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float32, UInt8
from pyannote.core import Timeline

from dualtalk.core import DUALTALK56, Conversation, HeadMotion, Participant
from dualtalk.evaluation.curves import Moment
from dualtalk.evaluation.loading import read_clip
from dualtalk.evaluation.preflight import Job
from dualtalk.evaluation.runner import Evaluation, predicted
from dualtalk.head import Head
from dualtalk.render import APPEARANCES, render_stills
from dualtalk.timebase import MOTION_FPS, SAMPLES_PER_FRAME

# Frames shown, about the transition: within the second that is measured.
OFFSETS = (-10, -5, 0, 5, 10)
PICTURE_PX = (512, 256)


@dataclass(frozen=True, eq=False)
class Strip:
    """One transition: the reference above, the system below, five frames from left to right.

    Attributes
    ----------
    system : str
    moment : Moment
    times_s : of the frames, about the transition
    image : (height, width, 3) uint8
    """

    system: str
    moment: Moment
    times_s: tuple[float, ...]
    image: UInt8[np.ndarray, "height width 3"]


def worst_strips(evaluation: Evaluation, head: Head) -> list[Strip]:
    """Strips of every system's worst transitions, the worst first. Everybody has the mean head.

    Raises
    ------
    InputError
        The head is of another space than the motion.
    SetupError
        Nothing here can draw.
    """
    by_clip = {job.files.clip: job for job in evaluation.jobs}
    wanted = [(row.name, moment) for row in evaluation.rows for moment in row.worst]
    if not wanted:
        return []
    pairs = [_frames(by_clip[moment.clip], name, moment) for name, moment in wanted]
    pictures = _drawn(np.concatenate([frames for pair in pairs for frames in pair]), evaluation, head)
    times_s = tuple(offset / MOTION_FPS for offset in OFFSETS)
    rows = [np.hstack(some) for some in _chunks(pictures, len(OFFSETS))]
    return [
        Strip(name, moment, times_s, np.vstack(both))
        for (name, moment), both in zip(wanted, _chunks(rows, 2), strict=True)
    ]


def _frames(job: Job, name: str, moment: Moment) -> list[Float32[np.ndarray, "frame 56"]]:
    """The reference's, then the system's, of its first sample."""
    system = next(one for one in job.systems if one.name == name)
    own = read_clip(job.files, listen=False)[moment.person].motion.coefficients[job.first : job.end]
    made = predicted(job, system, moment.person)[0]
    at = moment.frame - job.first + np.array(OFFSETS)
    return [own[at], made[at]]


def _drawn(coefficients: Float32[np.ndarray, "frame 56"], evaluation: Evaluation, head: Head) -> list[np.ndarray]:
    """The left half of the split staging, whose right half has nobody to show."""
    motion = HeadMotion(coefficients, evaluation.space, DUALTALK56)
    silence = np.zeros(motion.frames * SAMPLES_PER_FRAME, np.float32)
    person = Participant(silence, Timeline(), motion)
    appearances = (replace(APPEARANCES[0], label=""), APPEARANCES[1])
    pictures = render_stills(
        Conversation(person, person), head, range(motion.frames), size=PICTURE_PX, appearances=appearances
    )
    return [picture[:, : PICTURE_PX[0] // 2] for picture in pictures]


def _chunks(items: Sequence, size: int) -> list[Sequence]:
    return [items[first : first + size] for first in range(0, len(items), size)]
