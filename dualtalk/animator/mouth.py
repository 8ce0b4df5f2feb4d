"""The speaking mouth: from phonemes to lips and jaw, with coarticulation.

Each phoneme has a viseme: target values of a few mouth channels. Each target has a dominance: the phoneme's
interval, smoothed by the reaction time of the articulator. The channels at a frame are the dominance-weighted mean
of the targets (Cohen & Massaro 1993, "Modeling coarticulation in synthetic visual speech", equations 1 to 4, with
another shape of dominance). A short vowel therefore undershoots its target (Lindblom 1963), and a channel that a
viseme does not specify follows the neighbouring phonemes: in "two", the lips round during the t.

Lip contact is an event, not a target: the lips meet at the start of p, b or m, stay closed until its end, and
part. It neither undershoots nor spreads to neighbours. `experiments/real_lips` measured a real mouth and chose the
constants.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy.special import ndtr

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
    "open": {"opening": 1.0, "lower_down": 0.25, "upper_up": 0.12},
    "mid_front": {"opening": 0.8, "stretch": 0.3, "lower_down": 0.3, "upper_up": 0.2},
    "mid": {"opening": 0.68, "lower_down": 0.2, "upper_up": 0.1},
    "close_front": {"opening": 0.48, "stretch": 0.45, "lower_down": 0.3, "upper_up": 0.2},
    "mid_round": {"opening": 0.8, "pucker": 0.35, "funnel": 0.2},
    "close_round": {"opening": 0.42, "pucker": 0.68, "funnel": 0.15},
    "bilabial": {"opening": 0.12},
    "labiodental": {"opening": 0.25, "upper_up": 0.15},
    "dental": {"opening": 0.5},
    "alveolar": {"opening": 0.5},
    "sibilant": {"opening": 0.3, "stretch": 0.3, "lower_down": 0.35, "upper_up": 0.2},
    "postalveolar": {"opening": 0.33, "funnel": 0.4, "pucker": 0.15, "lower_down": 0.2},
    "rhotic": {"opening": 0.45, "funnel": 0.3, "pucker": 0.3},
    "velar": {"opening": 0.55},
    "glottal": {"opening": 0.65},
}
VISEME_OF = {symbol: viseme for viseme, symbols in VISEME_PHONEMES.items() for symbol in symbols.split()}
# Channels during lip contact.
CONTACTS = {
    "bilabial": {"closure": 1.0, "press": 0.35},
    "labiodental": {"closure": 0.2, "roll_lower": 0.5},
}

# The constants from here on were chosen in experiments/real_lips, on a person's motion and sound.
# Dominance of a channel that its viseme specifies, of one that it does not, and of rest.
SPECIFIED, UNSPECIFIED, REST = 1.0, 0.25, 0.2
OPENING_DOMINANCE = {"bilabial": 1.5}
# Standard deviation of the smoothing of dominance, and the lag behind the sound, of the jaw and of the lips.
JAW_REACTION_S, LIP_REACTION_S = 0.04, 0.06
JAW_LAG_S, LIP_LAG_S = 0.03, 0.0
# Dominance is negligible further away than this from the middle of a phoneme.
REACH_S = 0.4
# Duration of the approach to a contact and of its release, at most and at least, and at most as a share of the
# time between the contact and the middle of the neighbouring phoneme. The shortest contact contains the middle of
# a frame wherever it lies.
TRANSITION_S, SHORTEST_TRANSITION_S, TRANSITION_SHARE = 0.05, 0.015, 0.5
SHORTEST_CONTACT_S = 1.01 / MOTION_FPS

# Louder speech has a larger opening (Schulman 1989, "Articulatory dynamics of loud and normal speech"); the jaw
# follows the loudness with a lag.
OPENING_PER_DB = 0.075
MIN_GAIN, MAX_GAIN = 0.25, 1.45
# Quiet speech does not close the lips: the least opening of phonemes that open them further.
PARTED_OPENING = 0.26
LOUDNESS_LAG_S = 0.03
# Opening at the median loudness where no phoneme was recognised, and the distance in time from which a stretch of
# speech counts as unrecognised.
UNRECOGNISED_OPENING, UNRECOGNISED_S = 0.5, 0.2
# The mouth may leave its rest position this long before the voice starts, and is back this long after it ends.
LEAD_S, RETURN_S = 0.2, 0.12


@dataclass(frozen=True, eq=False)
class MouthMotion:
    """Channels of the speaking mouth over time; see `CHANNELS` for their order and range."""

    channels: Float[np.ndarray, "frame channel"]

    def __getitem__(self, channel: str) -> Curve:
        return self.channels[:, CHANNEL[channel]]


def speaking_mouth(voice: VoiceFeatures) -> MouthMotion:
    """Mouth channels of each frame; all zero (lips closed, at rest) away from speech."""
    channels = coarticulate(voice.phonemes, voice.frames)
    add_contacts(channels, voice.phonemes)
    gain = loudness_gain(voice)
    opening = channels[:, CHANNEL["opening"]]
    opening = np.maximum(opening * gain, np.minimum(opening, PARTED_OPENING))
    opening = np.maximum(opening, unrecognised_speech(voice) * UNRECOGNISED_OPENING * gain)
    channels[:, CHANNEL["opening"]] = opening
    # Closed lips are not parted at the same time.
    channels[:, LIP_PARTING] *= 1 - channels[:, CHANNEL["closure"], None]
    return MouthMotion(channels * speech_gate(voice)[:, None])


def loudness_gain(voice: VoiceFeatures) -> Curve:
    """Factor on the opening: 1 at the person's median loudness."""
    frame = np.arange(voice.frames)
    lagged_db = np.interp(frame - LOUDNESS_LAG_S * MOTION_FPS, frame, voice.loudness_db)
    return np.clip(1 + OPENING_PER_DB * lagged_db, MIN_GAIN, MAX_GAIN)


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
    start_s, end_s = np.array([[p.start_s, p.end_s] for p in mapped]).T[..., None]
    is_jaw = np.array([channel == "opening" for channel in CHANNELS])
    reaction_s = np.where(is_jaw, JAW_REACTION_S, LIP_REACTION_S)
    lag_s = np.where(is_jaw, JAW_LAG_S, LIP_LAG_S)

    reach = frames_of(REACH_S)
    nearest = np.round((start_s + end_s)[:, 0] / 2 * MOTION_FPS - 0.5).astype(int)
    for offset in range(-reach, reach + 1):
        frame = nearest + offset
        inside = (frame >= 0) & (frame < frames)
        time_s = ((frame + 0.5) / MOTION_FPS)[:, None] - lag_s
        # The phoneme's interval, smoothed by a Gaussian.
        presence = ndtr((time_s - start_s) / reaction_s) - ndtr((time_s - end_s) / reaction_s)
        dominance = peaks * presence
        np.add.at(weighted_targets, frame[inside], (dominance * targets)[inside])
        np.add.at(weights, frame[inside], dominance[inside])
    return weighted_targets / weights


