"""Motion at role transitions: turn onsets, turn offsets, overlap onsets and backchannels.

The first part derives each person's role at every frame, and the times at which roles change, from voice activity
alone. Turns, overlaps and backchannels are those of `dualtalk.audio.turns`. The second part measures the motion of
one person in one dialogue around those times. Each metric returns a `WeightedMean`, so that dialogues can be
pooled. Most are ratios to the ground truth (ideal 1) or errors (ideal 0). The metrics are ours: we know of no
published measure of motion quality at role transitions. Timing of mouth, nods and blinks is in `turn_timing`.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Literal, get_args

import numpy as np
from jaxtyping import Bool, Int
from pyannote.core import Timeline

from dualtalk.audio.turns import turn_table
from dualtalk.core import speaking_frames
from dualtalk.errors import InputError
from dualtalk.metrics.arrays import Curve, Mask, Motion
from dualtalk.metrics.bootstrap import WeightedMean
from dualtalk.metrics.dualtalk_benchmark import frechet_distance
from dualtalk.metrics.validation import finite, frame_mask, same_shape
from dualtalk.timebase import MOTION_FPS, frame_at

TransitionKind = Literal["turn onset", "turn offset", "overlap onset", "backchannel"]
Role = Literal["speaking", "listening", "overlap", "mutual silence"]
TRANSITION_KINDS: tuple[TransitionKind, ...] = get_args(TransitionKind)
ROLES: tuple[Role, ...] = get_args(Role)

Frames = Int[np.ndarray, "transition"]

# Windows of one second: most gaps and overlaps between turns are within half a second of 0 (Heldner & Edlund
# 2010), and so are the breath before speech and the closing of the mouth after it.
WINDOW_S = 1.0
HALF_WINDOW_FRAMES = round(WINDOW_S * MOTION_FPS) // 2
WINDOW_FRAMES = 2 * HALF_WINDOW_FRAMES + 1
# Within this time of speech the mouth may be opening or closing.
NEAR_SPEECH_S = 0.3
# Below two seconds of frames, the Frechet distance depends more on the number of frames than on the motion.
MIN_FD_FRAMES = 2 * MOTION_FPS


@dataclass(frozen=True)
class Transition:
    """A change of one person's role, at a time in seconds from the start of the dialogue."""

    kind: TransitionKind
    time_s: float


@dataclass(frozen=True, eq=False)
class Roles:
    """The roles of one person in a dialogue, from voice activity.

    A turn onset is the time at which the person takes the turn; a turn offset is the end of a turn that the
    partner follows; an overlap onset is the time from which both speak; a backchannel is the person's own short
    utterance during the partner's turn.

    Attributes
    ----------
    own, partner : pyannote.core.Timeline
        Speech of each, in seconds.
    frames : int
        Length of the dialogue at 25 frames a second.
    """

    own: Timeline
    partner: Timeline
    frames: int

    def __post_init__(self) -> None:
        if self.frames < 1:
            raise InputError(f"a dialogue of {self.frames} frames; wanted at least 1")

    @property
    def duration_s(self) -> float:
        return self.frames / MOTION_FPS

    @cached_property
    def swapped(self) -> "Roles":
        """The partner's roles."""
        return Roles(self.partner, self.own, self.frames)

    @cached_property
    def own_speaks(self) -> Bool[np.ndarray, "frame"]:
        return speaking_frames(self.own, self.frames)

    @cached_property
    def partner_speaks(self) -> Bool[np.ndarray, "frame"]:
        return speaking_frames(self.partner, self.frames)

    def mask(self, role: Role) -> Bool[np.ndarray, "frame"]:
        """Frames in which the person has that role. Every frame has exactly one of the four roles."""
        own, partner = self.own_speaks, self.partner_speaks
        return {
            "speaking": own & ~partner,
            "listening": partner & ~own,
            "overlap": own & partner,
            "mutual silence": ~own & ~partner,
        }[role]

    @cached_property
    def own_silence(self) -> Bool[np.ndarray, "frame"]:
        """Frames at least 0.3 s away from the person's own speech."""
        return ~speaking_frames(self.own, self.frames, widened_s=NEAR_SPEECH_S)

    @cached_property
    def transitions(self) -> tuple[Transition, ...]:
        """All transitions of the person, by time; none if one of the two never speaks."""
        table = turn_table(self.own, self.partner, self.duration_s)
        turns = table[table["kind"] == "turn"]
        taken = turns[turns["offset_s"].notna()]
        found = [Transition("turn onset", t) for t in taken[taken["person"] == "a"]["start_s"]]
        followed = turns[turns["offset_s"].shift(-1).notna()]
        found += [Transition("turn offset", t) for t in followed[followed["person"] == "a"]["end_s"]]
        backchannels = table[table["kind"] == "backchannel"]
        found += [Transition("backchannel", t) for t in backchannels[backchannels["person"] == "a"]["start_s"]]
        spans = backchannels[["start_s", "end_s"]].to_numpy()
        for start_s in table[table["kind"] == "overlap"]["start_s"]:
            if not ((spans[:, 0] <= start_s) & (start_s < spans[:, 1])).any():
                found.append(Transition("overlap onset", start_s))
        return tuple(sorted(found, key=lambda one: (one.time_s, TRANSITION_KINDS.index(one.kind))))

    def frames_of(self, kind: TransitionKind | None = None) -> Frames:
        """Frames of the transitions of that kind, or of all, whose window lies inside the dialogue."""
        frames = np.array([frame_at(one.time_s) for one in self.transitions if kind in (None, one.kind)], int)
        return frames[(frames >= HALF_WINDOW_FRAMES) & (frames < self.frames - HALF_WINDOW_FRAMES)]


