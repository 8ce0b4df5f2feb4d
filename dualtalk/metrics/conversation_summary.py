"""All the figures of one conversation, ready for a table: each with its unit and the range it should be in."""

from dualtalk.audio.phonemes import recognise_phonemes
from dualtalk.audio.prosody import loudness_db
from dualtalk.core import PARTY, Conversation, Participant
from dualtalk.head import Head
from dualtalk.metrics import kinematics as life
from dualtalk.metrics import lips

# Ranges of tracked people are widened by this factor: two people are a small sample.
TOLERANCE = 1.5


def motion_figures(conversation: Conversation, head: Head) -> dict[str, dict]:
    """Lips and life of both people.

    Returns
    -------
    dict
        name -> {"a": value, "b": value, "unit": text, "range": (low, high) or None}. NaN where there was
        nothing to measure.
    """
    pairs = (conversation.participants, conversation.participants[::-1])
    columns = {label: _figures_of(own, partner, head) for label, (own, partner) in zip(PARTY, pairs, strict=True)}
    return {
        name: {"a": value, "b": columns["b"][name][0], "unit": unit, "range": wanted}
        for name, (value, unit, wanted) in columns["a"].items()
    }


def _figures_of(own: Participant, partner: Participant, head: Head) -> dict[str, tuple]:
    motion, frames = own.motion, own.motion.frames
    gap_m = head.lip_gap(motion)
    phonemes = recognise_phonemes(own.audio, own.speech)
    speaking = own.speaking(frames)
    loudness = loudness_db(own.audio)[:frames]
    ratio, chance = life.answer_ratio(
        life.Listening(life.activity(motion, head.blendshape_names), speaking, partner.speech)
    )
    figures = {
        "lips at most 2 mm apart at p, b, m": (lips.bilabial_closure(gap_m, phonemes), "share", (0.9, 1)),
        "lips at most 2 mm apart in silence": (lips.silent_closure(gap_m, own.speech), "share", (0.95, 1)),
        "lips over 4 mm apart at vowels": (lips.vowel_opening(gap_m, phonemes), "share", (0.5, 1)),
        "correlation of loudness and lip gap": (
            lips.loudness_correlation(gap_m, loudness, speaking),
            "",
            (0.4, 1),
        ),
        **_life_of(own),
        "movement after partner's phrases, against chance": (ratio, "times", None),
        "how often chance moves as much": (chance, "share", None),
    }
    if "eyeBlinkLeft" in head.blendshape_names:
        lids = motion.expression[:, head.blendshape_names.index("eyeBlinkLeft")]
        figures["blinks"] = (life.blinks_a_minute(lids), "a minute", (8, 35))
    return figures


def _life_of(own: Participant) -> dict[str, tuple]:
    def near(name: str) -> tuple[float, float]:
        low, high = life.TRACKED[name]
        return low / TOLERANCE, high * TOLERANCE

    head, jaw = own.motion.head_rotvec_rad, own.motion.jaw_rotvec_rad
    spread = life.spread_rad(head)
    return {
        "head spread, pitch": (float(spread[0]), "rad", near("head spread")),
        "head spread, yaw": (float(spread[1]), "rad", near("head spread")),
        "head spread, roll": (float(spread[2]), "rad", near("head spread")),
        "head speed, mean": (life.mean_speed_rad_s(head), "rad/s", near("head speed")),
        "head: 90 % of power below": (life.bandwidth_hz(head), "Hz", near("head bandwidth")),
        "jaw spread, opening": (float(life.spread_rad(jaw)[0]), "rad", near("jaw spread")),
        "jaw: 90 % of power below": (life.bandwidth_hz(jaw), "Hz", near("jaw bandwidth")),
    }