def _peak_dominance(viseme: str, channel: str) -> float:
    if channel not in VISEME_TARGETS[viseme]:
        return UNSPECIFIED
    return OPENING_DOMINANCE.get(viseme, SPECIFIED) if channel == "opening" else SPECIFIED


def add_contacts(channels: Float[np.ndarray, "frame channel"], phonemes: tuple[Phoneme, ...]) -> None:
    """Add lip contacts to `channels`, in place: held from start to end of a phoneme, with approach and release.

    Approach and release are shorter next to a short phoneme, so that the lips part for a vowel between two
    contacts.
    """
    frames = len(channels)
    for before, phoneme, after in zip((None, *phonemes), phonemes, (*phonemes[1:], None), strict=False):
        contact = CONTACTS.get(VISEME_OF.get(phoneme.ipa, ""))
        if contact is None:
            continue
        middle_s, half_s = _middle_s(phoneme), max(phoneme.end_s - phoneme.start_s, SHORTEST_CONTACT_S) / 2
        approach_s = _transition_s(middle_s - half_s, before)
        release_s = _transition_s(middle_s + half_s, after)
        first = max(int((middle_s - half_s - approach_s) * MOTION_FPS), 0)
        frame = np.arange(first, min(int((middle_s + half_s + release_s) * MOTION_FPS) + 1, frames))
        from_middle_s = (frame + 0.5) / MOTION_FPS - middle_s
        outside_s = np.maximum(np.abs(from_middle_s) - half_s, 0)
        shape = minimum_jerk(1 - outside_s / np.where(from_middle_s < 0, approach_s, release_s))
        for channel, height in contact.items():
            curve = channels[:, CHANNEL[channel]]
            curve[frame] = np.maximum(curve[frame], height * shape)


def _middle_s(phoneme: Phoneme) -> float:
    return (phoneme.start_s + phoneme.end_s) / 2


def _transition_s(edge_s: float, neighbour: Phoneme | None) -> float:
    """Duration of the transition between the edge of a contact and the neighbouring phoneme."""
    if neighbour is None or VISEME_OF.get(neighbour.ipa) in CONTACTS:
        return TRANSITION_S
    to_middle_s = abs(_middle_s(neighbour) - edge_s)
    return float(np.clip(TRANSITION_SHARE * to_middle_s, SHORTEST_TRANSITION_S, TRANSITION_S))


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
