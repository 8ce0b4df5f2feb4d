"""Listener responses: when to nod, smile and raise the brows in response to the partner, and with what lag.

Each gesture event records its cause, so that an evaluation can test whether a model learned the dependency. Two
cues elicit a backchannel: a region of low pitch (Ward & Tsukahara 2000), and the end of a phrase, at which the
partner pauses. Smiles are mimicked (Dimberg 1998).
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from dualtalk.animator.curves import frames_of
from dualtalk.animator.voice_features import VoiceFeatures

GestureKind = Literal["nod", "smile", "brow_raise"]
GestureCause = Literal["low_pitch", "phrase_end", "partner_smile", "own_phrase_end", "own_laugh"]

# Ward & Tsukahara 2000, section 4, rule for English: pitch below the speaker's 26th percentile for 110 ms, after
# at least 700 ms of speech, no backchannel within the last 800 ms; the response follows 700 ms later.
LOW_PITCH_PERCENTILE = 26
LOW_PITCH_S = 0.11
SPEECH_BEFORE_S = 0.7
BACKCHANNEL_SPACING_S = 0.8
LOW_PITCH_LAG_S = 0.7
# The response to a phrase end comes sooner: the mode of floor-transfer offsets is 0 to 200 ms (Stivers et al.
# 2009), and listeners' nods start around the end of the phrase (Dittmann & Llewellyn 1968).
PHRASE_END_LAG_S = (0.12, 0.45)
PHRASE_END_RESPONSE_PROB = 0.95
LOW_PITCH_RESPONSE_PROB = 0.35
# Share of nods that come with a brow raise, and with a smile. The values are ours: nods are the most frequent
# visual backchannel and smiles the second most frequent (Brunner 1979), but no common rate is published.
BROW_RAISE_PROB, SMILE_PROB = 0.45, 0.4
SPONTANEOUS_SMILE_PROB = 0.2
# Facial mimicry starts 0.5 to 1 s after the expression that it mimics (Dimberg et al. 1998).
MIMICRY_LAG_S = (0.5, 1.0)
MIMICRY_PROB = 0.6
# People rarely nod while they hold the floor: this factor applies to the response probability.
WHILE_SPEAKING_FACTOR = 0.15


@dataclass(frozen=True)
class GestureEvent:
    """A gesture of one person's face or head, and its cause.

    Attributes
    ----------
    kind : "nod", "smile" or "brow_raise"
    frame : int
        First frame of the gesture.
    strength : float
        0 to 1.
    cause : str
        The cue that elicited it: one of `GestureCause`.
    cause_frame : int
        Frame of the cue; the lag is `frame - cause_frame`.
    """

    kind: GestureKind
    frame: int
    strength: float
    cause: GestureCause
    cause_frame: int


def low_pitch_cues(voice: VoiceFeatures) -> list[int]:
    """Frames at which a region of low pitch reaches its minimum duration after enough speech."""
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
    """For each frame, the number of consecutive true frames up to and including it."""
    index = np.arange(len(mask))
    last_false = np.maximum.accumulate(np.where(mask, -1, index))
    return index - last_false


def phrase_end_cues(voice: VoiceFeatures) -> list[int]:
    """Frames at which a phrase of at least `SPEECH_BEFORE_S` ends."""
    return [int(last) for first, last in voice.phrases if last - first >= frames_of(SPEECH_BEFORE_S)]


def backchannels(own: VoiceFeatures, partner: VoiceFeatures, rng: np.random.Generator) -> list[GestureEvent]:
    """Nods in response to the partner's cues, some with a brow raise or a smile."""
    cues: list[tuple[int, GestureCause]] = [(frame, "phrase_end") for frame in phrase_end_cues(partner)]
    cues += [(frame, "low_pitch") for frame in low_pitch_cues(partner)]
    events: list[GestureEvent] = []
    previous = -frames_of(10.0)
    for cue_frame, cause in sorted(cues):
        probability = PHRASE_END_RESPONSE_PROB if cause == "phrase_end" else LOW_PITCH_RESPONSE_PROB
        lag_s = rng.uniform(*PHRASE_END_LAG_S) if cause == "phrase_end" else rng.normal(LOW_PITCH_LAG_S, 0.08)
        frame = cue_frame + frames_of(lag_s)
        chances = rng.random(4)
        strength = float(rng.uniform(0.5, 1.0))
        if frame >= own.frames or frame - previous < frames_of(BACKCHANNEL_SPACING_S):
            continue
        if own.speaking[frame]:
            probability *= WHILE_SPEAKING_FACTOR
        if chances[0] > probability:
            continue
        previous = frame
        events.append(GestureEvent("nod", frame, strength, cause, cue_frame))
        if chances[1] < BROW_RAISE_PROB:
            events.append(GestureEvent("brow_raise", frame, strength, cause, cue_frame))
        if chances[2] < SMILE_PROB:
            events.append(GestureEvent("smile", frame, strength, cause, cue_frame))
    return events


def spontaneous_smiles(own: VoiceFeatures, rng: np.random.Generator) -> list[GestureEvent]:
    """Smiles without a cue from the partner: near the end of some phrases, and with each laugh."""
    laughing = [
        GestureEvent("smile", frame, 1.0, "own_laugh", frame) for frame in own.laughs if frame < own.frames
    ]
    return laughing + [
        GestureEvent(
            "smile", int(last) - frames_of(0.6), float(rng.uniform(0.4, 0.9)), "own_phrase_end", int(last)
        )
        for last in phrase_end_cues(own)
        if rng.random() < SPONTANEOUS_SMILE_PROB
    ]


def mimicked_smiles(
    partner_smiles: list[GestureEvent], frames: int, rng: np.random.Generator
) -> list[GestureEvent]:
    """Smiles in response to the partner's, after a lag of `MIMICRY_LAG_S` and slightly weaker."""
    events = []
    for smile in partner_smiles:
        frame = smile.frame + frames_of(rng.uniform(*MIMICRY_LAG_S))
        if rng.random() < MIMICRY_PROB and frame < frames:
            events.append(GestureEvent("smile", frame, 0.8 * smile.strength, "partner_smile", smile.frame))
    return events
