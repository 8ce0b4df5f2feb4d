"""The speaking mouth: phonemes to lips and jaw, with coarticulation.

Each phoneme wants a posture of the mouth (a viseme): values of a few channels. Each of its wishes carries a
dominance that decays away from the phoneme in time; the posture at a frame is the dominance-weighted mean of
the wishes (Cohen & Massaro 1993, "Modeling coarticulation in synthetic visual speech", equations 1 to 4, with
exponent c = 1). A wish that a phoneme does not care about has little dominance, so neighbours show through:
the lips round for "two" before the tongue leaves the t.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from dualtalk.animator.curves import Curve, eased, frames_of, smoothed
from dualtalk.animator.voice import Voice
from dualtalk.audio.phonemes import Phoneme
from dualtalk.timebase import MOTION_FPS

# Channels: opening 0 (shut) to 1 (widest vowel); closure is the share of that opening which the lips take back.
CHANNELS = ("opening", "closure", "pucker", "funnel", "stretch", "roll_lower", "press", "lower_down", "upper_up")
CHANNEL = {name: column for column, name in enumerate(CHANNELS)}
PARTING = [CHANNEL[name] for name in ("funnel", "lower_down", "upper_up")]

# Visemes after the articulatory classes of Jeffers & Barley 1971 (Speechreading, chapter 3): the classes and
# which articulator matters are theirs, the sizes are ours, tuned on the open head so that gaps come out human.
_VISEME_SYMBOLS = {
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
_VISEME_WISHES: dict[str, dict[str, float]] = {
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
VISEME_OF = {symbol: viseme for viseme, text in _VISEME_SYMBOLS.items() for symbol in text.split()}

# Dominance at the phoneme's centre, of a wish it cares about, of one it does not, and of rest.
CARED, UNCARED, REST = 1.0, 0.12, 0.06
# Lips must meet for p, b, m: their closure outweighs any neighbour (Cohen & Massaro 1993 give bilabial lip
# closure the largest dominance of all).
CLOSURE_CARED = {"bilabial": 16.0, "labiodental": 5.0}
OPENING_CARED = {"bilabial": 2.0}
# Decay of dominance per second, before and after the phoneme: about 1/e in 60 and 45 ms. The slower rise is
# the lead of the mouth over the voice (Chandrasekaran et al. 2009 find 100 to 300 ms at phrase starts).
DECAY_BEFORE_PER_S, DECAY_AFTER_PER_S = 16.0, 22.0
CLOSURE_DECAY_PER_S = 60.0
REACH_S = 0.4

# Louder speech opens wider (Schulman 1989, "Articulatory dynamics of loud and normal speech"); the rate is ours.
OPENING_PER_DB = 0.07
QUIETEST_GAIN, LOUDEST_GAIN = 0.3, 1.5
# Mouth opening that loudness alone asks for where no phoneme was recognised.
UNRECOGNISED_OPENING = 0.5
# The mouth leaves rest this long before the voice and is back at rest this long after it.
LEAD_S, RETURN_S = 0.24, 0.2


@dataclass(frozen=True, eq=False)
class MouthMotion:
    """Channels of the speaking mouth over time; see `CHANNELS` for their order and range."""

    channels: Float[np.ndarray, "frame channel"]

    def __getitem__(self, channel: str) -> Curve:
        return self.channels[:, CHANNEL[channel]]


def speaking_mouth(voice: Voice) -> MouthMotion:
    """Mouth posture of each frame; all zero (lips together, at rest) away from speech."""
    channels = coarticulate(voice.phonemes, voice.frames)
    gain = np.clip(1 + OPENING_PER_DB * voice.loudness_db, QUIETEST_GAIN, LOUDEST_GAIN)
    opening = channels[:, CHANNEL["opening"]] * smoothed(gain, 0.04)
    missed = unrecognised(voice)
    opening = np.maximum(opening, missed * UNRECOGNISED_OPENING * gain)
    channels[:, CHANNEL["opening"]] = opening
    # Lips that are brought together are not drawn apart at the same time.
    channels[:, PARTING] *= 1 - channels[:, CHANNEL["closure"], None]
    return MouthMotion(channels * speech_gate(voice)[:, None])


def coarticulate(phonemes: tuple[Phoneme, ...], frames: int) -> Float[np.ndarray, "frame channel"]:
    """Dominance-weighted mean of all phonemes' wishes, and of rest, at each frame's middle."""
    weighted = np.zeros((frames, len(CHANNELS)))
    weight = np.full((frames, len(CHANNELS)), REST)
    known = [phoneme for phoneme in phonemes if phoneme.ipa in VISEME_OF]
    if not known or not frames:
        return weighted
    visemes = [VISEME_OF[phoneme.ipa] for phoneme in known]
    wish = np.array([[_VISEME_WISHES[v].get(c, 0.0) for c in CHANNELS] for v in visemes])
    peak = np.array([[_peak_dominance(v, c) for c in CHANNELS] for v in visemes])
    middle_s = np.array([(p.start_s + p.end_s) / 2 for p in known])
    half_s = np.array([(p.end_s - p.start_s) / 2 for p in known])

    reach = frames_of(REACH_S)
    nearest = np.round(middle_s * MOTION_FPS - 0.5).astype(int)
    for offset in range(-reach, reach + 1):
        frame = nearest + offset
        inside = (frame >= 0) & (frame < frames)
        after_s = (frame + 0.5) / MOTION_FPS - middle_s
        # Inside the phoneme's inner half, and for a frame at least, its posture holds; then dominance decays.
        away_s = np.maximum(np.abs(after_s) - np.maximum(half_s / 2, 0.5 / MOTION_FPS), 0)
        decay = np.where(after_s < 0, DECAY_BEFORE_PER_S, DECAY_AFTER_PER_S)[:, None].repeat(len(CHANNELS), 1)
        decay[:, CHANNEL["closure"]] = CLOSURE_DECAY_PER_S
        dominance = peak * np.exp(-decay * away_s[:, None])
        np.add.at(weighted, frame[inside], (dominance * wish)[inside])
        np.add.at(weight, frame[inside], dominance[inside])
    return weighted / weight


def _peak_dominance(viseme: str, channel: str) -> float:
    if channel not in _VISEME_WISHES[viseme]:
        return UNCARED
    if channel == "closure":
        return CLOSURE_CARED.get(viseme, CARED)
    if channel == "opening":
        return OPENING_CARED.get(viseme, CARED)
    return CARED


def unrecognised(voice: Voice) -> Curve:
    """1 where the person speaks but no phoneme is within a fifth of a second, eased between."""
    heard = np.zeros(voice.frames, bool)
    for phoneme in voice.phonemes:
        first = int((phoneme.start_s - 0.2) * MOTION_FPS)
        heard[max(first, 0) : int((phoneme.end_s + 0.2) * MOTION_FPS) + 1] = True
    return smoothed((voice.speaking & ~heard).astype(float), 0.06)


def speech_gate(voice: Voice) -> Curve:
    """1 while a phrase is spoken; eased up before it and down after it; 0 in silence."""
    gate = np.zeros(voice.frames)
    lead, fall = frames_of(LEAD_S), frames_of(RETURN_S)
    for first, last in voice.phrases:
        span = np.arange(max(first - lead, 0), min(last + fall, voice.frames))
        shape = np.minimum(eased((span - first + lead) / lead), eased((last + fall - span) / fall))
        gate[span] = np.maximum(gate[span], shape)
    return gate
