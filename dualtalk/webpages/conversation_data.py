"""The data of the conversation report: time series, frames for the still images, and turn-taking statistics."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float

from dualtalk.audio.prosody import loudness_db
from dualtalk.core import PARTY, Conversation, Participant
from dualtalk.head import Head
from dualtalk.metrics.conversation_summary import SummaryRow
from dualtalk.timebase import frame_at

STILLS = 12
# A still shows a turn this long after its onset, when the face is already speaking.
TURN_ONSET_DELAY_S = 0.5
# mouthSmile above which a face counts as smiling.
SMILE_THRESHOLD = 0.3
# eyeBlink above which eyes count as closed, and the longest blink: stills avoid frames with closed eyes.
EYES_CLOSED_THRESHOLD = 0.25
LONGEST_BLINK_FRAMES = 12


@dataclass(frozen=True, eq=False)
class TimeSeries:
    """One quantity of both people over time.

    Attributes
    ----------
    title, unit : str
        `unit` is empty for a ratio.
    a, b : (frame,) float
        Values in `unit`.
    digits : int
        Decimals to keep and to show.
    """

    title: str
    unit: str
    a: Float[np.ndarray, "frame"]
    b: Float[np.ndarray, "frame"]
    digits: int


@dataclass(frozen=True)
class Highlight:
    """A frame for a still image, and its caption."""

    frame: int
    caption: str


def time_series(conversation: Conversation, head: Head) -> list[TimeSeries]:
    """Lip aperture (mm), loudness (dB), head pitch (degrees), and blinks if the head has ARKit's blendshapes."""
    frames = conversation.frames

    def aperture_mm(person: Participant) -> np.ndarray:
        return 1000 * head.lip_gap(person.required_motion)

    def loudness(person: Participant) -> np.ndarray:
        return loudness_db(person.audio)[:frames]

    def pitch_deg(person: Participant) -> np.ndarray:
        return np.degrees(person.required_motion.head_rotvec_rad[:, 0])

    def blink(person: Participant) -> np.ndarray:
        return _blendshape_pair(person, head, "eyeBlink")

    def series_of(title: str, unit: str, digits: int, quantity: Callable[[Participant], np.ndarray]) -> TimeSeries:
        a, b = map(quantity, conversation.participants)
        return TimeSeries(title, unit, a, b, digits)

    series = [
        series_of("Lip aperture", "mm", 1, aperture_mm),
        series_of("Loudness", "dB", 0, loudness),
        series_of("Head pitch (positive is down)", "°", 1, pitch_deg),
    ]
    if _has_blendshape_pair(head, "eyeBlink"):
        series.append(series_of("Blink", "", 2, blink))
    return series


