"""Still images of the role transitions at which a system differs most from the ground truth."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float32, UInt8
from pyannote.core import Timeline

from dualtalk.core import DUALTALK56, Conversation, HeadMotion, Participant
from dualtalk.evaluation.clip_runner import prediction_of
from dualtalk.evaluation.curves import WorstTransition
from dualtalk.evaluation.loading import read_clip
from dualtalk.evaluation.preflight import Job
from dualtalk.evaluation.runner import Evaluation
from dualtalk.head import Head
from dualtalk.render import APPEARANCES, render_stills
from dualtalk.timebase import MOTION_FPS, SAMPLES_PER_FRAME

# Frames of a strip relative to the transition; they lie within the measured window of one second.
OFFSET_FRAMES = (-10, -5, 0, 5, 10)
IMAGE_SIZE_PX = (512, 256)


@dataclass(frozen=True, eq=False)
class Strip:
    """Images of one transition: the ground truth above, the system below, five frames from left to right.

    Attributes
    ----------
    system : str
    transition : WorstTransition
    times_s : tuple of float
        Of the frames, relative to the transition.
    image : (height, width, 3) uint8
    """

    system: str
    transition: WorstTransition
    times_s: tuple[float, ...]
    image: UInt8[np.ndarray, "height width 3"]


def worst_strips(evaluation: Evaluation, head: Head) -> list[Strip]:
    """Strips of every system's worst transitions, the worst first. Everyone has the mean head shape.

    Raises
    ------
    InputError
        The head's space is not the motion's.
    SetupError
        No renderer works on this machine.
    """
    by_clip = {job.files.clip: job for job in evaluation.jobs}
    worst = [(row.name, transition) for row in evaluation.rows for transition in row.worst]
    if not worst:
        return []
    pairs = [_frames(by_clip[transition.clip], name, transition) for name, transition in worst]
    images = _rendered(np.concatenate([frames for pair in pairs for frames in pair]), evaluation, head)
    times_s = tuple(offset / MOTION_FPS for offset in OFFSET_FRAMES)
    rows = [np.hstack(chunk) for chunk in _chunks(images, len(OFFSET_FRAMES))]
    return [
        Strip(name, transition, times_s, np.vstack(both))
        for (name, transition), both in zip(worst, _chunks(rows, 2), strict=True)
    ]


def _frames(job: Job, name: str, transition: WorstTransition) -> list[Float32[np.ndarray, "frame 56"]]:
    """The frames of the ground truth, then those of the system's first sample."""
    system = next(one for one in job.systems if one.name == name)
    motion = read_clip(job.files, audio=False)[transition.person].motion
    assert motion is not None  # preflight keeps only clips with motion
    ground_truth = motion.coefficients[job.first : job.end]
    prediction = prediction_of(job, system, transition.person)[0]
    at = transition.frame - job.first + np.array(OFFSET_FRAMES)
    return [ground_truth[at], prediction[at]]


def _rendered(
    coefficients: Float32[np.ndarray, "frame 56"], evaluation: Evaluation, head: Head
) -> list[np.ndarray]:
    """Images of single frames: the left half of the split view. The right half is not used."""
    motion = HeadMotion(coefficients, evaluation.space, DUALTALK56)
    silence = np.zeros(motion.frames * SAMPLES_PER_FRAME, np.float32)
    person = Participant(silence, Timeline(), motion)
    appearances = (replace(APPEARANCES[0], label=""), APPEARANCES[1])
    images = render_stills(
        Conversation(person, person), head, range(motion.frames), size=IMAGE_SIZE_PX, appearances=appearances
    )
    return [image[:, : IMAGE_SIZE_PX[0] // 2] for image in images]


def _chunks(items: Sequence, size: int) -> list[Sequence]:
    return [items[first : first + size] for first in range(0, len(items), size)]
