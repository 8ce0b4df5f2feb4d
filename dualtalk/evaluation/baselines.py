"""Predictions that nobody made: what a table must be read against.

`reference` is the truth against itself, so each measure's own perfect score; two never move; one moves well but
somewhere else; one only copies; and one is the truth with the wrong partner, which nothing but a measure of the
two together can tell.
"""

from collections.abc import Iterator, Sequence
from itertools import islice

import numpy as np
from jaxtyping import Float

from dualtalk.evaluation.clip_metrics import Motion, Side
from dualtalk.evaluation.loading import ClipFiles
from dualtalk.metrics.dualtalk_benchmark import still_control

REFERENCE = "reference"
CONTROLS = {
    REFERENCE: "the reference against itself",
    "mean pose": "the mean of all reference frames, held",
    "clip mean": "the clip's own mean, held",
    "random clip": "somebody's real motion of another dialogue",
    "mirror": "the partner's real motion",
    "shuffled partner": "the reference itself, with a partner of another dialogue",
}


def control_motions(side: Side, mean_pose: Float[np.ndarray, "56"]) -> Iterator[tuple[str, Motion, Motion | None]]:
    """Name, motion, and the partner it goes with (None: the real one), of all controls that the data allow."""
    own = side.own.coefficients
    yield REFERENCE, own, None
    yield "mean pose", np.broadcast_to(mean_pose.astype(own.dtype), own.shape).copy(), None
    yield "clip mean", still_control(own), None
    if side.foreign is not None:
        yield "random clip", side.foreign, None
    if side.partner is not None:
        yield "mirror", side.partner.coefficients, None
        if side.foreign is not None:
            yield "shuffled partner", own, side.foreign


def strangers(clips: Sequence[ClipFiles], seed: int = 0) -> list[tuple[ClipFiles, ...]]:
    """For each clip two of other dialogues, which differ as far as there are several; none where there are not."""
    order = np.random.default_rng(seed).permutation(len(clips)).tolist()
    found: list[tuple[ClipFiles, ...]] = [()] * len(clips)
    for place, index in enumerate(order):
        further = (clips[other] for other in order[place + 1 :] + order[:place])
        others = list(islice((one for one in further if one.dialogue != clips[index].dialogue), 2))
        found[index] = (others[0], others[-1]) if others else ()
    return found


def as_long(motion: Float[np.ndarray, "_there 56"], frames: int) -> Float[np.ndarray, "_frame 56"]:
    """The first frames of a motion; a shorter one is played backwards and forwards, so that nothing jumps."""
    there = len(motion)
    if there == 1:
        return np.repeat(motion, frames, axis=0)
    at = np.arange(frames) % (2 * there - 2)
    return motion[np.where(at < there, at, 2 * there - 2 - at)]
