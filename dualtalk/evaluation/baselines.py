"""Baselines that need no model: values that a table of systems must be read against.

"ground truth" is compared with itself, so it shows the ideal value of each metric. "mean pose" and "clip mean" are
still; "random clip" is natural motion that does not fit the dialogue; "mirror" copies the partner; "shuffled
partner" is the ground truth with a wrong partner, which only metrics of the pair can detect.
"""

from collections.abc import Iterator, Sequence
from itertools import islice

import numpy as np
from jaxtyping import Float

from dualtalk.evaluation.clip_metrics import ReferenceTrack
from dualtalk.evaluation.features import Motion
from dualtalk.io.clip_files import ClipFiles

GROUND_TRUTH = "ground truth"
# Name -> description.
BASELINES = {
    GROUND_TRUTH: "the ground truth compared with itself",
    "mean pose": "the mean of all ground-truth frames, constant",
    "clip mean": "the mean of the clip, constant",
    "random clip": "real motion of a person of another dialogue",
    "mirror": "the partner's real motion",
    "shuffled partner": "the ground truth, paired with a partner of another dialogue",
}


def baseline_motions(
    track: ReferenceTrack, mean_pose: Float[np.ndarray, "56"]
) -> Iterator[tuple[str, Motion, Motion | None]]:
    """Name, motion, and the partner it is paired with (None: the real one), of all baselines the data allow."""
    own = track.ground_truth.coefficients
    yield GROUND_TRUTH, own, None
    yield "mean pose", np.broadcast_to(mean_pose.astype(own.dtype), own.shape).copy(), None
    yield "clip mean", clip_mean(own), None
    if track.random_clip is not None:
        yield "random clip", track.random_clip, None
    if track.partner is not None:
        yield "mirror", track.partner.coefficients, None
        if track.random_clip is not None:
            yield "shuffled partner", own, track.random_clip


def clip_mean(ground_truth: Float[np.ndarray, "_frame _coef"]) -> Float[np.ndarray, "_frame _coef"]:
    """The clip's own mean in every frame. Its FD is the trace of the ground truth's covariance, its MSE the
    ground truth's variance; its rPCC is undefined."""
    return np.broadcast_to(ground_truth.mean(axis=0), ground_truth.shape).copy()


def surrogate_partners(clips: Sequence[ClipFiles], seed: int = 0) -> list[tuple[ClipFiles, ...]]:
    """For each clip two clips of other dialogues, different ones where possible; none if there is one dialogue."""
    order = np.random.default_rng(seed).permutation(len(clips)).tolist()
    found: list[tuple[ClipFiles, ...]] = [()] * len(clips)
    for place, index in enumerate(order):
        candidates = (clips[other] for other in order[place + 1 :] + order[:place])
        others = list(islice((one for one in candidates if one.dialogue != clips[index].dialogue), 2))
        found[index] = (others[0], others[-1]) if others else ()
    return found


def fit_length(motion: Float[np.ndarray, "_available 56"], frames: int) -> Float[np.ndarray, "_frame 56"]:
    """The first `frames` frames; a shorter motion is played backwards and forwards, without jumps."""
    available = len(motion)
    if available == 1:
        return np.repeat(motion, frames, axis=0)
    at = np.arange(frames) % (2 * available - 2)
    return motion[np.where(at < available, at, 2 * available - 2 - at)]