def select_highlights(
    conversation: Conversation, head: Head, turns: pd.DataFrame, count: int = STILLS
) -> list[Highlight]:
    """Select one frame from each of `count` equal parts of the conversation.

    Within a part, the first of these that exists: a backchannel, a turn onset, the widest smile, the middle frame.
    Two frames are at least half a part apart. Frames in which an eye is closed are moved to the nearest frame with
    open eyes.

    Parameters
    ----------
    turns : DataFrame
        From `dualtalk.audio.turns.turn_table`.
    """
    edges = np.linspace(0, conversation.frames, min(count, conversation.frames) + 1).astype(int).tolist()
    events = [
        *(Highlight(frame, f"{person}: backchannel") for frame, person in _events(turns, "backchannel")),
        *(Highlight(frame, f"{person}: turn onset") for frame, person in _events(turns, "turn")),
    ]
    selected: list[Highlight] = []
    for first, end in pairwise(edges):
        earliest = max(first, selected[-1].frame + (end - first) // 2) if selected else first
        middle = (first + end) // 2
        candidates = [
            *(event for event in events if earliest <= event.frame < end),
            *_widest_smile(conversation, head, earliest, end),
            Highlight(middle, _speaker_caption(conversation, middle)),
        ]
        selected.append(candidates[0])
    closed = _eyes_closed(conversation, head)
    return [replace(highlight, frame=_nearest_open_frame(highlight.frame, closed)) for highlight in selected]


def turn_taking_summary(conversation: Conversation, turns: pd.DataFrame) -> dict[str, SummaryRow]:
    """Turn-taking statistics, in the layout of `dualtalk.metrics.conversation_summary.motion_summary`."""
    speaking = [person.speaking(conversation.frames) for person in conversation.participants]

    def rows(label: str, kind: str) -> pd.DataFrame:
        return turns[(turns.person == label) & (turns.kind == kind)]

    summary = {"speaking time": _row("share", *(float(mask.mean()) for mask in speaking))}
    for name, kind in (("turns", "turn"), ("backchannels", "backchannel")):
        summary[name] = _row("", *(len(rows(label, kind)) for label in PARTY))
    offsets_s = [rows(label, "turn").offset_s.mean() for label in PARTY]
    summary["floor transfer offset, mean"] = _row("s", *map(float, offsets_s))
    return summary


def _row(unit: str, a: float | int, b: float | int) -> SummaryRow:
    return SummaryRow(a=a, b=b, unit=unit, range=None)


def _events(turns: pd.DataFrame, kind: str) -> list[tuple[int, str]]:
    """Frame and person of each row of `kind`, shortly after its onset."""
    return [
        (frame_at(min(start_s + TURN_ONSET_DELAY_S, (start_s + end_s) / 2)), person.upper())
        for start_s, end_s, person in turns.loc[turns.kind == kind, ["start_s", "end_s", "person"]].to_numpy()
    ]


def _widest_smile(conversation: Conversation, head: Head, first: int, end: int) -> list[Highlight]:
    """The frame of the widest smile in `first` to `end`, or nothing if nobody smiles."""
    if not _has_blendshape_pair(head, "mouthSmile"):
        return []
    smiles = np.stack(
        [_blendshape_pair(person, head, "mouthSmile")[first:end] for person in conversation.participants]
    )
    person, frame = np.unravel_index(smiles.argmax(), smiles.shape)
    if smiles[person, frame] < SMILE_THRESHOLD:
        return []
    return [Highlight(first + int(frame), f"{PARTY[int(person)].upper()}: smile")]


def _eyes_closed(conversation: Conversation, head: Head) -> Bool[np.ndarray, "frame"]:
    """Frames in which either person's eyes are closed."""
    if not _has_blendshape_pair(head, "eyeBlink"):
        return np.zeros(conversation.frames, bool)
    blinks = [_blendshape_pair(person, head, "eyeBlink") for person in conversation.participants]
    return np.max(blinks, axis=0) > EYES_CLOSED_THRESHOLD


def _nearest_open_frame(frame: int, closed: Bool[np.ndarray, "frame"]) -> int:
    """The nearest frame in which both people's eyes are open; `frame` if there is none within a blink."""
    first = max(frame - LONGEST_BLINK_FRAMES, 0)
    open_frames = first + np.flatnonzero(~closed[first : frame + LONGEST_BLINK_FRAMES + 1])
    return int(open_frames[np.abs(open_frames - frame).argmin()]) if len(open_frames) else frame


def _speaker_caption(conversation: Conversation, frame: int) -> str:
    speaking = [
        label.upper()
        for label, person in zip(PARTY, conversation.participants, strict=True)
        if person.speaking(conversation.frames)[frame]
    ]
    return ("mutual silence", f"{''.join(speaking)} speaks", "overlap")[len(speaking)]


def _has_blendshape_pair(head: Head, name: str) -> bool:
    return {f"{name}Left", f"{name}Right"} <= set(head.blendshape_names)


def _blendshape_pair(person: Participant, head: Head, name: str) -> np.ndarray:
    """(frame,) mean of the left and the right blendshape coefficient."""
    slots = [head.blendshape_names.index(f"{name}{side}") for side in ("Left", "Right")]
    return person.required_motion.expression[:, slots].mean(axis=1)
