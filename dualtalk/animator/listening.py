"""What a listener does because of the partner: when to nod, smile, raise the brows, and at what lag.

Every reaction records what it answers, so that an evaluation can ask whether a model learned the dependency.
Two cues call for a backchannel: a region of low pitch (Ward & Tsukahara 2000), and the end of a phrase, where
the partner pauses. Smiles are mimicked (Dimberg 1998).
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from dualtalk.animator.curves import frames_of
from dualtalk.animator.voice import Voice

Kind = Literal["nod", "smile", "brow_raise"]
Cause = Literal["low_pitch", "phrase_end", "partner_smile", "own_phrase_end", "own_laugh"]

# Ward & Tsukahara 2000, section 4, the rule for English: pitch below the speaker's 26th percentile for 110 ms,
# after at least 700 ms of speech, no backchannel in the last 800 ms; respond 700 ms later.
LOW_PITCH_PERCENTILE = 26
LOW_PITCH_S = 0.11
SPEECH_BEFORE_S = 0.7
BACKCHANNEL_SPACING_S = 0.8
LOW_PITCH_LAG_S = 0.7
# A phrase end is answered sooner: the mode of floor-transfer offsets is 0 to 200 ms (Stivers et al. 2009), and
# listeners' nods start around the end of the phrase (Dittmann & Llewellyn 1968).
PHRASE_END_LAG_S = (0.12, 0.45)
PHRASE_END_ANSWERED = 0.95
LOW_PITCH_ANSWERED = 0.35
# Share of answered cues at which the brows rise, or a smile comes with the nod (ours: the literature gives
# nods as the most frequent visual backchannel and smiles second, Brunner 1979, but no common rate).
WITH_BROWS, WITH_SMILE = 0.45, 0.4
SPONTANEOUS_SMILE = 0.2
# Facial mimicry begins within 0.5 to 1 s of the face that is mimicked (Dimberg et al. 1998).
MIMICRY_LAG_S = (0.5, 1.0)
MIMICRY_ANSWERED = 0.6
# People rarely nod while they hold the floor themselves.
NOD_WHILE_SPEAKING = 0.15


@dataclass(frozen=True)
class Event:
    """Something one person's face or head does, and why.

    Attributes
    ----------
    frame : int
        Where it begins.
    strength : float
        0 to 1.
    cause_frame : int
        Frame of the cue it answers; the lag is `frame - cause_frame`.
    """

    kind: Kind
    frame: int
    strength: float
    cause: Cause
    cause_frame: int


def low_pitch_cues(voice: Voice) -> list[int]:
    """Frames at which a region of low pitch has lasted long enough, after enough speech."""
    voiced = np.isfinite(voice.pitch_semitones)
    if not voiced.any():
        return []
    low = voiced & (voice.pitch_semitones < np.nanpercentile(voice.pitch_semitones, LOW_PITCH_PERCENTILE))
    run = _run_length(low)
    cues = []
    for first, last in voice.phrases:
        earliest = first + frames_of(SPEECH_BEFORE_S)
        for frame in range(earliest, last):
            if run[frame] == frames_of(LOW_PITCH_S):
                cues.append(frame)
    return cues


def _run_length(mask: np.ndarray) -> np.ndarray:
    """For each frame, how many frames in a row have been true up to and including it."""
    index = np.arange(len(mask))
    last_false = np.maximum.accumulate(np.where(mask, -1, index))
    return index - last_false


def phrase_end_cues(voice: Voice) -> list[int]:
    """Frames at which a phrase of at least 0.7 s ends."""
    return [int(last) for first, last in voice.phrases if last - first >= frames_of(SPEECH_BEFORE_S)]


def backchannels(own: Voice, partner: Voice, rng: np.random.Generator) -> list[Event]:
    """Nods, with now and then raised brows or a smile, that answer the partner's cues."""
    cues = [(frame, "phrase_end") for frame in phrase_end_cues(partner)]
    cues += [(frame, "low_pitch") for frame in low_pitch_cues(partner)]
    events: list[Event] = []
    last_answer = -frames_of(10.0)
    for cue_frame, cause in sorted(cues):
        answered = PHRASE_END_ANSWERED if cause == "phrase_end" else LOW_PITCH_ANSWERED
        lag_s = rng.uniform(*PHRASE_END_LAG_S) if cause == "phrase_end" else rng.normal(LOW_PITCH_LAG_S, 0.08)
        frame = cue_frame + frames_of(lag_s)
        chances = rng.random(4)
        strength = float(rng.uniform(0.5, 1.0))
        if frame >= own.frames or frame - last_answer < frames_of(BACKCHANNEL_SPACING_S):
            continue
        if own.speaking[frame]:
            answered *= NOD_WHILE_SPEAKING
        if chances[0] > answered:
            continue
        last_answer = frame
        events.append(Event("nod", frame, strength, cause, cue_frame))
        if chances[1] < WITH_BROWS:
            events.append(Event("brow_raise", frame, strength, cause, cue_frame))
        if chances[2] < WITH_SMILE:
            events.append(Event("smile", frame, strength, cause, cue_frame))
    return events


def spontaneous_smiles(own: Voice, rng: np.random.Generator) -> list[Event]:
    """Smiles a speaker makes on their own: towards the end of a phrase, and with every laugh."""
    laughing = [Event("smile", frame, 1.0, "own_laugh", frame) for frame in own.laughs if frame < own.frames]
    return laughing + [
        Event("smile", int(last) - frames_of(0.6), float(rng.uniform(0.4, 0.9)), "own_phrase_end", int(last))
        for last in phrase_end_cues(own)
        if rng.random() < SPONTANEOUS_SMILE
    ]


def mimicked_smiles(partner_smiles: list[Event], frames: int, rng: np.random.Generator) -> list[Event]:
    """Smiles that answer the partner's, half a second to a second later and a little weaker."""
    events = []
    for smile in partner_smiles:
        frame = smile.frame + frames_of(rng.uniform(*MIMICRY_LAG_S))
        if rng.random() < MIMICRY_ANSWERED and frame < frames:
            events.append(Event("smile", frame, 0.8 * smile.strength, "partner_smile", smile.frame))
    return events
