"""Metrics of one conversation without a ground truth, with unit and plausible range, for a report."""

from typing import TypedDict

from pyannote.core import Timeline

from dualtalk.audio.phonemes import recognise_phonemes
from dualtalk.audio.prosody import loudness_db
from dualtalk.core import PARTY, Conversation, Participant
from dualtalk.errors import InputError
from dualtalk.head import Head
from dualtalk.io.audio_map import release
from dualtalk.metrics import kinematics, lips

# The tracked ranges are widened by this factor, because two people are a small sample.
TOLERANCE = 1.5

# Phonemes are recognised in at most this much of each person's speech, spread over the conversation: more takes
# minutes an hour and changes no rate by more than its own standard error.
MEASURED_SPEECH_S = 120.0

# int too: the checks of shapes and types do not accept an int as a float.
Range = tuple[float | int, float | int] | None
Value = tuple[float, str, Range]


class SummaryRow(TypedDict):
    """One metric of both participants; NaN where nothing was measured."""

    a: float
    b: float
    unit: str
    range: Range


def motion_summary(conversation: Conversation, head: Head) -> dict[str, SummaryRow]:
    """Lip closure, kinematics and listener response of both participants: name -> row.

    Raises
    ------
    InputError
        A participant has no motion.
    """
    a, b = conversation.participants
    columns = {
        label: _values_of(own, partner, head) for label, own, partner in zip(PARTY, (a, b), (b, a), strict=True)
    }
    return {
        name: SummaryRow(a=value, b=columns["b"][name][0], unit=unit, range=plausible)
        for name, (value, unit, plausible) in columns["a"].items()
    }


def _values_of(own: Participant, partner: Participant, head: Head) -> dict[str, Value]:
    motion = own.motion
    if motion is None:
        raise InputError("a participant has no motion; wanted motion of both: run simulate first?")
    frames = motion.frames
    gap_m = head.lip_gap(motion)
    phonemes = recognise_phonemes(own.audio, spread_sample(own.speech, MEASURED_SPEECH_S))
    release(own.audio)
    speaking = own.speaking(frames)
    loudness = loudness_db(own.audio)[:frames]
    ratio, p = kinematics.response_ratio(
        kinematics.ListenerActivity(kinematics.activity(motion, head.blendshape_names), speaking, partner.speech)
    )
    values: dict[str, Value] = {
        "bilabial closure rate": (lips.bilabial_closure(gap_m, phonemes), "share", (0.9, 1.0)),
        "silence closure rate": (lips.silent_closure(gap_m, own.speech), "share", (0.95, 1.0)),
        "vowel opening rate": (lips.vowel_opening(gap_m, phonemes), "share", (0.5, 1.0)),
        "correlation of loudness and lip aperture": (
            lips.loudness_correlation(gap_m, loudness, speaking),
            "",
            (0.4, 1.0),
        ),
        **_kinematics_of(own),
        "activity after the partner's phrases, relative to chance": (ratio, "times", None),
        "p-value of that activity": (p, "share", None),
    }
    if "eyeBlinkLeft" in head.blendshape_names:
        lids = motion.expression[:, head.blendshape_names.index("eyeBlinkLeft")]
        values["blinks"] = (kinematics.blinks_a_minute(lids), "1/min", (8.0, 35.0))
    return values


def spread_sample(speech: Timeline, longest_s: float) -> Timeline:
    """Segments of `speech` that last about `longest_s` together, evenly chosen; all of them if they are
    shorter."""
    segments = list(speech)
    share = longest_s / max(sum(span.duration for span in segments), 1e-9)
    if share >= 1:
        return speech
    # A segment is chosen where the running count of chosen segments reaches the next whole number.
    return Timeline([span for n, span in enumerate(segments) if int((n + 1) * share) > int(n * share)])


def _kinematics_of(own: Participant) -> dict[str, Value]:
    def widened(name: str) -> tuple[float, float]:
        low, high = kinematics.TRACKED_RANGES[name]
        return low / TOLERANCE, high * TOLERANCE

    assert own.motion is not None
    head, jaw = own.motion.head_rotvec_rad, own.motion.jaw_rotvec_rad
    spread = kinematics.spread_rad(head)
    return {
        "head spread, pitch": (float(spread[0]), "rad", widened("head spread")),
        "head spread, yaw": (float(spread[1]), "rad", widened("head spread")),
        "head spread, roll": (float(spread[2]), "rad", widened("head spread")),
        "head speed, mean": (kinematics.mean_speed_rad_s(head), "rad/s", widened("head speed")),
        "head bandwidth (90 % of power)": (kinematics.bandwidth_hz(head), "Hz", widened("head bandwidth")),
        "jaw spread, opening": (float(kinematics.spread_rad(jaw)[0]), "rad", widened("jaw spread")),
        "jaw bandwidth (90 % of power)": (kinematics.bandwidth_hz(jaw), "Hz", widened("jaw bandwidth")),
    }
