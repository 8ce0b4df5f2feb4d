"""What the report shows, worked out of a conversation: curves, moments worth a picture, figures of the talk."""

from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float

from dualtalk.audio.prosody import loudness_db
from dualtalk.core import PARTY, Conversation, Participant
from dualtalk.head import Head
from dualtalk.timebase import frame_at

STILLS = 12
# Into a turn the face has begun to speak; at its very start it has not.
INTO_TURN_S = 0.5
SMILE_SEEN = 0.3
# A picture taken in a blink says nothing; a blink is over within this many frames.
LIDS_SEEN = 0.25
LONGEST_BLINK_FRAMES = 12


@dataclass(frozen=True, eq=False)
class Curve:
    """One quantity of both people over time.

    Attributes
    ----------
    title, unit : str
    a, b : (frame,) float
        In `unit`.
    digits : int
        Decimals worth keeping.
    """

    title: str
    unit: str
    a: Float[np.ndarray, "frame"]
    b: Float[np.ndarray, "frame"]
    digits: int


@dataclass(frozen=True)
class Moment:
    """A frame worth a picture, and what it shows."""

    frame: int
    caption: str


def curves(conversation: Conversation, head: Head) -> list[Curve]:
    """Mouth, loudness, nod and, where the head's units are named, lids."""
    people, frames = conversation.participants, conversation.frames

    def nod_deg(person: Participant) -> np.ndarray:
        return np.degrees(person.motion.head_rotvec_rad[:, 0])

    made = [
        Curve("Mouth opening", "mm", *(1000 * head.lip_gap(person.motion) for person in people), 1),
        Curve("Loudness", "dB", *(loudness_db(person.audio)[:frames] for person in people), 0),
        Curve("Head nod, down is positive", "°", *map(nod_deg, people), 1),
    ]
    if _has_units(head, "eyeBlink"):
        made.append(Curve("Blink", "", *(_both_sides(person, head, "eyeBlink") for person in people), 2))
    return made


def moments(conversation: Conversation, head: Head, turns: pd.DataFrame, count: int = STILLS) -> list[Moment]:
    """One moment in each of `count` equal stretches: a backchannel, else the start of a turn, else a smile, else
    the middle. No two are nearer than half a stretch."""
    edges = np.linspace(0, conversation.frames, min(count, conversation.frames) + 1).astype(int).tolist()
    events = [
        *(Moment(frame, f"{who} chimes in") for frame, who in _events(turns, "backchannel")),
        *(Moment(frame, f"{who} takes the turn") for frame, who in _events(turns, "turn")),
    ]
    chosen: list[Moment] = []
    for first, end in pairwise(edges):
        soonest = max(first, chosen[-1].frame + (end - first) // 2) if chosen else first
        middle = (first + end) // 2
        candidates = [
            *(event for event in events if soonest <= event.frame < end),
            *_smile(conversation, head, soonest, end),
            Moment(middle, _speakers(conversation, middle)),
        ]
        chosen.append(candidates[0])
    shut = _lids_shut(conversation, head)
    return [replace(moment, frame=_out_of_blink(moment.frame, shut)) for moment in chosen]


def talk_figures(conversation: Conversation, turns: pd.DataFrame) -> dict[str, dict]:
    """Figures of the turn taking, in the shape of `dualtalk.metrics.conversation_summary.motion_figures`."""
    speaking = [person.speaking(conversation.frames) for person in conversation.participants]

    def rows(label: str, kind: str) -> pd.DataFrame:
        return turns[(turns.person == label) & (turns.kind == kind)]

    figures = {"speaking": _row("share", *(float(mask.mean()) for mask in speaking))}
    for name, kind in (("turns", "turn"), ("backchannels", "backchannel")):
        figures[name] = _row("", *(len(rows(label, kind)) for label in PARTY))
    offsets_s = [rows(label, "turn").offset_s.mean() for label in PARTY]
    figures["from the other's end to the own start, mean"] = _row("s", *map(float, offsets_s))
    return figures


def _row(unit: str, a: float | int, b: float | int) -> dict:
    return {"a": a, "b": b, "unit": unit, "range": None}


def _events(turns: pd.DataFrame, kind: str) -> list[tuple[int, str]]:
    """Frame and person of each row of `kind`, a little into it."""
    return [
        (frame_at(min(row.start_s + INTO_TURN_S, (row.start_s + row.end_s) / 2)), row.person.upper())
        for row in turns[turns.kind == kind].itertuples()
    ]


def _smile(conversation: Conversation, head: Head, first: int, end: int) -> list[Moment]:
    """The broadest smile between two frames, where it is one."""
    if not _has_units(head, "mouthSmile"):
        return []
    widths = np.stack([_both_sides(person, head, "mouthSmile")[first:end] for person in conversation.participants])
    person, frame = np.unravel_index(widths.argmax(), widths.shape)
    if widths[person, frame] < SMILE_SEEN:
        return []
    return [Moment(first + int(frame), f"{PARTY[person].upper()} smiles")]


def _lids_shut(conversation: Conversation, head: Head) -> Bool[np.ndarray, "frame"]:
    if not _has_units(head, "eyeBlink"):
        return np.zeros(conversation.frames, bool)
    return (
        np.max([_both_sides(person, head, "eyeBlink") for person in conversation.participants], axis=0) > LIDS_SEEN
    )


def _out_of_blink(frame: int, shut: Bool[np.ndarray, "frame"]) -> int:
    """The nearest frame in which both people's eyes are open; `frame` itself where none is near."""
    first = max(frame - LONGEST_BLINK_FRAMES, 0)
    opened = first + np.flatnonzero(~shut[first : frame + LONGEST_BLINK_FRAMES + 1])
    return int(opened[np.abs(opened - frame).argmin()]) if len(opened) else frame


def _speakers(conversation: Conversation, frame: int) -> str:
    speaking = [
        label.upper()
        for label, person in zip(PARTY, conversation.participants, strict=True)
        if person.speaking(conversation.frames)[frame]
    ]
    return ("nobody speaks", f"{''.join(speaking)} speaks", "both speak")[len(speaking)]


def _has_units(head: Head, unit: str) -> bool:
    return {f"{unit}Left", f"{unit}Right"} <= set(head.blendshape_names)


def _both_sides(person: Participant, head: Head, unit: str) -> np.ndarray:
    """(frame,) mean of a unit's left and right coefficient."""
    slots = [head.blendshape_names.index(f"{unit}{side}") for side in ("Left", "Right")]
    return person.motion.expression[:, slots].mean(axis=1)
