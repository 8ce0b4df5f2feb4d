"""The speaking mouth: from phonemes to lips and jaw, with coarticulation.

Each phoneme has a viseme: target values of a few mouth channels. Each target has a dominance that decays with the
distance in time from the phoneme. The channels at a frame are the dominance-weighted mean of the targets (Cohen &
Massaro 1993, "Modeling coarticulation in synthetic visual speech", equations 1 to 4, with exponent c = 1). A
channel that a viseme does not specify has a low dominance, so the neighbouring phonemes determine it: in "two",
the lips round during the t.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from dualtalk.animator.curves import Curve, frames_of, minimum_jerk, smoothed
from dualtalk.animator.voice_features import VoiceFeatures
from dualtalk.audio.phonemes import Phoneme
from dualtalk.timebase import MOTION_FPS

# Channels. Opening: 0 (closed) to 1 (the most open vowel). Closure: the share of that opening which the lips
# close.
CHANNELS = ("opening", "closure", "pucker", "funnel", "stretch", "roll_lower", "press", "lower_down", "upper_up")
CHANNEL = {name: column for column, name in enumerate(CHANNELS)}
LIP_PARTING = [CHANNEL[name] for name in ("funnel", "lower_down", "upper_up")]

# Visemes after the articulatory classes of Jeffers & Barley 1971 (Speechreading, chapter 3). The classes and the
# relevant articulators are theirs; the values are ours, tuned on the open head for realistic lip apertures.
VISEME_PHONEMES = {
    "open": "a ɑ ɐ aɪ aʊ",
    "mid_front": "æ ɛ e eɪ",
    "mid": "ʌ ə ɜ ɚ ɝ ɘ ɵ ɤ",
    "close_front": "i ɪ y ʏ ɨ j",
    "mid_round": "ɔ o oʊ ɒ ɔɪ ø œ",
    "close_round": "u ʊ w ʉ ɯ ɥ ɰ",
    "bilabial": "p b m ɓ ʙ",
    "labiodental": "f v ɱ ʋ ɸ β",
    "dental": "θ ð",
    "alveolar": "t d n l ɾ ɫ ɖ ɗ ʈ ɽ ɮ",
    "sibilant": "s z",
    "postalveolar": "ʃ ʒ tʃ dʒ ɕ ʑ tɕ ʂ ʐ",
    "rhotic": "ɹ r ɻ ʀ ʁ",
    "velar": "k ɡ ŋ x ɣ c ɟ ɲ ʝ ʎ ɴ χ",
    "glottal": "h ɦ ʔ ħ",
}
VISEME_TARGETS: dict[str, dict[str, float]] = {
    "open": {"opening": 1.0, "closure": 0.0, "lower_down": 0.35, "upper_up": 0.18},
    "mid_front": {"opening": 0.78, "closure": 0.0, "stretch": 0.3, "lower_down": 0.35, "upper_up": 0.2},
    "mid": {"opening": 0.62, "closure": 0.0, "lower_down": 0.25, "upper_up": 0.1},
    "close_front": {"opening": 0.42, "closure": 0.0, "stretch": 0.45, "lower_down": 0.3, "upper_up": 0.15},
    "mid_round": {"opening": 0.75, "closure": 0.0, "pucker": 0.35, "funnel": 0.4},
    "close_round": {"opening": 0.45, "closure": 0.0, "pucker": 0.65, "funnel": 0.3},
    "bilabial": {"opening": 0.15, "closure": 1.0, "press": 0.35, "lower_down": 0.0, "upper_up": 0.0},
    "labiodental": {"opening": 0.2, "closure": 0.75, "roll_lower": 0.55, "upper_up": 0.15, "lower_down": 0.0},
    "dental": {"opening": 0.35, "closure": 0.0},
    "alveolar": {"opening": 0.34, "closure": 0.0},
    "sibilant": {"opening": 0.2, "closure": 0.0, "stretch": 0.3, "lower_down": 0.35},
    "postalveolar": {"opening": 0.25, "closure": 0.0, "funnel": 0.55, "pucker": 0.15},
    "rhotic": {"opening": 0.35, "closure": 0.0, "funnel": 0.3, "pucker": 0.3},
    "velar": {"opening": 0.42, "closure": 0.0},
    "glottal": {"opening": 0.45},
}
VISEME_OF = {symbol: viseme for viseme, symbols in VISEME_PHONEMES.items() for symbol in symbols.split()}

# Dominance at the phoneme's centre of a channel that its viseme specifies, of one that it does not, and of rest.
SPECIFIED, UNSPECIFIED, REST = 1.0, 0.12, 0.06
# Lips must close for p, b, m: their closure dominates every neighbour (in Cohen & Massaro 1993, bilabial lip
# closure has the largest dominance of all).
CLOSURE_DOMINANCE = {"bilabial": 16.0, "labiodental": 5.0}
OPENING_DOMINANCE = {"bilabial": 2.0}
# Decay of dominance per second, before and after the phoneme: to 1/e in about 60 and 45 ms. The slower decay
# before the phoneme makes the mouth lead the voice (Chandrasekaran et al. 2009 find 100 to 300 ms at phrase
# starts).
DECAY_BEFORE_PER_S, DECAY_AFTER_PER_S = 16.0, 22.0
CLOSURE_DECAY_PER_S = 60.0
REACH_S = 0.4

# Louder speech has a larger opening (Schulman 1989, "Articulatory dynamics of loud and normal speech"); the gain
# is ours.
OPENING_PER_DB = 0.07
MIN_GAIN, MAX_GAIN = 0.3, 1.5
# Opening at the median loudness where no phoneme was recognised, and the distance in time from which a stretch of
# speech counts as unrecognised.
UNRECOGNISED_OPENING, UNRECOGNISED_S = 0.5, 0.2
# The mouth leaves its rest position this long before the voice starts, and returns this long after it ends.
LEAD_S, RETURN_S = 0.24, 0.2


@dataclass(frozen=True, eq=False)
class MouthMotion:
    """Channels of the speaking mouth over time; see `CHANNELS` for their order and range."""

    channels: Float[np.ndarray, "frame channel"]

    def __getitem__(self, channel: str) -> Curve:
        return self.channels[:, CHANNEL[channel]]


def speaking_mouth(voice: VoiceFeatures) -> MouthMotion:
    """Mouth channels of each frame; all zero (lips closed, at rest) away from speech."""
    channels = coarticulate(voice.phonemes, voice.frames)
    gain = np.clip(1 + OPENING_PER_DB * voice.loudness_db, MIN_GAIN, MAX_GAIN)
    opening = channels[:, CHANNEL["opening"]] * smoothed(gain, 0.04)
    opening = np.maximum(opening, unrecognised_speech(voice) * UNRECOGNISED_OPENING * gain)
    channels[:, CHANNEL["opening"]] = opening
    # Closed lips are not parted at the same time.
    channels[:, LIP_PARTING] *= 1 - channels[:, CHANNEL["closure"], None]
    return MouthMotion(channels * speech_gate(voice)[:, None])


def coarticulate(phonemes: tuple[Phoneme, ...], frames: int) -> Float[np.ndarray, "frame channel"]:
    """Dominance-weighted mean of the targets of all phonemes, and of rest, at the middle of each frame."""
    weighted_targets = np.zeros((frames, len(CHANNELS)))
    weights = np.full((frames, len(CHANNELS)), REST)
    mapped = [phoneme for phoneme in phonemes if phoneme.ipa in VISEME_OF]
    if not mapped or not frames:
        return weighted_targets
    visemes = [VISEME_OF[phoneme.ipa] for phoneme in mapped]
    targets = np.array([[VISEME_TARGETS[v].get(c, 0.0) for c in CHANNELS] for v in visemes])
    peaks = np.array([[_peak_dominance(v, c) for c in CHANNELS] for v in visemes])
    middle_s = np.array([(p.start_s + p.end_s) / 2 for p in mapped])
    half_s = np.array([(p.end_s - p.start_s) / 2 for p in mapped])

    reach = frames_of(REACH_S)
    nearest = np.round(middle_s * MOTION_FPS - 0.5).astype(int)
    for offset in range(-reach, reach + 1):
        frame = nearest + offset
        inside = (frame >= 0) & (frame < frames)
        after_s = (frame + 0.5) / MOTION_FPS - middle_s
        # Dominance is constant in the inner half of the phoneme, and for one frame at least; then it decays.
        distance_s = np.maximum(np.abs(after_s) - np.maximum(half_s / 2, 0.5 / MOTION_FPS), 0)
        decay = np.where(after_s < 0, DECAY_BEFORE_PER_S, DECAY_AFTER_PER_S)[:, None].repeat(len(CHANNELS), 1)
        decay[:, CHANNEL["closure"]] = CLOSURE_DECAY_PER_S
        dominance = peaks * np.exp(-decay * distance_s[:, None])
        np.add.at(weighted_targets, frame[inside], (dominance * targets)[inside])
        np.add.at(weights, frame[inside], dominance[inside])
    return weighted_targets / weights


def _peak_dominance(viseme: str, channel: str) -> float:
    if channel not in VISEME_TARGETS[viseme]:
        return UNSPECIFIED
    if channel == "closure":
        return CLOSURE_DOMINANCE.get(viseme, SPECIFIED)
    if channel == "opening":
        return OPENING_DOMINANCE.get(viseme, SPECIFIED)
    return SPECIFIED


def unrecognised_speech(voice: VoiceFeatures) -> Curve:
    """1 where the person speaks but no phoneme is within `UNRECOGNISED_S`, smoothed."""
    near_phoneme = np.zeros(voice.frames, bool)
    for phoneme in voice.phonemes:
        first, last = phoneme.start_s - UNRECOGNISED_S, phoneme.end_s + UNRECOGNISED_S
        near_phoneme[max(int(first * MOTION_FPS), 0) : int(last * MOTION_FPS) + 1] = True
    return smoothed((voice.speaking & ~near_phoneme).astype(float), 0.06)


def speech_gate(voice: VoiceFeatures) -> Curve:
    """1 during a phrase, with a minimum-jerk rise before it and fall after it; 0 in silence."""
    gate = np.zeros(voice.frames)
    lead, fall = frames_of(LEAD_S), frames_of(RETURN_S)
    for first, last in voice.phrases:
        span = np.arange(max(first - lead, 0), min(last + fall, voice.frames))
        shape = np.minimum(minimum_jerk((span - first + lead) / lead), minimum_jerk((last + fall - span) / fall))
        gate[span] = np.maximum(gate[span], shape)
    return gate
