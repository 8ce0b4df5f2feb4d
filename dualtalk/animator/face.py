"""The face apart from speech: brows, smiles, breaths, and small resting movements."""

import numpy as np

from dualtalk.animator.curves import Curve, add_bump, coloured_noise, frames_of, smoothed
from dualtalk.animator.listening import GestureEvent
from dualtalk.animator.voice_features import VoiceFeatures

# Brows rise with pitch (Cavé et al. 1996: about 70 % of brow raises coincide with a rise of pitch). The gain is
# ours.
BROW_PER_SEMITONE = 0.06
BROW_RAISE = 0.5
SMILE_RISE_S, SMILE_HOLD_S, SMILE_FALL_S = 0.45, (0.5, 1.6), 0.8
SMILE = 0.6
# A resting face moves slightly: slow 1/f noise of a few hundredths of a blendshape weight.
RESTING_NOISE = 0.035
# People inhale just before a phrase that follows a pause (Rochet-Capellan & Fuchs 2014, "Take a breath and take
# the turn"). The duration is ours.
BREATH_S = 0.5
BREATH_AFTER_PAUSE_S = 0.6


def breaths(voice: VoiceFeatures) -> Curve:
    """Inhalation, 0 to 1, before each phrase that follows a pause; it ends as the phrase starts."""
    curve = np.zeros(voice.frames)
    previous_end = -frames_of(BREATH_AFTER_PAUSE_S)
    for first, last in voice.phrases:
        if first - previous_end >= frames_of(BREATH_AFTER_PAUSE_S):
            rise = frames_of(BREATH_S * 0.7)
            add_bump(curve, int(first) - frames_of(BREATH_S), rise=rise, hold=1, fall=frames_of(0.2), height=1.0)
        previous_end = last
    return np.minimum(curve, 1.0)


def smiles(frames: int, events: list[GestureEvent], rng: np.random.Generator) -> Curve:
    """Smile intensity, 0 to 1, from the smiles among `events`."""
    curve = np.zeros(frames)
    for event in events:
        if event.kind == "smile":
            add_bump(
                curve,
                event.frame,
                rise=frames_of(SMILE_RISE_S),
                hold=frames_of(rng.uniform(*SMILE_HOLD_S)),
                fall=frames_of(SMILE_FALL_S),
                height=SMILE * event.strength,
            )
    return np.minimum(curve, SMILE)


def brow_raises(voice: VoiceFeatures, events: list[GestureEvent], rng: np.random.Generator) -> Curve:
    """Brow raise, 0 to 1: follows high pitch while speaking, and responds to the partner while listening."""
    pitch = np.nan_to_num(np.clip(voice.pitch_semitones, -2, 8))
    curve = BROW_PER_SEMITONE * np.maximum(smoothed(pitch, 0.12), 0)
    for event in events:
        if event.kind == "brow_raise":
            hold = frames_of(rng.uniform(0.2, 0.6))
            add_bump(curve, event.frame, rise=6, hold=hold, fall=10, height=BROW_RAISE * event.strength)
    return np.clip(curve, 0, 1)


def resting_noise(frames: int, rng: np.random.Generator) -> Curve:
    """Slow, small, non-negative noise."""
    return RESTING_NOISE * np.abs(coloured_noise(frames, rng, lowest_hz=0.1, highest_hz=1.5))
