"""Who has which role at each frame, and when roles change: from voice activity alone.

A transition is seen from one person. They go from listening to speaking when they take the turn, back when the
other takes it; an overlap begins when both have come to speak; a backchannel is their own "mhm" while the other
speaks on. Turns, overlaps and backchannels are those of `audio.turns`.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Literal, get_args

import numpy as np
from jaxtyping import Bool, Int
from pyannote.core import Timeline

from dualtalk.audio.turns import turn_table
from dualtalk.errors import InputError
from dualtalk.timebase import MOTION_FPS, frame_at

TransitionKind = Literal["listen to speak", "speak to listen", "overlap", "backchannel"]
Role = Literal["speaking", "listening", "both speak", "nobody speaks"]
TRANSITION_KINDS: tuple[TransitionKind, ...] = get_args(TransitionKind)
ROLES: tuple[Role, ...] = get_args(Role)

# A second around a transition: the gaps and overlaps of most floor transfers lie within half a second of 0
# (Heldner & Edlund 2010), and so do the breath and the closing of the mouth.
WINDOW_S = 1.0
BEFORE_FRAMES = round(WINDOW_S * MOTION_FPS) // 2
WINDOW_FRAMES = 2 * BEFORE_FRAMES + 1
# Speech this near may still move the mouth, or move it already.
NEAR_SPEECH_S = 0.3


@dataclass(frozen=True)
class Transition:
    """A change of one person's role, at a time in seconds from the start of the dialogue."""

    kind: TransitionKind
    time_s: float


@dataclass(frozen=True, eq=False)
class Roles:
    """One person's side of who speaks when.

    Attributes
    ----------
    own, partner : pyannote.core.Timeline
        When each speaks, in seconds.
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
        return Roles(self.partner, self.own, self.frames)

    @cached_property
    def own_speaks(self) -> Bool[np.ndarray, "frame"]:
        return speaking_frames(self.own, self.frames)

    @cached_property
    def partner_speaks(self) -> Bool[np.ndarray, "frame"]:
        return speaking_frames(self.partner, self.frames)

    def mask(self, role: Role) -> Bool[np.ndarray, "frame"]:
        """Frames in which the person has that role. The four roles share out all frames."""
        own, partner = self.own_speaks, self.partner_speaks
        return {
            "speaking": own & ~partner,
            "listening": partner & ~own,
            "both speak": own & partner,
            "nobody speaks": ~own & ~partner,
        }[role]

    @cached_property
    def own_silence(self) -> Bool[np.ndarray, "frame"]:
        """Frames at least 0.3 s away from the person's own speech."""
        return ~speaking_frames(self.own, self.frames, widened_s=NEAR_SPEECH_S)

    @cached_property
    def transitions(self) -> tuple[Transition, ...]:
        """All of the person's transitions, by time; none where one of the two never speaks."""
        table = turn_table(self.own, self.partner, self.duration_s)
        turns = table[table["kind"] == "turn"]
        taken = turns[turns["offset_s"].notna()]
        found = [Transition("listen to speak", t) for t in taken[taken["person"] == "a"]["start_s"]]
        followed = turns[turns["offset_s"].shift(-1).notna()]
        found += [Transition("speak to listen", t) for t in followed[followed["person"] == "a"]["end_s"]]
        murmurs = table[table["kind"] == "backchannel"]
        found += [Transition("backchannel", t) for t in murmurs[murmurs["person"] == "a"]["start_s"]]
        spans = murmurs[["start_s", "end_s"]].to_numpy()
        for start_s in table[table["kind"] == "overlap"]["start_s"]:
            if not ((spans[:, 0] <= start_s) & (start_s < spans[:, 1])).any():
                found.append(Transition("overlap", start_s))
        return tuple(sorted(found, key=lambda one: (one.time_s, one.kind)))

    def frames_of(self, kind: TransitionKind | None = None) -> Int[np.ndarray, "transition"]:
        """Frame of each transition of that kind, or of all, whose window lies wholly inside the dialogue."""
        at = [frame_at(one.time_s) for one in self.transitions if kind in (None, one.kind)]
        frames = np.array(at, int)
        return frames[(frames >= BEFORE_FRAMES) & (frames < self.frames - BEFORE_FRAMES)]


def speaking_frames(speech: Timeline, frames: int, widened_s: float = 0.0) -> Bool[np.ndarray, "frame"]:
    """Whether the middle of each frame lies in speech, or within `widened_s` of it."""
    middle_s = (np.arange(frames) + 0.5) / MOTION_FPS
    mask = np.zeros(frames, bool)
    for span in speech:
        mask |= (middle_s >= span.start - widened_s) & (middle_s < span.end + widened_s)
    return mask


def windows(at: Int[np.ndarray, "transition"]) -> Int[np.ndarray, "transition window"]:
    """Frames of the window around each transition: half a second before it to half a second after."""
    return at[:, None] + np.arange(-BEFORE_FRAMES, BEFORE_FRAMES + 1)


def window_mask(at: Int[np.ndarray, "transition"], frames: int) -> Bool[np.ndarray, "frame"]:
    """Frames that lie in any window."""
    mask = np.zeros(frames, bool)
    mask[windows(at).ravel()] = True
    return mask


def onsets_s(speech: Timeline, silence_s: float) -> list[float]:
    """Starts of speech after at least `silence_s` without, in seconds."""
    return [span.start for span in speech.support(collar=silence_s)]


def offsets_s(speech: Timeline, silence_s: float) -> list[float]:
    """Ends of speech before at least `silence_s` without, in seconds."""
    return [span.end for span in speech.support(collar=silence_s)]