def windows(at: Frames) -> Int[np.ndarray, "transition window"]:
    """Frames of the window around each transition: half a second to each side."""
    return at[:, None] + np.arange(-HALF_WINDOW_FRAMES, HALF_WINDOW_FRAMES + 1)


def window_mask(at: Frames, frames: int) -> Bool[np.ndarray, "frame"]:
    """Frames that lie in any window."""
    mask = np.zeros(frames, bool)
    mask[windows(at).ravel()] = True
    return mask


def speech_onsets_s(speech: Timeline, silence_s: float) -> list[float]:
    """Starts of speech after at least `silence_s` of silence, in seconds."""
    return [span.start for span in speech.support(collar=silence_s)]


def speech_offsets_s(speech: Timeline, silence_s: float) -> list[float]:
    """Ends of speech before at least `silence_s` of silence, in seconds."""
    return [span.end for span in speech.support(collar=silence_s)]


def speed_ratio(ground_truth: Motion, prediction: Motion, frames: Mask) -> WeightedMean:
    """Mean speed of the prediction over mean speed of the ground truth, in the selected frames.

    No unit, in [0, inf), ideal 1; a still prediction has 0. It ignores when, within the frames, the motion
    happens. Not measured where the ground truth is still.
    """
    return _ratio(*_difference_norms(ground_truth, prediction, order=1), frames)


def jerk_ratio(ground_truth: Motion, prediction: Motion, frames: Mask) -> WeightedMean:
    """Mean jerk (third difference) of the prediction over that of the ground truth, in the selected frames.

    No unit, in [0, inf), ideal 1; jumps and tremor are above 1, over-smoothed motion below.
    """
    return _ratio(*_difference_norms(ground_truth, prediction, order=3), frames)


def peak_jerk_ratio(ground_truth: Motion, prediction: Motion, at: Frames) -> WeightedMean:
    """Largest jerk in the window of each transition over the ground truth's: shows a single jump undiluted.

    No unit, in [0, inf), ideal 1.
    """
    own, made = _difference_norms(ground_truth, prediction, order=3)
    if len(at) and (at.min() < HALF_WINDOW_FRAMES or at.max() >= len(own) - HALF_WINDOW_FRAMES):
        raise InputError(
            f"a window of {WINDOW_FRAMES} frames extends past the {len(own)} frames of motion; wanted frames "
            "from `Roles.frames_of`"
        )
    inside = windows(at)
    return _measured_ratio(float(made[inside].max(axis=1).sum()), float(own[inside].max(axis=1).sum()))


def _difference_norms(ground_truth: Motion, prediction: Motion, order: int) -> tuple[Curve, Curve]:
    """Norm of the difference of that order at each frame; 0 at the ends, where it is undefined."""
    one, two = same_shape(ground_truth, prediction, ("frame", "coef"))
    norms = []
    for motion in (one, two):
        norm = np.zeros(len(motion))
        difference = np.linalg.norm(np.diff(motion, n=order, axis=0), axis=1)
        first = (order + 1) // 2
        norm[first : first + len(difference)] = difference
        norms.append(norm)
    return norms[0], norms[1]


def _ratio(own: Curve, made: Curve, frames: Mask) -> WeightedMean:
    chosen = frame_mask(frames, len(own), "frames to measure")
    return _measured_ratio(float(made[chosen].sum()), float(own[chosen].sum()))


def _measured_ratio(total: float, weight: float) -> WeightedMean:
    """A ratio whose denominator is measured too: if that is 0, the numerator must not count either."""
    return WeightedMean(total, weight) if weight > 0 else WeightedMean()


def squared_error(ground_truth: Motion, prediction: Motion, frames: Mask) -> WeightedMean:
    """Mean squared error over the selected frames and all coefficients.

    Squared unit of the motion, in [0, inf), lower is better, ideal 0.
    """
    one, two = same_shape(ground_truth, prediction, ("frame", "coef"))
    chosen = frame_mask(frames, len(one), "frames to measure")
    return WeightedMean(float(((one[chosen] - two[chosen]) ** 2).mean(axis=1).sum()), float(chosen.sum()))


def masked_frechet_distance(ground_truth: Motion, prediction: Motion, frames: Mask) -> WeightedMean:
    """Frechet distance (FD) of the selected frames; over dialogues, the mean weighted by frames.

    Squared unit of the motion, in [0, inf), lower is better, ideal 0. Not measured on fewer than two seconds of
    frames. FD grows as the number of frames falls, so compare values of the same frames only.
    """
    one, two = same_shape(ground_truth, prediction, ("frame", "coef"))
    chosen = frame_mask(frames, len(one), "frames to measure")
    count = int(chosen.sum())
    if count < MIN_FD_FRAMES:
        return WeightedMean()
    return WeightedMean(count * frechet_distance(one[chosen], two[chosen]), float(count))


def transition_to_steady_ratio(values: Curve, inside: Mask) -> WeightedMean:
    """Mean of a per-frame value, such as error or speed, inside the windows over its mean outside.

    No unit, in [0, inf). For an error, 1 means no worse at transitions than elsewhere; for speed, the ground
    truth's own value is ideal. It ignores the scale of the values. Not measured where no frame is outside, or all
    values outside are 0.
    """
    curve = finite(values, ("frame",), "values")
    inside = frame_mask(inside, len(curve), "windows")
    if inside.all() or not inside.any():
        return WeightedMean()
    return _measured_ratio(float(curve[inside].sum()), float(inside.sum() * curve[~inside].mean()))
