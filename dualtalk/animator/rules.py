"""The animator: rules from the voices of two people to the motion of both.

It needs no training, so it animates any recording at once; it teaches the synthetic corpus; and it is a
baseline. Each person's speech moves their own mouth, brows and head; the partner's speech and smiles move them
as a listener. Everything is drawn from the seed, and from nothing else: a person is seeded by the seed and by
their own voice, so that exchanging the two people exchanges the two motions.

Output is in the open head's space: expression coefficients are ARKit units.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from dualtalk.animator.curves import Curve, smoothed
from dualtalk.animator.face import breaths, brow_raises, flutter, smiles
from dualtalk.animator.gaze import blinks, eye_rotations, gaze_directions, head_share
from dualtalk.animator.head_pose import head_rotations
from dualtalk.animator.listening import Event, backchannels, mimicked_smiles, spontaneous_smiles
from dualtalk.animator.mouth import MouthMotion, speaking_mouth
from dualtalk.animator.voice import Transcript, Voice, hear
from dualtalk.core import Conversation, HeadMotion
from dualtalk.head.blendshapes import JAW_OPEN_RAD, UNIT_SLOT

EXPRESSION_COEFFICIENTS = 50
# Jaw rotation at opening 1. Tracked talkers' jaws have a spread of 0.03 to 0.06 rad about this axis.
SPEECH_JAW_RAD = 0.17
JAW_BREATH_RAD = 0.015
JAW_SIDE_SD_RAD = 0.006


@dataclass(frozen=True, eq=False)
class Animation:
    """Motion of both people, and the events behind it.

    Attributes
    ----------
    conversation : Conversation
        The one given, with motion.
    events : (list of Event, list of Event)
        What each person's head and face did in answer to the partner, with cause and lag.
    """

    conversation: Conversation
    events: tuple[list[Event], list[Event]]


def animate(
    conversation: Conversation, seed: int = 0, transcripts: tuple[Transcript, Transcript] | None = None
) -> Animation:
    """Animate both people of a conversation from their voices.

    Motion that the conversation already has is replaced; its identities are kept. With `transcripts`, a person's
    mouth follows the phonemes given there, and nothing is recognised.
    """
    voices = [
        hear(person, conversation.frames, transcript)
        for person, transcript in zip(conversation.participants, transcripts or (None, None), strict=True)
    ]
    streams = [np.random.default_rng(entropy) for entropy in conversation.participant_seeds(seed)]
    own_smiles = [spontaneous_smiles(voice, rng) for voice, rng in zip(voices, streams, strict=True)]
    events, motions = [], []
    for own, partner in ((0, 1), (1, 0)):
        rng = streams[own]
        answers = backchannels(voices[own], voices[partner], rng)
        answers += mimicked_smiles(own_smiles[partner], conversation.frames, rng)
        events.append(sorted(own_smiles[own] + answers, key=lambda event: (event.frame, event.kind)))
        motions.append(move(voices[own], events[own], rng))
    for index, person in enumerate(conversation.participants):
        if person.motion is not None:
            motions[index] = HeadMotion(motions[index].coefficients, "open", identity=person.motion.identity)
    return Animation(conversation.with_motion(*motions), (events[0], events[1]))


def move(voice: Voice, events: list[Event], rng: np.random.Generator) -> HeadMotion:
    """One person's motion, from their voice and what they answer."""
    gaze = gaze_directions(voice, rng)
    breath = breaths(voice)
    head = head_rotations(voice, events, head_share(gaze), breath, rng)
    mouth = speaking_mouth(voice)
    jaw = np.zeros((voice.frames, 3))
    jaw[:, 0] = SPEECH_JAW_RAD * mouth["opening"]
    jaw[:, 1] = JAW_SIDE_SD_RAD * smoothed(rng.standard_normal(voice.frames), 0.1) * mouth["opening"]
    units = {
        **mouth_units(mouth, jaw[:, 0]),
        **face_units(
            smile=smiles(voice.frames, events, rng),
            brows=brow_raises(voice, events, rng),
            lids=blinks(voice, gaze, rng),
            flutters=[flutter(voice.frames, rng) for _ in range(4)],
            mouth=mouth,
        ),
    }
    jaw[:, 0] += JAW_BREATH_RAD * breath
    return HeadMotion.from_parts(
        expression=expression_of(units, voice.frames),
        jaw_rotvec_rad=jaw,
        head_rotvec_rad=head,
        eyes_rotvec_rad=eye_rotations(gaze, head),
        space="open",
    )


def mouth_units(mouth: MouthMotion, jaw_open_rad: Curve) -> dict[str, Curve]:
    """ARKit units of the speaking mouth. `mouthClose` brings the lips together over the open jaw."""
    return {
        "mouthClose": jaw_open_rad / JAW_OPEN_RAD * mouth["closure"],
        "mouthPucker": mouth["pucker"],
        "mouthFunnel": mouth["funnel"],
        "mouthStretchLeft": 0.6 * mouth["stretch"],
        "mouthStretchRight": 0.6 * mouth["stretch"],
        "mouthRollLower": mouth["roll_lower"],
        "mouthPressLeft": mouth["press"],
        "mouthPressRight": mouth["press"],
        "mouthLowerDownLeft": mouth["lower_down"],
        "mouthLowerDownRight": mouth["lower_down"],
        "mouthUpperUpLeft": mouth["upper_up"],
        "mouthUpperUpRight": mouth["upper_up"],
    }


def face_units(
    *, smile: Curve, brows: Curve, lids: Curve, flutters: list[Curve], mouth: MouthMotion
) -> dict[str, Curve]:
    """ARKit units of the rest of the face. A smile narrows while the lips shape sounds."""
    smile = smile * (1 - 0.4 * np.maximum(mouth["opening"], mouth["pucker"]))
    return {
        "mouthSmileLeft": smile + flutters[0],
        "mouthSmileRight": 0.92 * smile + flutters[0],
        "cheekSquintLeft": 0.6 * smile,
        "cheekSquintRight": 0.55 * smile,
        "eyeSquintLeft": 0.35 * smile + flutters[1],
        "eyeSquintRight": 0.35 * smile + flutters[1],
        "eyeBlinkLeft": lids,
        "eyeBlinkRight": lids,
        "browInnerUp": brows + flutters[2],
        "browOuterUpLeft": 0.8 * brows,
        "browOuterUpRight": 0.7 * brows,
        "browDownLeft": flutters[3],
        "browDownRight": flutters[3],
    }


def expression_of(units: dict[str, Curve], frames: int) -> Float[np.ndarray, "frame 50"]:
    """Expression coefficients of the open head, each unit kept between 0 and 1."""
    expression = np.zeros((frames, EXPRESSION_COEFFICIENTS))
    for unit, curve in units.items():
        expression[:, UNIT_SLOT[unit]] = np.clip(curve, 0, 1)
    return expression
